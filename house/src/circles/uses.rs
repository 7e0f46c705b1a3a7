//! Which names a file uses of which other file of its crate.
//!
//! A private `use` is a use, for a trait may be imported for its methods alone. A `pub use` is none: it is a way to the name, and
//! who goes that way uses the file that defines it. What a macro is given is read word by word. A method that is called on a value
//! is not looked up: its type is not known here.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{
    Attribute, ExprPath, Field, ImplItem, ImplItemFn, Item, ItemFn, ItemMacro, ItemUse, Local, Macro, Meta,
    PatIdent, Path, Variant,
    visit::{self, Visit},
};

use super::{
    modules::{Crate, FileId, ModuleId, attributes, is_private, is_test, leaves},
    resolve::Target,
};

/// The names that the first file uses of the second.
pub type Edges = BTreeMap<(FileId, FileId), BTreeSet<String>>;

pub fn edges(krate: &Crate) -> Edges {
    let mut uses = Uses { krate, module: 0, bound: HashSet::new(), edges: Edges::new() };
    for (module, of) in krate.modules.iter().enumerate() {
        uses.module = module;
        of.items.iter().for_each(|item| uses.visit_item(item));
    }
    uses.edges
}

struct Uses<'k> {
    krate: &'k Crate,
    module: ModuleId,
    /// The variables of the function that is being read; they hide what has the same name outside.
    bound: HashSet<String>,
    edges: Edges,
}

impl Uses<'_> {
    fn used(&mut self, path: &[String]) {
        let targets = self.krate.resolve(self.module, path);
        self.record(targets);
    }

    fn record(&mut self, targets: Vec<Target>) {
        let user = self.krate.modules[self.module].file;
        for target in targets {
            if let Target::Item { file, name } = target
                && file != user
            {
                self.edges.entry((user, file)).or_default().insert(name);
            }
        }
    }

    fn within(&mut self, variables: Variables, read: impl FnOnce(&mut Self)) {
        let outer = self.bound.clone();
        self.bound.extend(variables.0);
        read(self);
        self.bound = outer;
    }

    /// Paths in the tokens that a macro or an attribute is given.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(_) => {
                    let (path, next) = path_at(&tokens, at);
                    let before = at.checked_sub(1).and_then(|at| punct(&tokens, at));
                    self.words(&path, before, tokens.get(next));
                    at = next;
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn words(&mut self, path: &[String], before: Option<char>, after: Option<&TokenTree>) {
        let is_path = path.len() > 1 && before != Some('.');
        let is_field_or_fragment = matches!(before, Some('.' | '$'));
        let is_type = path[0].starts_with(char::is_uppercase);
        let is_called = matches!(after, Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis);
        let is_macro = matches!(after, Some(TokenTree::Punct(p)) if p.as_char() == '!');
        if is_path || (!is_field_or_fragment && (is_type || is_called && !self.bound.contains(&path[0]))) {
            self.used(path);
        } else if is_macro && !is_field_or_fragment {
            let targets = self.krate.resolve_macro(self.module, &path[0]);
            self.record(targets);
        }
    }
}

/// `a::b::c`, and where it ends.
fn path_at(tokens: &[TokenTree], start: usize) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    let mut at = start;
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        path.push(word.to_string());
        at += 1;
        let more = punct(tokens, at) == Some(':') && punct(tokens, at + 1) == Some(':');
        if !more || !matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))) {
            break;
        }
        at += 2;
    }
    (path, at)
}

fn punct(tokens: &[TokenTree], at: usize) -> Option<char> {
    match tokens.get(at) {
        Some(TokenTree::Punct(p)) => Some(p.as_char()),
        _ => None,
    }
}

fn words_of(path: &Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

impl<'a> Visit<'a> for Uses<'_> {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'a ImplItem) {
        let attributes = match item {
            ImplItem::Const(i) => &i.attrs,
            ImplItem::Fn(i) => &i.attrs,
            ImplItem::Type(i) => &i.attrs,
            _ => return visit::visit_impl_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'a Field) {
        if !is_test(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_variant(&mut self, variant: &'a Variant) {
        if !is_test(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_local(&mut self, local: &'a Local) {
        if !is_test(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_item_use(&mut self, item: &'a ItemUse) {
        if is_private(&item.vis) {
            leaves(item).iter().for_each(|leaf| self.used(&leaf.path));
        }
    }

    fn visit_item_fn(&mut self, function: &'a ItemFn) {
        let mut variables = Variables::default();
        variables.visit_item_fn(function);
        self.within(variables, |uses| visit::visit_item_fn(uses, function));
    }

    fn visit_impl_item_fn(&mut self, function: &'a ImplItemFn) {
        let mut variables = Variables::default();
        variables.visit_impl_item_fn(function);
        self.within(variables, |uses| visit::visit_impl_item_fn(uses, function));
    }

    fn visit_expr_path(&mut self, path: &'a ExprPath) {
        let is_variable = path.path.get_ident().is_some_and(|name| self.bound.contains(&name.to_string()));
        if !is_variable {
            visit::visit_expr_path(self, path);
        }
    }

    fn visit_pat_ident(&mut self, pattern: &'a PatIdent) {
        if is_constant(pattern) {
            self.used(&[pattern.ident.to_string()]);
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_path(&mut self, path: &'a Path) {
        if path.leading_colon.is_none() {
            self.used(&words_of(path));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a Macro) {
        match call.path.get_ident() {
            Some(name) => {
                let targets = self.krate.resolve_macro(self.module, &name.to_string());
                self.record(targets);
            }
            None => self.visit_path(&call.path),
        }
        self.tokens(call.tokens.clone());
    }

    fn visit_item_macro(&mut self, item: &'a ItemMacro) {
        if item.ident.is_some() {
            self.tokens(item.mac.tokens.clone());
        } else {
            visit::visit_item_macro(self, item);
        }
    }

    /// Only what an attribute is given may be ours; what it links to in documentation is no use.
    fn visit_attribute(&mut self, attribute: &'a Attribute) {
        if let Meta::List(list) = &attribute.meta
            && !list.path.is_ident("derive")
        {
            self.tokens(list.tokens.clone());
            for word in list.tokens.clone() {
                if let TokenTree::Literal(literal) = word
                    && let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string())
                    && let Ok(path) = text.parse::<Path>()
                    && path.segments.len() > 1
                {
                    self.used(&words_of(&path));
                }
            }
        }
    }
}

/// A pattern of one upper-case word is a constant or a variant and binds nothing.
fn is_constant(pattern: &PatIdent) -> bool {
    pattern.ident.to_string().starts_with(char::is_uppercase)
}

#[derive(Default)]
struct Variables(HashSet<String>);

impl<'a> Visit<'a> for Variables {
    fn visit_pat_ident(&mut self, pattern: &'a PatIdent) {
        if !is_constant(pattern) {
            self.0.insert(pattern.ident.to_string());
        }
        visit::visit_pat_ident(self, pattern);
    }
}
