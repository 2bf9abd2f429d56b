//! `[notify]`: who is told when something is wrong.

use secrecy::SecretString;

use super::{
    reader::Section,
    retention::not_acted_on,
    setting::{Fault, Read, Setting, quoted, text},
    tree::Node,
};

/// Who is told.
#[derive(Debug)]
pub(crate) struct Notify {
    /// A URL that gets JSON; it may hold a token.
    pub(crate) webhook_url: Option<SecretString>,
    /// A Discord webhook, which is a secret.
    pub(crate) discord_url: Option<SecretString>,
    /// What is not worth telling.
    pub(crate) min_severity: Level,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Worth knowing.
    Info,
    /// May need somebody soon.
    Warning,
    /// Needs somebody now.
    Critical,
}

impl Setting for Level {
    fn read(node: &Node) -> Read<Self> {
        match text(node, "\"info\", \"warning\" or \"critical\"")? {
            "info" => Ok(Self::Info),
            "warning" => Ok(Self::Warning),
            "critical" => Ok(Self::Critical),
            other => {
                Err(vec![Fault::new(format!("must be \"info\", \"warning\" or \"critical\", not {other:?}"))])
            }
        }
    }
    fn show(&self) -> String {
        quoted(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

impl Notify {
    /// Reads `[notify]`.
    pub(crate) fn read(section: Section<'_>) -> Self {
        let notify = Self {
            webhook_url: section.secret("webhook_url", "webhook_url_file").get(),
            discord_url: section.secret("discord_url", "discord_url_file").get(),
            min_severity: section.or("min_severity", Level::Warning),
        };
        not_acted_on(&section);
        section.done();
        notify
    }
}
