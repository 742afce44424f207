//! Commands for operators and developers that run natively: `cargo run -q -p xtask -- help`.

mod catalogue;
mod cli;
mod clock;

use std::path::Path;
use std::process::ExitCode;

use cli::Command;

fn main() -> ExitCode {
    // npm runs scripts in the root of the repository and puts the user's directory into INIT_CWD. Relative paths of
    // the user are relative to that directory.
    if let Some(place) = std::env::var_os("INIT_CWD") {
        let moved = std::env::set_current_dir(&place);
        if let Err(error) = moved {
            return fail(&format!("INIT_CWD {}: {error}", Path::new(&place).display()));
        }
    }
    let unpriced =
        std::env::var_os("ALLOW_UNPRICED_MODELS").is_some_and(|value| value == "1" || value == "true" || value == "on");
    let command = match cli::parse(lexopt::Parser::from_env(), unpriced) {
        Ok(command) => command,
        Err(error) => return fail(&format!("{error}\n\n{}", cli::HELP)),
    };
    let done = match command {
        Command::Help => {
            print!("{}", cli::HELP);
            Ok(())
        }
        Command::Check(source) => catalogue::check(&source),
        Command::SecretHosts(source) => catalogue::secret_hosts(&source),
        Command::Sql(source) => catalogue::sql(&source),
        Command::Apply(apply) => catalogue::apply(&apply),
    };
    done.map_or_else(|error| fail(&error.to_string()), |()| ExitCode::SUCCESS)
}

fn fail(message: &str) -> ExitCode {
    eprintln!("{}", message.trim_end());
    ExitCode::FAILURE
}
