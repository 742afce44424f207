// Access tokens: JSON Web Tokens with ES256, and the public key that verifies them.
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign, verify } from "node:crypto";

/** Returns a new private key as a JSON Web Key with an id. */
export function newSigningKey() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { kid: randomUUID(), alg: "ES256", use: "sig", ...privateKey.export({ format: "jwk" }) };
}

/** Returns the public part of a private key, as `/.well-known/jwks.json` shows it. */
export function publicKeys({ d, ...key }) {
  return { keys: [{ ...key, key_ops: ["verify"] }] };
}

/** Returns a signed token with these claims. */
export function signAccessToken(claims, key) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "ES256", kid: key.kid, typ: "JWT" })}.${part(claims)}`;
  const privateKey = createPrivateKey({ key, format: "jwk" });
  return `${signed}.${sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

/** Returns the claims of a token that `key` signed and that has not expired, or null for any other token. */
export function readAccessToken(token, { d, ...key }) {
  const [header, claims, signature, ...rest] = token.split(".");
  if (!signature || rest.length > 0) return null;
  const publicKey = createPublicKey({ key, format: "jwk" });
  const signed = Buffer.from(`${header}.${claims}`);
  if (!verify("sha256", signed, { key: publicKey, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url")))
    return null;
  const read = JSON.parse(Buffer.from(claims, "base64url").toString());
  return read.exp > Date.now() / 1000 ? read : null;
}
