//! Reads and writes D1 through wrangler, which can reach both the local database and the one on Cloudflare.
//!
//! `wrangler d1 execute` runs several statements as one transaction. Locally it uses a D1 batch. Remotely it uses a
//! batch for `--command` and an import for `--file`; a failed import restores the database.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use catalog::rows::{Rows, SELECT_MODELS, SELECT_PRICES, SELECT_ROUTES, SELECT_UPSTREAMS};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::{Database, root};

/// The name of the binding in `wrangler.toml`.
const BINDING: &str = "DB";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}: {1}; run npm ci and try again")]
    Start(PathBuf, std::io::Error),
    #[error("the database has no catalogue tables: first run wrangler d1 migrations apply {BINDING} ({0})")]
    NoTables(String),
    /// The text with which wrangler failed.
    #[error("wrangler: {0}")]
    Wrangler(String),
    /// The output of wrangler that is not the expected JSON.
    #[error("unexpected output from wrangler: {0}")]
    Output(String),
    /// The file of SQL statements could not be written.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
}

/// A database, as the arguments by which wrangler finds it.
pub struct D1 {
    place: Vec<OsString>,
}

/// The output of wrangler with `--json`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Printed {
    Answers(Vec<Answer>),
    Failure { error: Failure },
}

/// The rows of one statement.
#[derive(Deserialize)]
struct Answer {
    results: Vec<Value>,
}

#[derive(Deserialize)]
struct Failure {
    text: String,
}

impl D1 {
    /// Fails if a relative folder cannot be resolved because the current directory no longer exists.
    pub fn new(database: &Database) -> Result<Self, Error> {
        let mut place: Vec<OsString> = Vec::new();
        match database {
            Database::Remote => place.push("--remote".into()),
            Database::Local(None) => place.push("--local".into()),
            Database::Local(Some(folder)) => {
                // Wrangler runs in the root of the repository.
                let absolute = std::path::absolute(folder).map_err(|error| Error::File(folder.clone(), error))?;
                place.extend(["--local".into(), "--persist-to".into(), absolute.into()]);
            }
        }
        Ok(Self { place })
    }

    /// Reads the whole catalogue from the database.
    pub fn read(&self) -> Result<Rows, Error> {
        let select = [SELECT_UPSTREAMS, SELECT_MODELS, SELECT_PRICES, SELECT_ROUTES].join("; ");
        let answers = self.execute("--command", select.as_ref())?;
        let [upstreams, models, prices, routes] = <[Answer; 4]>::try_from(answers)
            .map_err(|answers| Error::Output(format!("{} results instead of 4", answers.len())))?;
        Ok(Rows {
            upstreams: upstreams.rows()?,
            models: models.rows()?,
            prices: prices.rows()?,
            routes: routes.rows()?,
        })
    }

    /// Runs all statements in `sql`. If one fails, none takes effect.
    pub fn write(&self, sql: &str) -> Result<(), Error> {
        let file = std::env::temp_dir().join(format!("oneinterface-catalog-{}.sql", std::process::id()));
        let written = fs::File::create_new(&file).and_then(|mut open| open.write_all(sql.as_bytes()));
        let done =
            written.map_err(|error| Error::File(file.clone(), error)).and_then(|()| self.execute("--file", &file));
        // A file that cannot be removed does no harm.
        _ = fs::remove_file(&file);
        done.map(drop)
    }

    fn execute(&self, option: &str, value: &Path) -> Result<Vec<Answer>, Error> {
        let tools = root().join("node_modules/.bin");
        let wrangler = tools.join("wrangler");
        // The `node` in this folder is new enough for wrangler, so it must come before any other in PATH.
        let mut path = OsString::from(&tools);
        if let Some(rest) = std::env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        let output = Command::new(&wrangler)
            .args(["d1", "execute", BINDING, "--json", "--yes"])
            .args(&self.place)
            .arg(option)
            .arg(value)
            .current_dir(root())
            .env("PATH", path)
            // These settings keep wrangler from sending any other request over the network.
            .envs([("WRANGLER_SEND_METRICS", "false"), ("CLOUDFLARE_CF_FETCH_ENABLED", "false")])
            .envs([("WRANGLER_HIDE_BANNER", "true"), ("NO_COLOR", "1")])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::Start(wrangler, error))?;
        understood(output.status.success(), &output.stdout, &output.stderr)
    }
}

impl Answer {
    fn rows<R: DeserializeOwned>(self) -> Result<Vec<R>, Error> {
        serde_json::from_value(Value::Array(self.results)).map_err(|error| Error::Output(error.to_string()))
    }
}

/// Reads wrangler's output. Results and errors of SQL are JSON on standard output. If there is no JSON, wrangler
/// failed before it ran the SQL.
fn understood(success: bool, stdout: &[u8], stderr: &[u8]) -> Result<Vec<Answer>, Error> {
    match serde_json::from_slice(stdout) {
        Ok(Printed::Answers(answers)) if success => Ok(answers),
        Ok(Printed::Failure { error }) if error.text.contains("no such table") => Err(Error::NoTables(error.text)),
        Ok(Printed::Failure { error }) => Err(Error::Wrangler(error.text)),
        Ok(Printed::Answers(_)) | Err(_) => {
            let text = [String::from_utf8_lossy(stderr), String::from_utf8_lossy(stdout)].concat();
            let text = text.trim().to_owned();
            Err(if success { Error::Output(text) } else { Error::Wrangler(text) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(success: bool, stdout: &str, stderr: &str, expected: &str) {
        let found = understood(success, stdout.as_bytes(), stderr.as_bytes());
        let found = found.map(|answers| answers.iter().map(|answer| answer.results.len()).collect::<Vec<_>>());
        assert_eq!(found.map_or_else(|error| error.to_string(), |rows| format!("{rows:?}")), expected);
    }

    #[test]
    fn the_output_of_wrangler_is_read() {
        let answers =
            r#"[{"results":[{"x":1},{"x":2}],"success":true,"meta":{"duration":0}},{"results":[],"success":true}]"#;
        check(true, answers, "", "[2, 0]");
        check(
            false,
            "\n{\n  \"error\": {\n    \"text\": \"no such table: upstreams: SQLITE_ERROR\"\n  }\n}\n",
            "",
            "the database has no catalogue tables: first run wrangler d1 migrations apply DB \
             (no such table: upstreams: SQLITE_ERROR)",
        );
        check(
            false,
            r#"{"error":{"text":"FOREIGN KEY constraint failed"}}"#,
            "",
            "wrangler: FOREIGN KEY constraint failed",
        );
        check(
            false,
            "",
            "Wrangler requires at least Node.js v22.0.0\n",
            "wrangler: Wrangler requires at least Node.js v22.0.0",
        );
        check(true, "done", "", "unexpected output from wrangler: done");
        check(true, "[]", "", "[]");
    }
}
