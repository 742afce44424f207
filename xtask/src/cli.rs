//! The command line.

use std::path::{Path, PathBuf};

use lexopt::{Arg, Parser, ValueExt as _};

/// The text of `help`.
pub const HELP: &str = "\
catalog check [FILE]         reads a catalogue and lists every problem in it, by line
catalog apply [FILE]         shows what differs from the database, and writes it in one transaction
catalog secret-hosts [FILE]  prints the Worker variable SECRET_HOSTS: the hosts that may receive each secret
catalog sql [FILE]           prints the statements that fill an empty database, one per line

FILE defaults to catalog.toml of the repository.
  --overlay FILE       adds the upstreams of another file as the last route of every model
  --allow-unpriced     accepts models without a price or with a price of zero;
                       ALLOW_UNPRICED_MODELS=1 in the environment does the same
only for apply:
  --local              uses the database of this machine (default)
  --persist-to DIR     the folder of this machine's database, as for wrangler dev
  --remote             uses the database on Cloudflare; asks before it writes
  --yes                does not ask
  --summary            shows how many entries differ, but not which
  --correct            changes a price in effect immediately, without five minutes of notice
";

#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Help,
    Check(Source),
    SecretHosts(Source),
    Sql(Source),
    Apply(Apply),
}

/// The files of a catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    pub file: PathBuf,
    /// A file of upstreams that become the last route of every model.
    pub overlay: Option<PathBuf>,
    /// Whether a model may have no price or a price of zero.
    pub allow_unpriced: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Apply {
    pub source: Source,
    pub database: Database,
    /// Whether to change prices without five minutes of notice.
    pub correct: bool,
    /// Whether to write without asking.
    pub yes: bool,
    /// Whether to show only how many entries differ.
    pub summary: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Database {
    /// The database of this machine, in this folder or else in wrangler's default folder.
    Local(Option<PathBuf>),
    Remote,
}

/// The root of the repository.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Reads the arguments. `unpriced` is the environment's value of [`Source::allow_unpriced`]. The error is a sentence
/// about the first argument that is not valid.
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

/// Returns the next word of the command, or an empty string at the end.
fn word(arguments: &mut Parser) -> Result<String, lexopt::Error> {
    match arguments.next()? {
        None => Ok(String::new()),
        Some(Arg::Long("help") | Arg::Short('h')) => Ok("help".to_owned()),
        Some(Arg::Value(word)) => word.string(),
        Some(other) => Err(other.unexpected()),
    }
}

/// Reads the options of a command. `None` means that the user asked for the help.
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
    fn wrong_arguments_are_refused() {
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
