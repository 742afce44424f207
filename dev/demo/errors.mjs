/** A refusal in OpenAI's form: the HTTP `status` and the `body` of the answer. */
export class BadRequest extends Error {
  constructor(status, message, code, param = null) {
    super(message);
    this.status = status;
    this.body = { error: { message, type: status < 500 ? "invalid_request_error" : "server_error", param, code } };
  }
}

const ANTHROPICS_TYPES = { 400: "invalid_request_error", 404: "not_found_error", 413: "request_too_large" };

/** Returns the same refusal in Anthropic's form. */
export function inAnthropicsShape(status, { error }) {
  return {
    type: "error",
    error: {
      type: ANTHROPICS_TYPES[status] ?? (status < 500 ? "invalid_request_error" : "api_error"),
      message: error.message,
    },
  };
}
