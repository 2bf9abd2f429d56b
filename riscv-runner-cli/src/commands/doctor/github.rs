//! Both Apps: whether their keys are valid, and whether they have the permissions they need; and GitHub's
//! clock.

use std::sync::Arc;

use jiff::SignedDuration;
use riscv_runner_core::{entity::EntityKind, ports::PortErrorKind};
use riscv_runner_github::{GithubForge, Unobserved};

use super::{Finding, clock};
use crate::{
    config::{Config, GithubApp},
    wire,
};

/// An App's token is dated a minute back, so less than that does no harm.
const TOLERATED: SignedDuration = SignedDuration::from_secs(5);

/// Checks both Apps.
pub(super) async fn check(config: &Config) -> Vec<Finding> {
    if config.github.apps.is_empty() {
        return vec![Finding::skipped("GitHub", "no App is configured")];
    }
    let forge = match wire::forge(config, Arc::new(Unobserved)) {
        Ok(forge) => forge,
        Err(failure) => {
            let fix = "fix [github] api_url, or the private key that the finding names";
            return vec![Finding::fail("GitHub", failure.what(), fix)];
        }
    };
    let mut findings = Vec::new();
    for app in &config.github.apps {
        findings.extend(app_of(&forge, app).await);
    }
    findings.push(match forge.clock_ahead() {
        Some(ahead) => clock("GitHub clock", ahead, TOLERATED),
        None => Finding::skipped("GitHub clock", "there is no answer from GitHub to compare with"),
    });
    findings
}

async fn app_of(forge: &GithubForge, app: &GithubApp) -> Vec<Finding> {
    let kind = match app.kind {
        EntityKind::Organization => "organization",
        EntityKind::User => "user",
    };
    let name = |what: &str| format!("{kind} App {what}");
    if app.private_key.is_none() {
        let fix = "see private_key_file above; a machine that only accepts webhooks needs none";
        return vec![Finding::warn(name("key"), "there is no private key of it here", fix)];
    }
    let settings = format!("the settings of App {} on GitHub", app.app_id);
    let skipped = |what: &str| Finding::skipped(name(what), "GitHub did not describe the App");
    let description = match forge.app(app.kind).await {
        Ok(description) => description,
        Err(error) => {
            let fix = if error.kind() == PortErrorKind::Denied {
                format!("set app_id to the App's own, and private_key_file to a key that {settings} lists")
            } else {
                "check that this machine can reach [github] api_url".to_owned()
            };
            let failed = Finding::fail(name("key"), error.chain(), fix);
            return vec![failed, skipped("permissions"), skipped("events")];
        }
    };
    let slug = description.slug.as_deref().unwrap_or("without a name");
    let mut findings =
        vec![Finding::ok(name("key"), format!("GitHub knows App {} ({slug}) by it", app.app_id))];
    let permissions = description.missing_permissions(app.kind);
    findings.push(if permissions.is_empty() {
        Finding::ok(name("permissions"), "it has the permissions it needs")
    } else {
        let fix = format!(
            "grant them under \"Permissions & events\" in {settings}; its installations then accept them"
        );
        Finding::fail(name("permissions"), format!("it lacks {}", permissions.join(", ")), fix)
    });
    let events = description.missing_events();
    findings.push(if events.is_empty() {
        Finding::ok(name("events"), "it receives job events")
    } else {
        let fix = format!("subscribe to it under \"Permissions & events\" in {settings}");
        Finding::fail(name("events"), format!("it does not receive {}", events.join(", ")), fix)
    });
    findings
}
