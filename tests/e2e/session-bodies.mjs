// Request bodies in the shape in which Claude Code 2.1 and Codex 0.169 send them, with short words in
// place of their long ones.

const object = (properties, required = Object.keys(properties)) => ({
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  properties,
  required,
  additionalProperties: false,
});
const string = { type: "string" };
const EPHEMERAL = { cache_control: { type: "ephemeral" } };

/** The headers of Claude Code, but for the key. */
export const CLAUDE_CODE_HEADERS = {
  "anthropic-version": "2023-06-01",
  "anthropic-beta": [
    "claude-code-20250219",
    "interleaved-thinking-2025-05-14",
    "context-management-2025-06-27",
    "mid-conversation-tool-changes-2026-07-01",
    "thinking-token-count-2026-05-13",
    "advanced-tool-use-2025-11-20",
    "effort-2025-11-24",
  ].join(","),
  "anthropic-dangerous-direct-browser-access": "true",
  "content-type": "application/json",
  "user-agent": "claude-cli/2.1.330 (external, sdk-cli)",
  "x-app": "cli",
  "x-claude-code-session-id": "8928b840-017b-4c89-909c-6336cd935222",
  "x-stainless-retry-count": "0",
};

/** Claude Code's request for the next turn after `messages`; `more` are further fields. */
export function claudeCodeBody(model, messages, more = {}) {
  return {
    model,
    messages,
    system: [
      { type: "text", text: "x-anthropic-billing-header: cc_version=2.1.330.92b; cc_entrypoint=sdk-cli;" },
      { type: "text", text: "You are an agent.", ...EPHEMERAL },
      { type: "text", text: "CWD: /home/dev\nDate: 2026-11-24", ...EPHEMERAL },
    ],
    tools: [
      {
        name: "Bash",
        description: "Runs a command.",
        input_schema: object({ command: string, timeout: { type: "number" } }, ["command"]),
      },
      {
        name: "Edit",
        description: "Edits a file.",
        input_schema: object({ file_path: string, old_string: string, new_string: string }),
      },
      { name: "Read", description: "Reads a file.", input_schema: object({ file_path: string }) },
      { name: "ToolSearch", description: "Finds tools.", input_schema: object({ query: string }) },
      { name: "DeferredToolPlaceholder", description: "None.", input_schema: object({}), defer_loading: true },
    ],
    metadata: {
      user_id: JSON.stringify({
        device_id: "4bed6ed3",
        account_uuid: "",
        session_id: "8928b840-017b-4c89-909c-6336cd935222",
      }),
    },
    max_tokens: 32000,
    thinking: { type: "adaptive", display: "omitted" },
    context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
    output_config: { effort: "high" },
    stream: true,
    ...more,
  };
}

/** What the user says to Claude Code, with what it adds: reminders, and a system turn behind. */
export function claudeCodeTurn(words) {
  const reminder = { type: "text", text: "<system-reminder>\nAs you answer, you can use this.\n</system-reminder>" };
  return [
    { role: "user", content: [reminder, { type: "text", text: words }] },
    { role: "system", content: [{ type: "text", text: "# Environment\nPlatform: linux", ...EPHEMERAL }] },
  ];
}

/** What a tool of Claude Code answered. */
export function claudeCodeResult(tool_use_id, content, is_error = false) {
  return { type: "tool_result", tool_use_id, content, is_error, ...EPHEMERAL };
}

/** The headers of Codex, but for the key. */
export const CODEX_HEADERS = {
  accept: "text/event-stream",
  "content-type": "application/json",
  originator: "codex_exec",
  "session-id": "01a20d15-a7a9-7ad1-aed7-32a1b0164bac",
  "thread-id": "01a20d15-a7a9-7ad1-aed7-32a1b0164bac",
  "user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64) unknown (codex_exec; 0.169.0)",
  "x-client-request-id": "01a20d15-a7a9-7ad1-aed7-32a1b0164bac",
  "x-codex-beta-features": "remote_compaction_v2",
};

function fn(name, properties) {
  const parameters = { type: "object", properties, additionalProperties: false };
  return { type: "function", name, description: `${name}.`, strict: false, parameters };
}

/** Codex's request for the next turn after `input`; `more` are further fields. */
export function codexBody(model, input, more = {}) {
  return {
    model,
    stream: true,
    input,
    tools: [
      fn("exec_command", { cmd: string, workdir: string }),
      fn("write_stdin", { session_id: { type: "number" }, chars: string }),
      fn("view_image", { path: string }),
      {
        type: "custom",
        name: "apply_patch",
        description: "Edits files.",
        format: { type: "grammar", syntax: "lark", definition: "start: /(.|\\n)*/" },
      },
      {
        type: "namespace",
        name: "multi_agent_v1",
        description: "Agents.",
        tools: [fn("spawn_agent", { task: string }), fn("wait_agent", { target: string })],
      },
      { type: "web_search", external_web_access: true },
    ],
    tool_choice: "auto",
    parallel_tool_calls: true,
    reasoning: { summary: "auto" },
    store: false,
    include: ["reasoning.encrypted_content"],
    prompt_cache_key: "01a20d15-a7a9-7ad1-aed7-32a1b0164bac",
    client_metadata: { "x-codex-installation-id": "d984a6c3", thread_id: "01a20d15-a7a9-7ad1-aed7-32a1b0164bac" },
    ...more,
  };
}

/** What the user says to Codex, with what it puts before. */
export function codexTurn(words) {
  const message = (id, role, text) => ({
    type: "message",
    id: `msg_${id}`,
    role,
    content: [{ type: "input_text", text }],
  });
  return [
    message("96c66635", "developer", "You are a coding agent."),
    message("01a20d15", "user", "<environment_context>\n  <cwd>/home/dev</cwd>\n</environment_context>"),
    message("01a20d16", "user", words),
  ];
}
