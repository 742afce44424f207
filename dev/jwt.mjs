// Signs the HS256 tokens that the Worker's sign-in and its operator routes accept.
import { createHmac } from "node:crypto";

/** Returns a token with these claims, signed with `secret`. `iat` is now and `exp` is `lifetimeS` seconds later. */
export function signToken(claims, secret, lifetimeS = 600) {
  const now = Math.floor(Date.now() / 1000);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ ...claims, iat: now, exp: now + lifetimeS })}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}
