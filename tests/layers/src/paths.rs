//! The paths in code, as full names of items within the crate.

/// The items that the code re-exports with `pub use`, from its submodules or from elsewhere in the crate.
#[must_use]
pub fn reexports(code: &str, module: &[String]) -> Vec<Vec<String>> {
    uses(code).filter(|(is_public, _)| *is_public).flat_map(|(_, tree)| within_crate(&tree, module)).collect()
}

/// The items that the code uses: the paths of its private `use`, and the paths elsewhere that begin with `crate`, `super`
/// or `self`. A re-export from a submodule is no use; any other re-export is.
#[must_use]
pub fn used(code: &str, module: &[String]) -> Vec<Vec<String>> {
    let in_use = uses(code).flat_map(|(is_public, tree)| {
        let mut paths = within_crate(&tree, module);
        paths.retain(|path| !is_public || !path.starts_with(module));
        paths
    });
    let inline = starts(code, &["crate::", "super::", "self::"]).filter_map(|text| {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
        let in_use = code.get(..code.len().saturating_sub(text.len()))?.ends_with("use ");
        let path = text.get(..end)?;
        (!in_use).then(|| full(&names(path), module))
    });
    in_use.chain(inline).collect()
}

/// Each `use` of the code: whether it is public, and its tree of paths.
fn uses(code: &str) -> impl Iterator<Item = (bool, String)> {
    starts(code, &["use "]).filter_map(|text| {
        let tree = text.strip_prefix("use ")?.split(';').next()?;
        let before = code.get(..code.len().saturating_sub(text.len()))?;
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        let is_item = line.is_empty() || line == "pub" || (line.starts_with("pub(") && line.ends_with(')'));
        is_item.then(|| (line.starts_with("pub"), tree.split_whitespace().collect::<Vec<_>>().join(" ")))
    })
}

/// The text from each place on where one of these words begins.
fn starts<'a>(code: &'a str, words: &'a [&str]) -> impl Iterator<Item = &'a str> {
    code.char_indices().filter_map(move |(at, _)| {
        let (before, text) = code.split_at_checked(at)?;
        let is_start = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        (is_start && words.iter().any(|word| text.starts_with(word))).then_some(text)
    })
}

/// The paths of a tree such as `crate::{a::A, b}` as full names. A path that begins with another word than `crate`,
/// `super` or `self` may begin with a submodule, and is read as one: a name of another crate leads nowhere.
fn within_crate(tree: &str, module: &[String]) -> Vec<Vec<String>> {
    let flat = flatten(tree.trim());
    flat.into_iter().map(|path| full(&path, module)).collect()
}

fn full(path: &[String], module: &[String]) -> Vec<String> {
    let mut base = module.to_vec();
    let mut names = path.iter().peekable();
    if names.next_if(|name| *name == "crate").is_some() {
        base.clear();
    }
    while let Some(name) = names.next_if(|name| *name == "super" || *name == "self") {
        if name == "super" {
            base.pop();
        }
    }
    base.into_iter().chain(names.filter(|name| *name != "self").cloned()).collect()
}

/// `a::{b, c::{d, e}}` as `[a, b]`, `[a, c, d]`, `[a, c, e]`.
fn flatten(tree: &str) -> Vec<Vec<String>> {
    let Some((before, inner)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![names(path)];
    };
    let inner = inner.trim_end().strip_suffix('}').unwrap_or(inner);
    let branches = branches(inner).into_iter().filter(|branch| !branch.trim().is_empty());
    branches.flat_map(|branch| flatten(branch.trim())).map(|path| [names(before), path].concat()).collect()
}

fn names(path: &str) -> Vec<String> {
    path.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The parts between the commas that lie in no inner braces.
fn branches(inner: &str) -> Vec<String> {
    let mut branches = vec![String::new()];
    let mut depth = 0_usize;
    for c in inner.chars() {
        match c {
            '{' => depth = depth.saturating_add(1),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == ',' && depth == 0 {
            branches.push(String::new());
        } else if let Some(last) = branches.last_mut() {
            last.push(c);
        }
    }
    branches
}
