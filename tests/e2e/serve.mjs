// A gateway for tests in other languages. It prints one line of JSON and ends when its standard input
// does:
//
//   { "url": the origin, without /v1,
//     "key": a key of an account with $10, "poor_key": one of an account with nothing,
//     "models": { "chat", "renamed", "embed": answered as the demo upstream of npm start does,
//                 "busy": 429 with retry-after 7, "down": nothing listens, "unknown": no such model } }
import { startGateway } from "./harness.mjs";
import { demo, json } from "./upstream.mjs";

const gateway = await startGateway();
for (const model of ["chat", "their-name", "embed"]) gateway.upstream.answer(model, demo());
gateway.upstream.answer(
  "resold",
  json({ error: { message: "slow down" } }, { status: 429, headers: { "retry-after": "7" } }),
);

const { key } = await gateway.account();
const { key: poor_key } = await gateway.account({ usd: "0" });
const models = {
  chat: "chat",
  renamed: "vendor/renamed",
  embed: "embed",
  busy: "resold",
  down: "dead",
  unknown: "nobody",
};
console.log(JSON.stringify({ url: gateway.url, key, poor_key, models }));

process.stdin.resume().once("end", async () => {
  await gateway.close();
  process.exit();
});
