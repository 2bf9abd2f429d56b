//! `[github]` and `[[github.apps]]`: where GitHub is, our Apps, the webhook's secrets, banned senders.

use std::collections::BTreeSet;

use riscv_runner_core::{
    entity::EntityKind,
    ids::{AppId, Login},
};
use secrecy::{ExposeSecret, SecretString};

use super::{reader::Section, secret::SecretState, server::HttpUrl};

/// What the keys of our Apps begin with in problems.
pub(crate) const APPS: &str = "github.apps[";
/// What the keys of the webhook's secrets begin with in problems.
pub(crate) const WEBHOOK_SECRETS: &str = "github.webhook_secrets";
/// GitHub itself.
const API_URL: &str = "https://api.github.com";

/// Where GitHub is, and our identities there.
#[derive(Debug)]
pub(crate) struct Github {
    /// The root of the REST API.
    pub(crate) api_url: String,
    /// Secrets of webhooks; several during a rotation.
    pub(crate) webhook_secrets: Vec<SecretString>,
    /// Our Apps.
    pub(crate) apps: Vec<App>,
    /// Logins whose deliveries are refused.
    pub(crate) banned_senders: BTreeSet<Login>,
}

/// One of our Apps.
#[derive(Debug)]
pub(crate) struct App {
    /// The kind of account that it serves.
    pub(crate) kind: EntityKind,
    /// Its id.
    pub(crate) app_id: AppId,
    /// Its private key, if it is available here.
    pub(crate) private_key: Option<SecretString>,
}

impl Github {
    /// Reads `[github]`; `needed` says whether Apps and secrets must be there.
    pub(crate) fn read(section: Section<'_>, needed: bool) -> Self {
        let secrets = section.secrets("webhook_secrets", "webhook_secrets_files");
        if secrets.is_empty() && needed {
            let hint =
                "set [github] webhook_secrets_files, RRCTL_GITHUB__WEBHOOK_SECRETS, or GHAPP_WEBHOOK_SECRET";
            section.error("webhook_secrets", "is missing", Some(hint));
        }
        let api_url = section.or("api_url", HttpUrl(API_URL.to_owned())).0;
        let banned: Vec<Login> = section.or("banned_senders", Vec::new());
        let apps = read_apps(&section, needed);
        section.done();
        Self {
            api_url,
            webhook_secrets: secrets.into_iter().filter_map(SecretState::get).collect(),
            apps,
            banned_senders: banned.into_iter().collect(),
        }
    }
}

fn read_apps(section: &Section<'_>, needed: bool) -> Vec<App> {
    let mut apps: Vec<App> = Vec::new();
    let mut seen_any = false;
    section.sections("apps", |app| {
        seen_any = true;
        let kind: Option<EntityKind> = app.required("kind", "\"organization\" or \"user\"");
        let app_id: Option<AppId> = app.required("app_id", "the App's settings page shows it as \"App ID\"");
        let key = app.secret("private_key", "private_key_file");
        if key.is_unset() && needed {
            let hint = "set private_key_file to the .pem that GitHub generated for the App";
            app.error("private_key", "is missing", Some(hint));
        }
        let mut key = key.get();
        if key.take_if(|key| !key.expose_secret().contains("PRIVATE KEY-----")).is_some() {
            let at = if app.has("private_key") { "private_key" } else { "private_key_file" };
            let hint = "it begins with -----BEGIN RSA PRIVATE KEY-----";
            app.error(at, "does not hold a private key in PEM form", Some(hint));
        }
        if let Some(kind) = kind {
            if let Some(first) = apps.iter().find(|known| known.kind == kind) {
                let problem = format!("App {} is of this kind already; keep one", first.app_id);
                app.error("kind", problem, None);
            }
            if let Some(app_id) = app_id {
                apps.push(App { kind, app_id, private_key: key });
            }
        }
        app.done();
    });
    if !seen_any && needed {
        let hint = "add [[github.apps]] with kind, app_id and private_key_file";
        section.error("apps", "no [[github.apps]]: no account could be served", Some(hint));
    }
    apps
}
