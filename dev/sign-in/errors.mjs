// Errors in the shape of Supabase Auth, with its codes: https://supabase.com/docs/guides/auth/debugging/error-codes

export class AuthError extends Error {
  constructor(status, code, message, more = {}) {
    super(message);
    this.status = status;
    this.body = { code, message, ...more };
  }
}

export const invalid = (message) => new AuthError(400, "validation_failed", message);
