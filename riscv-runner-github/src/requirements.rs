//! What our Apps must be granted, compared with what they are.

use riscv_runner_core::entity::EntityKind;

use crate::apps::AppDescription;

/// The event that tells of jobs. Those about installations come to every App.
const EVENTS: [&str; 1] = ["workflow_job"];

/// The permissions that an App for accounts of this kind needs, with their levels.
const fn permissions(kind: EntityKind) -> [(&'static str, &'static str); 2] {
    match kind {
        EntityKind::Organization => [("organization_self_hosted_runners", "write"), ("actions", "read")],
        // Runners of a repository are part of its administration.
        EntityKind::User => [("administration", "write"), ("actions", "read")],
    }
}

fn level(name: &str) -> u8 {
    match name {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    }
}

impl AppDescription {
    /// Permissions that it lacks to serve accounts of this kind, as `name: level`.
    #[must_use]
    pub fn missing_permissions(&self, kind: EntityKind) -> Vec<String> {
        let granted = |name| self.permissions.get(name).map_or(0, |granted| level(granted));
        let lacking = permissions(kind).into_iter().filter(|(name, needed)| granted(*name) < level(needed));
        lacking.map(|(name, needed)| format!("{name}: {needed}")).collect()
    }

    /// Events that it is not sent.
    #[must_use]
    pub fn missing_events(&self) -> Vec<&'static str> {
        EVENTS.into_iter().filter(|event| !self.events.iter().any(|known| known == event)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(permissions: &[(&str, &str)], events: &[&str]) -> AppDescription {
        let text = |(name, level): &(&str, &str)| ((*name).to_owned(), (*level).to_owned());
        AppDescription {
            id: "7".parse().unwrap(),
            slug: None,
            html_url: None,
            permissions: permissions.iter().map(text).collect(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
        }
    }

    #[test]
    fn what_is_missing_is_named_with_its_level() {
        let good =
            app(&[("organization_self_hosted_runners", "write"), ("actions", "write")], &["workflow_job"]);
        assert!(good.missing_permissions(EntityKind::Organization).is_empty());
        assert!(good.missing_events().is_empty());
        assert_eq!(good.missing_permissions(EntityKind::User), ["administration: write"]);
        let poor = app(&[("organization_self_hosted_runners", "read")], &["push"]);
        let missing = poor.missing_permissions(EntityKind::Organization);
        assert_eq!(missing, ["organization_self_hosted_runners: write", "actions: read"]);
        assert_eq!(poor.missing_events(), ["workflow_job"]);
    }
}
