// `npm start`: from a fresh clone to a running gateway with an account, credit and a key. The steps
// are in order in `start`; each is skipped when an earlier run has done it.
import { existsSync } from "node:fs";
import path from "node:path";
import { ensureAccount } from "./account.mjs";
import { banner } from "./banner.mjs";
import { prepareDatabase } from "./database.mjs";
import { HELP, parseOptions } from "./options.mjs";
import { freePort, isFree } from "./ports.mjs";
import { expectSignal, isEnding, launch } from "./processes.mjs";
import { buildWorker } from "./setup.mjs";
import { PROVIDERS } from "./sign-in/server.mjs";
import { openState, updateDevVars, userSettings } from "./state.mjs";
import { main, step, StepFailed } from "./steps.mjs";
import { startDev, tail } from "./wrangler.mjs";

await main(start);

async function start() {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) return console.log(HELP);
  const { port } = options;

  // 1. What can be refused, before anything takes time.
  if (!(await isFree(port))) {
    throw new StepFailed(`Port ${port} is taken. End what listens there, or choose another: npm start -- --port N`);
  }
  if (!existsSync(options.catalog)) throw new StepFailed(`--catalog ${options.catalog}: there is no such file.`);
  const own = userSettings(options);

  // 2. The state.
  const state = openState(options.state);
  await state.claim(port);
  const notes = [];
  if (options.fresh) notes.push(clear(state, options));
  const wasThere = state.hasData();

  // 3. The Worker.
  notes.push((await buildWorker()) ? "built the Worker" : "the Worker is up to date");

  // 4. The stand-ins, the database, the Worker's variables.
  const origin = `http://127.0.0.1:${port}`;
  const demo = options.ownCatalog ? null : await startDemo(port + 1);
  // Who names a project signs in there.
  const signIn = own.SUPABASE_URL ? null : await startSignIn(port + 2, { app: origin, file: state.file.signIn });
  const { changed, secretHosts } = await prepareDatabase(state, {
    catalog: options.catalog,
    demoUrl: demo?.url,
    secrets: Object.keys(own).filter((name) => own[name]),
    allowUnpriced: own.ALLOW_UNPRICED_MODELS,
  });
  if (changed.length > 0) notes.push(`applied the ${changed.join(" and the ")}`);
  const payments = own.STRIPE_SECRET_KEY ? null : await startPayments(port + 3, state, `${origin}/webhooks/stripe`);
  const made = state.workerSettings({
    SECRET_HOSTS: secretHosts,
    STRIPE_API_URL: payments?.url ?? "https://api.stripe.com",
    ...signIn?.settings,
  });
  const settings = { ...made, ...own };
  state.writeMerged(settings);
  if (options.isDefault) updateDevVars(options.secrets, made);

  // 5. The Worker's process.
  const { log, merged: envFile } = state.file;
  const dev = await step("starting the Worker", () => startDev({ port, folder: state.folder, log, envFile }));

  // 6. The account and its key.
  const account = await ensureAccount({ origin, settings, signIn, kept: state.firstRun() }).catch((error) => {
    throw new StepFailed(`The account could not be made: ${error.message}\n${tail(log)}`);
  });
  if (account) state.writeFirstRun(account.firstRun);

  // 7. Say it, and stay.
  console.log(await banner({ options, origin, account, secretHosts, own, demo, signIn, payments, notes, wasThere }));
  expectSignal();
  await Promise.race([dev, demo, signIn, payments].filter(Boolean).map(({ ending }) => ending));
}

function clear(state, { isDefault, state: folder }) {
  if (state.clear({ certain: isDefault })) return "began anew";
  return `--fresh: nothing in ${path.relative("", folder)} was made by npm start, so nothing was deleted`;
}

/** Starts the demo upstream. Resolves to its base URL and a promise that rejects when it ends. */
async function startDemo(wishedPort) {
  const { line, ending } = await startStandIn("The demo upstream", "dev/demo-upstream.mjs", wishedPort);
  return { url: line.match(/http:\S+/)[0], ending };
}

/** Starts the stand-in for Stripe, which sends its webhooks to `webhookUrl`. Resolves to its URL and a promise that rejects when it ends. */
async function startPayments(wishedPort, state, webhookUrl) {
  const { STRIPE_SECRET_KEY: key, STRIPE_WEBHOOK_SECRETS: secret } = state.workerSettings({});
  const options = {
    "secret-key": key,
    "webhook-secret": secret,
    "webhook-url": webhookUrl,
    state: state.file.payments,
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const { line, ending } = await startStandIn(
    "The stand-in for Stripe",
    "dev/payments/server.mjs",
    wishedPort,
    ...args,
  );
  return { url: line.match(/http:\S+/)[0], ending };
}

/**
 * Starts the sign-in stand-in for the `app` at an origin. Resolves to its URL and public key, the Worker's `settings`
 * for it, and a promise that rejects when it ends.
 */
async function startSignIn(wishedPort, { app, file }) {
  // The app is reached by either name.
  const apps = [app, app.replace("127.0.0.1", "localhost")].flatMap((origin) => ["--app", origin]);
  const { line, ending } = await startStandIn(
    "The sign-in stand-in",
    "dev/sign-in/server.mjs",
    wishedPort,
    ...apps,
    "--file",
    file,
  );
  const [, url, anonKey] = line.match(/(http:\S+) with the key (\S+)/);
  const settings = {
    SUPABASE_URL: url,
    SUPABASE_JWT_ALGORITHMS: "ES256",
    SUPABASE_ANON_KEY: anonKey,
    OAUTH_PROVIDERS: PROVIDERS.join(","),
  };
  return { url, anonKey, settings, ending };
}

/** Starts a stand-in as a process of its own. Resolves to the first line that it prints and a promise that rejects when it ends. */
async function startStandIn(name, program, wishedPort, ...args) {
  const port = await freePort(wishedPort);
  const child = launch(process.execPath, [program, "--port", String(port), ...args], {
    stdio: ["ignore", "pipe", "inherit", "ipc"], // the channel: it ends when this process is gone, however that went
  });
  const ending = new Promise((_, reject) => {
    child.once("exit", (code, signal) => {
      if (!isEnding()) reject(new StepFailed(`${name} ended by itself (${code ?? signal}).`));
    });
  });
  ending.catch(() => {}); // told to whoever awaits it, which may be later
  const line = await Promise.race([
    ending,
    new Promise((resolve) => child.stdout.once("data", (line) => resolve(String(line)))),
  ]);
  return { line, ending };
}
