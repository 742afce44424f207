//! Tools: as the client names them, and as an upstream must.

use std::collections::BTreeMap;

use super::block::CacheMark;
use crate::envelope::Envelope;
use crate::json_text;

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

/// The most tools of one request, those in namespaces included; no provider takes as many.
pub const MAX_TOOLS: usize = 1024;

/// The client's names of its tools, and those under which an upstream is told of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolNames {
    /// By the upstream's name.
    client: BTreeMap<String, ClientTool>,
    /// By the client's name and namespace; of two of one name, the first.
    upstream: BTreeMap<(String, Option<String>), String>,
    /// The next suffix of a name that several tools would have.
    suffixes: BTreeMap<String, u32>,
}

/// The longest name of a function that every provider takes.
const MAX_NAME_BYTES: usize = 64;

impl ToolNames {
    /// The name under which an upstream is told of `tool`: its own, else `namespace__name`, made of
    /// ASCII letters, digits, `_` and `-` and short enough for every provider, and unlike all others.
    pub fn declare(&mut self, tool: ClientTool) -> String {
        let key = (tool.name.clone(), tool.namespace.clone());
        if let Some(name) = self.upstream.get(&key)
            && self.client.get(name) == Some(&tool)
        {
            return name.clone();
        }
        let joined = match &tool.namespace {
            Some(namespace) => format!("{namespace}__{}", tool.name),
            None => tool.name.clone(),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let clean: String = joined.chars().map(|c| if fits(c) { c } else { '_' }).take(MAX_NAME_BYTES).collect();
        let next = self.suffixes.entry(clean.clone()).or_insert(2);
        let mut name = clean.clone();
        while self.client.contains_key(&name) {
            let suffix = format!("_{next}");
            let kept = MAX_NAME_BYTES.saturating_sub(suffix.len());
            name = clean.chars().take(kept).collect::<String>() + &suffix;
            *next = next.saturating_add(1);
        }
        self.client.insert(name.clone(), tool);
        self.upstream.entry(key).or_insert_with(|| name.clone());
        name
    }

    /// The upstream's name of a tool that the client names so.
    #[must_use]
    pub fn upstream_name(&self, name: &str, namespace: Option<&str>) -> String {
        self.declared(name, namespace).unwrap_or_else(|| name.to_owned())
    }

    /// As [`Self::upstream_name`]; `None`: there is no such tool.
    #[must_use]
    pub fn declared(&self, name: &str, namespace: Option<&str>) -> Option<String> {
        self.upstream.get(&(name.to_owned(), namespace.map(str::to_owned))).cloned()
    }

    /// The client's tool behind an upstream's name.
    #[must_use]
    pub fn client(&self, name: &str) -> ClientTool {
        let plain = || ClientTool { name: name.to_owned(), ..ClientTool::default() };
        self.client.get(name).cloned().unwrap_or_else(plain)
    }
}

/// The text out of the arguments `{"input": "…"}` of a function that stands for a custom tool, as far as
/// they go where they are cut off; what is none of that is the text itself.
#[must_use]
pub fn unwrapped_input(arguments: &str) -> String {
    let text = |json: &str| json_text::text(Envelope::parse(json).ok()?.present("input")?);
    let ended = || text(&format!("{}\"}}", arguments.trim_end_matches('\\')));
    text(arguments).or_else(ended).unwrap_or_else(|| arguments.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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

    #[test]
    fn no_two_tools_have_one_name_upstream_in_whatever_order_they_come() {
        let custom = ClientTool { kind: ToolKind::Custom, ..tool("a_b", None) };
        let tools = [tool("a_b", None), tool("a b", None), tool("b", Some("a_")), custom, tool("a__b", None)];
        for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [1, 0, 3, 4, 2]] {
            let mut names = ToolNames::default();
            let told: Vec<String> = order.iter().map(|at| names.declare(tools[*at].clone())).collect();
            assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), tools.len(), "{told:?}");
            for (at, name) in order.iter().zip(&told) {
                assert_eq!(names.client(name), tools[*at], "{told:?}");
            }
        }
        let mut names = ToolNames::default();
        assert_eq!((names.declare(tool("f", None)), names.declare(tool("f", None))), ("f".into(), "f".into()));
    }

    #[test]
    fn the_input_of_a_custom_tool_is_taken_out_of_its_arguments() {
        for (arguments, expected) in [
            (r#"{"input":"a\nb"}"#, "a\nb"),
            (r#"{"input":"a\"#, "a"),
            (r#"{"input":"half"#, "half"),
            (r#"{"input":"\ud83d"}"#, "\u{fffd}"),
            (r#"{"other":1}"#, r#"{"other":1}"#),
            ("plain", "plain"),
        ] {
            assert_eq!(unwrapped_input(arguments), expected);
        }
    }
}
