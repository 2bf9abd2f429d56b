//! Apps made from manifests: a browser posts one and gets a code, which is exchanged once.

use riscv_runner_core::entity::EntityKind;
use serde_json::{Value, json};

use super::{GithubDouble, Shared, TEST_APP_KEY_PKCS1, auth::PublicKey, locked, reply::Reply, world::App};

impl GithubDouble {
    /// What GitHub does when somebody confirms a manifest in the browser: the code that the App's owner is
    /// redirected with.
    #[must_use]
    pub fn confirm_manifest(&self, manifest: Value) -> String {
        let mut world = self.world();
        let code = format!("{:020x}", world.next_id());
        world.manifests.insert(code.clone(), manifest);
        code
    }
}

/// `POST /app-manifests/{code}/conversions`, which needs no token.
pub(super) fn convert(shared: &Shared, code: &str) -> Reply {
    let mut world = locked(&shared.world);
    let Some(manifest) = world.manifests.remove(code) else { return Reply::not_found() };
    let id = world.next_id();
    if let Ok(key) = PublicKey::of_private_pem(TEST_APP_KEY_PKCS1) {
        let of_organizations =
            manifest["default_permissions"]["organization_self_hosted_runners"].is_string();
        let kind = if of_organizations { EntityKind::Organization } else { EntityKind::User };
        world.apps.insert(id, App { kind, key, granted: None });
    }
    let slug = manifest["name"].as_str().unwrap_or_default().to_lowercase().replace(' ', "-");
    Reply::json(
        201,
        json!({
            "id": id,
            "slug": slug,
            "node_id": "A_double",
            "owner": { "login": "acme", "id": 1, "type": "Organization" },
            "name": manifest["name"],
            "external_url": manifest["url"],
            "html_url": format!("https://github.com/apps/{slug}"),
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "permissions": manifest["default_permissions"],
            "events": manifest["default_events"],
            "client_id": "Iv1.double",
            "client_secret": "client-secret-of-the-double",
            "webhook_secret": "webhook-secret-of-the-double",
            "pem": TEST_APP_KEY_PKCS1,
        }),
    )
}
