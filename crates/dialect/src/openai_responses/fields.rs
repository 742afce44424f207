//! What of a request for a response passes to an upstream of the same dialect: see [`crate::passes`].
//!
//! What is refused stands in [`crate::policy`], and the tools and items that are in `tools.rs` and `wire`.

use crate::openai_chat::fields::MODERATION;
use crate::passes::{Fields, Kind, Rule};
use Rule::{Free, Kinds, LeftOut, Members, Plain, Same};

/// The fields of a request.
pub(crate) const FIELDS: Fields = &[
    // Programs of the operator's organisation.
    ("access_programs", LeftOut),
    // Codex.
    ("client_metadata", Free),
    // Only an empty one is not refused.
    ("context_management", Plain),
    ("frequency_penalty", Plain),
    // How images are packed: without it they are packed as their figure in the catalogue says.
    ("image", LeftOut),
    ("include", Plain),
    ("input", Kinds(ITEMS)),
    ("instructions", Plain),
    ("max_output_tokens", Plain),
    ("max_tool_calls", Plain),
    ("metadata", Free),
    ("model", Plain),
    ("moderation", Members(MODERATION)),
    ("parallel_tool_calls", Plain),
    ("presence_penalty", Plain),
    ("prompt_cache_key", Plain),
    ("prompt_cache_retention", Plain),
    (
        "reasoning",
        Members(&[
            ("context", Plain),
            ("effort", Plain),
            ("generate_summary", Plain),
            ("mode", Plain),
            ("summary", Plain),
        ]),
    ),
    ("safety_identifier", Plain),
    ("service_tier", Plain),
    ("speed", Plain),
    ("store", Plain),
    ("stream", Plain),
    ("stream_options", Members(&[("include_obfuscation", Plain)])),
    ("temperature", Plain),
    ("text", Members(TEXT)),
    ("tool_choice", Members(CHOICE)),
    ("tools", TOOLS),
    ("top_logprobs", Plain),
    ("top_p", Plain),
    ("truncation", Plain),
    ("user", Plain),
];

const TEXT: Fields = &[
    (
        "format",
        Members(&[("type", Plain), ("name", Plain), ("description", Plain), ("schema", Free), ("strict", Plain)]),
    ),
    ("verbosity", Plain),
];

const CHOICE: Fields = &[
    ("type", Plain),
    ("name", Plain),
    ("namespace", Plain),
    ("mode", Plain),
    ("tools", Members(&[("type", Plain), ("name", Plain), ("namespace", Plain)])),
];

const TOOLS: Rule = Same(&TOOL);

/// The tools that the client runs.
static TOOL: Rule = Kinds(&[
    Kind::of(
        &["function"],
        &[
            ("type", Plain),
            ("name", Plain),
            ("description", Plain),
            ("parameters", Free),
            ("output_schema", Free),
            ("strict", Plain),
            ("async", Plain),
            ("defer_loading", Plain),
        ],
    ),
    Kind::of(
        &["custom"],
        &[
            ("type", Plain),
            ("name", Plain),
            ("description", Plain),
            ("format", Free),
            ("async", Plain),
            ("defer_loading", Plain),
        ],
    ),
    Kind::of(&["namespace"], &[("type", Plain), ("name", Plain), ("description", Plain), ("tools", Same(&TOOL))]),
    Kind::of(&["local_shell", "apply_patch", "computer"], &[("type", Plain)]),
    Kind::of(
        &["computer_use_preview"],
        &[("type", Plain), ("display_width", Plain), ("display_height", Plain), ("environment", Plain)],
    ),
    Kind::of(&["shell"], &[("type", Plain), ("environment", Members(LOCAL))]),
    Kind::of(&["tool_search"], &[("type", Plain), ("description", Plain), ("execution", Plain), ("parameters", Free)]),
]);

const LOCAL: Fields =
    &[("type", Plain), ("skills", Members(&[("name", Plain), ("description", Plain), ("path", Plain)]))];

const CONTENT: Rule = Kinds(&[
    Kind::of(
        &["input_text", "text", "summary_text", "reasoning_text"],
        &[("type", Plain), ("text", Plain), ("prompt_cache_breakpoint", BREAKPOINT)],
    ),
    Kind::of(
        &["output_text"],
        &[("type", Plain), ("text", Plain), ("annotations", Members(ANNOTATION)), ("logprobs", Free)],
    ),
    Kind::of(&["refusal"], &[("type", Plain), ("refusal", Plain)]),
    Kind::of(
        &["input_image"],
        &[
            ("type", Plain),
            ("image_url", Members(&[("url", Plain), ("detail", Plain)])),
            ("detail", Plain),
            ("prompt_cache_breakpoint", BREAKPOINT),
        ],
    ),
    Kind::of(
        &["input_file"],
        &[
            ("type", Plain),
            ("file_data", Plain),
            ("file_url", Plain),
            ("filename", Plain),
            ("detail", Plain),
            ("prompt_cache_breakpoint", BREAKPOINT),
        ],
    ),
    // What one of Codex's agents says to another.
    Kind::of(&["encrypted_content"], &[("type", Plain), ("encrypted_content", Plain)]),
]);

const BREAKPOINT: Rule = Members(&[("type", Plain), ("mode", Plain)]);

/// Without the ids of files and containers.
const ANNOTATION: Fields = &[
    ("type", Plain),
    ("url", Plain),
    ("title", Plain),
    ("start_index", Plain),
    ("end_index", Plain),
    ("index", Plain),
    ("filename", Plain),
];

const SAFETY: Rule = Members(&[("id", Plain), ("code", Plain), ("message", Plain)]);

/// Records of what other tools of the provider did: no tool of the provider is for sale here, and their ids name
/// what it keeps.
pub(super) const LEFT_OUT: [&str; 9] = [
    "code_interpreter_call",
    "file_search_call",
    "image_generation_call",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "program",
    "program_output",
];

/// The items of `input`.
const ITEMS: &[Kind] = &[
    Kind::of(
        &["", "message"],
        &[
            ("type", Plain),
            ("id", Plain),
            ("role", Plain),
            ("content", CONTENT),
            ("name", Plain),
            ("phase", Plain),
            ("status", Plain),
        ],
    ),
    Kind::of(
        &["agent_message"],
        &[("type", Plain), ("id", Plain), ("author", Plain), ("recipient", Plain), ("content", CONTENT)],
    ),
    Kind::of(
        &["function_call", "custom_tool_call"],
        &[
            ("type", Plain),
            ("id", Plain),
            ("call_id", Plain),
            ("name", Plain),
            ("namespace", Plain),
            ("arguments", Free),
            ("input", Plain),
            ("async", Plain),
            ("status", Plain),
        ],
    ),
    Kind::of(
        &["function_call_output", "custom_tool_call_output"],
        &[
            ("type", Plain),
            ("id", Plain),
            ("call_id", Plain),
            ("name", Plain),
            ("namespace", Plain),
            ("output", CONTENT),
            ("status", Plain),
        ],
    ),
    Kind::of(
        &["reasoning"],
        &[
            ("type", Plain),
            ("id", Plain),
            ("summary", CONTENT),
            ("content", CONTENT),
            ("encrypted_content", Plain),
            ("status", Plain),
        ],
    ),
    Kind::of(&["compaction"], &[("type", Plain), ("id", Plain), ("encrypted_content", Plain)]),
    Kind::of(
        &["configuration_update"],
        &[
            ("type", Plain),
            ("id", Plain),
            ("reasoning", Members(&[("effort", Plain)])),
            ("text", Members(&[("verbosity", Plain)])),
        ],
    ),
    Kind::of(&["additional_tools"], &[("type", Plain), ("id", Plain), ("role", Plain), ("tools", TOOLS)]),
    Kind::of(
        &["tool_search_call"],
        &[
            ("type", Plain),
            ("id", Plain),
            ("call_id", Plain),
            ("arguments", Free),
            ("execution", Plain),
            ("status", Plain),
        ],
    ),
    Kind::of(
        &["tool_search_output"],
        &[
            ("type", Plain),
            ("id", Plain),
            ("call_id", Plain),
            ("execution", Plain),
            ("status", Plain),
            ("tools", TOOLS),
        ],
    ),
    Kind::of(
        &["local_shell_call", "shell_call"],
        &[
            ("type", Plain),
            ("id", Plain),
            ("call_id", Plain),
            ("action", Members(ACTION)),
            ("environment", Members(LOCAL)),
            ("status", Plain),
        ],
    ),
    Kind::of(
        &["local_shell_call_output", "shell_call_output"],
        &[
            ("type", Plain),
            ("id", Plain),
            ("call_id", Plain),
            ("max_output_length", Plain),
            ("output", Members(SHELL_OUTPUT)),
            ("status", Plain),
        ],
    ),
    Kind::of(
        &["apply_patch_call", "apply_patch_call_output"],
        &[
            ("type", Plain),
            ("id", Plain),
            ("call_id", Plain),
            ("operation", Members(&[("type", Plain), ("path", Plain), ("diff", Plain)])),
            ("output", Plain),
            ("status", Plain),
        ],
    ),
    Kind::of(
        &["computer_call"],
        &[
            ("type", Plain),
            ("id", Plain),
            ("call_id", Plain),
            ("action", Free),
            ("actions", Free),
            ("pending_safety_checks", SAFETY),
            ("status", Plain),
        ],
    ),
    Kind::of(
        &["computer_call_output"],
        &[
            ("type", Plain),
            ("id", Plain),
            ("call_id", Plain),
            ("output", Members(&[("type", Plain), ("image_url", Plain)])),
            ("acknowledged_safety_checks", SAFETY),
            ("status", Plain),
        ],
    ),
    // A search in a conversation that began elsewhere: it names nothing that is kept.
    Kind::of(&["web_search_call"], &[("type", Plain), ("id", Plain), ("action", Free), ("status", Plain)]),
    Kind::left_out(&LEFT_OUT),
];

const ACTION: Fields = &[
    ("type", Plain),
    ("command", Plain),
    ("commands", Plain),
    ("env", Free),
    ("max_output_length", Plain),
    ("timeout_ms", Plain),
    ("user", Plain),
    ("working_directory", Plain),
];

const SHELL_OUTPUT: Fields =
    &[("stdout", Plain), ("stderr", Plain), ("outcome", Members(&[("type", Plain), ("exit_code", Plain)]))];
