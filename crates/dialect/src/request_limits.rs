//! Bounds on the shape of a request's JSON, checked on the bytes while they arrive.
//!
//! The one rule: a body is scanned before it is parsed. A megabyte of tiny parts would make a tree of hundreds of
//! megabytes, so the scan refuses such a body while it is still text. The scan accepts what is no JSON: the parser
//! refuses that later and names the place.

use crate::request::RequestError;

/// The most objects and arrays that are items of arrays: messages, parts, tools, inputs. The longest recorded agent
/// sessions have about 4,000.
const MAX_ITEMS: u32 = 20_000;
/// The most strings and literals that are items of arrays: inputs of embeddings, and the lists of JSON schemas.
const MAX_TEXTS: u32 = 100_000;
/// The most numbers that are items of arrays: the tokens of embeddings' inputs. OpenAI takes 300,000.
const MAX_NUMBERS: u32 = 500_000;
/// The most members of objects, in all objects together.
const MAX_MEMBERS: u32 = 200_000;
/// How deep arrays and objects may be nested. `serde_json` builds trees of at most 128 levels.
const MAX_DEPTH: u32 = 100;
/// The longest name of a member, in bytes as it is written.
const MAX_NAME_BYTES: usize = 4_096;

/// Why a request's shape is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadShape {
    /// Too many messages, parts, tools or inputs.
    #[error("the request has more than {MAX_ITEMS} messages, parts, tools and other items")]
    Items,
    /// Too many strings in arrays.
    #[error("the request has more than {MAX_TEXTS} strings in its arrays")]
    Texts,
    /// Too many numbers in arrays.
    #[error("the request has more than {MAX_NUMBERS} numbers in its arrays")]
    Numbers,
    /// Too many members.
    #[error("the objects of the request have more than {MAX_MEMBERS} members")]
    Members,
    /// Too deep.
    #[error("the request is nested more than {MAX_DEPTH} levels deep")]
    Depth,
    /// A name is too long.
    #[error("the request has a member whose name is longer than {MAX_NAME_BYTES} bytes")]
    Name,
}

impl BadShape {
    /// Whether the request has too much of something, as opposed to a form that no reader takes.
    #[must_use]
    pub fn is_too_large(self) -> bool {
        !matches!(self, Self::Depth | Self::Name)
    }
}

impl From<BadShape> for RequestError {
    fn from(shape: BadShape) -> Self {
        Self { message: shape.to_string(), param: None }
    }
}

/// Where the scan stands between two bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    /// Outside of strings and numbers.
    #[default]
    Between,
    /// In a string; `escaped`: behind a backslash.
    Text { escaped: bool },
    /// In a number or a literal.
    Word,
}

/// The scan of one body, which arrives in pieces.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    at: At,
    depth: u32,
    /// One bit for each level, the innermost lowest: set where it is an array.
    arrays: u128,
    /// Whether the next string of the object is a name.
    expects_name: bool,
    /// The bytes of the name that is being read.
    name: Option<usize>,
    items: u32,
    texts: u32,
    numbers: u32,
    members: u32,
}

impl Scan {
    /// Reads the next bytes.
    ///
    /// # Errors
    /// [`BadShape`], as soon as a bound is passed.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), BadShape> {
        while let Some((first, rest)) = bytes.split_first() {
            bytes = match self.at {
                At::Text { escaped: true } => {
                    self.count_name(1)?;
                    self.at = At::Text { escaped: false };
                    rest
                }
                At::Text { escaped: false } => self.text(bytes)?,
                At::Word if is_word(*first) => rest,
                At::Between | At::Word => {
                    self.at = At::Between;
                    self.structure(*first)?;
                    rest
                }
            };
        }
        Ok(())
    }

    /// How many messages, parts, tools and other items have been read.
    #[must_use]
    pub fn items(&self) -> u32 {
        self.items
    }

    /// How much memory a tree of what was read takes beside its texts, in bytes: an upper bound of what the decoders
    /// of this crate keep for an item, a member, a text and a number.
    #[must_use]
    pub fn tree_bytes(&self) -> usize {
        let parts = [(self.items, 512), (self.members, 64), (self.texts, 64), (self.numbers, 16)];
        let bytes = parts
            .into_iter()
            .map(|(count, each): (u32, usize)| each.saturating_mul(count.try_into().unwrap_or(usize::MAX)));
        bytes.fold(0, usize::saturating_add)
    }

    /// Reads up to the end of a string, or its next escape; what is left behind that.
    fn text<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], BadShape> {
        let end = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        self.count_name(end.unwrap_or(bytes.len()))?;
        let Some(rest) = end.and_then(|end| bytes.get(end..)).and_then(<[u8]>::split_first) else { return Ok(&[]) };
        let escapes = *rest.0 == b'\\';
        self.at = if escapes { At::Text { escaped: true } } else { At::Between };
        if escapes {
            self.count_name(1)?;
        } else {
            self.name = None;
        }
        Ok(rest.1)
    }

    fn structure(&mut self, byte: u8) -> Result<(), BadShape> {
        match byte {
            b'{' | b'[' => {
                if self.in_array() {
                    count(&mut self.items, MAX_ITEMS, BadShape::Items)?;
                }
                count(&mut self.depth, MAX_DEPTH, BadShape::Depth)?;
                self.arrays = self.arrays.wrapping_shl(1) | u128::from(byte == b'[');
                self.expects_name = byte == b'{';
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.arrays = self.arrays.wrapping_shr(1);
                self.expects_name = false;
            }
            b',' => self.expects_name = !self.in_array(),
            b'"' => {
                self.at = At::Text { escaped: false };
                if std::mem::take(&mut self.expects_name) {
                    self.name = Some(0);
                    count(&mut self.members, MAX_MEMBERS, BadShape::Members)?;
                } else if self.in_array() {
                    count(&mut self.texts, MAX_TEXTS, BadShape::Texts)?;
                }
            }
            byte if is_word(byte) => {
                self.at = At::Word;
                if self.in_array() {
                    let is_number = matches!(byte, b'-' | b'0'..=b'9');
                    let (counter, most, shape) = if is_number {
                        (&mut self.numbers, MAX_NUMBERS, BadShape::Numbers)
                    } else {
                        (&mut self.texts, MAX_TEXTS, BadShape::Texts)
                    };
                    count(counter, most, shape)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn in_array(&self) -> bool {
        self.depth > 0 && self.arrays & 1 == 1
    }

    fn count_name(&mut self, bytes: usize) -> Result<(), BadShape> {
        let Some(length) = &mut self.name else { return Ok(()) };
        *length = length.saturating_add(bytes);
        if *length > MAX_NAME_BYTES { Err(BadShape::Name) } else { Ok(()) }
    }
}

fn count(counter: &mut u32, most: u32, shape: BadShape) -> Result<(), BadShape> {
    *counter = counter.saturating_add(1);
    if *counter > most { Err(shape) } else { Ok(()) }
}

/// A byte of a number or a literal. What else stands outside of strings separates.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn scan(body: &str) -> Result<Scan, BadShape> {
        let mut scan = Scan::default();
        scan.push(body.as_bytes())?;
        Ok(scan)
    }

    fn many(item: &str, times: usize) -> String {
        vec![item; times].join(",")
    }

    #[test]
    fn each_bound_is_the_last_that_is_taken() {
        let array = |items: String| format!("{{\"a\":[{items}]}}");
        let object = |members: String| format!("{{{members}}}");
        let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let name = |bytes: usize| format!("{{\"{}\":1}}", "x".repeat(bytes));
        let escaped = |times: usize| format!("{{\"{}\":1}}", "\\n".repeat(times));
        for (taken, refused, shape) in [
            (array(many("{}", 20_000)), array(many("{}", 20_001)), BadShape::Items),
            (array(many("[ ]", 20_000)), array(many("[ ]", 20_001)), BadShape::Items),
            (array(many("\"[,\"", 100_000)), array(many("\"[,\"", 100_001)), BadShape::Texts),
            (array(many("null", 100_000)), array(many("null", 100_001)), BadShape::Texts),
            (array(many("-1.5e+7", 500_000)), array(many("-1.5e+7", 500_001)), BadShape::Numbers),
            (object(many("\"a\": 1", 200_000)), object(many("\"a\": 1", 200_001)), BadShape::Members),
            (deep(100), deep(101), BadShape::Depth),
            (name(4_096), name(4_097), BadShape::Name),
            (escaped(2_048), escaped(2_049), BadShape::Name),
        ] {
            assert!(scan(&taken).is_ok(), "{shape:?}");
            assert_eq!(scan(&refused).unwrap_err(), shape);
        }
    }

    #[test]
    fn items_are_counted_wherever_they_stand() {
        let nested = format!("{{\"messages\":[{}]}}", many("{\"content\":[{},{}]}", 6_667));
        assert_eq!(scan(&nested).unwrap_err(), BadShape::Items);
        assert_eq!(scan("{\"messages\":[{\"content\":[{\"a\":{}},[1,[2]]]}]}").unwrap().items(), 4);
    }

    #[test]
    fn values_that_are_long_are_no_names() {
        let long = "x".repeat(100_000);
        assert!(scan(&format!("{{\"a\":\"{long}\",\"b\":[\"{long}\"],\"c\":{{\"d\":\"{long}\"}}}}")).is_ok());
        assert!(scan(&format!("[\"{long}\",\"{long}\"]")).is_ok());
    }

    #[test]
    fn what_is_no_json_is_left_to_the_parser() {
        for body in ["", "]]]]}}}}", "\"", "\\", "{\"a\"", "nonsense, and more", "{{{{", "\u{0}\u{1f600}"] {
            assert!(scan(body).is_ok(), "{body}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\{}\\[\\],:é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\,]{0,4}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// (items, texts, numbers, members), by the tree.
    fn counted(value: &Value, in_array: bool) -> [u32; 4] {
        let own = match value {
            _ if !in_array => [0; 4],
            Value::Array(_) | Value::Object(_) => [1, 0, 0, 0],
            Value::Number(_) => [0, 0, 1, 0],
            Value::String(_) | Value::Bool(_) | Value::Null => [0, 1, 0, 0],
        };
        let add = |a: [u32; 4], b: [u32; 4]| std::array::from_fn(|at| a[at] + b[at]);
        match value {
            Value::Array(items) => items.iter().map(|item| counted(item, true)).fold(own, add),
            Value::Object(members) => {
                let own = add(own, [0, 0, 0, u32::try_from(members.len()).unwrap()]);
                members.values().map(|member| counted(member, false)).fold(own, add)
            }
            _ => own,
        }
    }

    proptest! {
        /// The scan counts what a parser finds, however the bytes are split and spaced.
        #[test]
        fn the_scan_counts_what_the_tree_has(value in json(), pretty in any::<bool>(), cuts in prop::collection::vec(1..9_usize, 1..40)) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let mut scan = Scan::default();
            let mut rest = text.as_bytes();
            for cut in cuts.iter().cycle() {
                let (piece, behind) = rest.split_at((*cut).min(rest.len()));
                prop_assert!(scan.push(piece).is_ok());
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!([scan.items, scan.texts, scan.numbers, scan.members], counted(&value, false));
            prop_assert_eq!((scan.depth, scan.at == (At::Text { escaped: false })), (0, false));
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Scan::default().push(&bytes);
        }
    }
}
