//! `[notify]`: who is notified when something is wrong, of what, and how often.

use std::{collections::BTreeSet, time::Duration};

use riscv_runner_core::notify::{Rules, Severity, Topic};
use secrecy::{ExposeSecret, SecretString};

use super::{
    reader::Section,
    secret::SecretState,
    setting::{Fault, Read, Setting, quoted, text},
    tree::Node,
};

/// Who is notified, and of what.
#[derive(Debug)]
pub(crate) struct Notify {
    /// Which notifications are sent, and how often.
    pub(crate) rules: Rules,
    /// A webhook of the operators' own.
    pub(crate) webhook_url: Option<SecretString>,
    /// The secret that signs its requests.
    pub(crate) webhook_secret: Option<SecretString>,
    /// A webhook of a Discord channel.
    pub(crate) discord_url: Option<SecretString>,
}

impl Setting for Severity {
    fn read(node: &Node) -> Read<Self> {
        let all = [Self::Info, Self::Warning, Self::Critical];
        let found = text(node, "\"info\", \"warning\" or \"critical\"")?;
        all.into_iter().find(|level| level.as_str() == found).ok_or_else(|| {
            vec![Fault::new(format!("must be \"info\", \"warning\" or \"critical\", not {found:?}"))]
        })
    }
    fn show(&self) -> String {
        quoted(self.as_str())
    }
}

impl Setting for Topic {
    fn read(node: &Node) -> Read<Self> {
        let found = text(node, "a type of notification")?;
        Self::ALL.into_iter().find(|topic| topic.as_str() == found).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            vec![Fault::new(format!("is no type of notification: {found:?}")).hint(format!("known: {known}"))]
        })
    }
    fn show(&self) -> String {
        quoted(self.as_str())
    }
}

impl Notify {
    /// Reads `[notify]`: the URLs hold tokens.
    pub(crate) fn read(section: Section<'_>) -> Self {
        let usual = Rules::default();
        let webhook_url = http_secret(&section, "webhook_url", "webhook_url_file");
        let webhook_secret = section.secret("webhook_secret", "webhook_secret_file");
        let discord_url = http_secret(&section, "discord_url", "discord_url_file");
        if webhook_url.is_some() && webhook_secret.is_unset() {
            let hint = "set webhook_secret_file, so that the receiver can recognize our requests";
            section.warn("", "the webhook's requests are not signed", Some(hint));
        }
        let topics: Vec<Topic> = section.or("types", usual.topics.into_iter().collect());
        let per_window = section.or("per_window", u32::try_from(usual.per_window).unwrap_or(u32::MAX));
        let rules = Rules {
            topics: topics.into_iter().collect::<BTreeSet<_>>(),
            min_severity: section.or("min_severity", usual.min_severity),
            pool_exhausted_after: section.or("pool_exhausted_after", usual.pool_exhausted_after),
            window: section.or("window", usual.window),
            per_window: usize::try_from(per_window).unwrap_or(usize::MAX),
        };
        if rules.window == Duration::ZERO {
            section.error("window", "must not be zero", None);
        }
        if per_window == 0 {
            let hint = "for no notifications, leave the URLs out or set types = []";
            section.error("per_window", "must not be zero", Some(hint));
        }
        section.done();
        Self { rules, webhook_url, webhook_secret: webhook_secret.get(), discord_url }
    }
}

/// An address that is a secret; problems are reported without it.
pub(crate) fn http_secret(
    section: &Section<'_>,
    key: &'static str,
    file_key: &'static str,
) -> Option<SecretString> {
    let state: SecretState = section.secret(key, file_key);
    let url = state.get()?;
    let text = url.expose_secret().trim();
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if host.is_none_or(|host| host.is_empty() || host.contains(char::is_whitespace)) {
        let at = if section.has(key) { key } else { file_key };
        section.error(at, "must be an http or https URL; it is not shown, for it may hold a token", None);
        return None;
    }
    Some(url)
}
