// What the gateway says about itself, without a session.
import type { Config } from "./types.ts";

let known: Promise<Config> | undefined;

/** Asked once a page load; a failure is asked again. */
export function fetchConfig(): Promise<Config> {
  known ??= load().catch((error: unknown) => {
    known = undefined;
    throw error;
  });
  return known;
}

async function load(): Promise<Config> {
  const response = await fetch("/console/api/config", { credentials: "omit" });
  if (!response.ok) throw new Error(`The gateway answered ${response.status}.`);
  return (await response.json()) as Config;
}
