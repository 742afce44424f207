//! The platform's byte streams, with errors instead of exceptions.

use std::cell::Cell;

use js_sys::futures::JsFuture;
use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{ReadableStream, ReadableStreamDefaultReader, WritableStream, WritableStreamDefaultWriter};
use worker::ResponseBody;

use crate::body::collected::Collected;

#[wasm_bindgen]
extern "C" {
    /// A pipe of bytes: a write waits for the reader, and fails once the reader has gone.
    type IdentityTransformStream;
    #[wasm_bindgen(constructor, catch)]
    fn new() -> Result<IdentityTransformStream, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn readable(this: &IdentityTransformStream) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    fn writable(this: &IdentityTransformStream) -> WritableStream;
}

/// An upstream's body.
pub struct Source {
    reader: ReadableStreamDefaultReader,
    /// A read that was given up: it goes on, and the next one takes what it brings.
    begun: Cell<Option<Promise>>,
}

/// Why a body cannot be had as one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoText {
    /// It broke off, or is no UTF-8.
    #[error("the body broke off, or is no UTF-8")]
    Broken,
    /// It is larger than it may be.
    #[error("the body is too large")]
    TooLarge,
    /// The isolate has no memory for it now.
    #[error("there is no memory for the body")]
    NoRoom,
}

/// A client's body.
#[derive(Clone)]
pub struct Sink(WritableStreamDefaultWriter);

impl Source {
    /// The body of an answer; `None` when it has none.
    #[must_use]
    pub fn new(body: &ResponseBody) -> Option<Self> {
        let ResponseBody::Stream(stream) = body else { return None };
        Some(Self { reader: stream.get_reader().unchecked_into(), begun: Cell::default() })
    }

    /// The whole body as text, of at most `most` bytes. `fits` hears how many bytes there are before more of them are
    /// kept, and says whether there is memory for so many.
    ///
    /// # Errors
    /// [`NoText`].
    pub async fn text(&self, most: usize, fits: impl Fn(usize) -> bool) -> Result<String, NoText> {
        let mut bytes = Collected::default();
        while let Some(chunk) = self.read().await.map_err(|_| NoText::Broken)? {
            let length = usize::try_from(chunk.length()).unwrap_or(usize::MAX).saturating_add(bytes.len());
            if length > most {
                return Err(NoText::TooLarge);
            }
            if !fits(length) {
                return Err(NoText::NoRoom);
            }
            bytes.push(chunk.to_vec());
        }
        String::from_utf8(bytes.join().ok_or(NoText::NoRoom)?).map_err(|_| NoText::Broken)
    }

    /// The next bytes; `None` at the end. No bytes are lost when it is given up.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn read(&self) -> Result<Option<Uint8Array>, JsValue> {
        let read: Promise = self.begun.take().unwrap_or_else(|| self.reader.read());
        self.begun.set(Some(read.clone()));
        let result = JsFuture::from(read).await;
        self.begun.take();
        let result = result?;
        if Reflect::get(&result, &"done".into())?.is_truthy() {
            return Ok(None);
        }
        Ok(Some(Reflect::get(&result, &"value".into())?.dyn_into()?))
    }

    /// Reads no more: whoever writes finds the reader gone.
    pub async fn cancel(&self) {
        let _ = JsFuture::from(self.reader.cancel()).await;
    }
}

impl Sink {
    /// A pipe, and the body to answer with.
    ///
    /// # Errors
    /// The platform's.
    pub fn new() -> Result<(Self, ReadableStream), JsValue> {
        let pipe = IdentityTransformStream::new()?;
        Ok((Self(pipe.writable().get_writer()?), pipe.readable()))
    }

    /// Writes the very chunk that was read.
    ///
    /// # Errors
    /// The client has gone.
    pub async fn write_chunk(&self, chunk: &Uint8Array) -> Result<(), JsValue> {
        JsFuture::from(self.0.write_with_chunk(chunk)).await.map(drop)
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// The client has gone.
    pub async fn write(&self, bytes: &[u8]) -> Result<(), JsValue> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.write_chunk(&Uint8Array::from(bytes)).await
    }

    /// Breaks the body off, so that the client sees that it is not whole.
    pub fn cut(&self) {
        let _ = self.0.abort();
    }

    /// Ends the body.
    ///
    /// # Errors
    /// The client has gone.
    pub async fn close(&self) -> Result<(), JsValue> {
        JsFuture::from(self.0.close()).await.map(drop)
    }
}
