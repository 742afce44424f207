// What `npm start` says once everything runs.
import path from "node:path";

const ACCOUNT = "/console/api/account";

const KEY_NOTES = {
  kept: "kept from an earlier start",
  made: "new",
  replaced: "new: the earlier one does not work any more",
};

/** The text; asks the running Worker for a model to show, so that the example works. */
export async function banner({ options, origin, account, secretHosts, own, demo, signIn, payments, notes, wasThere }) {
  const files = account
    ? "first-run.json has the above, wrangler.log the Worker's log"
    : "wrangler.log has the Worker's log";
  const state = `${relative(options.state)} (${wasThere ? "kept from earlier starts" : "new"}; ${files})`;
  return `
One Interface runs on ${origin}. Ctrl-C ends it.

  console    ${origin}
  base URL   ${origin}/v1
${lines({ account, signIn, own })}
  state      ${state}
  this time  ${notes.join("; ")}
  answers    ${sources({ options, secretHosts, own, demo }).join("\n             ")}
  payments   ${payments ? `a stand-in for Stripe at ${payments.url}, where no money moves` : "Stripe, by STRIPE_SECRET_KEY"}
${account ? await tryIt(origin, account.firstRun.api_key) : ""}`;
}

/** Key, account and sign-in. */
function lines({ account, signIn, own }) {
  const project = `  sign-in    ${own.SUPABASE_URL}, your own project`;
  if (!account) return `${project}: sign in there, and POST ${ACCOUNT} with the session makes the account`;
  const { api_key: key, account_id: id, email, password } = account.firstRun;
  return `  API key    ${key}  (${KEY_NOTES[account.key]})
  account    ${id}, balance ${account.balanceUsd} USD
${signIn ? `  sign-in    ${email} with the password ${password}\n             by a stand-in, which shows its mails at ${signIn.url}/inbox` : project}`;
}

async function tryIt(origin, key) {
  return `
Try it:

${example(origin, key, await exampleModel(origin, key))}
`;
}

/** Where answers come from; `secretHosts` is the Worker's SECRET_HOSTS, NAME=host pairs. */
function sources({ options, secretHosts, own, demo }) {
  const withKey = secretHosts
    .split(" ")
    .map((pair) => pair.split("="))
    .filter(([name]) => own[name])
    .map(([name, host]) => `${host} (${name})`);
  const file = relative(options.secrets);
  const providers = withKey.length > 0 ? [`${withKey.join(", ")}: keys in ${file}`] : [];
  if (options.ownCatalog) return [...providers, `the upstreams of ${relative(options.catalog)}; none of the demo`];
  const isDemo = `the demo upstream at ${demo.url}, which is no language model`;
  return providers.length > 0
    ? [...providers, `every model of another provider: ${isDemo}`]
    : [`${isDemo};`, `put provider keys into ${file} for real ones`];
}

/** gpt-4o where it is served, otherwise the first model that can chat. */
async function exampleModel(origin, key) {
  const response = await fetch(`${origin}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  const { data = [] } = await response.json();
  const chats = data.filter((model) => model.pricing?.completion !== undefined);
  return (chats.find(({ id }) => id === "gpt-4o") ?? chats[0] ?? data[0])?.id ?? "gpt-4o";
}

function example(origin, key, model) {
  const body = JSON.stringify({
    model,
    stream: true,
    messages: [{ role: "user", content: "Hello from One Interface" }],
  });
  return `curl -N ${origin}/v1/chat/completions -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" -d '${body}'`;
}

function relative(file) {
  const fromHere = path.relative(process.cwd(), file);
  return fromHere.startsWith("..") ? file : fromHere;
}
