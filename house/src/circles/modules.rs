//! The modules of one crate, as its sources declare them: which file each is in, what it defines and what it imports.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Item, ItemUse, Meta, Token, UseTree, Visibility,
    punctuated::Punctuated,
    visit::{self, Visit},
};

/// Reads a source; made-up trees have one of their own.
pub type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

pub type FileId = usize;
pub type ModuleId = usize;

#[derive(Default)]
pub struct Crate {
    pub files: Vec<PathBuf>,
    /// The first one is the root.
    pub modules: Vec<Module>,
}

pub struct Module {
    pub file: FileId,
    pub parent: Option<ModuleId>,
    pub items: Vec<Item>,
    /// A name may stand for several things, for types, values and macros have spaces of their own.
    pub names: BTreeMap<String, Vec<Definition>>,
    pub globs: Vec<Vec<String>>,
}

#[derive(Clone)]
pub enum Definition {
    Item,
    MacroRules,
    Module(ModuleId),
    Import(Vec<String>),
}

impl Crate {
    pub fn load(root: &Path, read: Read<'_>) -> Self {
        let mut found = Self::default();
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        found.load_file(root, &folder, None, read);
        found
    }

    fn load_file(
        &mut self,
        path: &Path,
        folder: &Path,
        parent: Option<ModuleId>,
        read: Read<'_>,
    ) -> ModuleId {
        let text = read(path).unwrap_or_else(|| panic!("{} is declared and cannot be read", path.display()));
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|e| panic!("{} does not parse: {e}", path.display()));
        self.files.push(path.to_owned());
        self.add_module(self.files.len() - 1, folder, parent, parsed.items, read)
    }

    /// `folder` is where the files of the module's children are.
    fn add_module(
        &mut self,
        file: FileId,
        folder: &Path,
        parent: Option<ModuleId>,
        items: Vec<Item>,
        read: Read<'_>,
    ) -> ModuleId {
        let id = self.modules.len();
        self.modules.push(Module {
            file,
            parent,
            items: Vec::new(),
            names: BTreeMap::new(),
            globs: Vec::new(),
        });
        let mut kept = Vec::new();
        for item in items.into_iter().filter(|i| !is_test(attributes(i))) {
            if let Item::Mod(child) = item {
                let name = child.ident.to_string();
                let child = match child.content {
                    Some((_, items)) => self.add_module(file, &folder.join(&name), Some(id), items, read),
                    None => {
                        let (path, below) = self.child_file(file, folder, &name, &child.attrs, read);
                        self.load_file(&path, &below, Some(id), read)
                    }
                };
                self.modules[id].define(name, Definition::Module(child));
            } else {
                self.modules[id].declare(&item);
                kept.push(item);
            }
        }
        self.modules[id].items = kept;
        id
    }

    fn child_file(
        &self,
        file: FileId,
        folder: &Path,
        name: &str,
        attributes: &[Attribute],
        read: Read<'_>,
    ) -> (PathBuf, PathBuf) {
        if let Some(given) = attributes.iter().find_map(path_attribute) {
            let path = self.files[file].parent().unwrap_or(Path::new("")).join(given);
            let below = path.parent().unwrap_or(Path::new("")).to_owned();
            return (path, below);
        }
        let (beside, below) = (folder.join(format!("{name}.rs")), folder.join(name));
        let path = if read(&beside).is_some() { beside } else { below.join("mod.rs") };
        (path, below)
    }
}

impl Module {
    fn define(&mut self, name: String, definition: Definition) {
        self.names.entry(name).or_default().push(definition);
    }

    fn declare(&mut self, item: &Item) {
        let name = match item {
            Item::Const(i) => Some(&i.ident),
            Item::Enum(i) => Some(&i.ident),
            Item::Fn(i) => Some(&i.sig.ident),
            Item::Static(i) => Some(&i.ident),
            Item::Struct(i) => Some(&i.ident),
            Item::Trait(i) => Some(&i.ident),
            Item::TraitAlias(i) => Some(&i.ident),
            Item::Type(i) => Some(&i.ident),
            Item::Union(i) => Some(&i.ident),
            Item::Macro(i) => {
                if let Some(name) = &i.ident {
                    self.define(name.to_string(), Definition::MacroRules);
                }
                None
            }
            _ => None,
        };
        if let Some(name) = name {
            self.define(name.to_string(), Definition::Item);
        }
        // What a function imports for itself is taken for the module's: names mean one thing in a file.
        let mut imports = Imports(Vec::new());
        imports.visit_item(item);
        for import in imports.0 {
            match import.name {
                Some(name) if name != "_" => self.define(name, Definition::Import(import.path)),
                Some(_) => {}
                None => self.globs.push(import.path),
            }
        }
    }
}

/// One leaf of a `use`; a glob has no name.
pub struct Import {
    pub path: Vec<String>,
    pub name: Option<String>,
}

struct Imports(Vec<Import>);

impl<'a> Visit<'a> for Imports {
    fn visit_item_use(&mut self, item: &'a ItemUse) {
        self.0.extend(leaves(item));
    }

    fn visit_item(&mut self, item: &'a Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }
}

pub fn leaves(item: &ItemUse) -> Vec<Import> {
    let mut found = Vec::new();
    if item.leading_colon.is_none() {
        collect_leaves(&item.tree, &mut Vec::new(), &mut found);
    }
    found
}

fn collect_leaves(tree: &UseTree, prefix: &mut Vec<String>, found: &mut Vec<Import>) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            collect_leaves(&path.tree, prefix, found);
            prefix.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| collect_leaves(tree, prefix, found)),
        UseTree::Glob(_) => found.push(Import { path: prefix.clone(), name: None }),
        UseTree::Name(name) => found.push(import(prefix, &name.ident.to_string(), None)),
        UseTree::Rename(name) => {
            found.push(import(prefix, &name.ident.to_string(), Some(name.rename.to_string())))
        }
    }
}

/// `a::{self}` and `a::{self as b}` import `a`.
fn import(prefix: &[String], last: &str, renamed: Option<String>) -> Import {
    let mut path = prefix.to_vec();
    if last != "self" || path.is_empty() {
        path.push(last.to_owned());
    }
    let name = renamed.or_else(|| path.last().cloned());
    Import { path, name }
}

pub fn is_private(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Inherited)
}

/// Whether the thing is there in tests alone.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<Meta>().is_ok_and(|meta| needs_test(&meta))
    })
}

fn needs_test(meta: &Meta) -> bool {
    let Meta::List(list) = meta else { return meta.path().is_ident("test") };
    let Ok(inner) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) else {
        return false;
    };
    match list.path.get_ident().map(ToString::to_string).as_deref() {
        Some("all") => inner.iter().any(needs_test),
        Some("any") => inner.iter().all(needs_test),
        _ => false,
    }
}

fn path_attribute(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &pair.value else { return None };
    pair.path.is_ident("path").then(|| text.value())
}

pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::ExternCrate(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::ForeignMod(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::TraitAlias(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Union(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}
