//! The runner group of each organization: found or created by name, and cached.
//!
//! A group that exists is taken as it is; what an operator changed about it is not changed back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::Method;
use riscv_runner_core::{entity::EntityKind, ids::EntityId, scope::ScopeRef};
use serde::Deserialize;

use crate::{
    api::{Api, Ask, Name, Reading},
    client::{ApiError, Endpoint, Priority},
};

/// The group that every organization and every repository has.
pub(crate) const DEFAULT_GROUP: i64 = 1;

type Remembered = Arc<tokio::sync::Mutex<Option<i64>>>;

/// The groups that were found, by organization.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    found: Mutex<BTreeMap<EntityId, Remembered>>,
}

#[derive(Deserialize)]
struct Page {
    runner_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    id: i64,
    name: String,
    #[serde(default)]
    default: bool,
}

impl Groups {
    /// The id of the group called `name`; created if it is missing.
    ///
    /// Where the organization's plan has no groups of its own, it is the default group.
    pub(crate) async fn ensure(&self, api: &Api, scope: &ScopeRef, name: &str) -> Result<i64, ApiError> {
        let slot = self.slot(scope.entity);
        let mut remembered = slot.lock().await;
        if let Some(id) = *remembered {
            return Ok(id);
        }
        let id = find_or_create(api, scope, name).await?;
        *remembered = Some(id);
        Ok(id)
    }

    /// The id of the group called `name`, which is not created here; the default group where it is missing.
    pub(crate) async fn look_up(&self, api: &Api, scope: &ScopeRef, name: &str) -> Result<i64, ApiError> {
        let slot = self.slot(scope.entity);
        let mut remembered = slot.lock().await;
        if let Some(id) = *remembered {
            return Ok(id);
        }
        let (found, default) = find(api, scope, name, Priority::Reconcile).await?;
        // Whoever registers a runner makes a group that is missing.
        *remembered = found;
        Ok(found.unwrap_or(default))
    }

    fn slot(&self, entity: EntityId) -> Remembered {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(found.entry(entity).or_default())
    }

    /// Forgets the group, after GitHub did not find `id`; one that was found since stays.
    pub(crate) async fn forget(&self, entity: EntityId, id: i64) {
        let slot = self.found.lock().unwrap_or_else(PoisonError::into_inner).get(&entity).map(Arc::clone);
        if let Some(slot) = slot {
            let mut remembered = slot.lock().await;
            if *remembered == Some(id) {
                *remembered = None;
            }
        }
    }
}

async fn find_or_create(api: &Api, scope: &ScopeRef, name: &str) -> Result<i64, ApiError> {
    let (found, default) = find(api, scope, name, Priority::Provision).await?;
    if let Some(id) = found {
        return Ok(id);
    }
    match create(api, scope, name).await {
        Ok(id) => Ok(id),
        // Another replica made it between our look and our request.
        Err(ApiError::Status { status: 409, message }) => {
            let (found, _) = find(api, scope, name, Priority::Provision).await?;
            found.ok_or(ApiError::Status { status: 409, message })
        }
        Err(ApiError::Status { status: status @ (402 | 403 | 404 | 422), message }) => {
            tracing::warn!(
                organization = %scope.login,
                status,
                message,
                "no runner group can be created here; runners join the default group"
            );
            Ok(default)
        }
        Err(error) => Err(error),
    }
}

/// The group of that name, and the default group.
async fn find(
    api: &Api,
    scope: &ScopeRef,
    name: &str,
    priority: Priority,
) -> Result<(Option<i64>, i64), ApiError> {
    let segments = ["orgs", scope.login.as_str(), "actions", "runner-groups"];
    let ask = Ask::get(asker(scope), priority, Endpoint::RunnerGroups, &segments);
    let (mut found, mut default) = (None, DEFAULT_GROUP);
    api.list(&ask, |page: Page| {
        for group in page.runner_groups {
            if group.default {
                default = group.id;
            }
            if group.name == name {
                found = Some(group.id);
            }
        }
        if found.is_some() { Reading::Enough } else { Reading::On }
    })
    .await?;
    Ok((found, default))
}

async fn create(api: &Api, scope: &ScopeRef, name: &str) -> Result<i64, ApiError> {
    let segments = ["orgs", scope.login.as_str(), "actions", "runner-groups"];
    let ask = Ask {
        name: asker(scope),
        priority: Priority::Provision,
        method: Method::POST,
        endpoint: Endpoint::CreateRunnerGroup,
        segments: &segments,
        query: &[],
        body: Some(serde_json::json!({
            "name": name,
            "visibility": "all",
            "allows_public_repositories": true,
        })),
    };
    let group: Group = api.read(&ask).await?;
    Ok(group.id)
}

fn asker(scope: &ScopeRef) -> Name {
    Name::Installation(EntityKind::Organization, scope.installation)
}
