//! Tools of a request: who runs them, and what is said of them.

use crate::canonical::{ClientTool, Losses, MAX_TOOLS, Tool, ToolChoice, ToolKind, ToolNames, refused};
use crate::envelope::Envelope;
use crate::policy::{check_fields, not_priced};
use crate::request::{RequestError, as_array, as_string};

/// What is done with a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The client runs it.
    Kept,
    /// The provider would run it, at a price. Codex always offers a web search and cannot leave it out,
    /// so it is left out here, and named as lost.
    LeftOut,
}

/// What is done with one tool.
///
/// # Errors
/// [`RequestError`]: the provider would run it.
pub(super) fn fate(path: &str, json: &str) -> Result<Fate, RequestError> {
    let tool = object(path, json)?;
    check_fields(&tool, &["type", "name", "tools", "environment", "execution"])?;
    let kind = tool.string("type")?.ok_or_else(|| RequestError::missing(&format!("{path}.type")))?;
    let member = |key: &str, field: &str| {
        let inner = tool.present(key).and_then(|json| Envelope::parse(json).ok());
        inner.and_then(|inner| inner.present(field).and_then(as_string)).is_some_and(|value| value == "local")
    };
    match kind.as_ref() {
        "function" | "custom" | "local_shell" | "apply_patch" | "computer" | "computer_use_preview" => Ok(Fate::Kept),
        "namespace" => {
            for (at, inner) in tool.array("tools")?.unwrap_or_default().into_iter().enumerate() {
                let path = format!("{path}.tools[{at}]");
                match object(&path, inner)?.string("type")?.as_deref() {
                    Some("function" | "custom") => {}
                    _ => return Err(not_priced(&format!("{path}.type"))),
                }
            }
            Ok(Fate::Kept)
        }
        "shell" if member("environment", "type") => Ok(Fate::Kept),
        "tool_search" if tool.present("execution") == Some("\"client\"") => Ok(Fate::Kept),
        search if search.starts_with("web_search") => Ok(Fate::LeftOut),
        _ => Err(not_priced(&format!("{path}.type"))),
    }
}

/// Refuses a choice of a tool that a provider runs, and one of a tool where none is left.
///
/// # Errors
/// [`RequestError`].
pub(super) fn check_choice(choice: Option<&str>, any_left: bool, left_out: bool) -> Result<(), RequestError> {
    let Some(choice) = choice else { return Ok(()) };
    if let Some(mode) = as_string(choice) {
        return if mode == "required" && left_out && !any_left { Err(not_priced("tool_choice")) } else { Ok(()) };
    }
    let fields = object("tool_choice", choice)?;
    let runs_here = |kind: &str| {
        matches!(kind, "function" | "custom" | "shell" | "local_shell" | "apply_patch" | "computer")
            || kind == "computer_use_preview"
    };
    let kind = fields.string("type")?.ok_or_else(|| RequestError::missing("tool_choice.type"))?;
    match kind.as_ref() {
        "allowed_tools" => {
            for tool in fields.array("tools")?.unwrap_or_default() {
                let kind = object("tool_choice.tools", tool)?.string("type")?;
                if !kind.is_some_and(|kind| runs_here(&kind) || kind == "namespace") {
                    return Err(not_priced("tool_choice"));
                }
            }
            Ok(())
        }
        kind if runs_here(kind) => Ok(()),
        _ => Err(not_priced("tool_choice")),
    }
}

fn object<'a>(path: &str, json: &'a str) -> Result<Envelope<'a>, RequestError> {
    Envelope::parse(json).map_err(|_| RequestError::wrong_type(path, "an object with each field once"))
}

/// The tools of a request as upstreams are told of them.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub tools: Vec<Tool>,
    pub names: ToolNames,
    /// Whether there are more, which other dialects have no form for.
    left_out: bool,
}

impl Declared {
    /// Reads `tools`. One that the client runs and only this dialect knows is left out: the answer is
    /// the same without it, and programs such as Codex offer theirs whether the model knows it or not.
    ///
    /// # Errors
    /// [`RequestError`]: a tool is none, or the provider would run it.
    pub fn read(tools: &[&str], losses: &mut Losses) -> Result<Self, RequestError> {
        let mut declared = Self::default();
        for (at, json) in tools.iter().enumerate() {
            let path = format!("tools[{at}]");
            if fate(&path, json)? == Fate::LeftOut {
                continue;
            }
            let tool = object(&path, json)?;
            match tool.string("type")?.as_deref() {
                Some("namespace") => {
                    let namespace = required(&tool, &path, "name")?;
                    for (at, inner) in tool.array("tools")?.unwrap_or_default().into_iter().enumerate() {
                        let path = format!("{path}.tools[{at}]");
                        declared.declare(&path, &object(&path, inner)?, Some(&namespace), losses)?;
                    }
                }
                Some("function" | "custom") => declared.declare(&path, &tool, None, losses)?,
                kind => {
                    losses.add(kind.unwrap_or_default());
                    declared.left_out = true;
                }
            }
        }
        Ok(declared)
    }

    fn declare(
        &mut self,
        path: &str,
        tool: &Envelope<'_>,
        namespace: Option<&str>,
        losses: &mut Losses,
    ) -> Result<(), RequestError> {
        if self.tools.len() >= MAX_TOOLS {
            return Err(RequestError::field("tools", format!("there may be at most {MAX_TOOLS} tools")));
        }
        let custom = tool.string("type")?.as_deref() == Some("custom");
        let kind = if custom { ToolKind::Custom } else { ToolKind::Function };
        let own = required(tool, path, "name")?;
        let namespace = namespace.map(str::to_owned);
        let name = self.names.declare(ClientTool { name: own, namespace, kind });
        for (key, value) in tool.members() {
            let known = ["type", "name", "description", "parameters", "format", "strict"].contains(&key);
            if !known && !matches!(value, "null" | "false") {
                losses.add(key);
            }
        }
        self.tools.push(Tool {
            name,
            description: tool.string("description")?.map(std::borrow::Cow::into_owned),
            kind,
            schema: tool.present(if custom { "format" } else { "parameters" }).map(str::to_owned),
            strict: tool.boolean("strict")?,
            cache: None,
        });
        Ok(())
    }

    /// The upstream's name of a tool.
    pub fn upstream_name(&self, name: &str, namespace: Option<&str>) -> String {
        self.names.upstream_name(name, namespace)
    }

    /// Reads `tool_choice`.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn choice(&self, json: &str) -> Result<ToolChoice, RequestError> {
        if let Some(mode) = as_string(json) {
            return match mode.as_ref() {
                "auto" => Ok(ToolChoice::Auto),
                "none" => Ok(ToolChoice::None),
                "required" if self.left_out && self.tools.is_empty() => Err(refused("tool_choice")),
                "required" => Ok(ToolChoice::Required),
                _ => Err(RequestError::wrong_type("tool_choice", "`auto`, `none`, `required` or an object")),
            };
        }
        let choice = object("tool_choice", json)?;
        match choice.string("type")?.as_deref() {
            Some("function" | "custom") => Ok(ToolChoice::Named(self.chosen(&choice)?)),
            Some("allowed_tools") => {
                let mut names = Vec::new();
                for tool in choice.present("tools").and_then(as_array).unwrap_or_default() {
                    names.push(self.chosen(&object("tool_choice.tools", tool)?)?);
                }
                let required = choice.string("mode")?.as_deref() == Some("required");
                Ok(ToolChoice::Allowed { required, names })
            }
            _ => Err(refused("tool_choice")),
        }
    }

    fn chosen(&self, tool: &Envelope<'_>) -> Result<String, RequestError> {
        if !matches!(tool.string("type")?.as_deref(), Some("function" | "custom")) {
            return Err(refused("tool_choice"));
        }
        let name = required(tool, "tool_choice", "name")?;
        let namespace = tool.string("namespace")?.map(std::borrow::Cow::into_owned);
        let absent = || RequestError::field("tool_choice", "the field `tool_choice` names a tool that is not given");
        self.names.declared(&name, namespace.as_deref()).ok_or_else(absent)
    }
}

/// A string member that must be there.
pub(super) fn required(fields: &Envelope<'_>, path: &str, key: &str) -> Result<String, RequestError> {
    let value = fields.string(key).map_err(|error| within(path, error))?;
    value.map(std::borrow::Cow::into_owned).ok_or_else(|| RequestError::missing(&format!("{path}.{key}")))
}

/// The error with the whole path of its field.
pub(super) fn within(path: &str, error: RequestError) -> RequestError {
    let param = error.param.map_or_else(|| path.to_owned(), |param| format!("{path}.{param}"));
    RequestError { param: Some(param), ..error }
}
