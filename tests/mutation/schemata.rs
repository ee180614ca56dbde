//! Finds mutants in a source file, and writes a text in which every mutant is present behind a switch (*mutant schemata*).
//!
//! `l + r` becomes `(if on(17) { (l) - (r) } else { l + r })`. The alternative quotes the original operands, and only the last
//! branch contains further switches, so that the text does not grow with the depth of nesting. The mutants are those of
//! cargo-mutants, one replacement for each operator and two for an inequality:
//!
//! - the body of a function is replaced by values of its return type,
//! - `+ - * / % << >> & | ^ && ||` and their assignments are exchanged, `==` and `!=` too,
//! - `<` becomes `<=` and `>=`, and so on,
//! - `!` and the unary minus are removed,
//! - an arm of a `match` before a wildcard is removed, and a guard is replaced by `true`.
//!
//! Left out: constants, `const fn`, patterns, types, tests, code for other systems, and the contents of macros, except those of
//! `vec!` and the formatting macros.

use std::ops::Range;

use anyhow::{Context, Result};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, Pat, ReturnType, Token, Type};

/// One wrong version of one place.
pub(crate) struct Mutant {
    pub(crate) path: String,
    pub(crate) line: usize,
    /// Function, original and replacement. Unique in a file, and independent of the line.
    pub(crate) name: String,
}

impl std::fmt::Display for Mutant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.name)
    }
}

/// A place with its alternatives. Written as `open`, the code of every alternative, `middle`, the original, `close`.
struct Site {
    range: Range<usize>,
    open: &'static str,
    /// Number of the mutant, and its code, in which a zero character stands for the condition that the mutant is switched on.
    alternatives: Vec<(usize, String)>,
    middle: &'static str,
    close: &'static str,
}

/// A source file with the places that can be changed.
pub(crate) struct File {
    pub(crate) path: String,
    source: String,
    sites: Vec<Site>,
}

/// A text with switches, and where each mutant's code is: `(mutant, range, whether the whole site)`.
pub(crate) struct Instrumented {
    pub(crate) text: String,
    pub(crate) places: Vec<(usize, Range<usize>, bool)>,
}

impl File {
    /// Finds the mutants of a file and appends them to `mutants`. A mutant's number is its index plus 1.
    pub(crate) fn parse(path: &str, source: String, mutants: &mut Vec<Mutant>) -> Result<File> {
        let tree = syn::parse_file(&source).with_context(|| format!("parsing {path}"))?;
        let mut finder = Finder { path, source: &source, functions: Vec::new(), sites: Vec::new(), mutants };
        finder.visit_file(&tree);
        let sites = finder.sites;
        Ok(File { path: path.to_owned(), source, sites })
    }

    /// The text with the mutants that `alive` keeps.
    pub(crate) fn instrument(&self, alive: impl Fn(usize) -> bool) -> Instrumented {
        // What to insert where. At the same place an inner end comes before an outer one, and ends before beginnings.
        let mut edits: Vec<(usize, isize, usize, bool)> = Vec::new();
        for (i, site) in self.sites.iter().enumerate() {
            if site.alternatives.iter().any(|(id, _)| alive(*id)) {
                edits.push((site.range.start, 1 + i as isize, i, true));
                if !site.range.is_empty() {
                    edits.push((site.range.end, -1 - i as isize, i, false));
                }
            }
        }
        edits.sort_unstable();
        let mut out = Instrumented { text: "#![allow(warnings, clippy::all)] ".to_owned(), places: Vec::new() };
        if !self.path.ends_with("/lib.rs") {
            out.text.clear(); // an attribute of the whole crate
        }
        let mut starts = vec![0; self.sites.len()];
        let mut copied = 0;
        for (at, _, i, opens) in edits {
            let site = &self.sites[i];
            out.text += &self.source[copied..at];
            copied = at;
            if opens {
                starts[i] = out.text.len();
                out.text += site.open;
                for (id, code) in site.alternatives.iter().filter(|(id, _)| alive(*id)) {
                    let start = out.text.len();
                    out.text += &code.replace('\0', &format!("crate::mutation_switch::on({id})"));
                    out.places.push((*id, start..out.text.len(), false));
                }
                out.text += site.middle;
            }
            if !opens || site.range.is_empty() {
                out.text += site.close;
                let ids = site.alternatives.iter().map(|(id, _)| *id).filter(|id| alive(*id));
                out.places.extend(ids.map(|id| (id, starts[i]..out.text.len(), true)));
            }
        }
        out.text += &self.source[copied..];
        if self.path.ends_with("/lib.rs") {
            let switch = concat!(env!("CARGO_MANIFEST_DIR"), "/mutation/switch.rs");
            out.text +=
                &format!("\n#[path = {switch:?}]\n#[allow(warnings, clippy::all)]\npub(crate) mod mutation_switch;\n");
        }
        out
    }
}

struct Finder<'a> {
    path: &'a str,
    source: &'a str,
    functions: Vec<String>,
    sites: Vec<Site>,
    mutants: &'a mut Vec<Mutant>,
}

impl Finder<'_> {
    fn mutant(&mut self, at: usize, change: &str) -> usize {
        let change = change.split_whitespace().collect::<Vec<_>>().join(" ");
        let base = format!("{}: {change}", self.functions.join("::"));
        let taken = |name: &str| self.mutants.iter().rev().take_while(|m| m.path == self.path).any(|m| m.name == name);
        let numbered = (2..).map(|n| format!("{base} #{n}"));
        let name = std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or_default();
        let line = 1 + self.source[..at].matches('\n').count();
        self.mutants.push(Mutant { path: self.path.to_owned(), line, name });
        self.mutants.len()
    }

    /// An expression with other versions of itself, each with a short text that says what changes.
    fn expression(&mut self, range: Range<usize>, versions: Vec<(String, String)>) {
        let alternatives = versions
            .into_iter()
            .map(|(change, code)| (self.mutant(range.start, &change), format!("if \0 {{ {code} }} else ")));
        let alternatives = alternatives.collect();
        self.sites.push(Site { range, open: "(", alternatives, middle: "{ ", close: " })" });
    }

    fn function(&mut self, name: String, output: &ReturnType, block: &Block) {
        self.functions.push(name);
        let body = block.span().byte_range();
        let mut statements = self.source[body.start + 1..body.end - 1].trim();
        if statements.starts_with("let _ = ") && block.stmts.len() == 2 {
            statements = statements.rsplit(';').next().unwrap_or_default().trim(); // the first only mentions a parameter
        }
        let values = match output {
            ReturnType::Default => vec!["()".to_owned()],
            ReturnType::Type(_, ty) => values(ty),
        };
        let values =
            values.into_iter().filter(|value| value != statements && !(statements.is_empty() && value == "()"));
        let alternatives = values.map(|value| {
            (self.mutant(body.start, &format!("body -> {value}")), format!(" if \0 {{ return {value}; }}"))
        });
        let alternatives = alternatives.collect();
        let range = body.start + 1..body.start + 1;
        self.sites.push(Site { range, open: "", alternatives, middle: "", close: "" });
        self.visit_block(block);
        self.functions.pop();
    }

    fn arm(&mut self, arm: &syn::Arm, removable: bool) {
        let pattern = arm.pat.span().byte_range();
        let shown = format!("{} =>", &self.source[pattern.clone()]);
        match &arm.guard {
            Some((_, guard)) if !contains_let(guard) => {
                let range = guard.span().byte_range();
                if removable {
                    let id = self.mutant(pattern.start, &format!("arm removed: {shown}"));
                    let alternatives = vec![(id, "!\0 && ".to_owned())];
                    self.sites.push(Site { range: range.clone(), open: "(", alternatives, middle: "(", close: "))" });
                }
                let change = format!("guard -> true: {}", &self.source[range.clone()]);
                let alternatives = vec![(self.mutant(range.start, &change), "\0 || ".to_owned())];
                self.sites.push(Site { range, open: "(", alternatives, middle: "(", close: "))" });
            }
            None if removable => {
                let id = self.mutant(pattern.start, &format!("arm removed: {shown}"));
                let alternatives = vec![(id, "!\0".to_owned())];
                let range = pattern.end..pattern.end;
                self.sites.push(Site { range, open: " if ", alternatives, middle: "", close: "" });
            }
            _ => {}
        }
        if let Some((_, guard)) = &arm.guard {
            self.visit_expr(guard);
        }
        self.visit_expr(&arm.body);
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        use syn::Item;
        match item {
            Item::Fn(f) if !left_out(&f.attrs) && f.sig.constness.is_none() => {
                self.function(f.sig.ident.to_string(), &f.sig.output, &f.block);
            }
            Item::Mod(m) if !left_out(&m.attrs) => visit::visit_item_mod(self, m),
            Item::Trait(t) if !left_out(&t.attrs) => {
                self.functions.push(t.ident.to_string());
                visit::visit_item_trait(self, t);
                self.functions.pop();
            }
            Item::Impl(i) if !left_out(&i.attrs) => {
                let of = |path: &syn::Path| path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
                let mut name = match &*i.self_ty {
                    Type::Path(path) => of(&path.path),
                    other => self.source[other.span().byte_range()].to_owned(),
                };
                if let Some((_, path, _)) = &i.trait_ {
                    name = format!("{} for {name}", of(path));
                }
                self.functions.push(name);
                visit::visit_item_impl(self, i);
                self.functions.pop();
            }
            _ => {}
        }
    }

    fn visit_impl_item_fn(&mut self, f: &'ast syn::ImplItemFn) {
        if !left_out(&f.attrs) && f.sig.constness.is_none() {
            self.function(f.sig.ident.to_string(), &f.sig.output, &f.block);
        }
    }

    fn visit_trait_item_fn(&mut self, f: &'ast syn::TraitItemFn) {
        if let Some(block) = &f.default {
            self.function(f.sig.ident.to_string(), &f.sig.output, block);
        }
    }

    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
    fn visit_generics(&mut self, _: &'ast syn::Generics) {}
    fn visit_generic_argument(&mut self, _: &'ast syn::GenericArgument) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_pat(&mut self, _: &'ast Pat) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if !left_out(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr); // the length is a constant
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let text = |range: Range<usize>| self.source[range].to_owned();
        let range = binary.span().byte_range();
        let operator = text(binary.op.span().byte_range());
        let (left, right) = (text(binary.left.span().byte_range()), text(binary.right.span().byte_range()));
        let assigns =
            operator.ends_with('=') && !matches!(binary.op, BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Le(_) | BinOp::Ge(_));
        let with_let = contains_let(&binary.left) || contains_let(&binary.right);
        let others: &[&str] = if with_let { &[] } else { replacements(&operator) };
        let versions = others.iter().map(|other| {
            let code =
                if assigns { format!("{left} {other} ({right})") } else { format!("({left}) {other} ({right})") };
            (format!("{left} {operator} {right} -> {other}"), code)
        });
        let versions: Vec<_> = versions.collect();
        if !versions.is_empty() {
            self.expression(range, versions);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        if !matches!(unary.op, syn::UnOp::Deref(_)) {
            let operand = self.source[unary.expr.span().byte_range()].to_owned();
            let operator = &self.source[unary.op.span().byte_range()];
            self.expression(unary.span().byte_range(), vec![(format!("{operator}{operand} -> {operand}"), operand)]);
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_match(&mut self, choice: &'ast syn::ExprMatch) {
        self.visit_expr(&choice.expr);
        let wild = |arm: &syn::Arm| arm.guard.is_none() && matches!(arm.pat, Pat::Wild(_));
        let last = choice.arms.iter().position(wild).unwrap_or(0);
        for (i, arm) in choice.arms.iter().enumerate() {
            self.arm(arm, i < last);
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = call.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
        if name == "vec"
            && let Ok([value, length]) = call.parse_body_with(|input: syn::parse::ParseStream<'_>| {
                let value = input.parse::<Expr>()?;
                input.parse::<Token![;]>()?;
                Ok([value, input.parse::<Expr>()?])
            })
        {
            self.visit_expr(&value);
            self.visit_expr(&length);
        } else if ["vec", "format", "write", "writeln", "print", "println", "eprintln"].contains(&name.as_str())
            && let Ok(arguments) = call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated)
        {
            for argument in &arguments {
                self.visit_expr(if let Expr::Assign(named) = argument { &named.right } else { argument });
            }
        }
    }
}

fn contains_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => contains_let(&binary.left) || contains_let(&binary.right),
        _ => false,
    }
}

/// Tests, and code that this system does not compile.
fn left_out(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return attribute.path().is_ident("test") };
        let condition = list.tokens.to_string();
        let ours = ["unix", "linux", "feature", "not (target_arch"];
        list.path.is_ident("cfg") && !ours.iter().any(|here| condition.contains(here))
    })
}

#[rustfmt::skip]
fn replacements(operator: &str) -> &'static [&'static str] {
    match operator {
        "+" => &["-"], "-" => &["+"], "*" => &["/"], "/" => &["*"], "%" => &["/"],
        "+=" => &["-="], "-=" => &["+="], "*=" => &["/="], "/=" => &["*="], "%=" => &["/="],
        "<<" => &[">>"], ">>" => &["<<"], "&" => &["|"], "|" => &["&"], "^" => &["|"],
        "<<=" => &[">>="], ">>=" => &["<<="], "&=" => &["|="], "|=" => &["&="], "^=" => &["|="],
        "&&" => &["||"], "||" => &["&&"], "==" => &["!="], "!=" => &["=="],
        "<" => &["<=", ">="], "<=" => &["<", ">"], ">" => &[">=", "<="], ">=" => &[">", "<"],
        _ => &[],
    }
}

/// Values of a type that replace a function's body.
fn values(ty: &Type) -> Vec<String> {
    let strings = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
    let path = match ty {
        Type::Path(path) if path.qself.is_none() => &path.path,
        Type::Tuple(tuple) => {
            let first: Vec<String> = tuple.elems.iter().filter_map(|ty| values(ty).into_iter().next()).collect();
            return if first.len() == tuple.elems.len() { vec![format!("({})", first.join(", "))] } else { Vec::new() };
        }
        Type::Array(array) => {
            return values(&array.elem).iter().map(|value| format!("std::array::from_fn(|_| {value})")).collect();
        }
        Type::Reference(to) if matches!(&*to.elem, Type::Path(p) if p.path.is_ident("str")) => {
            return strings(&["\"\"", "\"xyzzy\""]);
        }
        _ => return Vec::new(),
    };
    let Some(last) = path.segments.last() else { return Vec::new() };
    let inner: Vec<String> = match &last.arguments {
        syn::PathArguments::AngleBracketed(arguments) => match arguments.args.first() {
            Some(syn::GenericArgument::Type(ty)) => values(ty),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let wrapped = |with: &str| inner.iter().map(|value| format!("{with}({value})")).collect::<Vec<_>>();
    match last.ident.to_string().as_str() {
        "bool" => strings(&["true", "false"]),
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => {
            strings(&["0", "1"])
        }
        "f32" | "f64" => strings(&["0.0", "1.0"]),
        "String" => strings(&["String::new()", "String::from(\"xyzzy\")"]),
        "Option" => [strings(&["None"]), wrapped("Some")].concat(),
        "Result" => wrapped("Ok"),
        "Vec" => {
            [strings(&["Vec::new()"]), inner.iter().map(|value| format!("Vec::from([{value}])")).collect()].concat()
        }
        "Box" => wrapped("Box::new"),
        "Arc" => wrapped("std::sync::Arc::new"),
        _ => strings(&["Default::default()"]),
    }
}
