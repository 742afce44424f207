//! A JSON object that is being written.

use std::borrow::Cow;

use serde::ser::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// Members in the order in which they are set. Values keep the text that they came with.
#[derive(Debug, Default)]
pub(super) struct Object(Vec<(Cow<'static, str>, Box<RawValue>)>);

impl Object {
    /// Adds a member.
    pub(super) fn set(&mut self, key: &'static str, value: &(impl Serialize + ?Sized)) {
        self.insert(Cow::Borrowed(key), value);
    }

    /// Adds a member whose name is not known here.
    pub(super) fn set_owned(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        self.insert(Cow::Owned(key.to_owned()), value);
    }

    fn insert(&mut self, key: Cow<'static, str>, value: &(impl Serialize + ?Sized)) {
        // Strings, numbers and objects of them: there is nothing in it that could fail.
        self.0.extend(to_raw_value(value).ok().map(|json| (key, json)));
    }

    /// Adds a member that is there.
    pub(super) fn set_some(&mut self, key: &'static str, value: Option<&(impl Serialize + ?Sized)>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// Adds a member that is JSON text; nothing where it is none.
    pub(super) fn set_json(&mut self, key: &'static str, json: Option<&str>) {
        if let Some(json) = json {
            self.set_some(key, raw(json).as_deref());
        }
    }

    /// Adds the members of `other`.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The JSON text.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// An object of these members.
pub(super) fn object<const N: usize>(members: [(&'static str, &dyn Member); N]) -> Object {
    let mut object = Object::default();
    object.0.extend(members.into_iter().filter_map(|(key, value)| Some((Cow::Borrowed(key), value.raw()?))));
    object
}

/// What can be a member's value.
pub(super) trait Member {
    /// Its JSON text.
    fn raw(&self) -> Option<Box<RawValue>>;
}

impl<T: Serialize + ?Sized> Member for T {
    fn raw(&self) -> Option<Box<RawValue>> {
        to_raw_value(self).ok()
    }
}

/// JSON text as a value; `None` where it is none.
pub(super) fn raw(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(json.to_owned()).ok()
}
