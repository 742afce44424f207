// Sign-in by mail, with a link or a code of six digits. The stand-in sends no mail; /inbox shows all mails.
import { createHash, randomBytes, randomInt } from "node:crypto";
import { AuthError } from "./errors.mjs";
import { escaped, page } from "./pages.mjs";
import { begin, redirectTo } from "./sessions.mjs";
import { addUser, findUser } from "./users.mjs";

const MAIL_MS = 3_600_000;
// How many mails the inbox keeps.
const MOST_MAILS = 50;

const SUBJECTS = { signup: "Confirm your sign-up", magiclink: "Your sign-in link", recovery: "Reset your password" };

/**
 * Sends a link to `email`. `body` is the body of /otp or /recover, `redirect` comes from the query. If an address
 * without an account asks for a recovery, no mail is sent and the answer is the same.
 */
export function sendLink(context, { email, body, type, redirect }) {
  const { store } = context;
  let user = findUser(store, email);
  if (!user && type === "magiclink" && body.create_user !== false) {
    user = addUser(store, { email, data: body.data });
    type = "signup";
  }
  if (!user && type === "magiclink") throw new AuthError(422, "otp_disabled", "Signups not allowed for otp");
  if (!user) return;
  const mail = {
    to: email,
    type,
    at: Date.now(),
    code: String(randomInt(1_000_000)).padStart(6, "0"),
    // Supabase marks the hash with this prefix if the client sent a PKCE challenge.
    hash: `${body.code_challenge ? "pkce_" : ""}${createHash("sha224").update(randomBytes(32)).digest("hex")}`,
    challenge: body.code_challenge ?? null,
    challengeMethod: body.code_challenge_method ?? null,
    redirect,
  };
  // A new mail makes earlier mails to the same address invalid.
  store.mails = [mail, ...store.mails.map((one) => (one.to === email ? { ...one, used: true } : one))].slice(
    0,
    MOST_MAILS,
  );
  store.save();
}

/** Answers `POST /verify`: returns a session for a code, or for the hash in a link. */
export function verify(context, { type, email, token, token_hash: hash }) {
  const address = typeof email === "string" ? email.trim().toLowerCase() : null;
  const mail = use(
    context.store,
    (one) => fits(one, type) && (hash ? one.hash === hash : one.to === address && one.code === token),
  );
  return begin(context, findUser(context.store, mail.to), "otp");
}

/** Answers `GET /verify`: returns the page to which the link of a mail leads a browser. */
export function follow(context, query) {
  const site = query.get("redirect_to");
  try {
    const mail = use(context.store, (one) => fits(one, query.get("type")) && one.hash === query.get("token"));
    const { challenge, challengeMethod, type } = mail;
    const target = context.allowed(site ?? mail.redirect);
    return redirectTo(context, findUser(context.store, mail.to), "otp", {
      redirectTo: target,
      challenge,
      challengeMethod,
      type,
    });
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    const url = new URL(context.allowed(site));
    url.hash = new URLSearchParams({
      error: "access_denied",
      error_code: error.body.code,
      error_description: error.message,
    }).toString();
    return url.href;
  }
}

/** Returns the page that shows all mails. */
export function inbox({ url, store }) {
  const rows = store.mails.map((mail) => {
    const query = new URLSearchParams({ token: mail.hash, type: mail.type, redirect_to: mail.redirect });
    const body = mail.used
      ? "<p>This link has been used, or a later one has taken its place.</p>"
      : `<p><a href="${escaped(`${url}/auth/v1/verify?${query}`)}">Sign in</a>, or enter the code <code>${mail.code}</code></p>`;
    return `<article><h2>${SUBJECTS[mail.type]}</h2><p>to ${escaped(mail.to)}, ${new Date(mail.at).toISOString()}</p>${body}</article>`;
  });
  return page(
    "Inbox",
    rows.join("\n") || "<p>No mail yet.</p>",
    "Mails that a real project would have sent. Reload for newer ones.",
  );
}

function fits(mail, type) {
  return type === "email"
    ? mail.type !== "recovery"
    : mail.type === type || (type === "magiclink" && mail.type === "signup");
}

/** Returns the mail for which `matches` is true, and makes it invalid: a mail signs in once. */
function use(store, matches) {
  const mail = store.mails.find((one) => !one.used && Date.now() - one.at < MAIL_MS && matches(one));
  if (!mail) throw new AuthError(403, "otp_expired", "Token has expired or is invalid");
  mail.used = true;
  store.save();
  return mail;
}
