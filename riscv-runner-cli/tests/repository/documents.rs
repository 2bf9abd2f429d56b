//! Links lead somewhere, and commands that are named exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::root;

/// Every Markdown file of the repository, with its text.
fn documents() -> BTreeMap<PathBuf, String> {
    let root = root();
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.')
                    && !["target", "node_modules", "corpus", "artifacts"].contains(&&*name)
                {
                    folders.push(path);
                }
            } else if name.ends_with(".md") {
                found.insert(path.clone(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(found.contains_key(&root.join("README.md")) && found.len() > 10);
    found
}

/// Text without code blocks, fenced or indented, and the code in them.
fn split_code(text: &str) -> (String, String) {
    let (mut prose, mut code, mut fenced) = (String::new(), String::new(), false);
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        let side = if fenced || fence || line.starts_with("    ") { &mut code } else { &mut prose };
        side.push_str(line);
        side.push('\n');
        fenced ^= fence;
    }
    (prose, code)
}

/// The anchors of a document, as GitHub makes them of its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let (prose, _) = split_code(text);
    let headings = prose.lines().filter_map(|line| line.strip_prefix('#'));
    headings
        .map(|line| {
            let kept = line.trim_start_matches('#').trim().to_lowercase();
            let kept: String =
                kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect();
            kept.replace(' ', "-")
        })
        .collect()
}

/// The targets of `[text](target)`.
fn links(prose: &str) -> Vec<String> {
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let documents = documents();
    let mut broken = Vec::new();
    for (path, text) in &documents {
        let (prose, _) = split_code(text);
        for link in links(&prose).iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => {
                    path.parent().unwrap().join(file).canonicalize().unwrap_or_else(|_| PathBuf::from(file))
                }
            };
            if !target.exists() {
                broken.push(format!("{}: {link}", path.display()));
            } else if !anchor.is_empty() && !anchors(&fs::read_to_string(&target).unwrap()).contains(anchor) {
                broken.push(format!("{}: no heading for {link}", path.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn every_document_can_be_found_from_the_readme() {
    let documents = documents();
    let (mut reached, mut open) = (BTreeSet::new(), vec![root().join("README.md")]);
    while let Some(path) = open.pop() {
        if !reached.insert(path.clone()) {
            continue;
        }
        let Some(text) = documents.get(&path) else { continue };
        let folder = path.parent().unwrap();
        let files = links(&split_code(text).0);
        open.extend(files.iter().filter_map(|link| folder.join(link.split('#').next()?).canonicalize().ok()));
    }
    let docs = root().join("docs");
    let lost: Vec<_> =
        documents.keys().filter(|path| path.starts_with(&docs) && !reached.contains(*path)).collect();
    assert_eq!(lost, Vec::<&PathBuf>::new());
}

/// `rrctl a b` in a text: up to two words that a command's name may have.
fn commands(text: &str) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("rrctl ") {
        // A namespace, a path or another word that ends so.
        let before = &text[..at];
        if before.ends_with("-n ")
            || before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_'))
        {
            continue;
        }
        let rest = &text[at + "rrctl ".len()..];
        let words = rest.split(|c: char| c.is_whitespace() || matches!(c, '`' | '|' | ';' | ',' | ')'));
        let is_name = |word: &&str| {
            !word.is_empty()
                && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
                && !word.starts_with('-')
        };
        let name: Vec<_> = words.take_while(is_name).take(2).map(str::to_owned).collect();
        if !name.is_empty() {
            found.insert(name);
        }
    }
    found
}

fn exists(name: &[String]) -> bool {
    let output = Command::new(env!("CARGO_BIN_EXE_rrctl")).args(name).arg("--help").output().unwrap();
    output.status.success()
}

/// Only code is looked at: prose may say "rrctl is".
fn code_of(text: &str) -> String {
    let (prose, mut code) = split_code(text);
    for (n, span) in prose.split('`').enumerate() {
        if n % 2 == 1 {
            code.push_str(span);
            code.push('\n');
        }
    }
    code
}

#[test]
fn every_command_that_is_named_exists() {
    let mut missing = Vec::new();
    let mut known: BTreeMap<Vec<String>, bool> = BTreeMap::new();
    for (path, text) in documents() {
        if path.file_name().is_some_and(|name| name == "CHANGELOG.md") {
            continue;
        }
        for name in commands(&code_of(&text)) {
            // The second word may be an argument.
            let good = (1..=name.len())
                .rev()
                .any(|n| *known.entry(name[..n].to_vec()).or_insert_with(|| exists(&name[..n])));
            if !good {
                missing.push(format!("{}: rrctl {}", shown(&path), name.join(" ")));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[test]
fn anchors_are_githubs() {
    let text = "# A `code` title, *with* more!\n## Two  words\n```\n# not one\n```\n";
    assert!(anchors(text).contains("a-code-title-with-more"), "{:?}", anchors(text));
    assert_eq!(anchors(text).len(), 2);
    assert_eq!(links("[a](b.md#c) and [d](e)"), ["b.md#c", "e"]);
    assert_eq!(
        commands("rrctl nodes enroll NODE; rrctl why JOB"),
        [vec!["nodes".into(), "enroll".into()], vec!["why".into()]].into()
    );
}
