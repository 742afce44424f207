// The Worker on workerd and nothing else, by Miniflare, with the methods of wrangler's test harness.
//
// wrangler's own harness (4.156) sends what the Worker fetches through `fetch` of this process. That
// one holds the headers of an upstream back until its first byte, joins pieces, and does not end the
// upstream's connection when the Worker does. Here clients and upstreams are connected to workerd.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions, unstable_splitSqlQuery } from "wrangler";

const NAME = "oneinterface";
const MODULE_TYPES = { ".js": "ESModule", ".wasm": "CompiledWasm" };

/**
 * As wrangler's `createTestHarness`, for one Worker that is bundled already. `state` is a folder that
 * keeps its data, which is else gone when it ends; `entry` is a module that stands before the bundle's
 * own and imports it as "./entry.js"; `inspect` opens the inspector, see `getInspectorUrl`.
 */
export function createTestHarness({
  root,
  state,
  inspect,
  port,
  workers: [{ configPath, prebuiltWorkerDir, entry, vars, secrets }],
}) {
  const { workerOptions } = unstable_getMiniflareWorkerOptions(path.join(root, configPath));
  const logs = [];
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port,
      resourcePersistencePath: state,
      handleStructuredLogs: (log) => void logs.push(log),
      unsafeInspectDurableObjects: true,
      ...(inspect && { inspectorPort: 0 }),
      workers: [
        {
          ...workerOptions,
          name: NAME,
          rootPath: root,
          modulesRoot: prebuiltWorkerDir,
          modules: [...(entry ? [standingBefore(entry, prebuiltWorkerDir)] : []), ...modulesOf(prebuiltWorkerDir)],
          modulesRules: undefined,
          // Not wrangler's own: a developer's .dev.vars would be among them.
          bindings: { ...vars, ...secrets },
        },
      ],
    }),
  );
  const className = (binding) => workerOptions.durableObjects[binding].className;

  const worker = {
    getEnv: () => miniflare.getBindings(),
    async applyD1Migrations(binding) {
      const db = await miniflare.getD1Database(binding);
      const folder = path.join(root, "d1_migrations");
      for (const file of readdirSync(folder).sort()) {
        const statements = unstable_splitSqlQuery(readFileSync(path.join(folder, file), "utf8"));
        await db.batch(statements.map((sql) => db.prepare(sql)));
      }
    },
    getDurableObjectStorage: (binding, which) =>
      miniflare.unsafeGetDurableObjectStorage(NAME, className(binding), which),
    async scheduled({ cron }) {
      const { outcome } = await (await miniflare.getWorker(NAME)).scheduled({ cron });
      if (outcome !== "ok") throw new Error(`the cron ended with ${outcome}`);
    },
    evictDurableObject: (binding, which) => miniflare.unsafeEvictDurableObject(NAME, className(binding), which),
  };
  return {
    listen: async () => ({ url: await miniflare.ready }),
    getWorker: () => worker,
    getLogs: () => logs,
    getInspectorUrl: () => miniflare.getInspectorURL(),
    close: () => miniflare.dispose(),
  };
}

/** The bundle's modules, the entry first. */
function modulesOf(folder) {
  const files = readdirSync(folder).filter((file) => path.extname(file) in MODULE_TYPES);
  files.sort((a, b) => path.extname(a).localeCompare(path.extname(b)));
  return files.map((file) => ({ type: MODULE_TYPES[path.extname(file)], path: path.join(folder, file) }));
}

/** The module in `file`, as if it lay beside the bundle's. */
function standingBefore(file, folder) {
  const name = `${path.basename(file, path.extname(file))}.js`;
  return { type: "ESModule", path: path.join(folder, name), contents: readFileSync(file, "utf8") };
}
