//! A JSON object whose members can be read and edited without touching any other byte.
//!
//! The one rule: what is not edited is not re-serialised. Big integers, the order of keys, escapes and
//! white space of a request or an answer pass through as they came.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How much of a key is repeated in an error, in characters.
const MAX_NAMED_CHARS: usize = 64;

/// Why a text is not an object that can be passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, or not an object.
    #[error("not a JSON object: line {line}, column {column}")]
    Malformed {
        /// From 1.
        line: usize,
        /// From 1, in bytes.
        column: usize,
    },
    /// A member stands twice: which one a reader takes differs between implementations, and the price
    /// could be decided by one and the work done by the other.
    #[error("the field `{0}` is given twice")]
    Duplicate(String),
}

/// The members of one object, borrowed from its text.
#[derive(Debug)]
pub struct Envelope<'a> {
    source: &'a str,
    members: Vec<Member<'a>>,
}

#[derive(Debug)]
struct Member<'a> {
    key: Cow<'a, str>,
    value: &'a RawValue,
}

impl<'a> Envelope<'a> {
    /// Reads the top level of `source`; nested values stay text.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn parse(source: &'a str) -> Result<Self, EnvelopeError> {
        let envelope = Self::parse_any(source)?;
        // Not a comparison of all with all: a body may have a million members.
        let mut seen = BTreeSet::new();
        if let Some(twice) = envelope.members.iter().find(|member| !seen.insert(member.key.as_ref())) {
            return Err(EnvelopeError::Duplicate(twice.key.chars().take(MAX_NAMED_CHARS).collect()));
        }
        Ok(envelope)
    }

    /// As [`Self::parse`], for objects of an upstream, in which a member may stand twice: see [`Self::all`].
    ///
    /// # Errors
    /// [`EnvelopeError::Malformed`].
    pub fn parse_any(source: &'a str) -> Result<Self, EnvelopeError> {
        let Members(members) = serde_json::from_str(source)
            .map_err(|e| EnvelopeError::Malformed { line: e.line().max(1), column: e.column().max(1) })?;
        Ok(Self { source, members })
    }

    /// The text that was parsed.
    #[must_use]
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// The JSON text of a member; `None` when it is absent.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.members.iter().find(|member| member.key == key).map(|member| member.value.get())
    }

    /// As [`Self::get`], and `None` for `null` too.
    #[must_use]
    pub fn present(&self, key: &str) -> Option<&'a str> {
        self.get(key).filter(|value| *value != "null")
    }

    /// The JSON texts of every member of this name that is not `null`: one, unless it stands twice. Most
    /// readers take the last.
    pub fn all(&self, key: &str) -> impl DoubleEndedIterator<Item = &'a str> {
        let named = self.members.iter().filter(move |member| member.key == key);
        named.map(|member| member.value.get()).filter(|value| *value != "null")
    }

    /// All keys in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.key.as_ref())
    }

    /// All keys with their JSON texts, in their order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|member| (member.key.as_ref(), member.value.get()))
    }

    /// Begins a set of edits.
    #[must_use]
    pub fn edit(&self) -> Edits<'_> {
        Edits { envelope: self, splices: Vec::new(), removed: Vec::new(), added: String::new() }
    }

    fn span(&self, index: usize) -> Option<Range<usize>> {
        let value = self.members.get(index)?.value.get();
        // The value borrows from `source`, so the difference of addresses is its place there.
        let start = value.as_ptr().addr().checked_sub(self.source.as_ptr().addr())?;
        Some(start..start.checked_add(value.len())?)
    }
}

/// Edits of one envelope, applied by [`Edits::finish`].
#[derive(Debug)]
pub struct Edits<'a> {
    envelope: &'a Envelope<'a>,
    splices: Vec<(Range<usize>, String)>,
    removed: Vec<usize>,
    added: String,
}

impl Edits<'_> {
    /// Sets a member to `json`: in place wherever it stands, else behind the last one.
    pub fn set(&mut self, key: &str, json: &str) {
        let spans = self.indices(key).filter_map(|index| self.envelope.span(index));
        let splices: Vec<_> = spans.map(|span| (span, json.to_owned())).collect();
        if splices.is_empty() {
            if !self.envelope.members.is_empty() || !self.added.is_empty() {
                self.added.push(',');
            }
            self.added.push_str(&quoted(key));
            self.added.push(':');
            self.added.push_str(json);
        }
        self.splices.extend(splices);
    }

    /// Removes a member with its comma; nothing when it is absent.
    pub fn remove(&mut self, key: &str) {
        let indices: Vec<usize> = self.indices(key).collect();
        self.removed.extend(indices);
    }

    /// As [`Self::set`], for the member at this place.
    pub(crate) fn set_at(&mut self, index: usize, json: String) {
        if let Some(span) = self.envelope.span(index) {
            self.splices.push((span, json));
        }
    }

    /// As [`Self::remove`], for the member at this place.
    pub(crate) fn remove_at(&mut self, index: usize) {
        self.removed.push(index);
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.splices.is_empty() && self.removed.is_empty() && self.added.is_empty()
    }

    /// The edited text; the very source when nothing was edited.
    #[must_use]
    pub fn finish(mut self) -> String {
        let source = self.envelope.source;
        let cuts = self.cuts();
        self.splices.extend(cuts.into_iter().map(|cut| (cut, String::new())));
        if !self.added.is_empty() {
            // Nothing kept: the comma before the first added member goes too.
            let none_left = self.removed.len() >= self.envelope.members.len();
            let added = if none_left { self.added.trim_start_matches(',').to_owned() } else { self.added.clone() };
            let close = source.rfind('}').unwrap_or(source.len());
            self.splices.push((close..close, added));
        }
        self.splices.sort_by_key(|(span, _)| span.start);
        let mut out = String::with_capacity(source.len().saturating_add(64));
        let mut at = 0;
        for (span, text) in &self.splices {
            out.push_str(source.get(at..span.start).unwrap_or_default());
            out.push_str(text);
            at = span.end;
        }
        out.push_str(source.get(at..).unwrap_or_default());
        out
    }

    /// What to cut for the removed members: a run of them goes with the comma before it, and a run at
    /// the very beginning with the comma behind it.
    fn cuts(&mut self) -> Vec<Range<usize>> {
        self.removed.sort_unstable();
        self.removed.dedup();
        let source = self.envelope.source;
        let mut cuts: Vec<Range<usize>> = Vec::new();
        let mut next = None;
        for index in &self.removed {
            let Some(span) = self.envelope.span(*index) else { continue };
            match cuts.last_mut() {
                Some(cut) if next == Some(*index) => cut.end = span.end,
                _ => {
                    let previous = index.checked_sub(1).and_then(|previous| self.envelope.span(previous));
                    let brace = || source.find('{').map_or(0, |at| at.saturating_add(1));
                    cuts.push(previous.map_or_else(brace, |span| span.end)..span.end);
                }
            }
            next = index.checked_add(1);
        }
        if self.removed.first() == Some(&0)
            && let Some(cut) = cuts.first_mut()
        {
            let rest = source.get(cut.end..).unwrap_or_default();
            let comma = rest.trim_start().starts_with(',').then(|| rest.find(',')).flatten();
            cut.end = comma.map_or(cut.end, |at| cut.end.saturating_add(at).saturating_add(1));
        }
        cuts
    }

    fn indices(&self, key: &str) -> impl Iterator<Item = usize> {
        let members = self.envelope.members.iter().enumerate();
        members.filter(move |(_, member)| member.key == key).map(|(index, _)| index)
    }
}

/// `text` as a JSON string.
#[must_use]
pub fn quoted(text: &str) -> String {
    // A string into memory: there is nothing in it that could fail.
    serde_json::to_string(text).unwrap_or_default()
}

struct Members<'a>(Vec<Member<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Top;
        impl<'de> Visitor<'de> for Top {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push(Member { key, value });
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Top)
    }
}

/// A key that borrows where it has no escapes. (`Cow` alone would always own.)
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edited(source: &str, edit: impl FnOnce(&mut Edits<'_>)) -> String {
        let envelope = Envelope::parse(source).unwrap();
        let mut edits = envelope.edit();
        edit(&mut edits);
        edits.finish()
    }

    #[test]
    fn every_other_byte_is_kept() {
        let source = "{ \"b\" : 123456789012345678901234567890.10 ,\n\t\"\\u0061\":\"\\ud83d\\u00e9\", \"model\":\"x\" , \"z\":{\"z\":1,\"a\":2} }";
        assert_eq!(edited(source, |_| ()), source);
        assert_eq!(edited(source, |e| e.set("model", "\"y\"")), source.replace("\"x\"", "\"y\""));
        assert_eq!(edited(source, |e| e.set("a", "0")), source.replace("\"\\ud83d\\u00e9\"", "0"));
        assert_eq!(edited(source, |e| e.set("new", "[]")), source.replace("} }", "} ,\"new\":[]}"));
    }

    #[test]
    fn members_are_removed_with_one_comma() {
        assert_eq!(edited("{\"a\":1, \"b\":2,\"c\":3}", |e| e.remove("a")), "{ \"b\":2,\"c\":3}");
        assert_eq!(edited("{\"a\":1, \"b\":2,\"c\":3}", |e| e.remove("b")), "{\"a\":1,\"c\":3}");
        assert_eq!(edited("{\"a\":1, \"b\":2,\"c\":3}", |e| e.remove("c")), "{\"a\":1, \"b\":2}");
        assert_eq!(edited("{ \"a\":1 }", |e| e.remove("a")), "{ }");
        assert_eq!(edited("{}", |e| e.remove("a")), "{}");
        let many = |keys: &str| {
            edited("{\"a\":1, \"b\":2,\"c\":3 ,\"d\":4}", |e| keys.chars().for_each(|k| e.remove(&k.to_string())))
        };
        assert_eq!(many("ab"), "{\"c\":3 ,\"d\":4}");
        assert_eq!(many("ca"), "{ \"b\":2 ,\"d\":4}");
        assert_eq!(many("dcba"), "{}");
        assert_eq!(many("cd"), "{\"a\":1, \"b\":2}");
        assert_eq!(
            edited(" {} ", |e| {
                e.set("a", "1");
                e.set("b", "2")
            }),
            " {\"a\":1,\"b\":2} "
        );
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for source in ["", "[]", "1", "{", "{\"a\":}", "{\"a\":1}x", "{\"a\":01}", "{'a':1}", "null"] {
            assert!(matches!(Envelope::parse(source), Err(EnvelopeError::Malformed { .. })), "{source}");
        }
        let twice = Envelope::parse("{\"model\":\"cheap\",\"\\u006dodel\":\"dear\"}").unwrap_err();
        assert_eq!(twice, EnvelopeError::Duplicate("model".into()));
    }

    #[test]
    fn depth_is_no_way_to_end_the_isolate() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(Envelope::parse(&deep).unwrap().source(), deep);
    }

    proptest! {
        #[test]
        fn a_set_member_reads_back(keys in proptest::collection::btree_set("[a-z\"\\\\é]{0,4}", 0..6), new in "[a-z\"\\\\é]{0,4}") {
            let object: serde_json::Map<String, serde_json::Value> = keys.into_iter().map(|key| (key, 1.into())).collect();
            let source = serde_json::Value::from(object.clone()).to_string();
            let out = edited(&source, |e| e.set(&new, "2"));
            let mut expected = object;
            expected.insert(new.clone(), 2.into());
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), serde_json::Value::from(expected.clone()));
            let removed = edited(&out, |e| e.remove(&new));
            expected.remove(&new);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&removed).unwrap(), serde_json::Value::from(expected));
        }
    }
}
