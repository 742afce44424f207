//! Tools: as the client names them, and as an upstream must.

use std::collections::BTreeMap;

use super::block::CacheMark;

/// A tool that the client runs. Tools that a provider runs are refused before anything is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name as an upstream is told it: see [`ToolNames`].
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it takes.
    pub kind: ToolKind,
    /// For a function: the JSON schema of its arguments, as JSON text; `None`: it takes none. For a
    /// custom tool: its `format`, as JSON text.
    pub schema: Option<String>,
    /// Whether arguments must keep to the schema.
    pub strict: Option<bool>,
    /// Caching ends behind it.
    pub cache: Option<CacheMark>,
}

/// What a tool takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ToolKind {
    /// A JSON object.
    #[default]
    Function,
    /// Any text (OpenAI's `custom` tools).
    Custom,
}

/// Which tool the model is to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// Its own choice.
    Auto,
    /// None.
    None,
    /// Any, but one.
    Required,
    /// This one; the name as an upstream is told it.
    Named(String),
    /// One of these.
    Allowed {
        /// Whether one must be called.
        required: bool,
        /// Names as an upstream is told them.
        names: Vec<String>,
    },
}

/// A tool as the client knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTool {
    /// Its name.
    pub name: String,
    /// The `namespace` tool that it stands in (Codex).
    pub namespace: Option<String>,
    /// What it takes.
    pub kind: ToolKind,
}

/// From the names that an upstream uses back to the client's own. Holds only what differs: a function
/// under its own name is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolNames(BTreeMap<String, ClientTool>);

/// The longest name of a function that every provider takes.
const MAX_NAME_BYTES: usize = 64;

impl ToolNames {
    /// The name under which an upstream is told of `tool`: its own, else `namespace__name`, made of
    /// ASCII letters, digits, `_` and `-` and short enough for every provider, and unlike all others.
    pub fn declare(&mut self, tool: ClientTool) -> String {
        let joined = match &tool.namespace {
            Some(namespace) => format!("{namespace}__{}", tool.name),
            None => tool.name.clone(),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let clean: String = joined.chars().map(|c| if fits(c) { c } else { '_' }).take(MAX_NAME_BYTES).collect();
        let mut name = clean.clone();
        let mut next: u32 = 2;
        while self.0.get(&name).is_some_and(|taken| *taken != tool) {
            let suffix = format!("_{next}");
            let kept = MAX_NAME_BYTES.saturating_sub(suffix.len());
            name = clean.chars().take(kept).collect::<String>() + &suffix;
            next = next.saturating_add(1);
        }
        if name != tool.name || tool.kind == ToolKind::Custom || tool.namespace.is_some() {
            self.0.insert(name.clone(), tool);
        }
        name
    }

    /// The upstream's name of a tool that the client names so.
    #[must_use]
    pub fn upstream_name(&self, name: &str, namespace: Option<&str>) -> String {
        let declared = self.0.iter().find(|(_, tool)| tool.name == name && tool.namespace.as_deref() == namespace);
        declared.map_or_else(|| name.to_owned(), |(upstream, _)| upstream.clone())
    }

    /// The client's tool behind an upstream's name.
    #[must_use]
    pub fn client(&self, name: &str) -> ClientTool {
        let plain = || ClientTool { name: name.to_owned(), ..ClientTool::default() };
        self.0.get(name).cloned().unwrap_or_else(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, namespace: Option<&str>) -> ClientTool {
        ClientTool { name: name.into(), namespace: namespace.map(String::from), kind: ToolKind::Function }
    }

    #[test]
    fn names_are_flattened_and_restored() {
        let mut names = ToolNames::default();
        assert_eq!(names.declare(tool("read", None)), "read");
        let flat = names.declare(tool("spawn", Some("multi_agent_v1")));
        assert_eq!(flat, "multi_agent_v1__spawn");
        assert_eq!(names.client(&flat), tool("spawn", Some("multi_agent_v1")));
        assert_eq!(names.upstream_name("spawn", Some("multi_agent_v1")), flat);
        assert_eq!(names.client("read"), tool("read", None));
        let long = names.declare(tool(&"x".repeat(100), None));
        let other = names.declare(tool(&"x".repeat(99), None));
        assert!(long.len() == 64 && other.len() == 64 && long != other);
        assert_eq!(names.client(&other).name.len(), 99);
        assert_eq!(names.declare(tool("a b.c", None)), "a_b_c");
    }
}
