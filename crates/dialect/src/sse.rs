//! Server-sent events as frames that keep their bytes.
//!
//! The one rule: the `raw` of all frames, concatenated, is the input, whatever the splits of the input
//! were. <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>

use std::borrow::Cow;
use std::ops::Range;

/// The longest frame, in bytes: a whole answer of a provider fits many times over; what is longer is
/// not a stream of events and must not fill the isolate's memory.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// A comment, which every reader of events passes over: it fills the silence of a stream.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// The input holds a frame longer than [`MAX_FRAME_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a server-sent event is longer than {MAX_FRAME_BYTES} bytes")]
pub struct FrameTooLong;

/// One event with the bytes that it came in, its blank line included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    raw: Vec<u8>,
}

/// Splits bytes into frames.
#[derive(Debug, Default)]
pub struct Parser {
    /// Bytes of the frame that is not complete yet.
    buffer: Vec<u8>,
    /// How much of `buffer` is known to hold no end of a frame.
    scanned: usize,
    /// Where the line that is not complete yet begins in `buffer`.
    line_start: usize,
}

impl Parser {
    /// Frames that `bytes` completes.
    ///
    /// # Errors
    /// [`FrameTooLong`]: the stream cannot be read any further.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, FrameTooLong> {
        self.buffer.extend_from_slice(bytes);
        let mut frames = Vec::new();
        let mut start = 0;
        while let Some(end) = self.next_end() {
            frames.push(Frame { raw: self.buffer.get(start..end).unwrap_or_default().to_vec() });
            start = end;
        }
        self.buffer.drain(..start);
        self.scanned = self.scanned.saturating_sub(start);
        self.line_start = self.line_start.saturating_sub(start);
        if self.buffer.len() > MAX_FRAME_BYTES { Err(FrameTooLong) } else { Ok(frames) }
    }

    /// Whether nothing is left of an incomplete frame.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.buffer.is_empty()
    }

    /// What the end of the input leaves: an event without its blank line.
    #[must_use]
    pub fn finish(self) -> Option<Frame> {
        if self.buffer.is_empty() { None } else { Some(Frame { raw: self.buffer }) }
    }

    /// Where the first complete frame of the buffer ends.
    fn next_end(&mut self) -> Option<usize> {
        loop {
            let rest = self.buffer.get(self.scanned..)?;
            let Some(at) = rest.iter().position(|b| *b == b'\n' || *b == b'\r') else {
                self.scanned = self.buffer.len();
                return None;
            };
            let line_end = self.scanned.saturating_add(at);
            let after = line_end.saturating_add(1);
            let next = match (self.buffer.get(line_end), self.buffer.get(after)) {
                // A carriage return may be half of a line end: its other half decides where the line ends.
                (Some(b'\r'), None) => {
                    self.scanned = line_end;
                    return None;
                }
                (Some(b'\r'), Some(b'\n')) => after.saturating_add(1),
                _ => after,
            };
            let blank = line_end == self.line_start;
            (self.scanned, self.line_start) = (next, next);
            if blank {
                return Some(next);
            }
        }
    }
}

/// Appends an event with its name and one `data` line, as the gateway writes them. `data` is JSON.
pub fn write_named(bytes: &mut Vec<u8>, event: &str, data: &str) {
    for part in ["event: ", event, "\ndata: ", &one_line(data), "\n\n"] {
        bytes.extend_from_slice(part.as_bytes());
    }
}

/// JSON on one line: a line end in it is white space, and would cut the event.
pub(crate) fn one_line(json: &str) -> Cow<'_, str> {
    if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ").into() } else { json.into() }
}

impl Frame {
    /// A frame of one `data` line, as the gateway writes them. `data` is JSON: a line end in it is white
    /// space, and would cut the event.
    #[must_use]
    pub fn data_line(data: &str) -> Self {
        Self { raw: format!("data: {}\n\n", one_line(data)).into_bytes() }
    }

    /// The bytes as they came.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The bytes as they came.
    #[must_use]
    pub fn into_raw(self) -> Vec<u8> {
        self.raw
    }

    /// The frame with the blank line that ends it, where an upstream ended without one.
    #[must_use]
    pub fn terminated(mut self) -> Self {
        let ends = |end: &[u8]| self.raw.ends_with(end);
        let missing: &[u8] = if ends(b"\n\n") || ends(b"\r\n\r\n") || ends(b"\r\r") {
            b""
        } else if ends(b"\n") || ends(b"\r") {
            b"\n"
        } else {
            b"\n\n"
        };
        self.raw.extend_from_slice(missing);
        self
    }

    /// Whether every line is a comment or a field that the specification names.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.raw.split(|b| *b == b'\n' || *b == b'\r').all(|line| {
            let field = line.split(|b| *b == b':').next().unwrap_or_default();
            matches!(field, b"" | b"data" | b"event" | b"id" | b"retry")
        })
    }

    /// The event's name, if the frame gives one.
    #[must_use]
    pub fn event(&self) -> Option<Cow<'_, str>> {
        let line = self.values("event").last()?;
        Some(String::from_utf8_lossy(self.raw.get(line)?))
    }

    /// The event's data: its `data` lines joined by line feeds; `None` without any, as in a comment.
    #[must_use]
    pub fn data(&self) -> Option<Cow<'_, str>> {
        let mut lines = self.values("data");
        let first = self.raw.get(lines.next()?)?;
        let mut data = String::from_utf8_lossy(first);
        for line in lines {
            let data = data.to_mut();
            data.push('\n');
            data.push_str(&String::from_utf8_lossy(self.raw.get(line)?));
        }
        Some(data)
    }

    /// The same frame with other data: every other byte is kept where the data is one line.
    #[must_use]
    pub fn with_data(&self, data: &str) -> Self {
        let mut lines = self.values("data");
        let (first, second) = (lines.next(), lines.next());
        let raw = match (first, second, data.contains(['\n', '\r'])) {
            (Some(line), None, false) => {
                let before = self.raw.get(..line.start).unwrap_or_default();
                let after = self.raw.get(line.end..).unwrap_or_default();
                [before, data.as_bytes(), after].concat()
            }
            _ => {
                let event = self.event().map(|name| format!("event: {name}\n")).unwrap_or_default();
                let lines: String = data.lines().map(|line| format!("data: {line}\n")).collect();
                format!("{event}{lines}\n").into_bytes()
            }
        };
        Self { raw }
    }

    /// The same frame with `text` in each comment that says something; `None` where there is none.
    #[must_use]
    pub fn with_comments(&self, text: &str) -> Option<Self> {
        let comments: Vec<Range<usize>> = self.values("").filter(|comment| !comment.is_empty()).collect();
        if comments.is_empty() {
            return None;
        }
        let mut raw = Vec::with_capacity(self.raw.len());
        let mut at = 0;
        for comment in comments {
            raw.extend_from_slice(self.raw.get(at..comment.start).unwrap_or_default());
            raw.extend_from_slice(text.as_bytes());
            at = comment.end;
        }
        raw.extend_from_slice(self.raw.get(at..).unwrap_or_default());
        Some(Self { raw })
    }

    /// Where the values of all `field` lines lie in `raw`; a comment is a line of the field without a name.
    fn values<'a>(&'a self, field: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        let mut at = if self.raw.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        std::iter::from_fn(move || {
            while at < self.raw.len() {
                let rest = self.raw.get(at..)?;
                let length = rest.iter().position(|b| *b == b'\n' || *b == b'\r').unwrap_or(rest.len());
                let line = rest.get(..length)?;
                let start = at;
                at = at.saturating_add(length).saturating_add(1);
                let Some(value) = line.strip_prefix(field.as_bytes()) else { continue };
                let prefix = match value {
                    [] if field.is_empty() => continue,
                    [] => field.len(),
                    [b':', b' ', ..] => field.len().saturating_add(2),
                    [b':', ..] => field.len().saturating_add(1),
                    _ => continue,
                };
                return Some(start.saturating_add(prefix)..start.saturating_add(length));
            }
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(chunks: &[&[u8]]) -> Vec<Frame> {
        let mut parser = Parser::default();
        let mut frames: Vec<Frame> = chunks.iter().flat_map(|chunk| parser.push(chunk).unwrap()).collect();
        frames.extend(parser.finish());
        frames
    }

    fn check(input: &str, expected: &[(Option<&str>, Option<&str>)]) {
        let frames = frames(&[input.as_bytes()]);
        let seen: Vec<_> = frames.iter().map(|f| (f.event(), f.data())).collect();
        let seen: Vec<_> = seen.iter().map(|(event, data)| (event.as_deref(), data.as_deref())).collect();
        assert_eq!(seen, expected, "{input:?}");
    }

    #[test]
    fn frames_as_the_specification_reads_them() {
        check("data: a\n\n", &[(None, Some("a"))]);
        check("data:a\r\n\r\ndata: b\r\n\r\n", &[(None, Some("a")), (None, Some("b"))]);
        check("data: a\r\rdata: b\r\r", &[(None, Some("a")), (None, Some("b"))]);
        check("event: ping\ndata: {}\n\n", &[(Some("ping"), Some("{}"))]);
        check("data: a\ndata: b\n\n", &[(None, Some("a\nb"))]);
        check("data\n\n", &[(None, Some(""))]);
        check("data:  two spaces\n\n", &[(None, Some(" two spaces"))]);
        check(": comment\n\n", &[(None, None)]);
        check("database: no\n\n", &[(None, None)]);
        check("\u{feff}data: a\n\n", &[(None, Some("a"))]);
        check("data: [DONE]", &[(None, Some("[DONE]"))]);
        check("data: a\n\n\ndata: b\n\n", &[(None, Some("a")), (None, None), (None, Some("b"))]);
    }

    #[test]
    fn data_is_replaced_in_place() {
        let frame = |raw: &str| frames(&[raw.as_bytes()]).remove(0);
        let with = |raw: &str, data: &str| String::from_utf8(frame(raw).with_data(data).into_raw()).unwrap();
        assert_eq!(with("id: 7\ndata:{\"a\":1}\r\n\r\n", "{}"), "id: 7\ndata:{}\r\n\r\n");
        assert_eq!(with("event: x\ndata: a\ndata: b\n\n", "c\nd"), "event: x\ndata: c\ndata: d\n\n");
    }

    #[test]
    fn the_text_of_comments_is_replaced_and_nothing_else() {
        let with = |raw: &str| frames(&[raw.as_bytes()]).remove(0).with_comments("ours").map(Frame::into_raw);
        let check = |raw: &str, expected: Option<&str>| assert_eq!(with(raw).as_deref(), expected.map(str::as_bytes));
        check(": theirs\n\n", Some(": ours\n\n"));
        check(
            "\u{feff}:theirs\r\n: more\r\ndata: {\":\":1}\r\n\r\n",
            Some("\u{feff}:ours\r\n: ours\r\ndata: {\":\":1}\r\n\r\n"),
        );
        check(":\n: \ndata: a\n\n", None);
        check("\n", None);
    }

    #[test]
    fn an_endless_frame_is_an_error() {
        let mut parser = Parser::default();
        assert_eq!(parser.push(&vec![b'a'; MAX_FRAME_BYTES + 1]), Err(FrameTooLong));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames(text in "[ad:\\n\\r ]{0,60}", cuts in proptest::collection::vec(0usize..60, 0..6)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let split = frames(&chunks);
            prop_assert_eq!(&split, &frames(&[bytes]));
            let joined: Vec<u8> = split.into_iter().flat_map(Frame::into_raw).collect();
            prop_assert_eq!(joined, bytes);
        }
    }
}
