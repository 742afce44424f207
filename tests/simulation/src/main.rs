//! `cargo run --release -p simulation -- --seeds 1000 --commands 10000`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use lexopt::{Arg, Parser, ValueExt};
use simulation::faults::{Counts, Faults};
use simulation::{Outcome, run};

const HELP: &str = "Runs accounts under faults and checks every step.

  --seeds N      how many accounts, seeds 1 to N (100)
  --commands N   how many commands each (10000)
  --seed N       replays this seed alone, and says on standard error what happens
";

/// How many violations are printed in full.
const MOST_NAMED: usize = 5;

struct Options {
    seeds: u64,
    commands: u64,
    seed: Option<u64>,
}

fn main() -> ExitCode {
    match options() {
        Ok(Some(options)) => simulate(&options),
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { seeds: 100, commands: 10_000, seed: None };
    let mut parser = Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("seeds") => options.seeds = parser.value()?.parse()?,
            Arg::Long("commands") => options.commands = parser.value()?.parse()?,
            Arg::Long("seed") => options.seed = Some(parser.value()?.parse()?),
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(Some(options))
}

fn simulate(options: &Options) -> ExitCode {
    let started = now();
    let mut outcomes = match options.seed {
        Some(seed) => vec![run(seed, options.commands, true)],
        None => run_all(options.seeds, options.commands),
    };
    outcomes.sort_by_key(|outcome| outcome.seed);
    let mut faults = Faults::default();
    let mut answers = Counts::default();
    for outcome in &outcomes {
        faults.add(&outcome.faults);
        answers.add(&outcome.answers);
    }
    let commands: u64 = outcomes.iter().map(|outcome| outcome.commands).sum();
    let broken: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.violation.is_some()).collect();
    println!("seeds       {}\ncommands    {commands}\nanswers\n{answers}faults\n{faults}", outcomes.len());
    println!("violations  {}", broken.len());
    println!("time        {:.1} s", started.elapsed().as_secs_f64());
    for Outcome { seed, violation, .. } in broken.iter().take(MOST_NAMED) {
        println!("\nseed {seed}: {}", violation.as_deref().unwrap_or_default());
        println!("replay: npm run simulate -- --seed {seed} --commands {}", options.commands);
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every seed once, on all cores.
fn run_all(seeds: u64, commands: u64) -> Vec<Outcome> {
    let next = AtomicU64::new(1);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..cores {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds || sender.send(run(seed, commands, false)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        receiver.iter().collect()
    })
}

#[expect(clippy::disallowed_methods, reason = "how long the run took is for people; the simulation has its own clock")]
fn now() -> Instant {
    Instant::now()
}
