//! D1, one file a table or group of tables. The only SQL of the Worker stands here; the account
//! object's own is in `durable_objects`.

pub mod accounts;
pub mod catalogue;
pub mod daily;
pub mod entries;
pub mod requests;
pub mod topups;
pub mod undelivered;

use worker::wasm_bindgen::JsValue;

/// The D1 binding of `wrangler.toml`.
pub const BINDING: &str = "DB";

/// A number on its way into SQL.
fn number(n: u64) -> JsValue {
    // JavaScript's numbers are exact up to 2^53.
    #[expect(clippy::cast_precision_loss, reason = "bounded by the minimum")]
    JsValue::from_f64(n.min(1 << 53) as f64)
}
