//! What differs between the configuration in force and a new one, key by key, and whether it can take
//! effect while the process runs. Secrets are compared and never shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use secrecy::{ExposeSecret, SecretString};

use super::reader::Shown;

/// Keys, or the beginnings of keys, that take effect at once; everything else needs a restart.
const LIVE: [&str; 14] = [
    "entities",
    "github.banned_senders",
    "limits.default_max_workers",
    "limits.policy",
    "notify.min_severity",
    "notify.per_window",
    "notify.pool_exhausted_after",
    "notify.types",
    "notify.window",
    "pools",
    "retention",
    "routes",
    "server.staging_repositories",
    "timeouts",
];
/// What is shown of a secret.
const SECRET: &str = "\"(set)\"";
/// What is shown of a secret that has changed.
const OTHER_SECRET: &str = "\"(another one)\"";

/// A secret that can be compared.
#[derive(Debug, Clone)]
pub(crate) struct Comparable(pub(crate) SecretString);

impl PartialEq for Comparable {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

/// Every key with its value, for comparison.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    shown: BTreeMap<String, String>,
    secrets: BTreeMap<String, Comparable>,
}

/// One key that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The key: `limits.policy`, `pools.k1.image`, `routes[2].labels`.
    pub(crate) key: String,
    /// Its value in force, as TOML; `None` if it had none.
    pub(crate) old: Option<String>,
    /// Its value in the file.
    pub(crate) new: Option<String>,
    /// Whether it takes effect now.
    pub(crate) is_live: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{}: {} -> {}", self.key, shown(&self.old), shown(&self.new))
    }
}

impl Values {
    /// Of a configuration that was read.
    pub(crate) fn of(shown: &[Shown], secrets: BTreeMap<String, Comparable>) -> Self {
        let mut values = Self { shown: BTreeMap::new(), secrets };
        let (mut table, mut items) = (String::new(), BTreeMap::<String, usize>::new());
        for (at, line) in shown.iter().enumerate() {
            match line {
                Shown::Header(header) => table = path(header, &shown[at + 1..], &mut items, &table),
                Shown::Key { key, value, .. } => {
                    let path = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
                    values.shown.insert(path, value.clone());
                }
            }
        }
        values
    }

    /// What a new configuration would change.
    pub(crate) fn changes(&self, new: &Self) -> Vec<Change> {
        let keys: BTreeSet<_> = self.shown.keys().chain(new.shown.keys()).collect();
        let differing = keys.into_iter().filter(|key| self.shown.get(*key) != new.shown.get(*key));
        let changed = differing.map(|key| Change {
            key: key.clone(),
            old: self.shown.get(key).cloned(),
            new: new.shown.get(key).cloned(),
            is_live: is_live(key),
        });
        let secrets =
            self.secrets.iter().filter(|(key, old)| new.secrets.get(*key).is_some_and(|new| new != *old));
        let replaced = secrets.map(|(key, _)| Change {
            key: key.clone(),
            old: Some(SECRET.to_owned()),
            new: Some(OTHER_SECRET.to_owned()),
            is_live: false,
        });
        changed.chain(replaced).collect()
    }

    /// Puts in force what takes effect at once; of the rest the old values stay, because they do.
    pub(crate) fn take(&mut self, new: &Self) {
        self.shown.retain(|key, _| !is_live(key));
        let live = new.shown.iter().filter(|(key, _)| is_live(key));
        self.shown.extend(live.map(|(key, value)| (key.clone(), value.clone())));
    }
}

/// Whether a change of the key takes effect while the process runs.
fn is_live(key: &str) -> bool {
    let is_at_or_below = |known: &&str| {
        let below = key.strip_prefix(*known);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    LIVE.iter().any(is_at_or_below)
}

/// The path of a table by its header. Pools and accounts are identified by their names, so that one more in
/// the middle does not look as if all after it had changed.
fn path(header: &str, below: &[Shown], items: &mut BTreeMap<String, usize>, current: &str) -> String {
    let name = header.trim_matches(['[', ']']);
    if !header.starts_with("[[") {
        // `[pools.pod]` belongs to the pool before it.
        let (list, rest) = name.split_once('.').unwrap_or((name, ""));
        let in_item = items.contains_key(list) && !rest.is_empty();
        let item = current.split('.').take(2).collect::<Vec<_>>().join(".");
        return if in_item { format!("{item}.{rest}") } else { name.to_owned() };
    }
    let n = items.entry(name.to_owned()).or_default();
    let index = *n;
    *n += 1;
    let own_keys = below.iter().map_while(|line| match line {
        Shown::Key { key, value, .. } => Some((key.as_str(), value)),
        Shown::Header(_) => None,
    });
    let called =
        own_keys.into_iter().find(|(key, _)| matches!((name, *key), ("pools", "name") | ("entities", "id")));
    match called {
        Some((_, value)) => format!("{name}.{}", value.trim_matches('"')),
        None => format!("{name}[{index}]"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::config::{Need, Sources, load};

    const BASE: &str = "[limits]\npolicy = \"fifo\"\n\
        [[pools]]\nname = \"a\"\nimage = \"runner:1\"\nnode_selector = { board = \"a\" }\n\
        [pools.pod]\nprivileged = false\n\
        [[pools]]\nname = \"c\"\nimage = \"runner:1\"\nnode_selector = { board = \"c\" }\n\
        [[routes]]\nlabels = [\"riscv\"]\npool = \"a\"\n";

    fn values(text: &str) -> Values {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("rrctl.toml");
        fs::write(&file, text).unwrap();
        load(&Sources { flag: Some(file), ..Sources::default() }, Need::Policy).unwrap().values
    }

    fn check(change: impl FnOnce(&str) -> String, expected: &[&str]) {
        let changes = values(BASE).changes(&values(&change(BASE)));
        let told: Vec<_> = changes
            .iter()
            .map(|change| format!("{change}{}", if change.is_live { "" } else { " (restart)" }))
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn each_changed_key_is_told_with_both_values() {
        check(str::to_owned, &[]);
        check(|text| text.replace("fifo", "fair"), &["limits.policy: \"fifo\" -> \"fair\""]);
        check(
            |text| text.replace("privileged = false", "privileged = true"),
            &["pools.a.pod.privileged: false -> true"],
        );
        check(
            |text| text.replace("labels = [\"riscv\"]", "labels = [\"riscv\", \"fast\"]"),
            &["routes[0].labels: [\"riscv\"] -> [\"fast\", \"riscv\"]"],
        );
    }

    #[test]
    fn a_pool_in_the_middle_changes_no_other() {
        let pool = "[[pools]]\nname = \"b\"\nimage = \"runner:1\"\nnode_selector = { board = \"b\" }\n";
        let with = BASE.replacen("[[pools]]\nname = \"c\"", &format!("{pool}[[pools]]\nname = \"c\""), 1);
        let changes = values(BASE).changes(&values(&with));
        assert!(!changes.is_empty());
        assert!(
            changes.iter().all(|change| change.key.starts_with("pools.b.") && change.old.is_none()),
            "{changes:?}"
        );
    }

    #[test]
    fn what_needs_a_restart_is_told_apart_and_stays_told() {
        let changed =
            format!("{BASE}[server]\nlisten = \"127.0.0.1:1\"\n[runner]\nname_prefix = \"other-\"\n")
                .replace("policy = \"fifo\"", "policy = \"fair\"\nprovision_concurrency = 3");
        let (mut in_force, new) = (values(BASE), values(&changed));
        let keys = |changes: Vec<Change>| changes.into_iter().map(|c| (c.key, c.is_live)).collect::<Vec<_>>();
        let restart = [
            ("limits.provision_concurrency".to_owned(), false),
            ("runner.name_prefix".to_owned(), false),
            ("server.listen".to_owned(), false),
        ];
        let all = keys(in_force.changes(&new));
        assert_eq!(all.len(), 4);
        assert!(all.contains(&("limits.policy".to_owned(), true)));
        in_force.take(&new);
        assert_eq!(keys(in_force.changes(&new)), restart);
        assert_eq!(keys(in_force.changes(&values(BASE))), [("limits.policy".to_owned(), true)]);
    }

    /// Every section, and which of its keys take effect while the process runs: what the policy holds, what
    /// is notified and the pods. The rest is read when the process starts.
    const SECTIONS: [(&str, bool, &[&str]); 14] = [
        ("server", false, &["staging_repositories"]),
        ("store", false, &[]),
        ("github", false, &["banned_senders"]),
        ("github.apps", false, &[]),
        ("cluster", false, &[]),
        ("runner", false, &[]),
        ("limits", true, &["provision_concurrency"]),
        ("timeouts", true, &[]),
        ("retention", true, &[]),
        ("notify", false, &["min_severity", "per_window", "pool_exhausted_after", "types", "window"]),
        ("heartbeat", false, &[]),
        ("telemetry", false, &[]),
        ("pools", true, &[]),
        ("pools.pod", true, &[]),
    ];

    #[test]
    fn each_key_of_each_section_takes_effect_when_it_is_said_to() {
        let text = format!(
            "{BASE}[[github.apps]]\nkind = \"user\"\napp_id = 7\n[[entities]]\nid = 7\nbanned = true\n"
        );
        let known = values(&text).shown;
        for key in known.keys() {
            if key.starts_with("routes[") || key.starts_with("entities.") {
                assert!(is_live(key), "{key}");
                continue;
            }
            let plain: Vec<&str> =
                key.split('.').map(|step| step.split('[').next().unwrap_or(step)).collect();
            let plain: Vec<&str> = match plain[..] {
                ["pools", _, ref rest @ ..] => ["pools"].into_iter().chain(rest.iter().copied()).collect(),
                _ => plain,
            };
            let (name, section) = plain.split_last().unwrap();
            let section = section.join(".");
            let found = SECTIONS.iter().find(|(table, ..)| *table == section);
            let (_, usual, others) = found.unwrap_or_else(|| panic!("{key} is of no known section"));
            assert_eq!(is_live(key), *usual != others.contains(name), "{key}");
        }
        for (section, ..) in SECTIONS.iter().filter(|(section, ..)| !section.starts_with("pools")) {
            assert!(known.keys().any(|key| key.starts_with(section)), "nothing is read of {section}");
        }
        for key in ["retention.jobs", "retention.events", "timeouts.shutdown", "server.staging_repositories"]
        {
            assert!(known.contains_key(key) && is_live(key), "{key}");
        }
    }

    #[test]
    fn a_secret_that_is_replaced_is_told_and_not_shown() {
        let with = |secret: &str| values(&format!("{BASE}[server]\ntrace_secret = \"{secret}\"\n"));
        let changes = with("planted-1").changes(&with("planted-2"));
        assert_eq!(changes.len(), 1);
        assert_eq!(
            (changes[0].to_string().as_str(), changes[0].is_live),
            ("server.trace_secret: \"(set)\" -> \"(another one)\"", false)
        );
        assert!(!format!("{:?}", with("planted-1")).contains("planted"));
        assert_eq!(with("planted-1").changes(&with("planted-1")), []);
    }

    #[test]
    fn the_contents_of_secret_files_are_compared() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("rrctl.toml");
        fs::write(&file, format!("{BASE}[server]\ntrace_secret_file = \"token\"\n")).unwrap();
        let read = |secret: &str| {
            fs::write(folder.path().join("token"), secret).unwrap();
            load(&Sources { flag: Some(file.clone()), ..Sources::default() }, Need::Policy).unwrap().values
        };
        let changes = read("planted-1").changes(&read("planted-2"));
        assert_eq!(changes[0].to_string(), "server.trace_secret_file: \"(set)\" -> \"(another one)\"");
    }
}
