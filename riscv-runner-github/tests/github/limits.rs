//! GitHub's limits: who cools down, for how long, and who may go on.

use std::time::Duration;

use jiff::ToSpan as _;
use riscv_runner_core::ports::{Forge as _, MintError, Platform as _, PortErrorKind};
use riscv_runner_sim::doubles::github::{Effect, Fault};

use crate::setting::{ORG_JIT, ORG_RUNNERS, REPO_JIT, Setting, TOKEN};

fn limited(status: u16, headers: &[(&'static str, &str)]) -> Effect {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Effect::Refuse { status, message: "You have exceeded a secondary rate limit".into(), headers }
}

#[tokio::test]
async fn a_limited_installation_cools_down_alone() {
    for status in [403, 429] {
        let t = Setting::new().await;
        t.double.inject(Fault::on(ORG_JIT, limited(status, &[("retry-after", "90")])).times(1));
        let until = t.clock.now() + 90.seconds();
        let error = t.mint(&t.org, "rise-riscv-runner-a").await.unwrap_err();
        assert!(matches!(error, MintError::RateLimited { until: told } if told == until), "{error:?}");
        assert_eq!(t.forge.health(t.org.installation).rate_limited_until, Some(until));
        let before = t.double.requests().len();
        let error = t.forge.runners(&t.org).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::RateLimited { until });
        assert_eq!(t.double.requests().len(), before, "nothing is sent while it cools down");
        t.mint(&t.person, "rise-riscv-runner-a").await.unwrap();
        t.clock.advance(Duration::from_secs(90));
        t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
        assert_eq!(t.forge.health(t.org.installation).rate_limited_until, None);
    }
}

#[tokio::test]
async fn a_limit_of_the_app_itself_is_told_of_the_installation_that_has_no_token() {
    let t = Setting::new().await;
    t.mint(&t.person, "rise-riscv-runner-a").await.unwrap();
    t.double.inject(Fault::on(TOKEN, limited(429, &[("retry-after", "600")])).times(1));
    let until = t.clock.now() + 600.seconds();
    let error = t.mint(&t.org, "rise-riscv-runner-a").await.unwrap_err();
    assert!(matches!(error, MintError::RateLimited { until: told } if told == until), "{error:?}");
    let health = t.forge.health(t.org.installation);
    assert_eq!((health.rate_limited_until, health.auth_failing_since), (Some(until), None));
    assert_eq!(t.forge.health(t.person.installation).rate_limited_until, None, "it has a token");
    t.clock.advance(Duration::from_secs(600));
    assert_eq!(t.forge.health(t.org.installation).rate_limited_until, None);
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
}

#[tokio::test]
async fn without_a_time_the_wait_is_a_minute_and_doubles() {
    let t = Setting::new().await;
    t.double.inject(Fault::on(ORG_RUNNERS, limited(403, &[])));
    for wait in [60, 120, 240] {
        let until = t.clock.now() + i64::from(wait).seconds();
        let error = t.forge.runners(&t.org).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::RateLimited { until });
        t.clock.advance(Duration::from_secs(wait as u64));
    }
}

#[tokio::test]
async fn reconciliation_stops_at_half_and_provisioning_goes_on() {
    let t = Setting::new().await;
    t.forge.runners(&t.org).await.unwrap();
    t.clock.advance(Duration::from_secs(3600));
    t.double.set_remaining(t.org.installation.get(), 20);
    let mut read = 0;
    let refused = loop {
        // A new registration each time, or the answer would be 304 and cost nothing.
        t.double.add_runner("orgs/acme", &format!("other-{read}"));
        match t.forge.runners(&t.org).await {
            Ok(_) => read += 1,
            Err(error) => break error,
        }
        assert!(read < 20, "reconciliation took everything");
    };
    assert!(matches!(refused.kind(), PortErrorKind::RateLimited { .. }), "{refused:?}");
    assert!((9..=10).contains(&read), "{read} of 20");
    assert_eq!(t.forge.health(t.org.installation).rate_limited_until, None, "not for provisioning");
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
}

#[tokio::test]
async fn an_exhausted_hour_is_waited_for() {
    let t = Setting::with(|config| config.hourly_limit = 2, |_| {}).await;
    t.mint(&t.person, "rise-riscv-runner-a").await.unwrap();
    t.mint(&t.person, "rise-riscv-runner-b").await.unwrap();
    assert_eq!(t.forge.budget_remaining_min(), Some(0));
    let before = t.double.requests().len();
    let error = t.mint(&t.person, "rise-riscv-runner-c").await.unwrap_err();
    let MintError::RateLimited { until } = error else { panic!("{error:?}") };
    assert_eq!(until, t.clock.now() + 1.hour());
    assert_eq!(t.double.requests().len(), before);
    t.clock.advance(Duration::from_secs(3600));
    t.mint(&t.person, "rise-riscv-runner-c").await.unwrap();
}

#[tokio::test]
async fn a_minute_has_150_registrations_per_installation() {
    let t = Setting::new().await;
    for n in 0..150 {
        t.mint(&t.person, &format!("rise-riscv-runner-{n}")).await.unwrap();
    }
    let error = t.mint(&t.person, "rise-riscv-runner-x").await.unwrap_err();
    let MintError::RateLimited { until } = error else { panic!("{error:?}") };
    assert_eq!(until, t.clock.now() + 1.minute());
    let health = t.forge.health(t.person.installation);
    assert_eq!((health.mints_left, health.rate_limited_until), (Some((0, until)), None));
    assert_eq!(t.double.count(REPO_JIT), 150);
    t.mint(&t.org, "rise-riscv-runner-x").await.unwrap();
    t.clock.advance(Duration::from_secs(60));
    t.mint(&t.person, "rise-riscv-runner-x").await.unwrap();
}

#[tokio::test]
async fn requests_are_counted_by_operation_and_status() {
    let t = Setting::new().await;
    t.mint(&t.person, "rise-riscv-runner-a").await.unwrap();
    t.double.inject(Fault::on(REPO_JIT, Effect::Lost));
    t.mint(&t.person, "rise-riscv-runner-b").await.unwrap_err();
    let answers = t.notes.answers.lock().unwrap();
    let counted: Vec<_> = answers.iter().map(|a| (a.endpoint.template(), a.status_label())).collect();
    assert_eq!(counted, [(crate::setting::TOKEN, "201"), (REPO_JIT, "201"), (REPO_JIT, "none")]);
}
