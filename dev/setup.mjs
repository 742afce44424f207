// What `npm start` and `npm test` need of the machine before anything else. Each function is quick
// when there is nothing to do, and shows its progress when there is.
export { consoleTool, ensureConsolePackages } from "./build-console.mjs";
export { buildWorker } from "./build-worker.mjs";
export { ensureRustTarget, ensureTools } from "./toolchain.mjs";
