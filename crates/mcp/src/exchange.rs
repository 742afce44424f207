//! One HTTP request and its answer: which era it belongs to, whether its headers and its body agree, and
//! how results are wrapped.
//!
//! The one rule: the era is decided by what a request says of itself, never by what came before.

use std::borrow::Cow;

use billing::ledger::Permission;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::asked::Asked;
use crate::rpc::{self, Fault, Message, Reply};
use crate::tool::{self, Tool};
use crate::version::{self, CLIENT_CAPABILITIES, Era, LEGACY, MODERN, PROTOCOL_VERSION};
use crate::{prompt, resource};

/// How long a client may keep a list, in milliseconds: five minutes, for a catalogue changes by the day.
const TTL_MS: u64 = 300_000;

/// The headers that the protocol reads; `None`: not sent.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    /// `MCP-Protocol-Version`
    pub protocol_version: Option<String>,
    /// `Mcp-Method`
    pub method: Option<String>,
    /// `Mcp-Name`
    pub name: Option<String>,
}

/// What a body was.
#[derive(Debug)]
pub enum Opened {
    /// A request that has to be answered.
    Request(Box<Exchange>),
    /// Nothing is to be done: this is the answer.
    Done(Reply),
}

/// A request on its way to its answer.
#[derive(Debug)]
pub struct Exchange {
    /// What is asked for.
    pub asked: Asked,
    /// Names this request in `notifications/progress`, as JSON text; `None`: nobody wants any.
    progress_token: Option<Box<RawValue>>,
    id: Box<RawValue>,
    era: Era,
}

/// What is read of the params of every request. A body may be large and of very many parts, so what is not
/// wanted is passed over, and what is wanted stays where it is.
#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<&'a RawValue>,
    /// Of a tool or a prompt.
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    /// Of a resource.
    #[serde(borrow, default)]
    uri: Option<&'a RawValue>,
}

/// What is read of `params._meta`.
#[derive(Default, Deserialize)]
struct Meta<'a> {
    /// [`PROTOCOL_VERSION`]
    #[serde(borrow, default, rename = "io.modelcontextprotocol/protocolVersion", deserialize_with = "rpc::present")]
    version: Option<&'a RawValue>,
    /// [`CLIENT_CAPABILITIES`]
    #[serde(borrow, default, rename = "io.modelcontextprotocol/clientCapabilities")]
    capabilities: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
}

impl Exchange {
    /// Reads a request.
    ///
    /// # Errors
    /// The answer that refuses it.
    pub fn open(headers: &Headers, body: &str) -> Result<Opened, Reply> {
        let message = rpc::parse(body).map_err(|(fault, id)| fault.reply(id.as_deref()))?;
        let (id, method, params) = match message {
            Message::Request { id, method, params } => (Some(id), method, params),
            Message::Notification { method, params } => (None, method, params),
            Message::Answer => return Ok(Opened::Done(Reply { status: 202, body: None })),
        };
        let refuse = |fault: Fault| fault.reply(id.as_deref());
        let text = params.map_or("{}", RawValue::get);
        let shape = || Fault::invalid_params("The params are of a wrong shape.");
        let read: Params<'_> = serde_json::from_str(text).map_err(|_| refuse(shape()))?;
        let meta: Meta<'_> = match read.meta.map(RawValue::get) {
            None => Meta::default(),
            // An array of its members would do for serde.
            Some(meta) if !meta.starts_with('{') => return Err(refuse(shape())),
            Some(meta) => serde_json::from_str(meta).map_err(|_| refuse(shape()))?,
        };
        let era = era_of(headers, &method, &meta).map_err(refuse)?;
        if era == Era::Modern {
            check_modern(headers, &method, &read, &meta, id.is_some()).map_err(refuse)?;
        }
        let Some(id) = id else { return Ok(Opened::Done(Reply { status: 202, body: None })) };
        let asked = Asked::read(&method, text, era).map_err(|fault| of_era(&fault, era).reply(Some(&id)))?;
        // What cannot name a request names no progress.
        let progress_token = meta.progress_token.filter(|token| rpc::is_id(token.get())).map(ToOwned::to_owned);
        Ok(Opened::Request(Box::new(Self { asked, progress_token, id, era })))
    }

    /// The answer, where nothing but the caller's permissions is needed for it.
    #[must_use]
    pub fn plain(&self, permissions: &[Permission]) -> Option<Reply> {
        let may_call = |tool: Tool| permissions.contains(&tool.permission());
        Some(self.result(match &self.asked {
            Asked::Initialize(version) => json!({
                "protocolVersion": version,
                "capabilities": version::capabilities(),
                "serverInfo": version::server_info(),
                "instructions": version::INSTRUCTIONS,
            }),
            Asked::Discover => json!({
                "supportedVersions": version::supported(),
                "capabilities": version::capabilities(),
                "instructions": version::INSTRUCTIONS,
            }),
            Asked::Ping => json!({}),
            Asked::ListTools => tool::list(may_call),
            Asked::ListResources => resource::list(permissions),
            Asked::ListTemplates => resource::templates(permissions),
            Asked::ListPrompts => prompt::list(permissions),
            Asked::GetPrompt(prompt, arguments) => match prompt.get(arguments) {
                Ok(got) => got,
                Err(fault) => return Some(self.fault(&fault)),
            },
            Asked::CompleteNothing => resource::completion(&[]),
            Asked::CallTool(..) | Asked::ReadResource(_) | Asked::CompleteModel(_) => return None,
        }))
    }

    /// Answers with a result, an object.
    #[must_use]
    pub fn result(&self, result: Value) -> Reply {
        let Value::Object(mut members) = result else {
            return self.fault(&Fault::internal("The result is no object."));
        };
        if self.era == Era::Modern {
            members.insert("resultType".into(), "complete".into());
            members.insert("_meta".into(), json!({ version::SERVER_INFO: version::server_info() }));
            if self.asked.may_be_kept() {
                members.insert("ttlMs".into(), TTL_MS.into());
                // What is listed depends on the key.
                members.insert("cacheScope".into(), "private".into());
            }
        }
        Reply { status: 200, body: Some(rpc::result(&self.id, &Value::Object(members))) }
    }

    /// Answers with an error.
    #[must_use]
    pub fn fault(&self, fault: &Fault) -> Reply {
        of_era(fault, self.era).reply(Some(&self.id))
    }

    /// The result of a tool: `value` in both forms in which clients read it.
    #[must_use]
    pub fn tool_result(&self, value: Value) -> Reply {
        let text = value.to_string();
        self.result(
            json!({ "content": [{ "type": "text", "text": text }], "structuredContent": value, "isError": false }),
        )
    }

    /// A tool that did not do it, and what the caller can do about it.
    #[must_use]
    pub fn tool_error(&self, message: &str) -> Reply {
        self.result(json!({ "content": [{ "type": "text", "text": message }], "isError": true }))
    }

    /// The era's fault for a resource that is not there.
    #[must_use]
    pub fn no_such_resource(&self, uri: &str) -> Reply {
        self.fault(&Asked::no_such_resource(self.era, uri))
    }

    /// News of how far the request has come: `progress` grows, `message` may be empty; `None` where nobody
    /// asked for any.
    #[must_use]
    pub fn progress(&self, progress: u64, message: &str) -> Option<String> {
        let token = self.progress_token.as_ref()?;
        Some(rpc::progress(token, progress, message))
    }
}

/// Legacy clients read an error of a method that they called only where HTTP tells of none.
fn of_era(fault: &Fault, era: Era) -> Fault {
    let status = if era == Era::Legacy { 200 } else { fault.status };
    Fault { status, ..fault.clone() }
}

/// Which era a request belongs to: it says so in `_meta`, in its header, or by a method that only one has.
fn era_of(headers: &Headers, method: &str, meta: &Meta<'_>) -> Result<Era, Fault> {
    if meta.version.is_some() || method == "server/discover" {
        return Ok(Era::Modern);
    }
    // `initialize` negotiates the version, so a header cannot name one that both sides know.
    if method == "initialize" {
        return Ok(Era::Legacy);
    }
    match headers.protocol_version.as_deref() {
        // The header came with 2025-06-18.
        None => Ok(Era::Legacy),
        Some(known) if LEGACY.contains(&known) => Ok(Era::Legacy),
        Some(MODERN) => Ok(Era::Modern),
        Some(other) => Err(Fault::unsupported_version(other)),
    }
}

/// What a modern request must say of itself, in the order in which it is checked.
fn check_modern(
    headers: &Headers,
    method: &str,
    params: &Params<'_>,
    meta: &Meta<'_>,
    wants_answer: bool,
) -> Result<(), Fault> {
    let version = meta.version.and_then(rpc::text);
    let version = version.as_deref();
    if wants_answer {
        if version.is_none() {
            return Err(Fault::invalid_params(format!("params._meta must have {PROTOCOL_VERSION}, a string.")));
        }
        if !meta.capabilities.is_some_and(|capabilities| capabilities.get().starts_with('{')) {
            return Err(Fault::invalid_params(format!("params._meta must have {CLIENT_CAPABILITIES}, an object.")));
        }
    }
    agree("MCP-Protocol-Version", headers.protocol_version.as_deref(), version)?;
    agree("Mcp-Method", headers.method.as_deref(), Some(method))?;
    if let Some(named) = named(method, params) {
        let header = headers.name.as_deref().map(|header| decoded(header).ok_or_else(|| mismatch("Mcp-Name")));
        agree("Mcp-Name", header.transpose()?.as_deref(), Some(&named))?;
    }
    match version.or(headers.protocol_version.as_deref()) {
        None | Some(MODERN) => Ok(()),
        Some(other) => Err(Fault::unsupported_version(other)),
    }
}

/// What `Mcp-Name` must repeat.
fn named<'a>(method: &str, params: &Params<'a>) -> Option<Cow<'a, str>> {
    match method {
        "tools/call" | "prompts/get" => rpc::text(params.name?),
        "resources/read" => rpc::text(params.uri?),
        _ => None,
    }
}

/// A header must be there and say what the body says; `None`: the body does not say it.
fn agree(name: &str, header: Option<&str>, body: Option<&str>) -> Result<(), Fault> {
    match (header.map(str::trim), body) {
        (Some(header), Some(body)) if header != body => Err(mismatch(name)),
        (Some(_), _) => Ok(()),
        (None, _) => Err(Fault::header_mismatch(format!("The header {name} is missing."))),
    }
}

fn mismatch(name: &str) -> Fault {
    Fault::header_mismatch(format!("The header {name} does not say what the body says."))
}

/// A header that may be written as `=?base64?…?=`; `None`: it is not what it claims to be.
fn decoded(header: &str) -> Option<String> {
    let header = header.trim();
    match header.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        None => Some(header.to_owned()),
        Some(encoded) => String::from_utf8(BASE64.decode(encoded.as_bytes()).ok()?).ok(),
    }
}
