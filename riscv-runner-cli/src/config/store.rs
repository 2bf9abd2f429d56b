//! `[store]`: the PostgreSQL database.

use riscv_runner_pg::SchemaName;
use secrecy::{ExposeSecret, SecretString};

use super::{
    reader::Section,
    setting::{Read, Setting, from_text, quoted},
    tree::Node,
};

/// Enough for intake, loops and pages of one replica.
const MAX_CONNECTIONS: u32 = 10;
/// One environment, one schema.
const SCHEMA: &str = "prod";

/// The database.
#[derive(Debug)]
pub(crate) struct Store {
    /// Its address, which usually holds a password.
    pub(crate) url: Option<SecretString>,
    /// The schema of this environment.
    pub(crate) schema: Option<SchemaName>,
    /// The most connections of this process.
    pub(crate) max_connections: u32,
}

impl Setting for SchemaName {
    fn read(node: &Node) -> Read<Self> {
        from_text(node, "the name of a schema", |text| Self::new(text))
    }
    fn show(&self) -> String {
        quoted(self.as_str())
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
            schema: match SchemaName::new(SCHEMA) {
                Ok(usual) => Some(section.or("schema", usual)),
                Err(_) => section.get("schema"),
            },
            max_connections: section.or("max_connections", MAX_CONNECTIONS),
        };
        if store.max_connections < 2 {
            section.error("max_connections", "must be at least 2: one listens, one works", None);
        }
        section.done();
        store
    }
}
