//! What our Apps must be granted, compared with what they have.

use riscv_runner_core::{
    entity::EntityKind,
    preflight::{REQUIRED_EVENTS, required_permissions},
};

use crate::apps::AppDescription;

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
        let lacking =
            required_permissions(kind).into_iter().filter(|(name, needed)| granted(*name) < level(needed));
        lacking.map(|(name, needed)| format!("{name}: {needed}")).collect()
    }

    /// Events that it does not receive.
    #[must_use]
    pub fn missing_events(&self) -> Vec<&'static str> {
        REQUIRED_EVENTS.into_iter().filter(|event| !self.events.iter().any(|known| known == event)).collect()
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
        let granted =
            [("organization_self_hosted_runners", "write"), ("actions", "write"), ("metadata", "read")];
        let good = app(&granted, &["workflow_job"]);
        assert!(good.missing_permissions(EntityKind::Organization).is_empty());
        assert!(good.missing_events().is_empty());
        assert_eq!(good.missing_permissions(EntityKind::User), ["administration: write"]);
        let poor = app(&[("organization_self_hosted_runners", "read")], &["push"]);
        let missing = poor.missing_permissions(EntityKind::Organization);
        assert_eq!(missing, ["actions: read", "metadata: read", "organization_self_hosted_runners: write"]);
        assert_eq!(poor.missing_events(), ["workflow_job"]);
    }
}
