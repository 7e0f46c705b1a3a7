//! From a path in a module to the file that defines what it names, through imports, re-exports and globs.

use std::collections::HashSet;

use super::modules::{Crate, Definition, FileId, ModuleId};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Item { file: FileId, name: String },
    Module(ModuleId),
}

/// What is being looked up further up the stack; globs may import each other.
type Asked = HashSet<(ModuleId, String)>;

impl Crate {
    /// Everything in this crate that the path may name; nothing for what other crates define.
    pub fn resolve(&self, from: ModuleId, path: &[String]) -> Vec<Target> {
        self.resolve_path(from, path, &mut Asked::new())
    }

    /// A `macro_rules` macro is also seen by the modules below the one that defines it.
    pub fn resolve_macro(&self, from: ModuleId, name: &str) -> Vec<Target> {
        let mut module = Some(from);
        while let Some(id) = module {
            let found = self.look_up(id, name, &mut Asked::new());
            let defines = |d: &Definition| matches!(d, Definition::MacroRules);
            if (id == from && !found.is_empty())
                || self.modules[id].names.get(name).is_some_and(|d| d.iter().any(defines))
            {
                return found;
            }
            module = self.modules[id].parent;
        }
        Vec::new()
    }

    fn resolve_path(&self, from: ModuleId, path: &[String], asked: &mut Asked) -> Vec<Target> {
        let Some((first, mut rest)) = path.split_first() else { return Vec::new() };
        let mut found = match first.as_str() {
            "crate" => vec![Target::Module(0)],
            "self" => vec![Target::Module(from)],
            "super" => {
                let mut above = self.modules[from].parent;
                while let (Some(id), Some(("super", further))) =
                    (above, rest.split_first().map(|(first, further)| (first.as_str(), further)))
                {
                    (above, rest) = (self.modules[id].parent, further);
                }
                above.map(Target::Module).into_iter().collect()
            }
            name => self.look_up(from, name, asked),
        };
        for name in rest {
            found = found.into_iter().flat_map(|target| self.inside(target, name, asked)).collect();
        }
        found
    }

    /// What belongs to a type (a variant, a method) is where the type is.
    fn inside(&self, target: Target, name: &str, asked: &mut Asked) -> Vec<Target> {
        match target {
            Target::Item { .. } => vec![target],
            Target::Module(id) => self.look_up(id, name, asked),
        }
    }

    fn look_up(&self, module: ModuleId, name: &str, asked: &mut Asked) -> Vec<Target> {
        let key = (module, name.to_owned());
        let here = &self.modules[module];
        let definitions = here.names.get(name);
        if !asked.insert(key.clone()) {
            // `use plan::plan` beside `mod plan`: the module is what the import's own path begins with.
            return definitions.into_iter().flatten().filter_map(|d| self.own(module, name, d)).collect();
        }
        let found = match definitions {
            Some(definitions) => definitions
                .iter()
                .flat_map(|definition| match definition {
                    Definition::Import(path) => self.resolve_path(module, path, asked),
                    own => self.own(module, name, own).into_iter().collect(),
                })
                .collect(),
            None => here
                .globs
                .iter()
                .flat_map(|path| match self.resolve_path(module, path, asked).as_slice() {
                    [Target::Module(id)] => self.look_up(*id, name, asked),
                    _ => Vec::new(),
                })
                .collect(),
        };
        asked.remove(&key);
        found
    }

    /// What the module defines itself.
    fn own(&self, module: ModuleId, name: &str, definition: &Definition) -> Option<Target> {
        match definition {
            Definition::Item | Definition::MacroRules => {
                Some(Target::Item { file: self.modules[module].file, name: name.to_owned() })
            }
            Definition::Module(id) => Some(Target::Module(*id)),
            Definition::Import(_) => None,
        }
    }
}
