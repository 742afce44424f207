//! What of a chat request passes to an upstream that speaks chat completions: see [`crate::passes`].
//!
//! What is refused stands in [`crate::policy`]; fields that single servers know are listed by the catalogue.

use crate::passes::{Fields, Kind, Rule};
use Rule::{Free, Kinds, Members, Plain, Same};

/// The fields of a request.
pub(crate) const FIELDS: Fields = &[
    ("frequency_penalty", Plain),
    ("function_call", Members(&[("name", Plain)])),
    ("functions", Members(FUNCTION)),
    ("logit_bias", Free),
    ("logprobs", Plain),
    ("max_completion_tokens", Plain),
    ("max_tokens", Plain),
    ("messages", Members(MESSAGE)),
    ("metadata", Free),
    ("modalities", Plain),
    ("model", Plain),
    ("moderation", Members(MODERATION)),
    ("n", Plain),
    ("parallel_tool_calls", Plain),
    ("prediction", Members(&[("type", Plain), ("content", CONTENT)])),
    ("presence_penalty", Plain),
    ("prompt_cache_key", Plain),
    ("prompt_cache_retention", Plain),
    ("reasoning_effort", Plain),
    ("response_format", Members(FORMAT)),
    ("safety_identifier", Plain),
    ("seed", Plain),
    ("service_tier", Plain),
    ("speed", Plain),
    ("stop", Plain),
    ("store", Plain),
    ("stream", Plain),
    ("stream_options", Members(&[("include_usage", Plain), ("include_obfuscation", Plain)])),
    ("temperature", Plain),
    ("tool_choice", Members(CHOICE)),
    ("tools", Members(TOOL)),
    ("top_logprobs", Plain),
    ("top_p", Plain),
    ("user", Plain),
    ("verbosity", Plain),
];

/// `moderation` of both of OpenAI's dialects, which is free.
pub(crate) const MODERATION: Fields = &[
    ("model", Plain),
    ("policy", Members(&[("input", Members(&[("mode", Plain)])), ("output", Members(&[("mode", Plain)]))])),
];

const MESSAGE: Fields = &[
    // What clients hand back of an answer: OpenAI's, and the reasoning of most other servers.
    ("annotations", Free),
    ("audio", Plain),
    ("cache_control", Members(CACHE)),
    ("content", CONTENT),
    ("function_call", Members(&[("name", Plain), ("arguments", Free)])),
    ("name", Plain),
    // Mistral and DeepSeek, then Moonshot: the answer goes on from this message.
    ("prefix", Plain),
    ("partial", Plain),
    ("reasoning", Plain),
    ("reasoning_content", Plain),
    ("reasoning_details", Free),
    ("refusal", Plain),
    ("role", Plain),
    ("tool_call_id", Plain),
    ("tool_calls", Members(CALL)),
];

const CACHE: Fields = &[("type", Plain), ("ttl", Plain)];

const BREAKPOINT: Rule = Members(&[("type", Plain), ("mode", Plain)]);

const CALL: Fields = &[
    ("id", Plain),
    ("index", Plain),
    ("type", Plain),
    ("function", Members(&[("name", Plain), ("arguments", Free)])),
    ("custom", Members(&[("name", Plain), ("input", Plain)])),
    // Google: the signature of the thought behind a call.
    ("extra_content", Free),
];

const CONTENT: Rule = Same(&PARTS);

/// The parts of a message. What is no text is measured, and looked through, in `wire.rs`.
static PARTS: Rule = Kinds(&[
    Kind::of(
        &["text"],
        &[("type", Plain), ("text", Plain), ("cache_control", Members(CACHE)), ("prompt_cache_breakpoint", BREAKPOINT)],
    ),
    Kind::of(&["refusal"], &[("type", Plain), ("refusal", Plain)]),
    Kind::of(
        &["image_url"],
        &[
            ("type", Plain),
            ("image_url", Members(&[("url", Plain), ("detail", Plain)])),
            ("detail", Plain),
            ("cache_control", Members(CACHE)),
            ("prompt_cache_breakpoint", BREAKPOINT),
        ],
    ),
    Kind::of(
        &["file"],
        &[
            ("type", Plain),
            ("file", Members(&[("file_data", Plain), ("file_url", Plain), ("filename", Plain), ("format", Plain)])),
            ("cache_control", Members(CACHE)),
            ("prompt_cache_breakpoint", BREAKPOINT),
        ],
    ),
    // Alibaba, Moonshot, Z.AI, Google.
    Kind::of(
        &["video_url", "video"],
        &[
            ("type", Plain),
            ("video_url", Members(&[("url", Plain), ("fps", Plain), ("detail", Plain)])),
            ("video", Plain),
            ("fps", Plain),
        ],
    ),
    // Mistral.
    Kind::of(&["document_url"], &[("type", Plain), ("document_url", Plain), ("document_name", Plain)]),
    Kind::of(&["reference"], &[("type", Plain), ("reference_ids", Plain)]),
    Kind::of(&["thinking"], &[("type", Plain), ("thinking", Free), ("signature", Plain), ("closed", Plain)]),
]);

const FUNCTION: Fields =
    &[("name", Plain), ("description", Plain), ("parameters", Free), ("strict", Plain), ("async", Plain)];

const TOOL: Fields = &[
    ("type", Plain),
    ("function", Members(FUNCTION)),
    ("custom", Members(&[("name", Plain), ("description", Plain), ("format", Free)])),
    ("cache_control", Members(CACHE)),
];

const NAMED: Fields = &[("name", Plain)];

const CHOICE: Fields = &[
    ("type", Plain),
    ("function", Members(NAMED)),
    ("custom", Members(NAMED)),
    (
        "allowed_tools",
        Members(&[
            ("mode", Plain),
            ("tools", Members(&[("type", Plain), ("function", Members(NAMED)), ("custom", Members(NAMED))])),
        ]),
    ),
];

/// OpenAI's, and beside a schema those of Together, Fireworks, vLLM and llama.cpp.
const FORMAT: Fields = &[
    ("type", Plain),
    ("json_schema", Members(&[("name", Plain), ("description", Plain), ("schema", Free), ("strict", Plain)])),
    ("schema", Free),
    ("grammar", Plain),
    ("pattern", Plain),
];
