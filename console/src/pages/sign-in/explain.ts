// The sign-in service's errors, in words that help.
const WORDS: Record<string, string> = {
  invalid_credentials: "E-mail and password do not fit together.",
  email_not_confirmed: "This address is not confirmed yet. Open the link in the mail that you have got.",
  user_already_exists: "There is an account with this address. Sign in instead.",
  email_exists: "There is an account with this address. Sign in instead.",
  weak_password: "This password is too easy to guess. Take a longer one.",
  over_email_send_rate_limit: "Too many mails in a short time. Wait a minute.",
  over_request_rate_limit: "Too many attempts in a short time. Wait a minute.",
  signup_disabled: "New accounts are closed at the moment.",
  bad_code_verifier: "The link was opened in another browser than the one that asked for it. Ask for a new one here.",
  pkce_code_verifier_not_found:
    "The link was opened in another browser than the one that asked for it. Ask for a new one here.",
  flow_state_not_found: "This link has been used, or is too old. Ask for a new one.",
  flow_state_expired: "This link is too old. Ask for a new one.",
  otp_expired: "This link has been used, or is too old. Ask for a new one.",
  access_denied: "The provider says that you did not agree.",
};

const wordsFor = (code: unknown): string | undefined =>
  typeof code === "string" && Object.hasOwn(WORDS, code) ? WORDS[code] : undefined;

/** A failure that the address tells of. Anybody can write an address, so none of its text is shown. */
export function explainAddress(code: string): string {
  return wordsFor(code) ?? "The sign-in did not succeed. Try again.";
}

/** A failure that the sign-in service itself has answered. */
export function explain(error: unknown): string {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const words = wordsFor(code);
  if (words) return words;
  if (typeof message === "string" && message !== "" && message !== "{}") return message;
  return "The sign-in service does not answer. Try again in a moment.";
}
