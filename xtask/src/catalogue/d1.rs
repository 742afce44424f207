//! D1 through wrangler, which knows how to reach the local database and the one on Cloudflare.
//!
//! `wrangler d1 execute` runs several statements as one transaction: locally as a D1 batch, remotely with
//! `--command` as a batch and with `--file` as an import, which restores the database when it fails.

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

/// The binding in `wrangler.toml`.
const BINDING: &str = "DB";

/// Why D1 was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wrangler could not be started.
    #[error("{0}: {1}; run npm ci first")]
    Start(PathBuf, std::io::Error),
    /// The tables are not there.
    #[error("the database has no catalogue tables; run wrangler d1 migrations apply {BINDING} first ({0})")]
    NoTables(String),
    /// Wrangler ended with an error; this is its text.
    #[error("wrangler: {0}")]
    Wrangler(String),
    /// Wrangler printed something else than four results.
    #[error("what wrangler printed was not understood: {0}")]
    Output(String),
    /// The file of statements could not be written.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
}

/// One database: the arguments that name it to wrangler.
pub struct D1 {
    place: Vec<OsString>,
}

/// What wrangler prints with `--json`.
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
    /// The database that `database` names.
    ///
    /// # Errors
    /// Where the current directory is gone, so that a relative folder means nothing.
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

    /// The whole catalogue as it is now.
    ///
    /// # Errors
    /// Wrangler's, or rows of another shape.
    pub fn read(&self) -> Result<Rows, Error> {
        let select = [SELECT_UPSTREAMS, SELECT_MODELS, SELECT_PRICES, SELECT_ROUTES].join("; ");
        let answers = self.execute("--command", select.as_ref())?;
        let [upstreams, models, prices, routes] = <[Answer; 4]>::try_from(answers)
            .map_err(|answers| Error::Output(format!("{} results in place of 4", answers.len())))?;
        Ok(Rows {
            upstreams: upstreams.rows()?,
            models: models.rows()?,
            prices: prices.rows()?,
            routes: routes.rows()?,
        })
    }

    /// Runs the statements in `sql`, all or none.
    ///
    /// # Errors
    /// Wrangler's; the database is then unchanged.
    pub fn write(&self, sql: &str) -> Result<(), Error> {
        let file = std::env::temp_dir().join(format!("oneinterface-catalog-{}.sql", std::process::id()));
        let written = fs::File::create_new(&file).and_then(|mut open| open.write_all(sql.as_bytes()));
        let done =
            written.map_err(|error| Error::File(file.clone(), error)).and_then(|()| self.execute("--file", &file));
        // Left behind it would only take room.
        _ = fs::remove_file(&file);
        done.map(drop)
    }

    fn execute(&self, option: &str, value: &Path) -> Result<Vec<Answer>, Error> {
        let tools = root().join("node_modules/.bin");
        let wrangler = tools.join("wrangler");
        // Wrangler's own `node` has to be found before an older one.
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
            // Nothing but the database is asked.
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

/// Answers or errors are JSON on the standard output; anything else failed before wrangler got that far.
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
    fn what_wrangler_prints_is_understood() {
        let answers =
            r#"[{"results":[{"x":1},{"x":2}],"success":true,"meta":{"duration":0}},{"results":[],"success":true}]"#;
        check(true, answers, "", "[2, 0]");
        check(
            false,
            "\n{\n  \"error\": {\n    \"text\": \"no such table: upstreams: SQLITE_ERROR\"\n  }\n}\n",
            "",
            "the database has no catalogue tables; run wrangler d1 migrations apply DB first \
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
        check(true, "done", "", "what wrangler printed was not understood: done");
        check(true, "[]", "", "[]");
    }
}
