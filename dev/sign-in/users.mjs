// Users and their passwords.
import { randomBytes, randomUUID, scryptSync, timingSafeEqual } from "node:crypto";
import { AuthError, invalid } from "./errors.mjs";

// Supabase's default.
const LEAST_PASSWORD_CHARS = 6;
// The limit of bcrypt, which Supabase uses for passwords.
const MOST_PASSWORD_BYTES = 72;

export function findUser(store, email) {
  return store.users.find((user) => user.email === email);
}

/** Adds a user who signed up by `provider`. `password` may be absent. */
export function addUser(store, { email, password, data = {}, provider = "email" }) {
  const at = new Date().toISOString();
  const user = {
    id: randomUUID(),
    email,
    password: password === undefined ? null : hashed(checked(password)),
    user_metadata: { ...data, email, email_verified: true },
    providers: [],
    identities: [],
    created_at: at,
    updated_at: at,
    last_sign_in_at: at,
  };
  addIdentity(user, provider);
  store.users.push(user);
  return user;
}

/** Records that the user has signed in by `provider`. */
export function addIdentity(user, provider) {
  if (user.providers.includes(provider)) return;
  const at = new Date().toISOString();
  const identity = { identity_id: randomUUID(), id: user.id, user_id: user.id, provider, email: user.email };
  user.providers.push(provider);
  user.identities.push({
    ...identity,
    identity_data: { email: user.email, sub: user.id },
    created_at: at,
    updated_at: at,
    last_sign_in_at: at,
  });
}

/** Returns the e-mail address of a request, trimmed and in lower case for comparison. */
export function emailOf(body) {
  if (typeof body.email !== "string" || !/^[^\s@]+@[^\s@]+$/.test(body.email.trim())) {
    throw invalid("Unable to validate email address: invalid format");
  }
  return body.email.trim().toLowerCase();
}

/** Returns whether this is the user's password. */
export function isPassword(user, password) {
  if (!user?.password || typeof password !== "string") return false;
  const [salt, hash] = user.password.split(":");
  return timingSafeEqual(Buffer.from(hash, "hex"), scryptSync(password, salt, 32));
}

/** Changes the fields that `PUT /user` may change: password, address and metadata. */
export function changeUser(store, user, { password, email, data }) {
  if (password !== undefined) {
    if (isPassword(user, password)) {
      throw new AuthError(422, "same_password", "New password should be different from the old password.");
    }
    user.password = hashed(checked(password));
  }
  if (email !== undefined) {
    const address = emailOf({ email });
    const other = findUser(store, address);
    if (other && other !== user) {
      throw new AuthError(422, "email_exists", "A user with this email address has already been registered");
    }
    user.email = address;
    user.user_metadata.email = address;
  }
  if (data !== undefined) Object.assign(user.user_metadata, data);
  user.updated_at = new Date().toISOString();
}

/** Returns the user as the API shows it. */
export function userView(user) {
  const { id, email, user_metadata, identities, created_at, updated_at, last_sign_in_at } = user;
  return {
    id,
    aud: "authenticated",
    role: "authenticated",
    email,
    email_confirmed_at: created_at,
    confirmed_at: created_at,
    phone: "",
    last_sign_in_at,
    app_metadata: appMetadata(user),
    user_metadata,
    identities,
    created_at,
    updated_at,
    is_anonymous: false,
  };
}

/** Returns the providers by which the user has signed in, as tokens and the API show them. */
export function appMetadata({ providers }) {
  return { provider: providers[0], providers };
}

function checked(password) {
  const message = `Password should be at least ${LEAST_PASSWORD_CHARS} characters.`;
  if (typeof password !== "string" || password.length < LEAST_PASSWORD_CHARS) {
    throw new AuthError(422, "weak_password", message, { weak_password: { reasons: ["length"], message } });
  }
  if (Buffer.byteLength(password) > MOST_PASSWORD_BYTES)
    throw invalid(`Password cannot be longer than ${MOST_PASSWORD_BYTES} characters`);
  return password;
}

function hashed(password) {
  const salt = randomBytes(16).toString("hex");
  return `${salt}:${scryptSync(password, salt, 32).toString("hex")}`;
}
