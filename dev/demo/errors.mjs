/** A refusal in OpenAI's shape: HTTP `status`, and `body` as it is sent. */
export class BadRequest extends Error {
  constructor(status, message, code, param = null) {
    super(message);
    this.status = status;
    this.body = { error: { message, type: status < 500 ? "invalid_request_error" : "server_error", param, code } };
  }
}
