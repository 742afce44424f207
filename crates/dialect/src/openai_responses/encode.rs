//! The pivot's request, written for an upstream that speaks responses.

use crate::canonical::{
    Block, Document, DocumentSource, Encoded, Format, Image, ImageSource, Losses, Opaque, ReasoningMode, Request, Role,
    Target, Text, Tool, ToolChoice, ToolKind, ToolResult, ToolUse, Turn, refused,
};
use crate::envelope::quoted;
use crate::openai_responses::item::{annotation, array, object};
use crate::openai_responses::wire::LIMIT_FIELD;
use crate::request::RequestError;

/// The least output limit that OpenAI takes.
const LEAST_OUTPUT: u64 = 16;
/// The longest `safety_identifier` and `prompt_cache_key` that OpenAI takes, in characters.
const LONGEST_ID: usize = 64;

/// Writes the body for an upstream.
///
/// # Errors
/// [`RequestError`] where what is asked for has no place in responses and changes what the answer is.
pub fn encode(request: &Request, target: &Target<'_>) -> Result<Encoded, RequestError> {
    if !request.stop.is_empty() {
        return Err(refused("stop"));
    }
    let mut losses = request.losses.clone();
    let mut writer = Writer { target, request, items: Vec::new(), losses: &mut losses };
    let instructions = writer.instructions();
    for turn in &request.turns {
        writer.turn(turn);
    }
    let items = writer.items;
    count_lost(request, &mut losses);

    let mut body = vec![("model", quoted(target.model)), ("input", array(&items))];
    let mut set = |key: &'static str, json: Option<String>| body.extend(json.map(|json| (key, json)));
    set("instructions", instructions);
    set("store", Some("false".to_owned()));
    set("stream", request.stream.then(|| "true".to_owned()));
    let limit = target.lowered_output.or(request.max_output).map(|limit| limit.max(LEAST_OUTPUT));
    set(LIMIT_FIELD, limit.map(|limit| limit.to_string()));
    set("temperature", request.sampling.temperature.clone());
    set("top_p", request.sampling.top_p.clone());
    if !request.tools.is_empty() {
        set("tools", Some(array(&request.tools.iter().map(tool).collect::<Vec<_>>())));
        set("tool_choice", request.tool_choice.as_ref().map(|choice| tool_choice(choice, request)));
        set("parallel_tool_calls", request.parallel_tool_calls.map(|parallel| parallel.to_string()));
    }
    set("reasoning", reasoning(request, target));
    set("text", text(request));
    let mut include = Vec::new();
    if target.reasons {
        include.push(quoted("reasoning.encrypted_content"));
    }
    if let Some(top) = request.logprobs {
        include.push(quoted("message.output_text.logprobs"));
        set("top_logprobs", Some(top.to_string()));
    }
    set("include", (!include.is_empty()).then(|| array(&include)));
    set("metadata", request.metadata.labels.clone());
    for (key, id) in [("safety_identifier", &request.metadata.user), ("prompt_cache_key", &request.prompt_cache_key)] {
        match id {
            Some(id) if id.chars().count() <= LONGEST_ID => set(key, Some(quoted(id))),
            // Coding tools put whole JSON texts here.
            Some(_) => losses.add(key),
            None => {}
        }
    }
    Ok(Encoded { body: object(&body), losses })
}

/// Counts what has no place in responses and is only advice.
fn count_lost(request: &Request, losses: &mut Losses) {
    let sampling = &request.sampling;
    for (name, given) in [
        ("top_k", &sampling.top_k),
        ("frequency_penalty", &sampling.frequency_penalty),
        ("presence_penalty", &sampling.presence_penalty),
        ("seed", &sampling.seed),
        ("logit_bias", &sampling.logit_bias),
    ] {
        if given.is_some() {
            losses.add(name);
        }
    }
    let blocks = request.instructions.iter().chain(request.turns.iter().flat_map(|turn| &turn.blocks));
    let of_blocks = blocks.flat_map(|block| match block {
        Block::ToolResult(result) => {
            std::iter::once(result.cache).chain(result.content.iter().map(Block::cache)).collect::<Vec<_>>()
        }
        _ => vec![block.cache()],
    });
    let of_tools = request.tools.iter().map(|tool| tool.cache);
    let marks = of_blocks.chain(of_tools).chain([request.cache]);
    marks.flatten().for_each(|_| losses.add("cache_control"));
}

fn tool(tool: &Tool) -> String {
    let mut members = Vec::new();
    let custom = tool.kind == ToolKind::Custom;
    members.push(("type", quoted(if custom { "custom" } else { "function" })));
    members.push(("name", quoted(&tool.name)));
    members.extend(tool.description.as_deref().map(|description| ("description", quoted(description))));
    if custom {
        members.extend(tool.schema.clone().map(|format| ("format", format)));
    } else {
        let none = || "{\"type\":\"object\",\"properties\":{}}".to_owned();
        members.push(("parameters", tool.schema.clone().unwrap_or_else(none)));
        // Absent would mean true, which few schemas satisfy.
        members.push(("strict", tool.strict.unwrap_or(false).to_string()));
    }
    object(&members)
}

/// A tool as a choice names it.
fn named(name: &str, request: &Request) -> String {
    let custom = request.tools.iter().any(|tool| tool.name == name && tool.kind == ToolKind::Custom);
    object(&[("type", quoted(if custom { "custom" } else { "function" })), ("name", quoted(name))])
}

fn tool_choice(choice: &ToolChoice, request: &Request) -> String {
    match choice {
        ToolChoice::Auto => quoted("auto"),
        ToolChoice::None => quoted("none"),
        ToolChoice::Required => quoted("required"),
        ToolChoice::Named(name) => named(name, request),
        ToolChoice::Allowed { required, names } => {
            let tools: Vec<String> = names.iter().map(|name| named(name, request)).collect();
            let mode = if *required { "required" } else { "auto" };
            object(&[("type", quoted("allowed_tools")), ("mode", quoted(mode)), ("tools", array(&tools))])
        }
    }
}

/// Effort and summary. A budget of tokens is an effort here; a model that does not reason is not asked to.
fn reasoning(request: &Request, target: &Target<'_>) -> Option<String> {
    use crate::canonical::Effort;
    let asked = request.reasoning.as_ref().filter(|_| target.reasons)?;
    let effort = match asked.mode {
        ReasoningMode::Disabled => Some(Effort::None),
        _ => asked.effort.or(asked.budget_tokens.map(Effort::of_budget)),
    };
    let mut members = Vec::new();
    members.extend(effort.map(|effort| ("effort", quoted(effort.word()))));
    let wants = matches!(asked.mode, ReasoningMode::Enabled | ReasoningMode::Adaptive);
    let summary = asked.shown.unwrap_or(wants);
    members.extend(summary.then(|| ("summary", quoted("auto"))));
    (!members.is_empty()).then(|| object(&members))
}

fn text(request: &Request) -> Option<String> {
    let mut members = Vec::new();
    match &request.format {
        None => {}
        Some(Format::JsonObject) => members.push(("format", object(&[("type", quoted("json_object"))]))),
        Some(Format::JsonSchema { name, description, schema, strict }) => {
            let name = name.as_deref().unwrap_or("response");
            let mut format = vec![("type", quoted("json_schema")), ("name", quoted(name)), ("schema", schema.clone())];
            format.extend(description.as_deref().map(|description| ("description", quoted(description))));
            format.extend(strict.map(|strict| ("strict", strict.to_string())));
            members.push(("format", object(&format)));
        }
    }
    members.extend(request.verbosity.as_deref().map(|verbosity| ("verbosity", quoted(verbosity))));
    (!members.is_empty()).then(|| object(&members))
}

struct Writer<'a> {
    target: &'a Target<'a>,
    request: &'a Request,
    items: Vec<String>,
    losses: &'a mut Losses,
}

impl Writer<'_> {
    /// The instructions as text; what is more than text becomes a message of the developer's.
    fn instructions(&mut self) -> Option<String> {
        let blocks = &self.request.instructions;
        let texts: Option<Vec<&str>> = blocks
            .iter()
            .map(|block| if let Block::Text(text) = block { Some(text.text.as_str()) } else { None })
            .collect();
        match texts {
            Some(texts) if texts.is_empty() => None,
            Some(texts) => Some(quoted(&texts.join("\n\n"))),
            None => {
                self.message("developer", blocks);
                None
            }
        }
    }

    fn turn(&mut self, turn: &Turn) {
        let role = match turn.role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        // Runs of content make messages; calls, results and reasoning are items between them.
        let mut run: Vec<Block> = Vec::new();
        for block in &turn.blocks {
            let item = match block {
                Block::ToolUse(call) => Some(call_item(call)),
                Block::ToolResult(result) => Some(self.result_item(result)),
                Block::Reasoning { opaque, .. } => self.reasoning_item(block, opaque.as_ref()),
                Block::Redacted(opaque) => self.reasoning_item(block, Some(opaque)),
                _ => {
                    run.push(block.clone());
                    continue;
                }
            };
            self.message(role, &std::mem::take(&mut run));
            self.items.extend(item);
        }
        self.message(role, &run);
    }

    fn message(&mut self, role: &str, blocks: &[Block]) {
        if blocks.is_empty() {
            return;
        }
        let parts: Vec<String> = blocks.iter().filter_map(|block| self.part(block, role == "assistant")).collect();
        let content = array(&parts);
        self.items.push(object(&[("type", quoted("message")), ("role", quoted(role)), ("content", content)]));
    }

    /// A part of a message; `None`: it has no place in one, and was counted.
    fn part(&mut self, block: &Block, of_assistant: bool) -> Option<String> {
        match block {
            Block::Text(Text { text, citations, .. }) if of_assistant => {
                let length = text.chars().count();
                let annotations: Vec<String> = citations.iter().filter_map(|one| annotation(one, length)).collect();
                (annotations.len()..citations.len()).for_each(|_| self.losses.add("citation"));
                Some(object(&[
                    ("type", quoted("output_text")),
                    ("text", quoted(text)),
                    ("annotations", array(&annotations)),
                ]))
            }
            Block::Text(text) => Some(input_text(&text.text)),
            Block::Refusal(text) => Some(object(&[("type", quoted("refusal")), ("refusal", quoted(text))])),
            Block::Image(_) | Block::Document(_) if of_assistant => {
                self.losses.add("image");
                None
            }
            Block::Image(image) => Some(image_part(image)),
            Block::Document(document) => Some(self.document_part(document)),
            Block::Reasoning { .. } | Block::Redacted(_) | Block::ToolUse(_) | Block::ToolResult(_) => {
                self.losses.add("block");
                None
            }
        }
    }

    fn document_part(&mut self, document: &Document) -> String {
        if document.citations {
            self.losses.add("document.citations");
        }
        let about = [document.title.as_deref(), document.context.as_deref()];
        match &document.source {
            DocumentSource::Base64 { media_type, data } => {
                if document.context.is_some() {
                    self.losses.add("document.context");
                }
                let name = document.title.as_deref().unwrap_or("document.pdf");
                let data = format!("data:{media_type};base64,{data}");
                object(&[("type", quoted("input_file")), ("filename", quoted(name)), ("file_data", quoted(&data))])
            }
            DocumentSource::Url(url) => {
                about.into_iter().flatten().for_each(|_| self.losses.add("document.title"));
                object(&[("type", quoted("input_file")), ("file_url", quoted(url))])
            }
            DocumentSource::Text(text) => {
                let parts: Vec<&str> = about.into_iter().flatten().chain([text.as_str()]).collect();
                input_text(&parts.join("\n\n"))
            }
            DocumentSource::Blocks(blocks) => {
                let mut texts: Vec<&str> = about.into_iter().flatten().collect();
                for block in blocks {
                    match block {
                        Block::Text(text) => texts.push(&text.text),
                        _ => self.losses.add("document.content"),
                    }
                }
                input_text(&texts.join("\n\n"))
            }
        }
    }

    fn result_item(&mut self, result: &ToolResult) -> String {
        if result.is_error {
            self.losses.add("is_error");
        }
        let kind = if result.kind == ToolKind::Custom { "custom_tool_call_output" } else { "function_call_output" };
        let output = match result.content.as_slice() {
            [] => quoted(""),
            [Block::Text(text)] => quoted(&text.text),
            blocks => array(&blocks.iter().filter_map(|block| self.part(block, false)).collect::<Vec<_>>()),
        };
        object(&[("type", quoted(kind)), ("call_id", quoted(&result.id)), ("output", output)])
    }

    /// Reasoning goes back to its maker alone, and only with the state behind it.
    fn reasoning_item(&mut self, block: &Block, opaque: Option<&Opaque>) -> Option<String> {
        let own = opaque.filter(|opaque| self.target.reasons && opaque.is_of(self.target.owner));
        let Some((id, encrypted)) = own.and_then(|opaque| opaque.data.split_once('.')) else {
            self.losses.add("reasoning");
            return None;
        };
        let summary = match block {
            Block::Reasoning { text, .. } if !text.is_empty() => {
                vec![object(&[("type", quoted("summary_text")), ("text", quoted(text))])]
            }
            _ => Vec::new(),
        };
        let mut members = vec![("type", quoted("reasoning"))];
        members.extend((!id.is_empty()).then(|| ("id", quoted(id))));
        members.extend([("summary", array(&summary)), ("encrypted_content", quoted(encrypted))]);
        Some(object(&members))
    }
}

fn input_text(text: &str) -> String {
    object(&[("type", quoted("input_text")), ("text", quoted(text))])
}

fn image_part(image: &Image) -> String {
    let url = match &image.source {
        ImageSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
        ImageSource::Url(url) => url.clone(),
    };
    let detail = image.detail.as_deref().unwrap_or("auto");
    object(&[("type", quoted("input_image")), ("image_url", quoted(&url)), ("detail", quoted(detail))])
}

fn call_item(call: &ToolUse) -> String {
    let (kind, field) = match call.kind {
        ToolKind::Function => ("function_call", "arguments"),
        ToolKind::Custom => ("custom_tool_call", "input"),
    };
    object(&[
        ("type", quoted(kind)),
        ("call_id", quoted(&call.id)),
        ("name", quoted(&call.name)),
        (field, quoted(&call.input)),
    ])
}
