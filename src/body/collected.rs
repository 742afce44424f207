//! Bytes that arrive in pieces. Pure.

/// Pieces that are smaller are joined to pieces of this size.
const JOINED_BYTES: usize = 64 << 10;

/// Bytes that arrive in pieces. Nothing is allocated ahead of what has arrived, and nothing is moved before the end.
#[derive(Debug, Default)]
pub struct Collected {
    pieces: Vec<Vec<u8>>,
    length: usize,
}

impl Collected {
    /// Adds a piece.
    pub fn push(&mut self, piece: Vec<u8>) {
        self.length = self.length.saturating_add(piece.len());
        match self.pieces.last_mut() {
            // Small pieces are joined at once: each vector of its own costs more than it holds.
            Some(last) if last.capacity().saturating_sub(last.len()) >= piece.len() => last.extend_from_slice(&piece),
            _ if piece.len() >= JOINED_BYTES => self.pieces.push(piece),
            _ => {
                let mut joined = Vec::with_capacity(self.length.clamp(piece.len(), JOINED_BYTES));
                joined.extend_from_slice(&piece);
                self.pieces.push(joined);
            }
        }
    }

    /// How many bytes have arrived.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether none have.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Makes room for the whole of a body that says how long it is, so that its end needs no second copy. Once some of
    /// the body has arrived its memory is worth taking. `None`: there is no memory.
    pub fn expect(&mut self, whole: usize) -> Option<()> {
        if self.pieces.len() == 1 && self.pieces.last().is_some_and(|last| last.capacity() >= whole) {
            return Some(());
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(whole.max(self.length)).ok()?;
        std::mem::take(&mut self.pieces).into_iter().for_each(|piece| bytes.extend_from_slice(&piece));
        self.pieces.push(bytes);
        Some(())
    }

    /// All of them; `None`: there is no memory.
    #[must_use]
    pub fn join(mut self) -> Option<Vec<u8>> {
        if self.pieces.len() <= 1 {
            return Some(self.pieces.pop().unwrap_or_default());
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(self.length).ok()?;
        self.pieces.into_iter().for_each(|piece| bytes.extend_from_slice(&piece));
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_whole_is_its_pieces(sizes in prop::collection::vec(0..90_000_usize, 0..20)) {
            let (mut collected, mut expected) = (Collected::default(), Vec::new());
            for (at, size) in sizes.into_iter().enumerate() {
                let piece = vec![u8::try_from(at).unwrap(); size];
                expected.extend_from_slice(&piece);
                collected.push(piece);
            }
            prop_assert_eq!((collected.len(), collected.is_empty()), (expected.len(), expected.is_empty()));
            prop_assert!(collected.pieces.iter().map(Vec::capacity).sum::<usize>() <= 2 * expected.len() + JOINED_BYTES);
            prop_assert_eq!(collected.join(), Some(expected));
        }
    }
}
