//! Compares the database with the file, row by row.

use std::collections::BTreeMap;

use catalog::rows::{ModelRow, PriceRow, RouteRow, Rows, UpstreamRow};

/// The differences in all four tables.
#[derive(Debug, PartialEq, Eq)]
pub struct Diff {
    /// Compared by id.
    pub upstreams: Changes<UpstreamRow>,
    /// Compared by id.
    pub models: Changes<ModelRow>,
    /// Compared by model, instant and tier.
    pub prices: Changes<PriceRow>,
    /// Compared by model and position.
    pub routes: Changes<RouteRow>,
}

/// The differences in one table. Each list is sorted by key.
#[derive(Debug, PartialEq, Eq)]
pub struct Changes<R> {
    /// Rows that only the file has.
    pub added: Vec<R>,
    /// Rows that differ: first the row of the database, then the row of the file.
    pub changed: Vec<(R, R)>,
    /// Rows that only the database has.
    pub removed: Vec<R>,
}

impl Diff {
    /// Compares the rows of the database with the rows of the file.
    pub fn between(old: Rows, new: Rows) -> Self {
        Self {
            upstreams: Changes::between(old.upstreams, new.upstreams, |row| row.id.clone()),
            models: Changes::between(old.models, new.models, |row| row.id.clone()),
            prices: Changes::between(old.prices, new.prices, |row| {
                (row.model_id.clone(), row.effective_at_ms, row.above_input)
            }),
            routes: Changes::between(old.routes, new.routes, |row| (row.model_id.clone(), row.position)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.upstreams.is_empty() && self.models.is_empty() && self.prices.is_empty() && self.routes.is_empty()
    }
}

impl<R: PartialEq> Changes<R> {
    fn between<K: Ord>(old: Vec<R>, new: Vec<R>, key: impl Fn(&R) -> K) -> Self {
        let mut old: BTreeMap<K, R> = old.into_iter().map(|row| (key(&row), row)).collect();
        let new: BTreeMap<K, R> = new.into_iter().map(|row| (key(&row), row)).collect();
        let mut changes = Self { added: Vec::new(), changed: Vec::new(), removed: Vec::new() };
        for (key, row) in new {
            match old.remove(&key) {
                None => changes.added.push(row),
                Some(before) if before != row => changes.changed.push((before, row)),
                Some(_) => {}
            }
        }
        changes.removed = old.into_values().collect();
        changes
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}
