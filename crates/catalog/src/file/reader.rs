//! Typed access to a TOML table. A problem is recorded with its line, and reading continues.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use billing::money::MAX_NANO_USD;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;
use super::date_time;
use crate::rows::named;

/// 2^53 − 1, because every integer of the catalogue passes through JavaScript.
pub(super) const MAX_INTEGER: u64 = MAX_NANO_USD.unsigned_abs();

/// The problems found in a text so far.
pub(super) struct Problems<'t> {
    text: &'t str,
    found: RefCell<Vec<Problem>>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: RefCell::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// Records a problem in the line that holds byte `at`.
    pub(super) fn add(&self, at: usize, sentence: String) {
        let line = self.text.bytes().take(at).filter(|byte| *byte == b'\n').count().saturating_add(1);
        self.found.borrow_mut().push(Problem { line, sentence });
    }

    /// Returns `value` if there are no problems, otherwise the problems by line.
    pub(super) fn into_result<T>(self, value: T) -> Result<T, Vec<Problem>> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|problem| problem.line);
        if found.is_empty() { Ok(value) } else { Err(found) }
    }
}

/// The keys that a kind of table may have, and the message for any other key.
pub(super) struct Shape {
    keys: &'static [&'static str],
    prices: &'static [&'static str],
    unknown: &'static str,
}

impl Shape {
    pub(super) const fn new(keys: &'static [&'static str]) -> Self {
        Self { keys, prices: &[], unknown: "unknown key" }
    }

    /// A table with prices. An unknown key in it is most likely a price class.
    pub(super) const fn priced(keys: &'static [&'static str], prices: &'static [&'static str]) -> Self {
        Self { keys, prices, unknown: "the format cannot express the price class" }
    }

    fn has(&self, key: &str) -> bool {
        self.keys.contains(&key) || self.prices.contains(&key)
    }
}

/// A table, the byte where it begins, and its name in messages: `upstream "openai"`.
pub(super) struct Table<'p> {
    problems: &'p Problems<'p>,
    table: &'p DeTable<'p>,
    begin: usize,
    name: String,
}

impl<'p> Table<'p> {
    /// The top-level table of a file.
    pub(super) fn open(problems: &'p Problems<'p>, table: &'p DeTable<'p>, shape: &Shape) -> Self {
        Self { problems, table, begin: 0, name: "the file".to_owned() }.checked(shape)
    }

    fn checked(self, shape: &Shape) -> Self {
        for key in self.table.keys().filter(|key| !shape.has(key.get_ref())) {
            self.add(key.span().start, format!("{} {:?}", shape.unknown, key.get_ref()));
        }
        self
    }

    fn child(&self, key: &str, table: &'p DeTable<'p>, begin: usize) -> Self {
        let name = match table.get("id").and_then(|id| id.get_ref().as_str()) {
            Some(id) => format!("{key} {id:?}"),
            None => format!("{key} of {}", self.name),
        };
        Self { problems: self.problems, table, begin, name }
    }

    fn add(&self, at: usize, sentence: String) {
        self.problems.add(at, format!("{}: {sentence}", self.name));
    }

    /// Records a problem of the whole table, in its first line.
    pub(super) fn problem(&self, sentence: String) {
        self.add(self.begin, sentence);
    }

    /// Records a problem with a key, in the line of its value.
    pub(super) fn problem_at(&self, key: &str, sentence: String) {
        let at = self.table.get(key).map_or(self.begin, |value| value.span().start);
        self.add(at, sentence);
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let found = value.get_ref().type_str();
        self.add(value.span().start, format!("{key:?} must be {wanted}, not of type {found}"));
    }

    /// Returns whether the table has the key, and records a problem if it does not.
    pub(super) fn requires(&self, key: &str) -> bool {
        let found = self.value(key).is_some();
        if !found {
            self.problem(format!("{key:?} is missing"));
        }
        found
    }

    /// Returns whether the table has no `[[key]]`.
    pub(super) fn has_none(&self, key: &str) -> bool {
        self.value(key).is_none_or(|value| value.as_array().is_some_and(|list| list.is_empty()))
    }

    /// The raw value, for a key whose value is read by its own function.
    pub(super) fn value(&self, key: &str) -> Option<&'p DeValue<'p>> {
        self.table.get(key).map(Spanned::get_ref)
    }

    /// Records that the value of a key does not have the type `wanted`.
    pub(super) fn wrong(&self, key: &str, wanted: &str) {
        if let Some(value) = self.table.get(key) {
            self.wrong_type(key, value, wanted);
        }
    }

    /// The value if it is a string. Any other value is not recorded as a problem.
    pub(super) fn peek(&self, key: &str) -> Option<&'p str> {
        self.value(key).and_then(DeValue::as_str)
    }

    /// A string that is not empty and has no control characters.
    pub(super) fn string(&self, key: &str) -> Option<&'p str> {
        match self.peek(key) {
            None => self.wrong(key, "a string"),
            Some(text) if text.is_empty() || text.contains(char::is_control) => {
                self.problem_at(key, format!("{key:?} must not be empty or have control characters"));
            }
            text => return text,
        }
        None
    }

    /// An id. It is printable ASCII without spaces, so it needs no escape in a URL, a header or a log line.
    pub(super) fn id(&self, key: &str) -> Option<String> {
        let id = if self.requires(key) { self.string(key)? } else { return None };
        if !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.problem_at(key, format!("{key:?} must be printable ASCII without spaces"));
        }
        Some(id.to_owned())
    }

    /// A string that `parse` accepts. The text of its error continues the sentence that begins with the key's name.
    pub(super) fn parsed<T, E: std::fmt::Display>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(self.string(key)?).map_err(|error| self.problem_at(key, format!("{key:?} {error}"))).ok()
    }

    /// A value of an enum, by its serde name.
    pub(super) fn word<T: Deserialize<'p>>(&self, key: &str) -> Option<T> {
        named(key, self.string(key)?).map_err(|error| self.problem_at(key, error)).ok()
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let flag = self.value(key).and_then(DeValue::as_bool);
        if flag.is_none() {
            self.wrong(key, "true or false");
        }
        flag
    }

    /// A whole number in `range`.
    pub(super) fn integer(&self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let Some(number) = self.value(key)?.as_integer() else {
            self.wrong(key, "a whole number");
            return None;
        };
        let number = i128::from_str_radix(number.as_str(), number.radix()).ok();
        let number = number.and_then(|number| u64::try_from(number).ok()).filter(|number| range.contains(number));
        if number.is_none() {
            self.problem_at(key, format!("{key:?} must be from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// A whole number from 0 to 2^32 − 1.
    pub(super) fn small(&self, key: &str) -> Option<u32> {
        u32::try_from(self.integer(key, 0..=u32::MAX.into())?).ok()
    }

    /// A whole number of at least 1, such as a number of tokens.
    pub(super) fn count(&self, key: &str) -> Option<u64> {
        self.integer(key, 1..=MAX_INTEGER)
    }

    /// An instant in Unix milliseconds.
    pub(super) fn date_time(&self, key: &str) -> Option<i64> {
        let ms = self.value(key).and_then(DeValue::as_datetime).and_then(date_time::unix_ms);
        if ms.is_none() {
            self.wrong(key, "a date-time with an offset such as 2024-10-01T00:00:00Z");
        }
        ms
    }

    /// A list of strings, each with the byte at which it begins.
    pub(super) fn strings(&self, key: &str) -> Option<Vec<(usize, &'p str)>> {
        let Some(list) = self.value(key)?.as_array() else {
            self.wrong(key, "a list of strings");
            return None;
        };
        let string = |item: &'p Spanned<DeValue<'p>>| {
            let text = item.get_ref().as_str();
            if text.is_none() {
                self.wrong_type(key, item, "a list of strings");
            }
            Some((item.span().start, text?))
        };
        Some(list.iter().filter_map(string).collect())
    }

    /// Records a problem with one item of a list.
    pub(super) fn problem_in(&self, at: usize, sentence: String) {
        self.add(at, sentence);
    }

    /// The table under a key.
    pub(super) fn table(&self, key: &str, shape: &Shape) -> Option<Self> {
        Some(self.open_table(key)?.checked(shape))
    }

    /// A table of strings that may have any keys.
    pub(super) fn map(&self, key: &str) -> Vec<(String, String)> {
        let Some(table) = self.open_table(key) else { return Vec::new() };
        let entry = |name: &'p str| Some((name.to_owned(), table.string(name)?.to_owned()));
        table.table.keys().filter_map(|name| entry(name.get_ref())).collect()
    }

    fn open_table(&self, key: &str) -> Option<Self> {
        let value = self.table.get(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(key, "a table");
            return None;
        };
        Some(self.child(key, table, value.span().start))
    }

    /// The tables of `[[key]]`. If there is no such key, the list is empty.
    pub(super) fn tables(&self, key: &str, shape: &Shape) -> Vec<Self> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let tables = |list: &'p toml::de::DeArray<'p>| -> Option<Vec<_>> {
            list.iter().map(|item| Some((item.get_ref().as_table()?, item.span().start))).collect()
        };
        let Some(tables) = value.as_array().and_then(tables) else {
            self.wrong(key, &format!("written as [[{key}]]"));
            return Vec::new();
        };
        tables.into_iter().map(|(table, begin)| self.child(key, table, begin).checked(shape)).collect()
    }
}
