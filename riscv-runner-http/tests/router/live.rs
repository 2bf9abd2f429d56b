//! `/live`: what those hear who watch the overview.

use std::{sync::Arc, time::Duration};

use axum::body::{Body, BodyDataStream};
use futures::StreamExt;
use http::{Request, StatusCode};
use riscv_runner_core::controls::{Controls, Note};
use riscv_runner_http::{IntakeLimits, Role};
use tower::ServiceExt;

use crate::{
    payloads::Job,
    serving::{Serving, Stores, TOKEN},
};

const SOON: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// A router whose streams are quick, for at most this many watchers.
fn serving(watchers: usize) -> Serving {
    Serving::made(
        Role::All,
        IntakeLimits::default(),
        |builder, looking| builder.snapshots(looking).live(watchers, SOON),
        |store| Stores { deliveries: store.clone(), reports: store.clone(), lease: store },
    )
}

/// Somebody who watches.
struct Watcher {
    body: BodyDataStream,
    heard: String,
}

impl Watcher {
    async fn of(serving: &Serving, token: Option<&str>) -> Result<Self, StatusCode> {
        let mut request = Request::get("/live");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::empty()).unwrap();
        let response = serving.router.clone().oneshot(request).await.unwrap();
        if response.status() != StatusCode::OK {
            return Err(response.status());
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Ok(Self { body: response.into_body().into_data_stream(), heard: String::new() })
    }

    /// Listens until this was said; what was heard until then.
    async fn hear(&mut self, text: &str) -> String {
        let listening = async {
            while !self.heard.contains(text) {
                let chunk = self.body.next().await.expect("the stream goes on").unwrap();
                self.heard.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        let heard = tokio::time::timeout(PATIENCE, listening).await;
        assert!(heard.is_ok(), "{text:?} was not heard in {}", self.heard);
        std::mem::take(&mut self.heard)
    }

    /// Whether the stream ends.
    async fn ends(mut self) -> bool {
        let rest = async { while self.body.next().await.is_some() {} };
        tokio::time::timeout(PATIENCE, rest).await.is_ok()
    }
}

#[tokio::test]
async fn what_changes_is_told_as_an_event_of_the_whole() {
    let serving = serving(9);
    let mut watcher = Watcher::of(&serving, None).await.unwrap();
    let first = watcher.hear("\n\n").await + &watcher.hear("data-part=\"service\"").await;
    assert!(first.starts_with("retry: 5000\n\n"), "{first}");
    assert!(first.contains("event: overview\ndata: <section data-part=\"notice\">"), "{first}");
    serving.send(Job::default().request("g1")).await;
    watcher.hear("Jobs waiting</a></dt><dd>1</dd>").await;
    serving.looking.lose_store();
    watcher.hear("event: unavailable\ndata: the store cannot be read\n\n").await;
}

#[tokio::test]
async fn many_who_watch_cost_one_look() {
    let serving = serving(60);
    let mut watchers = Vec::new();
    for _ in 0..50 {
        let mut watcher = Watcher::of(&serving, None).await.unwrap();
        watcher.hear("event: overview").await;
        watchers.push(watcher);
    }
    let before = serving.looking.looks();
    serving.send(Job::default().request("g1")).await;
    for watcher in &mut watchers {
        watcher.hear("Jobs waiting</a></dt><dd>1</dd>").await;
    }
    // The picture is at most a second old, so a second of patience is one or two looks.
    let looks = serving.looking.looks() - before;
    assert!(looks < 10, "{looks} looks for 50 who watch");
}

#[tokio::test]
async fn places_are_bounded_and_come_back() {
    let serving = serving(2);
    let first = Watcher::of(&serving, None).await.unwrap();
    let _second = Watcher::of(&serving, None).await.unwrap();
    assert_eq!(Watcher::of(&serving, None).await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
    drop(first);
    assert!(Watcher::of(&serving, None).await.is_ok());
}

#[tokio::test]
async fn streams_end_when_the_process_stops_and_nobody_is_let_in() {
    let serving = serving(9);
    let mut watcher = Watcher::of(&serving, None).await.unwrap();
    watcher.hear("event: overview").await;
    serving.state.end_streams();
    assert!(watcher.ends().await, "the stream goes on");
    assert_eq!(Watcher::of(&serving, None).await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
}

#[tokio::test]
async fn a_wrong_token_hears_nothing_and_line_breaks_stay_inside_their_event() {
    let serving = serving(9);
    assert_eq!(Watcher::of(&serving, Some("wrong")).await.err(), Some(StatusCode::UNAUTHORIZED));
    let since = serving.clock.now();
    let reason = "<b>one</b>\n\nevent: forged\r\ndata: x".to_owned();
    let note = Note { reason, actor: "eve".into(), since };
    let held = Controls { everything_paused: Some(note), ..Controls::default() };
    serving.controls.send(Arc::new(held)).unwrap();
    let mut watcher = Watcher::of(&serving, Some(TOKEN)).await.unwrap();
    let heard = watcher.hear("data-part=\"service\"").await;
    assert!(heard.contains("&lt;b&gt;one&lt;/b&gt;\ndata: \ndata: event: forged\n"), "{heard}");
    assert!(!heard.contains("\nevent: forged"), "{heard}");
}
