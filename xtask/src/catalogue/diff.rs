//! What differs between the database and the file, row by row.

use std::collections::BTreeMap;

use catalog::rows::{ModelRow, PriceRow, RouteRow, Rows, UpstreamRow};

/// The difference of all four tables.
#[derive(Debug, PartialEq, Eq)]
pub struct Diff {
    /// By id.
    pub upstreams: Changes<UpstreamRow>,
    /// By id.
    pub models: Changes<ModelRow>,
    /// By model, instant and tier.
    pub prices: Changes<PriceRow>,
    /// By model and position.
    pub routes: Changes<RouteRow>,
}

/// The difference of one table, each list by key.
#[derive(Debug, PartialEq, Eq)]
pub struct Changes<R> {
    /// In the file alone.
    pub added: Vec<R>,
    /// In both: the database's, then the file's.
    pub changed: Vec<(R, R)>,
    /// In the database alone.
    pub removed: Vec<R>,
}

impl Diff {
    /// From what is in the database to what is wanted there.
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

    /// Whether both are the same.
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
