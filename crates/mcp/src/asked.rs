//! What a request asks for, by its method.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;

use crate::prompt::{self, Prompt};
use crate::resource::{self, Resource};
use crate::rpc::Fault;
use crate::tool::Tool;
use crate::version::{self, Era};

/// How much of an unknown URI is repeated, in characters.
const MAX_URI_CHARS: usize = 256;

/// What is asked for.
#[derive(Debug)]
pub enum Asked {
    /// `initialize`, with the version that it is answered in.
    Initialize(&'static str),
    /// `server/discover`
    Discover,
    /// `ping`
    Ping,
    /// `tools/list`
    ListTools,
    /// `tools/call`, with the arguments as JSON text.
    CallTool(Tool, String),
    /// `resources/list`
    ListResources,
    /// `resources/templates/list`
    ListTemplates,
    /// `resources/read`; `Err`: no resource has this URI.
    ReadResource(Result<Resource, String>),
    /// `prompts/list`
    ListPrompts,
    /// `prompts/get`, with its arguments.
    GetPrompt(Prompt, prompt::Arguments),
    /// `completion/complete`: the beginning of a model's id.
    CompleteModel(String),
    /// `completion/complete` for what has no completions.
    CompleteNothing,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializeParams {
    protocol_version: String,
}

#[derive(Deserialize)]
struct CallParams {
    name: String,
    #[serde(default)]
    arguments: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct ReadParams {
    uri: String,
}

#[derive(Deserialize)]
struct PromptParams {
    name: String,
    #[serde(default)]
    arguments: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct CompleteParams {
    r#ref: CompleteRef,
    argument: CompleteArgument,
}

#[derive(Deserialize)]
struct CompleteRef {
    r#type: String,
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct CompleteArgument {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct ListParams {
    #[serde(default)]
    cursor: Option<String>,
}

impl Asked {
    /// Reads a method and its params.
    ///
    /// # Errors
    /// An unknown method, or params of another shape.
    pub(crate) fn read(method: &str, params: &str, era: Era) -> Result<Self, Fault> {
        Ok(match (method, era) {
            ("initialize", Era::Legacy) => {
                let InitializeParams { protocol_version } = parse(params, "initialize takes a protocolVersion.")?;
                Self::Initialize(version::negotiate(&protocol_version))
            }
            ("ping", Era::Legacy) => Self::Ping,
            ("server/discover", Era::Modern) => Self::Discover,
            ("tools/list", _) => list(Self::ListTools, params)?,
            ("resources/list", _) => list(Self::ListResources, params)?,
            ("resources/templates/list", _) => list(Self::ListTemplates, params)?,
            ("prompts/list", _) => list(Self::ListPrompts, params)?,
            ("tools/call", _) => {
                let call: CallParams = parse(params, "tools/call takes a name, a string, and arguments, an object.")?;
                let unknown = || Fault::invalid_params("There is no such tool. tools/list has all of them.");
                let tool = Tool::named(&call.name).ok_or_else(unknown)?;
                let arguments = call.arguments.map_or_else(|| "{}".into(), |text| text.get().to_owned());
                if !arguments.starts_with('{') {
                    return Err(Fault::invalid_params("The arguments of a tool must be an object."));
                }
                Self::CallTool(tool, arguments)
            }
            ("resources/read", _) => {
                let ReadParams { uri } = parse(params, "resources/read takes a uri, a string.")?;
                Self::ReadResource(Resource::parse(&uri).ok_or(uri))
            }
            ("prompts/get", _) => {
                let get: PromptParams = parse(params, "prompts/get takes a name, a string, and arguments, an object.")?;
                let unknown = || Fault::invalid_params("There is no such prompt. prompts/list has all of them.");
                let prompt = Prompt::named(&get.name).ok_or_else(unknown)?;
                Self::GetPrompt(prompt, prompt::Arguments::read(get.arguments.as_deref().map_or("{}", RawValue::get))?)
            }
            ("completion/complete", _) => complete(params)?,
            _ => return Err(Fault::method_not_found(method)),
        })
    }

    /// Whether a client may keep the answer for a while, and is told for how long.
    pub(crate) fn may_be_kept(&self) -> bool {
        matches!(
            self,
            Self::Discover
                | Self::ListTools
                | Self::ListResources
                | Self::ListTemplates
                | Self::ListPrompts
                | Self::ReadResource(_)
        )
    }

    /// The fault for a resource that is not there, as each era has it.
    pub(crate) fn no_such_resource(era: Era, uri: &str) -> Fault {
        let shown: String = uri.chars().take(MAX_URI_CHARS).collect();
        let data = json!({ "uri": shown });
        let fault = Fault { data: Some(data), ..Fault::invalid_params("There is no such resource.") };
        if era == Era::Legacy { Fault { code: -32002, ..fault } } else { fault }
    }
}

fn list(asked: Asked, params: &str) -> Result<Asked, Fault> {
    let params: ListParams = parse(params, "A cursor must be a string.")?;
    // Every list is one page, so no cursor is ours.
    if params.cursor.is_some_and(|cursor| !cursor.is_empty()) {
        return Err(Fault::invalid_params("There is no such cursor: the list has one page."));
    }
    Ok(asked)
}

fn complete(params: &str) -> Result<Asked, Fault> {
    let params: CompleteParams = parse(params, "completion/complete takes a ref and an argument with name and value.")?;
    let CompleteArgument { name, value } = params.argument;
    match params.r#ref {
        CompleteRef { r#type, uri: Some(uri), .. } if r#type == "ref/resource" => {
            if !resource::TEMPLATES.iter().any(|template| template.uri == uri) {
                return Err(Fault::invalid_params("There is no such resource template."));
            }
            let model = uri == resource::MODEL_TEMPLATE && name == "id";
            Ok(if model { Asked::CompleteModel(value) } else { Asked::CompleteNothing })
        }
        CompleteRef { r#type, name: Some(prompt), .. } if r#type == "ref/prompt" => match Prompt::named(&prompt) {
            Some(Prompt::ChooseModel) if name == "like" => Ok(Asked::CompleteModel(value)),
            Some(_) => Ok(Asked::CompleteNothing),
            None => Err(Fault::invalid_params("There is no such prompt.")),
        },
        _ => Err(Fault::invalid_params("A ref names a prompt or the URI of a resource template.")),
    }
}

fn parse<T: DeserializeOwned>(params: &str, shape: &str) -> Result<T, Fault> {
    serde_json::from_str(params).map_err(|_| Fault::invalid_params(shape))
}
