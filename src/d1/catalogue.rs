//! The catalogue, as each isolate remembers it.
//!
//! A price carries the instant from which it counts, so isolates that read the catalogue at different
//! times still change prices at the same one.

use std::cell::RefCell;
use std::rc::Rc;

use catalog::Catalog;
use catalog::rows::{Rows, SELECT_MODELS, SELECT_PRICES, SELECT_ROUTES, SELECT_UPSTREAMS};
use serde::de::DeserializeOwned;
use worker::{D1Database, D1Result, Env, console_error};

use super::BINDING;

/// After this time the next request reads the catalogue again, in milliseconds.
const FRESH_MS: i64 = 45_000;
/// How old a remembered catalogue may become while D1 does not answer, in milliseconds: a day.
const STALE_MS: i64 = 86_400_000;

#[derive(Clone)]
struct Remembered {
    catalog: Rc<Catalog>,
    read_at_ms: i64,
    /// When a request last set out to read it again.
    tried_at_ms: i64,
}

thread_local! {
    /// The same for every account.
    static CATALOG: RefCell<Option<Remembered>> = const { RefCell::new(None) };
}

/// The catalogue at `now_ms`: at most 45 s old while D1 answers, at most a day while it does not.
///
/// # Errors
/// What D1 said, when nothing is remembered that may be used.
pub async fn load(env: &Env, now_ms: i64) -> worker::Result<Rc<Catalog>> {
    let remembered = CATALOG.with_borrow(Clone::clone);
    if let Some(known) = &remembered
        && now_ms.saturating_sub(known.tried_at_ms) < FRESH_MS
    {
        return Ok(known.catalog.clone());
    }
    // Only this request reads; those beside it go on with what is remembered.
    CATALOG.with_borrow_mut(|cell| {
        if let Some(known) = cell {
            known.tried_at_ms = now_ms;
        }
    });
    match read(&env.d1(BINDING)?).await {
        Ok(catalog) => {
            let catalog = Rc::new(catalog);
            let fresh = Remembered { catalog: catalog.clone(), read_at_ms: now_ms, tried_at_ms: now_ms };
            CATALOG.with_borrow_mut(|cell| cell.replace(fresh));
            Ok(catalog)
        }
        Err(error) => match remembered {
            Some(known) if now_ms.saturating_sub(known.read_at_ms) < STALE_MS => {
                console_error!("catalogue: using the copy of {} ms: {error}", known.read_at_ms);
                Ok(known.catalog)
            }
            _ => Err(error),
        },
    }
}

async fn read(db: &D1Database) -> worker::Result<Catalog> {
    let selects = [SELECT_UPSTREAMS, SELECT_MODELS, SELECT_PRICES, SELECT_ROUTES].map(|sql| db.prepare(sql));
    let results = db.batch(selects.into()).await?;
    let mut results = results.iter();
    let rows = Rows {
        upstreams: rows(results.next())?,
        models: rows(results.next())?,
        prices: rows(results.next())?,
        routes: rows(results.next())?,
    };
    Catalog::from_rows(rows).map_err(|e| worker::Error::RustError(e.to_string()))
}

fn rows<T: DeserializeOwned>(result: Option<&D1Result>) -> worker::Result<Vec<T>> {
    result.ok_or("a result of the batch is missing")?.results()
}
