//! The platform's stream of a request's body, unpacked where it is packed.

use js_sys::futures::JsFuture;
use js_sys::{ArrayBuffer, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{
    ReadableStream, ReadableStreamByobReader, ReadableStreamGetReaderOptions, ReadableStreamReaderMode,
    ReadableWritablePair, WritableStream,
};
use worker::Request;

use super::Packing;
use crate::error::{ApiError, Code};

#[wasm_bindgen]
extern "C" {
    /// Unpacks `gzip` or `deflate`. <https://compression.spec.whatwg.org/#decompression-stream>
    type DecompressionStream;
    #[wasm_bindgen(constructor, catch)]
    fn new(format: &str) -> Result<DecompressionStream, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn readable(this: &DecompressionStream) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    fn writable(this: &DecompressionStream) -> WritableStream;
}

/// The smallest and the largest piece, in bytes. The platform's own pieces have 4 kB, and each costs a call: the more
/// has arrived, the larger the next piece may be. A body that has not begun has a small buffer, for there may be
/// very many of those.
const FIRST_PIECE_BYTES: u32 = 4 << 10;
const PIECE_BYTES: u32 = 256 << 10;

/// A body in pieces.
pub struct Pieces {
    reader: ReadableStreamByobReader,
    /// Goes to the platform and comes back with a piece in it.
    buffer: ArrayBuffer,
    /// The size of the buffer, in bytes.
    size: u32,
    packing: Packing,
}

impl Pieces {
    /// The body of a request; `None` when it has none, or was read.
    ///
    /// # Errors
    /// The platform's.
    pub fn of(request: &Request, packing: Packing) -> Result<Option<Self>, ApiError> {
        let request = request.inner();
        let Some(stream) = request.body().filter(|stream| !request.body_used() && !stream.locked()) else {
            return Ok(None);
        };
        let format = match packing {
            Packing::None => None,
            Packing::Gzip => Some("gzip"),
            Packing::Deflate => Some("deflate"),
        };
        let stream = match format {
            None => stream,
            Some(format) => {
                let unpacking = DecompressionStream::new(format).map_err(worker::Error::from)?;
                stream.pipe_through(&ReadableWritablePair::new(&unpacking.readable(), &unpacking.writable()))
            }
        };
        let options = ReadableStreamGetReaderOptions::new();
        options.set_mode(ReadableStreamReaderMode::Byob);
        let reader = stream.get_reader_with_options(&options).unchecked_into();
        Ok(Some(Self { reader, buffer: ArrayBuffer::new(FIRST_PIECE_BYTES), size: FIRST_PIECE_BYTES, packing }))
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// 400 for what cannot be unpacked, and for a connection that broke.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        let read = self.read().await;
        read.map_err(|_| match self.packing {
            Packing::None => super::broke_off(),
            Packing::Gzip | Packing::Deflate => {
                ApiError::new(Code::InvalidRequest, "The request body is not what its content-encoding says.")
            }
        })
    }

    async fn read(&mut self) -> Result<Option<Vec<u8>>, JsValue> {
        let view = Uint8Array::new(&self.buffer);
        let result = JsFuture::from(self.reader.read_with_array_buffer_view(&view)).await?;
        if Reflect::get(&result, &"done".into())?.is_truthy() {
            return Ok(None);
        }
        let piece: Uint8Array = Reflect::get(&result, &"value".into())?.dyn_into()?;
        let size = self.size;
        let is_full = piece.length() == size;
        self.size = if is_full { size.saturating_mul(4).min(PIECE_BYTES) } else { size };
        self.buffer = if self.size > size { ArrayBuffer::new(self.size) } else { piece.buffer() };
        Ok(Some(piece.to_vec()))
    }

    /// The size of the buffer that the next piece comes in, in bytes.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        usize::try_from(self.size).unwrap_or(usize::MAX)
    }
}
