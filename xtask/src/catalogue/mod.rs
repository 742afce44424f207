//! `catalog …`: the catalogue as code, from the file to the database.

mod d1;
mod diff;
mod notice;
mod report;
mod secret_hosts;
mod sql;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use catalog::Catalog;
use catalog::file::{self, Problem};
use catalog::rows::Rows;

use crate::cli::{Apply, Database, Source};
use crate::clock;
use d1::D1;
use diff::Diff;

/// What ends a command; its text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read.
    #[error("{0}: {1}")]
    Unreadable(String, std::io::Error),
    /// Everything that is wrong in a file, one `FILE:LINE: sentence` a line.
    #[error("{0}")]
    Refused(String),
    /// Wrangler, or what it said.
    #[error(transparent)]
    D1(#[from] d1::Error),
    /// A row in the database that no apply wrote.
    #[error("the database holds what no apply wrote; mend or delete that row, then apply again: {0}")]
    Row(#[from] catalog::rows::RowError),
    /// Price changes without notice.
    #[error(
        "{}\nA price in effect may change five minutes from now at the earliest, so that every isolate has read \
         it before; --correct changes it at once.\nNothing was applied.",
        .0.join("\n")
    )]
    WithoutNotice(Vec<String>),
    /// The operator said no, or could not be asked.
    #[error("nothing was applied: {0}")]
    NotConfirmed(&'static str),
    /// A bug: no row has a field that is not JSON.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

/// Reads the file and says what is in it.
pub fn check(source: &Source) -> Result<(), Error> {
    let catalog = load(source)?;
    let prices: usize = catalog.models.values().map(|model| model.prices.len()).sum();
    println!(
        "{}: {} upstreams, {} models, {prices} prices; no problem",
        source.file.display(),
        catalog.upstreams.len(),
        catalog.models.len(),
    );
    Ok(())
}

/// Prints the value of the Worker variable `SECRET_HOSTS`.
pub fn secret_hosts(source: &Source) -> Result<(), Error> {
    println!("{}", secret_hosts::of(&load(source)?));
    Ok(())
}

/// Prints the SQL of the file's first `apply`, for a database that wrangler does not reach.
pub fn sql(source: &Source) -> Result<(), Error> {
    let diff = Diff::between(Rows::default(), load(source)?.to_rows()?);
    print!("{}", sql::render(&diff, clock::now_ms())?);
    Ok(())
}

/// Brings the database to what the file says: read both, compare, show, ask, write.
pub fn apply(apply: &Apply) -> Result<(), Error> {
    let wanted = load(&apply.source)?;
    let database = D1::new(&apply.database)?;
    let rows = database.read()?;
    let diff = Diff::between(rows.clone(), wanted.to_rows()?);
    let now_ms = clock::now_ms();
    print!("{}", report::text(&diff, apply.summary)?);
    if diff.is_empty() {
        return Ok(());
    }
    let violations = notice::violations(&Catalog::from_rows(rows)?, &wanted, now_ms);
    if !violations.is_empty() && !apply.correct {
        return Err(Error::WithoutNotice(violations));
    }
    if apply.database == Database::Remote && !apply.yes {
        confirm()?;
    }
    database.write(&sql::render(&diff, now_ms)?)?;
    println!("applied");
    Ok(())
}

fn load(source: &Source) -> Result<Catalog, Error> {
    let mut catalog = file::parse(&read(&source.file)?, source.allow_unpriced).map_err(refused(&source.file))?;
    if let Some(overlay) = &source.overlay {
        file::parse_overlay(&read(overlay)?, &mut catalog).map_err(refused(overlay))?;
    }
    Ok(catalog)
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::Unreadable(path.display().to_string(), error))
}

/// One line a problem, then how many there are.
fn refused(path: &Path) -> impl Fn(Vec<Problem>) -> Error {
    move |problems| {
        let mut text = String::new();
        for Problem { line, sentence } in &problems {
            // Writing to a string cannot fail.
            _ = writeln!(text, "{}:{line}: {sentence}", path.display());
        }
        let count = problems.len();
        Error::Refused(format!("{text}{count} problem{}; the file is refused", if count == 1 { "" } else { "s" }))
    }
}

fn confirm() -> Result<(), Error> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::NotConfirmed("--remote asks before it writes, and there is no terminal; or say --yes"));
    }
    print!("Apply this to the database on Cloudflare? [y/N] ");
    _ = std::io::stdout().flush();
    let mut answer = String::new();
    match std::io::stdin().read_line(&mut answer) {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Error::NotConfirmed("not confirmed")),
    }
}
