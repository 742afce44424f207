//! The error envelope of the OpenAI dialects.

use crate::envelope::quoted;

/// The one `type` of our errors.
pub const ERROR_TYPE: &str = "oneinterface_error";

/// `{"error":{"message","type","code"[,"param"]}}`. Every argument is ours: no provider text.
#[must_use]
pub fn envelope(code: &str, message: &str, param: Option<&str>) -> String {
    let param = param.map(|param| format!(",\"param\":{}", quoted(param))).unwrap_or_default();
    format!(
        "{{\"error\":{{\"message\":{},\"type\":\"{ERROR_TYPE}\",\"code\":{}{param}}}}}",
        quoted(message),
        quoted(code)
    )
}
