// The calls that the scripted agent makes to the tools of each client, by the name of the tool.
import { instanceOf } from "../../dev/demo/schema.mjs";
import { SHELLS } from "../../dev/demo/shells.mjs";

/**
 * Returns one call: `{ name, namespace, custom, input }`, with input as text. A shell runs `command`. If the client has
 * no shell, its first tool is called with a value that its schema accepts. Without any tool the result is null.
 */
export function callFor(tools, command) {
  const shell = Object.keys(SHELLS).find((name) => tools.some((tool) => tool.name === name));
  if (shell) return { name: shell, custom: false, input: JSON.stringify(SHELLS[shell](command)) };
  const [first] = tools;
  if (first === undefined) return null;
  return {
    name: first.name,
    namespace: first.namespace,
    custom: first.custom,
    input: first.custom ? command : JSON.stringify(instanceOf(first.schema)),
  };
}

/** Returns a call of Codex's apply_patch that adds `file` with one line. */
export function patchCall(tools, file, line) {
  const tool = tools.find(({ name }) => name === "apply_patch");
  if (tool === undefined) return null;
  const patch = `*** Begin Patch\n*** Add File: ${file}\n+${line}\n*** End Patch\n`;
  return { name: "apply_patch", custom: tool.custom, input: tool.custom ? patch : JSON.stringify({ input: patch }) };
}
