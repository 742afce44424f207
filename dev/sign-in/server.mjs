// The sign-in stand-in replaces Supabase Auth on a developer's machine. It speaks Supabase's protocol with the
// unmodified @supabase/supabase-js, signs sessions with ES256, and sends no mail.
//
//   npm run sign-in [-- --port N --app ORIGIN --file FILE --lifetime-s N]
//
// Under /auth/v1: signup, token (password, refresh_token, pkce), otp, recover, verify, authorize, user, logout,
// settings, health, .well-known/jwks.json. Beside it /inbox, which shows the mails.
import http from "node:http";
import { parseArgs } from "node:util";
import { isProgram } from "../processes.mjs";
import { AuthError, invalid } from "./errors.mjs";
import { follow, inbox, sendLink, verify } from "./mails.mjs";
import { decide, providerPage } from "./oauth.mjs";
import { begin, current, end, exchange, refresh } from "./sessions.mjs";
import { openStore } from "./store.mjs";
import { publicKeys } from "./tokens.mjs";
import { addUser, changeUser, emailOf, findUser, isPassword, userView } from "./users.mjs";

// Supabase's default lifetime.
const LIFETIME_S = 3_600;
const MAX_BODY_BYTES = 64 * 1024;
// The defaults are the port that `npm start` uses and the address of the app, so that the stand-in works with plain
// `npx wrangler dev`.
const PORT = "8789";
const APP = "http://127.0.0.1:8787";
/** The sign-in providers that the stand-in replaces. */
export const PROVIDERS = ["google", "github"];

const API_VERSION = "2024-01-01";
const LOOPBACK = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/;

const json = (body, status = 200, headers = {}) => ({
  status,
  body: JSON.stringify(body),
  headers: { "content-type": "application/json", ...headers },
});
const html = (body) => ({ status: 200, body, headers: { "content-type": "text/html; charset=utf-8" } });
const redirect = (location) => ({ status: 303, body: "", headers: { location } });
const empty = { status: 204, body: "", headers: {} };

// These paths need no public key of the project: a browser opens them directly, or their content is public.
const OPEN = {
  "GET /inbox": ({ context }) => html(inbox(context)),
  "GET /auth/v1/health": () =>
    json({ name: "GoTrue", version: "stand-in", description: "A stand-in for Supabase Auth" }),
  "GET /auth/v1/.well-known/jwks.json": ({ context }) =>
    json(publicKeys(context.store.signingKey), 200, { "cache-control": "public, max-age=600" }),
  "GET /auth/v1/verify": ({ context, query }) => redirect(follow(context, query)),
  "GET /auth/v1/authorize": ({ context, query }) => html(providerPage(context, query)),
  "POST /auth/v1/authorize": ({ context, text }) => redirect(decide(context, new URLSearchParams(text))),
};

const WITH_KEY = {
  "GET /auth/v1/settings": ({ context }) =>
    json({
      external: { email: true, ...Object.fromEntries(context.providers.map((name) => [name, true])) },
      disable_signup: false,
      mailer_autoconfirm: true,
    }),
  "POST /auth/v1/signup": ({ context, body }) => json(signUp(context, body)),
  "POST /auth/v1/token": ({ context, query, body }) => json(grant(context, query.get("grant_type"), body)),
  "POST /auth/v1/otp": ({ context, query, body }) => link(context, query, body, "magiclink"),
  "POST /auth/v1/recover": ({ context, query, body }) => link(context, query, body, "recovery"),
  "POST /auth/v1/verify": ({ context, body }) => json(verify(context, body)),
  "GET /auth/v1/user": ({ context, request }) => json(userView(current(context, request).user)),
  "PUT /auth/v1/user": ({ context, request, body }) => {
    const { user } = current(context, request);
    changeUser(context.store, user, body);
    context.store.save();
    return json(userView(user));
  },
  "POST /auth/v1/logout": ({ context, request, query }) => {
    end(context, current(context, request), query.get("scope") ?? "global");
    return empty;
  },
};

/**
 * Starts the server on 127.0.0.1; port 0 means any free port. `app` lists the origins that may call the server and to
 * which a browser may return; a browser that names no origin returns to the first. `file` keeps the state. Resolves
 * to `{ url, anonKey, mails(), close() }`.
 */
export async function startSignIn({
  port = 0,
  app = [APP],
  file = null,
  lifetimeS = LIFETIME_S,
  providers = PROVIDERS,
} = {}) {
  const store = openStore(file);
  const server = http.createServer((request, response) => void answer(context, request, response));
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  const context = {
    url: `http://127.0.0.1:${server.address().port}`,
    store,
    lifetimeS,
    providers,
    app,
    /** Returns the address to which the browser returns, or the app's origin if the address is not one of the app's. */
    allowed: (target) => (target && URL.canParse(target) && app.includes(new URL(target).origin) ? target : app[0]),
  };
  return {
    url: context.url,
    anonKey: store.anonKey,
    mails: () => store.mails,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

async function answer(context, request, response) {
  const { status, body, headers } = await answered(context, request).catch((error) => {
    if (error instanceof AuthError) return json(error.body, error.status);
    console.error("sign-in:", error);
    return json({ code: "unexpected_failure", message: "The sign-in stand-in has a defect." }, 500);
  });
  response.writeHead(status, {
    ...headers,
    ...cors(context, request),
    "x-supabase-api-version": API_VERSION,
    "x-frame-options": "DENY",
  });
  response.end(body);
}

async function answered(context, request) {
  // A foreign page whose host name resolves to 127.0.0.1 must not read the inbox.
  if (!LOOPBACK.test(request.headers.host ?? ""))
    throw new AuthError(403, "forbidden", "Only this machine may use this server.");
  if (request.method === "OPTIONS") return empty;
  const { pathname, searchParams: query } = new URL(request.url, context.url);
  const route = `${request.method} ${pathname}`;
  const handler = OPEN[route] ?? WITH_KEY[route];
  if (!handler) throw new AuthError(404, "not_found", `There is no ${route} here.`);
  const text = await read(request);
  if (WITH_KEY[route] && request.headers.apikey !== context.store.anonKey) {
    throw new AuthError(401, "no_api_key", "No API key found in request, or not the one of this project");
  }
  return handler({ context, request, query, text, body: WITH_KEY[route] && text !== "" ? parsed(text) : {} });
}

function cors({ app }, { headers }) {
  if (!app.includes(headers.origin)) return { vary: "origin" };
  return {
    vary: "origin",
    "access-control-allow-origin": headers.origin,
    "access-control-allow-methods": "GET, POST, PUT",
    "access-control-allow-headers": headers["access-control-request-headers"] ?? "authorization, apikey, content-type",
    "access-control-expose-headers": "x-supabase-api-version",
    "access-control-max-age": "600",
  };
}

function signUp(context, body) {
  if (body.email === undefined && body.phone === undefined) {
    throw new AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled");
  }
  if (body.email === undefined) throw new AuthError(400, "phone_provider_disabled", "Phone signups are disabled");
  const email = emailOf(body);
  if (findUser(context.store, email)) throw new AuthError(422, "user_already_exists", "User already registered");
  return begin(context, addUser(context.store, { email, password: body.password ?? "", data: body.data }), "password");
}

function grant(context, type, body) {
  if (type === "refresh_token") return refresh(context, body.refresh_token);
  if (type === "pkce") return exchange(context, body);
  if (type !== "password") throw new AuthError(400, "invalid_credentials", "unsupported_grant_type");
  const user = findUser(context.store, emailOf(body));
  if (!isPassword(user, body.password)) throw new AuthError(400, "invalid_credentials", "Invalid login credentials");
  return begin(context, user, "password");
}

function link(context, query, body, type) {
  sendLink(context, { email: emailOf(body), body, type, redirect: context.allowed(query.get("redirect_to")) });
  return json({});
}

async function read(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size <= MAX_BODY_BYTES) parts.push(part);
  }
  if (size > MAX_BODY_BYTES) throw new AuthError(413, "request_too_large", "The request is too large.");
  return Buffer.concat(parts).toString("utf8");
}

function parsed(text) {
  try {
    const body = JSON.parse(text);
    if (typeof body === "object" && body !== null && !Array.isArray(body)) return body;
  } catch {
    // the error is thrown below
  }
  throw invalid("Could not parse request body as JSON");
}

if (isProgram(import.meta)) {
  const text = { type: "string" };
  const options = {
    port: { ...text, default: PORT },
    app: { ...text, multiple: true, default: [APP] },
    file: text,
    "lifetime-s": { ...text, default: String(LIFETIME_S) },
  };
  const { values } = parseArgs({ options });
  const started = await startSignIn({
    port: Number(values.port),
    app: values.app,
    file: values.file,
    lifetimeS: Number(values["lifetime-s"]),
  });
  console.log(`sign-in on ${started.url} with the key ${started.anonKey}`);
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
  process.on("disconnect", () => process.exit(0)); // the parent process has ended
}
