//! `[[entities]]`: settings of particular accounts.

use std::collections::BTreeMap;

use riscv_runner_core::{ids::EntityId, policy::EntityPolicy};

use super::reader::Section;

/// Reads `[[entities]]`.
pub(crate) fn read(root: &Section<'_>) -> BTreeMap<EntityId, EntityPolicy> {
    let mut entities = BTreeMap::new();
    root.sections("entities", |entity| {
        let id: Option<EntityId> = entity.required("id", "https://api.github.com/users/LOGIN shows it");
        // For the reader of the file: ids say nothing, and logins change.
        entity.get::<String>("comment");
        let policy = EntityPolicy {
            max_workers: entity.get("max_workers"),
            staging: entity.or("staging", false),
            banned: entity.or("banned", false),
        };
        if let Some(id) = id {
            if entities.contains_key(&id) {
                entity.error(
                    "id",
                    format!("account {id} has an [[entities]] already"),
                    Some("merge the two"),
                );
            }
            entities.insert(id, policy);
        }
        entity.done();
    });
    entities
}
