// What the scripted agent tells each client's tools to do, by the tool's name.
import { instanceOf } from "../../dev/demo/schema.mjs";
import { SHELLS } from "../../dev/demo/shells.mjs";

/**
 * One call: `{ name, namespace, custom, input }`, input as text. A shell runs `command`; a client without
 * one has its first tool called with whatever its schema accepts; null when there is none.
 */
export function callFor(tools, command) {
  const shell = Object.keys(SHELLS).find((name) => tools.some((tool) => tool.name === name));
  if (shell) return { name: shell, custom: false, input: JSON.stringify(SHELLS[shell](command)) };
  const [first] = tools;
  if (first === undefined) return null;
  return { name: first.name, namespace: first.namespace, custom: first.custom, input: first.custom ? command : JSON.stringify(instanceOf(first.schema)) };
}

/** A call of Codex's apply_patch that adds `file` with one line. */
export function patchCall(tools, file, line) {
  const tool = tools.find(({ name }) => name === "apply_patch");
  if (tool === undefined) return null;
  const patch = `*** Begin Patch\n*** Add File: ${file}\n+${line}\n*** End Patch\n`;
  return { name: "apply_patch", custom: tool.custom, input: tool.custom ? patch : JSON.stringify({ input: patch }) };
}
