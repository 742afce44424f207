//! The command line.

use std::path::{Path, PathBuf};

use lexopt::{Arg, Parser, ValueExt as _};

/// What `help` prints.
pub const HELP: &str = "\
catalog check [FILE]         reads a catalogue and names everything wrong in it, by line
catalog apply [FILE]         shows what differs from the database, and writes that in one transaction
catalog secret-hosts [FILE]  prints the Worker variable SECRET_HOSTS: where each secret may be sent
catalog sql [FILE]           prints the statements that fill an empty database, one a line

FILE is catalog.toml of the repository unless given.
  --overlay FILE       lays the upstreams of another file behind: the last route of every model
  --allow-unpriced     lets models without a price, or with price zero, through;
                       so does ALLOW_UNPRICED_MODELS=1 in the environment
apply alone:
  --local              the database of the laptop (default)
  --persist-to DIR     where the laptop's database is kept, as for wrangler dev
  --remote             the database on Cloudflare; asks before it writes
  --yes                does not ask
  --summary            shows how many entries differ, not which
  --correct            changes a price that is in effect at once, without five minutes of notice
";

/// A whole command.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// `catalog check`.
    Check(Source),
    /// `catalog secret-hosts`.
    SecretHosts(Source),
    /// `catalog sql`.
    Sql(Source),
    /// `catalog apply`.
    Apply(Apply),
}

/// Where a catalogue comes from.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The catalogue.
    pub file: PathBuf,
    /// Upstreams to lay behind it.
    pub overlay: Option<PathBuf>,
    /// Whether models may cost nothing.
    pub allow_unpriced: bool,
}

/// `catalog apply`.
#[derive(Debug, PartialEq, Eq)]
pub struct Apply {
    /// What to write.
    pub source: Source,
    /// Where to.
    pub database: Database,
    /// Change prices without notice.
    pub correct: bool,
    /// Do not ask.
    pub yes: bool,
    /// Show counts alone.
    pub summary: bool,
}

/// Which D1.
#[derive(Debug, PartialEq, Eq)]
pub enum Database {
    /// On this machine, in this folder or in wrangler's own.
    Local(Option<PathBuf>),
    /// On Cloudflare.
    Remote,
}

/// The root of the repository.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Reads the arguments. `unpriced` is what the environment says of [`Source::allow_unpriced`].
///
/// # Errors
/// A sentence about the first argument that makes no sense.
pub fn parse(mut arguments: Parser, unpriced: bool) -> Result<Command, lexopt::Error> {
    let (noun, verb) = (word(&mut arguments)?, word(&mut arguments)?);
    let command: fn(Apply) -> Command = match (noun.as_str(), verb.as_str()) {
        ("help" | "", "") | ("catalog", "help" | "") => return Ok(Command::Help),
        ("catalog", "check") => |options| Command::Check(options.source),
        ("catalog", "secret-hosts") => |options| Command::SecretHosts(options.source),
        ("catalog", "sql") => |options| Command::Sql(options.source),
        ("catalog", "apply") => Command::Apply,
        _ => return Err(format!("no such command: {noun} {verb}").into()),
    };
    Ok(options(arguments, verb == "apply", unpriced)?.map_or(Command::Help, command))
}

/// The next word of the command; empty at the end.
fn word(arguments: &mut Parser) -> Result<String, lexopt::Error> {
    match arguments.next()? {
        None => Ok(String::new()),
        Some(Arg::Long("help") | Arg::Short('h')) => Ok("help".to_owned()),
        Some(Arg::Value(word)) => word.string(),
        Some(other) => Err(other.unexpected()),
    }
}

/// `None` where the help is asked for.
fn options(mut arguments: Parser, applies: bool, unpriced: bool) -> Result<Option<Apply>, lexopt::Error> {
    let mut file = None;
    let (mut overlay, mut persist_to) = (None, None);
    let (mut allow_unpriced, mut local, mut remote) = (unpriced, false, false);
    let (mut yes, mut summary, mut correct) = (false, false, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(path) if file.is_none() => file = Some(PathBuf::from(path)),
            Arg::Long("overlay") => overlay = Some(PathBuf::from(arguments.value()?)),
            Arg::Long("allow-unpriced") => allow_unpriced = true,
            Arg::Long("local") if applies => local = true,
            Arg::Long("persist-to") if applies => persist_to = Some(PathBuf::from(arguments.value()?)),
            Arg::Long("remote") if applies => remote = true,
            Arg::Long("yes") if applies => yes = true,
            Arg::Long("summary") if applies => summary = true,
            Arg::Long("correct") if applies => correct = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    if remote && (local || persist_to.is_some()) {
        return Err("--remote excludes --local and --persist-to".into());
    }
    Ok(Some(Apply {
        source: Source { file: file.unwrap_or_else(|| root().join("catalog.toml")), overlay, allow_unpriced },
        database: if remote { Database::Remote } else { Database::Local(persist_to) },
        correct,
        yes,
        summary,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        let words = std::iter::once("xtask").chain(line.split_whitespace());
        parse(Parser::from_iter(words), false).map_err(|error| error.to_string())
    }

    fn source(file: &str) -> Source {
        Source { file: file.into(), overlay: None, allow_unpriced: false }
    }

    #[test]
    fn commands_are_read() {
        assert_eq!(parsed(""), Ok(Command::Help));
        assert_eq!(parsed("help"), Ok(Command::Help));
        assert_eq!(parsed("--help"), Ok(Command::Help));
        assert_eq!(parsed("catalog --help"), Ok(Command::Help));
        assert_eq!(parsed("catalog apply --help"), Ok(Command::Help));
        assert_eq!(parsed("catalog check a.toml"), Ok(Command::Check(source("a.toml"))));
        assert_eq!(parsed("catalog sql a.toml"), Ok(Command::Sql(source("a.toml"))));
        let shipped = root().join("catalog.toml");
        assert_eq!(parsed("catalog secret-hosts"), Ok(Command::SecretHosts(source(shipped.to_str().unwrap()))));
        assert_eq!(
            parsed("catalog apply --remote a.toml --overlay b.toml --allow-unpriced --yes --correct --summary"),
            Ok(Command::Apply(Apply {
                source: Source { overlay: Some("b.toml".into()), allow_unpriced: true, ..source("a.toml") },
                database: Database::Remote,
                correct: true,
                yes: true,
                summary: true,
            }))
        );
        assert_eq!(
            parsed("catalog apply a.toml --persist-to state"),
            Ok(Command::Apply(Apply {
                source: source("a.toml"),
                database: Database::Local(Some("state".into())),
                correct: false,
                yes: false,
                summary: false,
            }))
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, sentence) in [
            ("catalog list", "no such command: catalog list"),
            ("catalog check --remote", "invalid option '--remote'"),
            ("catalog apply a b", "unexpected argument \"b\""),
            ("catalog apply --persist-to", "missing argument for option '--persist-to'"),
            ("catalog apply --remote --persist-to x", "--remote excludes --local and --persist-to"),
        ] {
            assert_eq!(parsed(line), Err(sentence.to_owned()), "{line}");
        }
    }
}
