//! The commands `catalog …`, which check the file of the catalogue and write it to the database.

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

/// Why a command failed, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}: {1}")]
    Unreadable(String, std::io::Error),
    /// All problems of a file; each line has the form `FILE:LINE: sentence`.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    D1(#[from] d1::Error),
    #[error("the database has a row that catalog apply did not write; repair or delete the row, then apply again: {0}")]
    Row(#[from] catalog::rows::RowError),
    /// One sentence for each model whose price would change without notice.
    #[error(
        "{}\nA price in effect may change in five minutes at the earliest, so that every isolate reads the new \
         price before it counts; --correct changes the price immediately.\nNothing was applied.",
        .0.join("\n")
    )]
    WithoutNotice(Vec<String>),
    #[error("nothing was applied: {0}")]
    NotConfirmed(&'static str),
    /// This error would be a bug: every field of a row can be written as JSON.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

/// Reads the file and prints how many entries it has.
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

/// Prints the SQL that fills an empty database, for a database that wrangler cannot reach.
pub fn sql(source: &Source) -> Result<(), Error> {
    let diff = Diff::between(Rows::default(), load(source)?.to_rows()?);
    print!("{}", sql::render(&diff, clock::now_ms())?);
    Ok(())
}

/// Makes the database equal to the file: reads both, compares them, shows the differences, asks and writes.
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

/// Lists the problems of a file, one per line, and then their number.
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
        return Err(Error::NotConfirmed("there is no terminal to ask at; --remote --yes writes without asking"));
    }
    print!("Apply this to the database on Cloudflare? [y/N] ");
    _ = std::io::stdout().flush();
    let mut answer = String::new();
    match std::io::stdin().read_line(&mut answer) {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Error::NotConfirmed("not confirmed")),
    }
}
