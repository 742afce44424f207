//! Which modules of a crate use which, read from the paths in the source text: `crate::…`, `super::…` and `self::…`.
//! The tests fail when the modules of a crate use one another in a circle.
//!
//! The one rule: a path leads to the module that defines its item. Where a module only re-exports the item of a
//! submodule (`pub use`), the path leads to the submodule; the re-export itself is no use. Test modules do not count.
//!
//! This is a reader for the house's own formatted source, not a parser of Rust: [`source`] removes comments, strings
//! and inline test modules, and [`paths`] reads the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

mod paths;
mod source;

/// The name of a module within its crate, such as `["store", "load"]`; empty: the crate's root.
pub type Module = Vec<String>;

/// The modules of one crate, and the modules that each of them uses.
#[derive(Debug, Default)]
pub struct Crate {
    modules: BTreeMap<Module, Text>,
}

/// The text of one module, without comments, strings and tests.
#[derive(Debug)]
struct Text {
    code: String,
    reexports: Vec<Module>,
}

impl Crate {
    /// Reads all `.rs` files below `folder`, a crate's `src`.
    ///
    /// # Errors
    /// The file that cannot be read.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut read = Self::default();
        read.read_folder(folder, &[])?;
        Ok(read)
    }

    fn read_folder(&mut self, folder: &Path, parent: &[String]) -> io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            // `tests.rs`, `tests/` and `snapshots/` hold no code that ships.
            if name == "tests" {
                continue;
            }
            let module = [parent, std::slice::from_ref(&name)].concat();
            if path.is_dir() {
                self.read_folder(&path, &module)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let is_parent = ["lib", "main", "mod"].contains(&name.as_str());
                self.add(if is_parent { parent.to_vec() } else { module }, &std::fs::read_to_string(&path)?);
            }
        }
        Ok(())
    }

    fn add(&mut self, module: Module, text: &str) {
        let code = source::without_tests(&source::without_words(text));
        let reexports = paths::reexports(&code, &module);
        self.modules.insert(module, Text { code, reexports });
    }

    /// The first circle, from its first module back to this; `None`: there is no circle.
    #[must_use]
    pub fn circle(&self) -> Option<Vec<String>> {
        let uses: BTreeMap<&Module, BTreeSet<Module>> =
            self.modules.iter().map(|(module, text)| (module, self.used_by(module, text))).collect();
        let mut finished = BTreeSet::new();
        uses.keys().find_map(|module| walk(module, &uses, &mut Vec::new(), &mut finished))
    }

    fn used_by(&self, module: &Module, text: &Text) -> BTreeSet<Module> {
        let paths = paths::used(&text.code, module);
        paths.iter().filter_map(|path| self.defining(path, 0)).filter(|used| used != module).collect()
    }

    /// The module that defines the item at `path`; `None`: the path does not lead into a module of this crate.
    fn defining(&self, path: &[String], depth: usize) -> Option<Module> {
        let module =
            (0..=path.len()).rev().filter_map(|n| path.get(..n)).find(|prefix| self.modules.contains_key(*prefix))?;
        let Some(item) = path.get(module.len()) else { return Some(module.to_vec()) };
        let reexported = |to: &&Module| to.last().is_some_and(|name| name == item || name == "*");
        let text = self.modules.get(module)?;
        // A re-export of a re-export: eight of them is more than anybody writes.
        let next = text.reexports.iter().filter(reexported).filter(|_| depth < 8);
        let mut next = next.filter_map(|to| {
            let (last, parent) = to.split_last()?;
            let to = if last == "*" { [parent, std::slice::from_ref(item)].concat() } else { to.clone() };
            self.defining(&to, depth.saturating_add(1)).filter(|found| found != module)
        });
        next.next().or_else(|| Some(module.to_vec()))
    }
}

/// Follows the uses of `module` until a module comes a second time.
fn walk(
    module: &Module,
    uses: &BTreeMap<&Module, BTreeSet<Module>>,
    way: &mut Vec<Module>,
    finished: &mut BTreeSet<Module>,
) -> Option<Vec<String>> {
    if let Some(begin) = way.iter().position(|other| other == module) {
        let circle = way.iter().skip(begin).chain([module]);
        return Some(circle.map(|module| format!("crate::{}", module.join("::"))).collect());
    }
    if finished.contains(module) {
        return None;
    }
    way.push(module.clone());
    let circle = uses.get(module).into_iter().flatten().find_map(|used| walk(used, uses, way, finished));
    way.pop();
    finished.insert(module.clone());
    circle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(files: &[(&str, &str)]) -> Option<String> {
        let mut read = Crate::default();
        for (module, text) in files {
            let module = module.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
            read.add(module, text);
        }
        read.circle().map(|circle| circle.join(" → "))
    }

    /// Add a crate here once its modules have no circles.
    #[test]
    fn the_modules_of_a_crate_use_one_another_without_a_circle() {
        for folder in ["durable_objects/src", "tests/layers/src"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
            let read = Crate::read(&path).unwrap();
            assert!(read.modules.len() > 2, "{folder} was not read");
            assert_eq!(read.circle(), None, "{folder}");
        }
    }

    #[test]
    fn a_circle_is_found_however_the_path_is_written() {
        let found = Some("crate::a → crate::b → crate::a".to_owned());
        for text in [
            "use crate::a::A;",
            "use crate::{c::C, a::{self, A}};",
            "use super::a::A;",
            "pub(crate) use crate::a::A;",
            "fn f() -> crate::a::A { todo() }",
            "use crate::{\n    c::C,\n    a,\n};",
        ] {
            assert_eq!(circle(&[("", ""), ("a", "use crate::b::B;"), ("b", text), ("c", "")]), found, "{text}");
        }
    }

    #[test]
    fn words_and_tests_are_no_use() {
        for text in [
            "// use crate::a::A;",
            "//! See [`crate::a`].",
            "const S: &str = \"crate::a\";",
            "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n",
            "use other_crate::a::A;",
        ] {
            assert_eq!(circle(&[("", ""), ("a", "use crate::b::B;"), ("b", text)]), None, "{text}");
        }
        let below = "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\n\nuse crate::a::A;\n";
        assert!(circle(&[("a", "use crate::b::B;"), ("b", below)]).is_some(), "code below the tests counts");
    }

    #[test]
    fn a_re_export_leads_to_the_module_that_defines_the_item() {
        // `ledger` shows what its submodules define, and they use one another through it.
        let facade = ("ledger", "mod key;\nmod state;\npub use key::{Key, Limits};\npub use state::*;");
        assert_eq!(circle(&[facade, ("ledger::key", ""), ("ledger::state", "use super::Key;")]), None);
        let both = [facade, ("ledger::key", "use crate::ledger::State;"), ("ledger::state", "use super::Key;")];
        assert_eq!(circle(&both).as_deref(), Some("crate::ledger::key → crate::ledger::state → crate::ledger::key"));
    }

    #[test]
    fn a_parent_may_hand_its_own_items_down_and_not_take_any_up() {
        let down = [("store", "mod load;\nconst OPEN: u8 = 0;"), ("store::load", "use super::OPEN;")];
        assert_eq!(circle(&down), None);
        let both = [("store", "mod load;\nuse load::read;\nconst OPEN: u8 = 0;"), ("store::load", "use super::OPEN;")];
        assert_eq!(circle(&both).as_deref(), Some("crate::store → crate::store::load → crate::store"));
    }
}
