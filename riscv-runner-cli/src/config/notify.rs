//! `[notify]`: who is told when something is wrong. Checked only: nobody is told yet.

use super::{
    reader::Section,
    retention::not_acted_on,
    setting::{Fault, Read, Setting, quoted, text},
    tree::Node,
};

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
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

/// Checks `[notify]`: both URLs may hold tokens.
pub(crate) fn check(section: Section<'_>) {
    section.secret("webhook_url", "webhook_url_file");
    section.secret("discord_url", "discord_url_file");
    section.or("min_severity", Level::Warning);
    not_acted_on(&section);
    section.done();
}
