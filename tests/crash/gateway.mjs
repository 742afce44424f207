// The gateway that the crash run kills. It is a separate process, and its command line has the state and the secrets as
// JSON. It prints its origin and serves until it is killed.
import { startGateway } from "../e2e/harness.mjs";

const { url } = await startGateway({ ...JSON.parse(process.argv[2]), fresh: false });
console.log(url);
