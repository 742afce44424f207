//! Edits of the items of an array that leave every other byte alone.

use crate::request::as_array;

/// What becomes of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// It stays as it is.
    Keep,
    /// This JSON text stands in its place.
    Set(String),
    /// It goes, and its comma with it.
    Drop,
}

/// An array after its edits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// Its JSON text.
    pub json: String,
    /// How many items it has left.
    pub left: usize,
}

/// Asks `edit` about every item of `array`, in order; `None` when nothing changes or it is no array.
pub fn edit(array: &str, mut edit: impl FnMut(usize, &str) -> Item) -> Option<Edited> {
    let items = as_array(array)?;
    let decisions: Vec<Item> = items.iter().enumerate().map(|(at, item)| edit(at, item)).collect();
    if decisions.iter().all(|decision| *decision == Item::Keep) {
        return None;
    }
    // The item borrows from `array`, so the difference of addresses is its place there.
    let place = |item: &str| item.as_ptr().addr().saturating_sub(array.as_ptr().addr());
    let mut json = String::with_capacity(array.len());
    let mut left: usize = 0;
    let mut end = items.first().map_or(0, |first| place(first));
    json.push_str(array.get(..end).unwrap_or_default());
    for (item, decision) in items.into_iter().zip(decisions) {
        let start = place(item);
        let text = match &decision {
            Item::Keep => Some(item),
            Item::Set(text) => Some(text.as_str()),
            Item::Drop => None,
        };
        if let Some(text) = text {
            // The first item that is left needs no comma before it.
            if left > 0 {
                json.push_str(array.get(end..start).unwrap_or_default());
            }
            json.push_str(text);
            left = left.saturating_add(1);
        }
        end = start.saturating_add(item.len());
    }
    json.push_str(array.get(end..).unwrap_or_default());
    Some(Edited { json, left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_set_and_dropped_where_they_stand() {
        let keep = |_: usize, _: &str| Item::Keep;
        assert_eq!(edit("[1, 2]", keep), None);
        assert_eq!(edit("{}", keep), None);
        let drop = |gone: &'static [usize]| {
            let edited = edit("[ 1 , 2e9,\n3 ]", |at, _| if gone.contains(&at) { Item::Drop } else { Item::Keep });
            edited.map(|edited| (edited.json, edited.left)).unwrap()
        };
        assert_eq!(drop(&[0]), ("[ 2e9,\n3 ]".to_owned(), 2));
        assert_eq!(drop(&[1]), ("[ 1,\n3 ]".to_owned(), 2));
        assert_eq!(drop(&[2]), ("[ 1 , 2e9 ]".to_owned(), 2));
        assert_eq!(drop(&[0, 1, 2]), ("[  ]".to_owned(), 0));
        let set = edit("[1,2]", |at, _| if at == 1 { Item::Set("{}".into()) } else { Item::Keep });
        assert_eq!(set.unwrap().json, "[1,{}]");
    }
}
