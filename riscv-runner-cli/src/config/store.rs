//! `[store]`: the PostgreSQL database.

use secrecy::{ExposeSecret, SecretString};

use super::{reader::Section, setting::{Fault, Read, Setting, from_text, quoted}, tree::Node};

/// Enough for intake, loops and pages of one replica.
const MAX_CONNECTIONS: u32 = 10;
/// One environment, one schema.
const SCHEMA: &str = "prod";

/// The database.
#[derive(Debug)]
pub(crate) struct Store {
    /// Its address, which usually holds a password.
    pub(crate) url: Option<SecretString>,
    /// Whether an address is configured, even if its file is not here.
    pub(crate) configured: bool,
    /// The schema of this environment.
    pub(crate) schema: String,
    /// The most connections of this process.
    pub(crate) max_connections: u32,
}

/// A name that needs no quoting in SQL.
struct SchemaName(String);

impl Setting for SchemaName {
    fn read(node: &Node) -> Read<Self> {
        from_text(node, "the name of a schema", |text| {
            let mut bytes = text.bytes();
            let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
            let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            // 63 bytes is PostgreSQL's limit; the notification channel adds a suffix to the name.
            match first && rest && text.len() <= 48 {
                true => Ok(Self(text.to_owned())),
                false => Err(Fault::new(format!(
                    "must be at most 48 lower-case letters, digits and underscores, not {text:?}"
                ))
                .problem),
            }
        })
    }
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

impl Store {
    /// Reads `[store]`; `needed` says whether the address must be there.
    pub(crate) fn read(section: Section<'_>, needed: bool) -> Self {
        let url = section.secret("url", "url_file");
        if url.is_unset() && needed {
            let hint = "set [store] url or url_file, RRCTL_STORE__URL, or POSTGRES_URL";
            section.error("url", "is missing", Some(hint));
        }
        let configured = !url.is_unset();
        let url = url.get();
        if let Some(url) = &url {
            let text = url.expose_secret();
            if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
                let hint = "for example \"postgres://user:password@host:5432/database\"";
                section.error("url", "must begin with postgres:// or postgresql://", Some(hint));
            }
        }
        let store = Self {
            url,
            configured,
            schema: section.or("schema", SchemaName(SCHEMA.to_owned())).0,
            max_connections: section.or("max_connections", MAX_CONNECTIONS),
        };
        if store.max_connections < 2 {
            section.error("max_connections", "must be at least 2: one listens, one works", None);
        }
        section.done();
        store
    }
}
