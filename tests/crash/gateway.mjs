// The gateway that the crash run kills: a process of its own, on the state and the secrets that stand
// on its command line as JSON. It prints its origin and serves until it is killed.
import { startGateway } from "../e2e/harness.mjs";

const { url } = await startGateway({ ...JSON.parse(process.argv[2]), fresh: false });
console.log(url);
