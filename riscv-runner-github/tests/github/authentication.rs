//! Tokens: kept, renewed, refused; and what is remembered of refusals.

use std::time::Duration;

use jiff::ToSpan as _;
use riscv_runner_core::{
    entity::EntityKind,
    ports::{Forge as _, MintError, Platform as _, PortErrorKind},
};
use riscv_runner_github::{ConfigError, GithubConfig, GithubForge, Unobserved};
use riscv_runner_sim::doubles::github::{Effect, Fault, ORGANIZATION_APP, STRANGERS_KEY};
use std::sync::Arc;

use crate::setting::{Setting, TOKEN, app};

#[tokio::test]
async fn a_token_is_used_until_five_minutes_before_its_end() {
    let t = Setting::new().await;
    t.forge.runners(&t.org).await.unwrap();
    t.clock.advance(Duration::from_secs(55 * 60 - 1));
    t.forge.runners(&t.org).await.unwrap();
    assert_eq!(t.double.count(TOKEN), 1);
    t.clock.advance(Duration::from_secs(1));
    t.forge.runners(&t.org).await.unwrap();
    assert_eq!(t.double.count(TOKEN), 2);
    t.assert_lawful();
}

#[tokio::test]
async fn many_who_need_a_token_ask_for_one() {
    let t = Setting::new().await;
    t.double.set_latency(Duration::from_millis(20));
    let results = futures::future::join_all((0..30).map(|_| t.forge.runners(&t.org))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(t.double.count(TOKEN), 1);
}

#[tokio::test]
async fn many_who_wait_for_a_failing_token_share_its_failure() {
    let t = Setting::new().await;
    t.double.inject(Fault::on(TOKEN, Effect::Slow(Duration::from_millis(200))).times(1));
    t.double.uninstall(t.org.installation.get());
    let results = futures::future::join_all((0..30).map(|_| t.forge.runners(&t.org))).await;
    assert!(results.iter().all(Result::is_err));
    assert_eq!(t.double.count(TOKEN), 1);
    assert_eq!(t.failures().len(), 1);
}

#[tokio::test]
async fn a_refused_token_is_dropped_and_the_request_repeated_once() {
    let t = Setting::new().await;
    t.forge.runners(&t.org).await.unwrap();
    t.double.revoke_tokens();
    t.forge.runners(&t.org).await.unwrap();
    assert_eq!(t.double.count(TOKEN), 2);
    t.double.inject(Fault::status(crate::setting::ORG_RUNNERS, 401));
    let error = t.forge.runners(&t.org).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Denied);
    assert_eq!(t.double.count(crate::setting::ORG_RUNNERS), 5, "once more, and no more");
}

#[tokio::test]
async fn a_gone_installation_is_told_and_left_alone_longer_each_time() {
    let t = Setting::new().await;
    t.double.uninstall(t.org.installation.get());
    let mut asked = Vec::new();
    for wait in [30, 60, 120, 240, 480, 900, 900] {
        let error = t.mint(&t.org, "rise-riscv-runner-a").await.unwrap_err();
        assert!(matches!(error, MintError::InstallationGone), "{error:?}");
        asked.push(t.double.count(TOKEN));
        let health = t.forge.health(t.org.installation);
        let retry_at = t.clock.now() + i64::from(wait).seconds();
        assert_eq!(health.auth_retry_at, Some(retry_at));
        assert!(health.gone_since.is_some());
        assert_eq!(health.gone_since, health.auth_failing_since);
        t.clock.advance(Duration::from_secs(wait as u64 - 1));
        t.mint(&t.org, "rise-riscv-runner-a").await.unwrap_err();
        t.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(asked, [1, 2, 3, 4, 5, 6, 7]);
    let failures = t.failures();
    assert_eq!(failures.len(), 7);
    assert_eq!(failures[0].event(), "auth_attempt.404");
    assert_eq!((failures[0].app.get(), failures[0].status), (ORGANIZATION_APP, Some(404)));
}

#[tokio::test]
async fn a_suspended_installation_is_an_authentication_failure_that_heals() {
    let t = Setting::new().await;
    t.double.set_suspended(t.org.installation.get(), true);
    let error = t.mint(&t.org, "rise-riscv-runner-a").await.unwrap_err();
    let MintError::AuthFailed(source) = error else { panic!("{error:?}") };
    assert!(source.chain().contains("suspended"), "{}", source.chain());
    assert_eq!(t.failures()[0].event(), "auth_attempt.other_error");
    let since = t.forge.health(t.org.installation).auth_failing_since.unwrap();
    assert_eq!(since, t.clock.now());
    assert_eq!(t.forge.health(t.org.installation).gone_since, None, "suspended is not gone");
    t.double.set_suspended(t.org.installation.get(), false);
    t.clock.advance(Duration::from_secs(30));
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
    assert_eq!(t.forge.health(t.org.installation).auth_failing_since, None);
}

#[tokio::test]
async fn an_installation_that_returned_is_asked_for_again_at_once() {
    let t = Setting::new().await;
    let installation = t.org.installation;
    t.double.set_suspended(installation.get(), true);
    for _ in 0..6 {
        t.mint(&t.org, "rise-riscv-runner-a").await.unwrap_err();
        t.clock.advance(Duration::from_secs(15 * 60));
    }
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap_err();
    let asked = t.double.count(TOKEN);
    let tried_at = t.clock.now();
    t.forge.returned(installation, tried_at - 1.second());
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap_err();
    assert_eq!(t.double.count(TOKEN), asked, "it was refused after that return");

    t.clock.advance(Duration::from_secs(5));
    t.double.set_suspended(installation.get(), false);
    t.forge.returned(installation, t.clock.now());
    let health = t.forge.health(installation);
    assert_eq!((health.auth_failing_since, health.auth_retry_at), (None, None));
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
    assert_eq!(t.double.count(TOKEN), asked + 1);
}

#[tokio::test]
async fn a_passing_failure_of_the_token_does_not_hold_back_the_next_try() {
    for effect in [Effect::Lost, Effect::DoneButReports(502)] {
        let t = Setting::new().await;
        t.double.inject(Fault::on(TOKEN, effect).times(1));
        let error = t.forge.runners(&t.org).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Transient);
        assert_eq!(t.forge.health(t.org.installation).auth_retry_at, None);
        t.forge.runners(&t.org).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_of_somebody_else_is_refused_by_github() {
    let wrong = vec![app(EntityKind::Organization, ORGANIZATION_APP, STRANGERS_KEY)];
    let t = Setting::with(|_| {}, |config| config.apps = wrong).await;
    let error = t.mint(&t.org, "rise-riscv-runner-a").await.unwrap_err();
    assert!(matches!(error, MintError::AuthFailed(_)), "{error:?}");
    assert_eq!(t.failures()[0].status, Some(401));
    let error = t.mint(&t.person, "rise-riscv-runner-a").await.unwrap_err();
    let MintError::AuthFailed(source) = error else { panic!("{error:?}") };
    assert!(source.chain().contains("no App of kind User"), "{}", source.chain());
}

#[tokio::test]
async fn a_bad_configuration_is_named() {
    let t = Setting::new().await;
    let build = |config: &GithubConfig| {
        GithubForge::new(config, Arc::new(t.clock.clone()), Arc::new(Unobserved)).err().unwrap()
    };
    let bad_key = GithubConfig::new(vec![app(EntityKind::User, 77, "not a key")]);
    assert!(build(&bad_key).to_string().contains("User App 77"), "{}", build(&bad_key));
    let key = riscv_runner_sim::doubles::github::TEST_APP_KEY_PKCS8;
    let twice = vec![app(EntityKind::User, 1, key), app(EntityKind::User, 2, key)];
    assert!(matches!(build(&GithubConfig::new(twice)), ConfigError::TwoApps { kind: EntityKind::User }));
    for url in ["api.github.com", "ftp://x", "https://u:p@x", "https://x/?q", ""] {
        let mut config = GithubConfig::new(Vec::new());
        config.api_url = url.into();
        let error = build(&config).to_string();
        assert!(error.contains("github.api_url") && !error.contains("u:p"), "{url}: {error}");
    }
}

#[tokio::test]
async fn enterprise_server_lives_below_a_path() {
    let t = Setting::with(|config| config.prefix = "/api/v3".into(), |_| {}).await;
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
    assert_eq!(t.forge.runners(&t.org).await.unwrap().len(), 1);
    t.assert_lawful();
}

#[tokio::test]
async fn apps_and_installations_describe_themselves() {
    let t = Setting::new().await;
    let app = t.forge.app(EntityKind::Organization).await.unwrap();
    assert_eq!(app.id.get(), ORGANIZATION_APP);
    assert_eq!(app.permissions["organization_self_hosted_runners"], "write");
    let found = t.forge.installation(EntityKind::Organization, t.org.installation).await.unwrap().unwrap();
    assert_eq!(found.entity.unwrap().login.as_str(), "Acme");
    let other = t.forge.installation(EntityKind::User, t.org.installation).await.unwrap();
    assert_eq!(other, None, "of the other App");
    t.assert_lawful();
}
