//! Each notifier over HTTP, against a server that keeps what it gets, and the way through the outbox.

#![expect(clippy::unwrap_used, reason = "what a test needs must be there, or the test fails where it stands")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, response::IntoResponse};
use futures::future::{BoxFuture, FutureExt as _};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, StatusCode, Uri};
use jiff::Timestamp;
use riscv_runner_core::{
    engine::outbox::outbox,
    notify::{Notification, Severity, Topic},
    ports::{EngineEvent, Monitor, NoticeOutcome, Notifier, Observer, Platform, PortErrorKind},
};
use riscv_runner_notify::{Discord, ID_HEADER, PushMonitor, SIGNATURE_HEADER, Webhook};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

#[derive(Debug, Clone)]
struct Request {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A status, and `Retry-After`.
type Answer = (StatusCode, Option<&'static str>);

/// A server that answers with the prepared statuses, then with 204.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<Request>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Receiver {
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(Self::take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, root)
    }

    async fn take(
        State(receiver): State<Self>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> impl IntoResponse {
        receiver.got.lock().unwrap().push(Request { method, path: uri.to_string(), headers, body });
        let (status, retry) =
            receiver.answers.lock().unwrap().pop_front().unwrap_or((StatusCode::NO_CONTENT, None));
        let mut answer = HeaderMap::new();
        if let Some(retry) = retry {
            answer.insert("retry-after", retry.parse().unwrap());
        }
        answer.insert("location", "http://127.0.0.1:1/elsewhere".parse().unwrap());
        (status, answer)
    }

    fn answer(&self, status: u16, retry: Option<&'static str>) {
        self.answers.lock().unwrap().push_back((StatusCode::from_u16(status).unwrap(), retry));
    }

    fn got(&self) -> Vec<Request> {
        self.got.lock().unwrap().clone()
    }
}

/// Time that passes only by being slept through.
#[derive(Default)]
struct Time(Mutex<Duration>);

impl Time {
    fn passed(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

impl Platform for Time {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_000_000).unwrap().checked_add(self.passed()).unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        *self.0.lock().unwrap() += duration;
        std::future::ready(()).boxed()
    }

    fn seed(&self) -> u64 {
        0
    }
}

#[derive(Default)]
struct Counted(Mutex<Vec<EngineEvent>>);

impl Observer for Counted {
    fn observe(&self, event: EngineEvent) {
        self.0.lock().unwrap().push(event);
    }
}

fn notification() -> Notification {
    Notification {
        id: "1000-1".to_owned(),
        topic: Topic::BoardLost,
        severity: Severity::Warning,
        subject: "k1-07".to_owned(),
        title: "Board k1-07 is lost".to_owned(),
        text: "Kubernetes calls it not ready. @everyone".to_owned(),
        ended: false,
        at: Timestamp::from_second(1_000_000).unwrap(),
    }
}

fn secret(text: impl Into<String>) -> SecretString {
    SecretString::from(text.into())
}

fn webhook(url: &str, key: Option<&str>) -> Webhook {
    Webhook::new(&secret(url), key.map(secret), Arc::new(Time::default())).unwrap()
}

#[tokio::test]
async fn the_webhook_is_json_signed_over_its_bytes() {
    let (receiver, root) = Receiver::start().await;
    webhook(&format!("{root}/hook"), Some("shared")).notify(&notification()).await.unwrap();
    let got = receiver.got().remove(0);
    assert_eq!((got.method, got.path.as_str()), (Method::POST, "/hook"));
    assert_eq!(got.headers["content-type"], "application/json");
    assert_eq!(got.headers[ID_HEADER], "1000-1");
    let mut mac = Hmac::<Sha256>::new_from_slice(b"shared").unwrap();
    mac.update(&got.body);
    let signature = got.headers[SIGNATURE_HEADER].to_str().unwrap().strip_prefix("sha256=").unwrap();
    mac.verify_slice(&hex::decode(signature).unwrap()).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&got.body).unwrap(),
        json!({
            "id": "1000-1",
            "type": "board_lost",
            "severity": "warning",
            "subject": "k1-07",
            "title": "Board k1-07 is lost",
            "text": "Kubernetes calls it not ready. @everyone",
            "ended": false,
            "at": "1970-01-12T13:46:40Z",
        })
    );
    webhook(&root, None).notify(&notification()).await.unwrap();
    assert!(!receiver.got()[1].headers.contains_key(SIGNATURE_HEADER));
}

#[tokio::test]
async fn discord_gets_an_embed_that_mentions_nobody() {
    let (receiver, root) = Receiver::start().await;
    let discord =
        Discord::new(&secret(format!("{root}/api/webhooks/1/token")), Arc::new(Time::default())).unwrap();
    let long = Notification { text: "é".repeat(5000), ended: true, ..notification() };
    discord.notify(&notification()).await.unwrap();
    discord.notify(&long).await.unwrap();
    let bodies: Vec<Value> =
        receiver.got().iter().map(|got| serde_json::from_slice(&got.body).unwrap()).collect();
    assert_eq!(bodies[0]["allowed_mentions"], json!({ "parse": [] }));
    let embed = &bodies[0]["embeds"][0];
    assert_eq!(embed["title"], "Board k1-07 is lost");
    assert_eq!(embed["footer"]["text"], "warning · board_lost · k1-07");
    let embed = &bodies[1]["embeds"][0];
    assert_eq!(embed["description"].as_str().unwrap().chars().count(), 4096);
    assert_eq!(embed["footer"]["text"], "over · board_lost · k1-07");
}

#[tokio::test]
async fn the_monitor_is_called_as_its_address_says() {
    let (receiver, root) = Receiver::start().await;
    let url = secret(format!("{root}/api/push/token?status=up&msg=OK"));
    let monitor = PushMonitor::new(&url, Arc::new(Time::default())).unwrap();
    monitor.beat().await.unwrap();
    let got = receiver.got().remove(0);
    assert_eq!((got.method, got.path.as_str()), (Method::GET, "/api/push/token?status=up&msg=OK"));
    receiver.answer(500, None);
    assert_eq!(monitor.beat().await.unwrap_err().kind(), PortErrorKind::Transient);
}

#[tokio::test]
async fn answers_mean_try_again_later_or_never() {
    let (receiver, root) = Receiver::start().await;
    let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
    let limited = |until| PortErrorKind::RateLimited { until };
    for (status, retry, expected) in [
        (500, None, PortErrorKind::Transient),
        (503, None, PortErrorKind::Transient),
        (408, None, PortErrorKind::Transient),
        (429, Some("7"), limited(at(7))),
        (429, Some("2.0"), limited(at(2))),
        (429, Some("Wed, 21 Oct 2026 07:28:00 GMT"), limited(at(30))),
        (429, None, limited(at(30))),
        (400, None, PortErrorKind::Denied),
        (404, None, PortErrorKind::Denied),
        (302, None, PortErrorKind::Denied),
    ] {
        receiver.answer(status, retry);
        let error = webhook(&root, None).notify(&notification()).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{status} {retry:?}");
    }
    assert_eq!(receiver.got().len(), 10, "no redirect is followed");
}

#[tokio::test]
async fn an_address_is_a_secret_in_errors_too() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/planted-token", closed.local_addr().unwrap());
    drop(closed);
    let error = webhook(&url, None).notify(&notification()).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Transient);
    assert!(!error.chain().contains("planted"), "{}", error.chain());
    for wrong in ["planted", "ftp://planted", ""] {
        let error = Discord::new(&secret(wrong), Arc::new(Time::default())).err().unwrap();
        assert!(!error.to_string().contains("planted"), "{error}");
    }
}

/// Delivers one notification through an outbox; how it ended, and how long was waited.
async fn through_the_outbox(url: &str) -> (NoticeOutcome, Duration) {
    let (time, counted) = (Arc::new(Time::default()), Arc::new(Counted::default()));
    let notifier = Webhook::new(&secret(url), None, time.clone()).unwrap();
    let (outbox, courier) = outbox(Arc::new(notifier), time.clone(), counted.clone());
    outbox.put(Arc::new(notification()));
    drop(outbox);
    courier.run().await;
    let events = counted.0.lock().unwrap().clone();
    let [EngineEvent::Noticed { notifier: "webhook", outcome }] = events.as_slice() else {
        panic!("{events:?}")
    };
    (*outcome, time.passed())
}

#[tokio::test]
async fn what_fails_is_tried_again_with_longer_waits_under_the_same_id() {
    let (receiver, root) = Receiver::start().await;
    receiver.answer(502, None);
    receiver.answer(429, Some("20"));
    receiver.answer(503, None);
    assert_eq!(through_the_outbox(&root).await, (NoticeOutcome::Sent, Duration::from_secs(1 + 20 + 4)));
    let ids: Vec<_> = receiver.got().iter().map(|got| got.headers[ID_HEADER].clone()).collect();
    assert_eq!(ids, ["1000-1"; 4]);
}

#[tokio::test]
async fn trying_ends() {
    let (receiver, root) = Receiver::start().await;
    for _ in 0..10 {
        receiver.answer(500, None);
    }
    let waited = Duration::from_secs(1 + 2 + 4 + 8 + 16);
    assert_eq!(through_the_outbox(&root).await, (NoticeOutcome::Failed, waited));
    assert_eq!(receiver.got().len(), 6);
    receiver.answers.lock().unwrap().clear();
    receiver.answer(401, None);
    assert_eq!(through_the_outbox(&root).await, (NoticeOutcome::Failed, Duration::ZERO));
}

#[tokio::test]
async fn a_full_outbox_drops_and_counts_and_never_waits() {
    let (time, counted) = (Arc::new(Time::default()), Arc::new(Counted::default()));
    let (outbox, courier) = outbox(Arc::new(webhook("http://127.0.0.1:1/", None)), time, counted.clone());
    for _ in 0..70 {
        outbox.put(Arc::new(notification()));
    }
    let events = counted.0.lock().unwrap().clone();
    assert_eq!(events.len(), 6);
    assert!(events.iter().all(|event| {
        *event == EngineEvent::Noticed { notifier: "webhook", outcome: NoticeOutcome::Dropped }
    }));
    drop(courier);
}
