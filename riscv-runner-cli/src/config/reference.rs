//! The reference of the configuration, `docs/configuration.md`: keys, kinds and defaults come from the types
//! that read them, explanations from `rrctl.example.toml`. A test compares all three.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use riscv_runner_k8s::PodTemplate;

use super::{
    Need, Sources, Topics, environment, read_file,
    reader::{Asked, Context, Section},
};

/// Set to write the reference instead of comparing it.
const WRITE: &str = "RRCTL_WRITE_DOCS";
/// Read by a library, which knows its keys.
const POD: &str = "pools.pod";

type Known = BTreeMap<(String, String), Asked>;

/// A table of the example, with its keys in order.
#[derive(Debug)]
struct Table {
    path: String,
    list: bool,
    about: Vec<String>,
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    name: String,
    value: String,
    set: bool,
    about: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every key that reading the example asks for: it has one of each list.
fn known() -> Known {
    let sources = Sources { flag: Some(root().join("rrctl.example.toml")), ..Sources::default() };
    let context = Context::default();
    let (mut entries, origin) = read_file(&sources, Need::All, &context.problems).unwrap();
    environment::overlay(&mut entries, &sources.variables, &context.problems);
    let _ = Topics::read(Section::root(&context, entries, origin), &sources, Need::Nothing);
    let asked = context.asked.into_inner();
    let mut known: Known =
        asked.into_iter().map(|((table, key), asked)| ((table, key.to_owned()), asked)).collect();
    let template = toml::Table::try_from(PodTemplate::default()).unwrap();
    let all = serde_json::to_value(PodTemplate::default()).unwrap();
    for key in all.as_object().unwrap().keys() {
        let default = template.get(key);
        let kind = match default {
            Some(toml::Value::Boolean(_)) => "true or false",
            Some(toml::Value::Integer(_)) => "number",
            Some(toml::Value::Table(_)) => "table",
            Some(toml::Value::Array(_)) => "list",
            Some(_) | None => "text",
        };
        let default = default.map(ToString::to_string).filter(|text| !matches!(&**text, "{}" | "[]"));
        known.insert((POD.to_owned(), key.clone()), Asked { kind, default });
    }
    known
}

/// The example as a document.
fn documented(example: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut remarks: Vec<String> = Vec::new();
    for line in example.lines() {
        let text = line.trim_start_matches('#').trim();
        if let Some(path) = line.strip_prefix('[') {
            let list = path.starts_with('[');
            let path = path.trim_matches(['[', ']']).to_owned();
            tables.push(Table { path, list, about: std::mem::take(&mut remarks), keys: Vec::new() });
        } else if let Some(key) = key_of(line) {
            let Some(table) = tables.last_mut() else { continue };
            table.keys.push(Key { about: join(&std::mem::take(&mut remarks), &key.about), ..key });
        } else if line.starts_with("#     ") {
            if let Some(key) = tables.last_mut().and_then(|table| table.keys.last_mut()) {
                key.about = join(std::slice::from_ref(&key.about), text);
            }
        } else if line.starts_with('#') && !tables.is_empty() {
            remarks.push(text.to_owned());
        } else {
            remarks.clear();
        }
    }
    tables
}

fn join(before: &[String], after: &str) -> String {
    let parts = before.iter().map(String::as_str).chain([after]).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

/// `key = value  # about`, commented out or not.
fn key_of(line: &str) -> Option<Key> {
    let bare = line.strip_prefix("# ").unwrap_or(line);
    let (name, rest) = bare.split_once(" = ")?;
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
        return None;
    }
    let mut quoted = false;
    let comment = rest.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == '#' && !quoted
    });
    let (value, about) = comment.map_or((rest, ""), |(at, _)| (&rest[..at], &rest[at + 1..]));
    Some(Key {
        name: name.to_owned(),
        value: value.trim().to_owned(),
        set: !line.starts_with('#'),
        about: about.trim().to_owned(),
    })
}

/// Keys that explain another: `url_file` says "or url".
fn says_or(about: &str, name: &str) -> bool {
    about.split_once("or ").is_some_and(|(_, rest)| rest.split([',', ' ', ';']).next() == Some(name))
}

/// What differs between the example and the types.
fn differences(known: &Known, tables: &[Table]) -> Vec<String> {
    let mut differences = Vec::new();
    let mut explained = BTreeSet::new();
    for table in tables {
        for key in &table.keys {
            let id = (table.path.clone(), key.name.clone());
            if !known.contains_key(&id) {
                differences.push(format!("rrctl.example.toml has [{}] {}, which nothing reads", id.0, id.1));
            }
            for name in known.keys().filter(|(path, _)| *path == table.path) {
                if says_or(&key.about, &name.1) {
                    explained.insert(name.clone());
                }
            }
            explained.insert(id);
        }
    }
    // Every secret may be a value or a file; one of them is explained.
    let of_file =
        |(table, key): &(String, String)| Some((table.clone(), key.strip_suffix("_file")?.to_owned()));
    let is_explained = |id: &(String, String)| {
        explained.contains(id) || of_file(id).is_some_and(|value| explained.contains(&value))
    };
    let missing = known.keys().filter(|id| !is_explained(id));
    differences.extend(missing.map(|(table, key)| format!("rrctl.example.toml lacks [{table}] {key}")));
    differences
}

fn render(known: &Known, tables: &[Table]) -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         Written by a test from the types that read the configuration, and from `rrctl.example.toml`, which has \
         the same as a\nfile to begin with; do not edit it. [Sources and their order](../README.md#configuration).\n\n\
         `rrctl config check` reports everything that is wrong, `rrctl config show` what is in force and where each \
         value comes from.\nA key of a table can be set by the variable in the last column; a key of a list by \
         `RRCTL_<LIST>__<N>__<KEY>`.\n",
    );
    let mut seen = BTreeSet::new();
    for table in tables.iter().filter(|table| seen.insert(table.path.clone())) {
        let header = if table.list { format!("[[{}]]", table.path) } else { format!("[{}]", table.path) };
        let _ = write!(text, "\n## `{header}`\n\n");
        if !table.about.is_empty() {
            let _ = write!(text, "{}\n\n", table.about.join(" "));
        }
        text.push_str("| key | value | default | meaning | variable |\n| --- | --- | --- | --- | --- |\n");
        let mut keys = BTreeSet::new();
        let again = tables.iter().filter(|other| other.path == table.path).flat_map(|other| &other.keys);
        for key in again.filter(|key| keys.insert(key.name.clone())) {
            let Some(asked) = known.get(&(table.path.clone(), key.name.clone())) else { continue };
            text.push_str(&row(table, key, asked));
        }
    }
    text
}

fn row(table: &Table, key: &Key, asked: &Asked) -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let code = |text: &str| format!("`{}`", cell(text));
    let default = asked.default.as_deref().map_or("", |text| text);
    let shows_default = !matches!(default, "" | "[]" | "{}") && !key.set;
    let example = if key.value == default || key.value == ".." || shows_default {
        String::new()
    } else {
        format!("for example {}", code(&key.value))
    };
    let about: Vec<_> = [cell(&key.about), example].into_iter().filter(|part| !part.is_empty()).collect();
    let about = about.join("; ");
    let in_list = table.list || table.path.contains("pools");
    let variable = if in_list {
        String::new()
    } else {
        code(&format!("RRCTL_{}__{}", table.path, key.name).to_uppercase())
    };
    let default = if default.is_empty() { String::new() } else { code(default) };
    format!("| {} | {} | {default} | {about} | {variable} |\n", code(&key.name), asked.kind)
}

#[test]
fn the_example_explains_every_key_and_the_reference_is_up_to_date() {
    let example = fs::read_to_string(root().join("rrctl.example.toml")).unwrap();
    let (known, tables) = (known(), documented(&example));
    assert_eq!(differences(&known, &tables), Vec::<String>::new());
    let (path, wanted) = (root().join("docs/configuration.md"), render(&known, &tables));
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == wanted,
        "docs/configuration.md is not up to date: {WRITE}=1 cargo test -p riscv-runner-cli reference"
    );
}
