// A project of Supabase as far as its sessions go: keys that come and go, tokens under them, and the server that
// publishes them.
import { createHmac, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import http from "node:http";

/** A key pair for "ES256" or "RS256": `{ alg, kid, privateKey, jwk }`. */
export function newKey(alg, kid = randomUUID()) {
  const options = alg === "ES256" ? ["ec", { namedCurve: "P-256" }] : ["rsa", { modulusLength: 2048 }];
  const { privateKey, publicKey } = generateKeyPairSync(...options);
  return {
    alg,
    kid,
    privateKey,
    jwk: { kid, alg, use: "sig", key_ops: ["verify"], ...publicKey.export({ format: "jwk" }) },
  };
}

/** A token of these texts, signed by a key of `newKey`, by a shared secret (a string), or by nobody (null). */
export function signTexts(header, claims, signer) {
  const part = (text) => Buffer.from(text).toString("base64url");
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${signature(signed, signer)}`;
}

function signature(signed, signer) {
  if (signer === null) return "";
  if (typeof signer === "string") return createHmac("sha256", signer).update(signed).digest("base64url");
  const options = signer.alg === "ES256" ? { key: signer.privateKey, dsaEncoding: "ieee-p1363" } : signer.privateKey;
  return sign("sha256", Buffer.from(signed), options).toString("base64url");
}

/** A project: `{ url, fetches, keys, answer, claims(…), token(…), close() }`. */
export async function startProject() {
  const project = {
    /** How often its keys were asked for. */
    fetches: 0,
    /** What it publishes. */
    keys: [],
    /** How it answers: a function of the response, in the place of the set. */
    answer: null,
    /** The claims of a session of `sub`, changed. */
    claims(change = {}) {
      const now = Math.floor(Date.now() / 1000);
      const claims = {
        iss: `${project.url}/auth/v1`,
        sub: randomUUID(),
        aud: "authenticated",
        role: "authenticated",
        iat: now,
        exp: now + 3600,
        email: "a@example.com",
        is_anonymous: false,
        ...change,
      };
      return JSON.parse(JSON.stringify(claims)); // undefined takes a claim out
    },
    /** A session under `key`, with claims and a header of choice. */
    token(key, change = {}, header = {}) {
      const own = { alg: key.alg, kid: key.kid, typ: "JWT", ...header };
      return signTexts(JSON.stringify(own), JSON.stringify(project.claims(change)), key);
    },
  };
  const server = http.createServer((request, response) => {
    project.fetches += 1;
    if (project.answer) return project.answer(response, request);
    response.writeHead(200, { "content-type": "application/json", "cache-control": "public, max-age=1" });
    response.end(JSON.stringify({ keys: project.keys.map(({ jwk }) => jwk) }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  project.url = `http://127.0.0.1:${server.address().port}`;
  project.close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return project;
}
