//! What of a messages request passes to an upstream that speaks Anthropic's dialect: see [`crate::passes`].
//!
//! What is refused stands in [`crate::policy`] and `wire.rs`.

use crate::passes::{Fields, Kind, Rule};
use Rule::{Free, Kinds, Members, Plain, Same};

/// The fields of a request, and of a count of tokens.
pub(crate) const FIELDS: Fields = &[
    ("cache_control", CACHE),
    ("context_management", Members(&[("edits", Kinds(EDITS))])),
    // Without the id of an earlier message.
    ("diagnostics", Members(&[])),
    ("max_tokens", Plain),
    ("messages", Members(MESSAGE)),
    ("metadata", Members(&[("user_id", Plain)])),
    ("model", Plain),
    ("output_config", Members(OUTPUT)),
    ("output_format", Members(FORMAT)),
    ("service_tier", Plain),
    ("speed", Plain),
    ("stop_sequences", Plain),
    ("stream", Plain),
    ("system", BLOCKS),
    ("temperature", Plain),
    ("thinking", Members(THINKING)),
    ("tool_choice", Members(&[("type", Plain), ("name", Plain), ("disable_parallel_tool_use", Plain)])),
    ("tools", TOOLS),
    ("top_k", Plain),
    ("top_p", Plain),
];

const CACHE: Rule = Members(&[("type", Plain), ("ttl", Plain), ("scope", Plain)]);

const AMOUNT: Rule = Members(&[("type", Plain), ("value", Plain)]);

/// Edits of the context that only clear some of it.
const EDITS: &[Kind] = &[
    Kind::of(
        &["clear_tool_uses_#"],
        &[
            ("type", Plain),
            ("clear_at_least", AMOUNT),
            ("clear_tool_inputs", Plain),
            ("exclude_tools", Plain),
            ("keep", AMOUNT),
            ("trigger", AMOUNT),
        ],
    ),
    Kind::of(&["clear_thinking_#"], &[("type", Plain), ("keep", AMOUNT)]),
];

const FORMAT: Fields = &[("type", Plain), ("name", Plain), ("schema", Free)];

const OUTPUT: Fields = &[
    ("effort", Plain),
    ("format", Members(FORMAT)),
    ("task_budget", Members(&[("type", Plain), ("total", Plain), ("remaining", Plain)])),
];

const THINKING: Fields = &[
    ("type", Plain),
    ("budget_tokens", Plain),
    ("display", Plain),
    ("block_binding", Members(&[("prefix_mismatch_behavior", Plain)])),
];

const MESSAGE: Fields = &[
    ("role", Plain),
    ("content", BLOCKS),
    ("cache_control", CACHE),
    ("clear_at", Plain),
    ("output_config", Members(&[("effort", Plain)])),
];

const TOOLS: Rule = Kinds(TOOL);

/// Tools with a version that the client runs itself; all others are run, and charged for, by the provider.
pub(super) const CLIENT_TOOLS: [&str; 5] = ["bash_#", "computer_#", "computer_toolset_#", "memory_#", "text_editor_#"];

const TOOL: &[Kind] = &[
    Kind::of(
        &["", "custom"],
        &[
            ("type", Plain),
            ("name", Plain),
            ("description", Plain),
            ("input_schema", Free),
            ("input_examples", Free),
            ("cache_control", CACHE),
            ("defer_loading", Plain),
            ("eager_input_streaming", Plain),
            ("strict", Plain),
        ],
    ),
    Kind::of(
        &CLIENT_TOOLS,
        &[
            ("type", Plain),
            ("name", Plain),
            ("input_examples", Free),
            ("cache_control", CACHE),
            ("configs", Free),
            ("defer_loading", Plain),
            ("display_height_px", Plain),
            ("display_number", Plain),
            ("display_width_px", Plain),
            ("enable_zoom", Plain),
            ("max_characters", Plain),
            ("strict", Plain),
        ],
    ),
];

const BLOCKS: Rule = Same(&BLOCK);

/// A change of the tools within the conversation.
const CHANGE: Fields = &[("type", Plain), ("tool", Members(CHANGED)), ("cache_control", CACHE)];
const CHANGED: Fields = &[("type", Plain), ("name", Plain), ("definition", TOOLS)];

/// Of a text what is quoted, of a document or a search result whether it may be.
const CITATIONS: Rule = Members(&[
    ("enabled", Plain),
    ("type", Plain),
    ("cited_text", Plain),
    ("document_index", Plain),
    ("document_title", Plain),
    ("encrypted_index", Plain),
    ("end_block_index", Plain),
    ("end_char_index", Plain),
    ("end_page_number", Plain),
    ("search_result_index", Plain),
    ("source", Plain),
    ("start_block_index", Plain),
    ("start_char_index", Plain),
    ("start_page_number", Plain),
    ("title", Plain),
    ("url", Plain),
]);

const TEXT: Kind =
    Kind::of(&["text"], &[("type", Plain), ("text", Plain), ("cache_control", CACHE), ("citations", CITATIONS)]);

/// The blocks of a message. What is no text is measured, and looked through, in `wire/input.rs`.
static BLOCK: Rule = Kinds(&[
    TEXT,
    Kind::of(
        &["image"],
        &[
            ("type", Plain),
            ("source", Members(IMAGE_SOURCE)),
            ("cache_control", CACHE),
            ("transformations", Members(&[("oversized_image", Plain)])),
        ],
    ),
    Kind::of(
        &["document"],
        &[
            ("type", Plain),
            ("source", Same(&SOURCE)),
            ("title", Plain),
            ("context", Plain),
            ("citations", CITATIONS),
            ("cache_control", CACHE),
        ],
    ),
    Kind::of(
        &["search_result"],
        &[
            ("type", Plain),
            ("content", Kinds(&[TEXT])),
            ("source", Plain),
            ("title", Plain),
            ("citations", CITATIONS),
            ("cache_control", CACHE),
        ],
    ),
    Kind::of(&["thinking"], &[("type", Plain), ("thinking", Plain), ("signature", Plain)]),
    Kind::of(&["redacted_thinking"], &[("type", Plain), ("data", Plain)]),
    Kind::of(
        &["tool_use", "server_tool_use", "mcp_tool_use"],
        &[
            ("type", Plain),
            ("id", Plain),
            ("name", Plain),
            ("input", Free),
            ("server_name", Plain),
            ("toolset_name", Plain),
            ("cache_control", CACHE),
        ],
    ),
    Kind::of(
        &["tool_result", "mcp_tool_result"],
        &[
            ("type", Plain),
            ("tool_use_id", Plain),
            ("content", Same(&BLOCK)),
            ("is_error", Plain),
            ("toolset_name", Plain),
            ("cache_control", CACHE),
        ],
    ),
    // What tools of the provider answered, in a conversation that began there. It is input like any other.
    Kind::of(
        &[
            "advisor_tool_result",
            "bash_code_execution_tool_result",
            "code_execution_tool_result",
            "text_editor_code_execution_tool_result",
            "tool_search_tool_result",
            "web_fetch_tool_result",
            "web_search_tool_result",
        ],
        &[("type", Plain), ("tool_use_id", Plain), ("content", Free), ("cache_control", CACHE)],
    ),
    Kind::of(&["tool_reference"], &[("type", Plain), ("tool_name", Plain), ("cache_control", CACHE)]),
    Kind::of(&["browser_state"], &[("type", Plain), ("tabs", Free), ("state_changes", Free), ("cache_control", CACHE)]),
    Kind::of(&["tool_addition", "tool_removal"], CHANGE),
    Kind::of(
        &["compaction"],
        &[
            ("type", Plain),
            ("content", Plain),
            ("encrypted_content", Plain),
            ("signature", Plain),
            ("tool_changes", Members(CHANGE)),
            ("cache_control", CACHE),
        ],
    ),
]);

static SOURCE: Rule =
    Members(&[("type", Plain), ("media_type", Plain), ("data", Plain), ("url", Plain), ("content", Same(&BLOCK))]);

const IMAGE_SOURCE: Fields = &[("type", Plain), ("media_type", Plain), ("data", Plain), ("url", Plain)];
