// The shells that coding agents offer as tools, and what the demo has them do.
import { instanceOf } from "./schema.mjs";

const COMMAND = `echo "This ran on your machine, and One Interface's demo upstream asked for it."`;

/** By the tool's name: the arguments that have it run a command. An agent that has several is asked for the first. */
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

/** Arguments that a tool accepts: a harmless command for a shell, else whatever its schema allows. */
export function argumentsFor(name, schema = { type: "object" }) {
  const properties = Object.keys(schema.properties ?? {});
  const own = isShell(name) ? SHELLS[name](COMMAND) : null;
  // Somebody else's tool may have the name of a shell.
  return own && Object.keys(own).every((property) => properties.includes(property)) ? own : instanceOf(schema);
}
