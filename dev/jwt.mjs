// HS256 tokens, as the Worker's sign-in and its operator's routes take them.
import { createHmac } from "node:crypto";

/** The claims, with `iat` and an `exp` of `lifetimeS` seconds from now, signed with `secret`. */
export function signToken(claims, secret, lifetimeS = 600) {
  const now = Math.floor(Date.now() / 1000);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ ...claims, iat: now, exp: now + lifetimeS })}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}
