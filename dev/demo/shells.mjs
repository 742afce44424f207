// The shells that coding agents offer as tools, and the commands that the demo runs in them.
import { instanceOf } from "./schema.mjs";

const COMMAND = `echo "This ran on your machine, and One Interface's demo upstream asked for it."`;

/** Maps the name of a tool to the arguments that run a command. If an agent offers several, the demo uses the first. */
export const SHELLS = {
  // Claude Code
  Bash: (command) => ({ command, description: "Run a command" }),
  // Codex, in its three forms
  exec_command: (command) => ({ cmd: command }),
  shell_command: (command) => ({ command }),
  shell: (command) => ({ command: ["sh", "-c", command] }),
};

export function isShell(name) {
  return Object.hasOwn(SHELLS, name);
}

/** Returns arguments that a tool accepts: a harmless command for a shell, a value of the schema for any other tool. */
export function argumentsFor(name, schema = { type: "object" }) {
  const properties = Object.keys(schema.properties ?? {});
  const own = isShell(name) ? SHELLS[name](COMMAND) : null;
  // A tool with the name of a shell may have other parameters.
  return own && Object.keys(own).every((property) => properties.includes(property)) ? own : instanceOf(schema);
}
