//! A collector of OpenTelemetry: takes traces over HTTP, remembers them, and judges each request by
//! OpenTelemetry's own types.

mod spans;

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tokio::{net::TcpListener, task::JoinHandle};

pub use self::spans::SentSpan;

/// What a collector does with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Takes it.
    Take,
    /// Refuses it with this status, and with `Retry-After` in seconds where there is one.
    Refuse(u16, Option<u64>),
    /// Takes it, and says that it threw so many spans away.
    Reject(i64),
    /// Never answers.
    Hang,
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct SentRequest {
    /// Path and query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it was sent.
    pub body: Bytes,
}

/// A collector on a port of its own, until it is dropped.
pub struct Collector {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared(Mutex<Known>);

#[derive(Default)]
struct Known {
    requests: Vec<SentRequest>,
    spans: Vec<SentSpan>,
    violations: Vec<String>,
    next: VecDeque<Answer>,
    always: Option<Answer>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector {
    /// Starts one that takes everything.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::<Shared>::default();
        let router = Router::new().fallback(take).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // It only ends with an error of the listener, and the tests' clients will tell of that.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, shared, task })
    }

    /// Its base address, as an exporter is configured with.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// What it does with the next requests, one each; then again what it always does.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.lock().next.extend(answers);
    }

    /// What it does with every other request.
    pub fn answer_always(&self, answer: Answer) {
        self.shared.lock().always = Some(answer);
    }

    /// Every request that arrived.
    #[must_use]
    pub fn requests(&self) -> Vec<SentRequest> {
        self.shared.lock().requests.clone()
    }

    /// The spans of the requests that it took.
    #[must_use]
    pub fn spans(&self) -> Vec<SentSpan> {
        self.shared.lock().spans.clone()
    }

    /// What no exporter should have sent.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.shared.lock().violations.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let answer = {
        let mut known = shared.lock();
        if uri.path() != "/v1/traces" {
            known.violations.push(format!("{uri} is not where traces go"));
        }
        if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != "application/x-protobuf") {
            known.violations.push("the content type is not application/x-protobuf".to_owned());
        }
        let answer = known.next.pop_front().or_else(|| known.always.clone()).unwrap_or(Answer::Take);
        let request = ExportTraceServiceRequest::decode(body.clone());
        let request = request.inspect_err(|error| known.violations.push(format!("not OTLP: {error}")));
        if let Ok(request) = &request {
            // A field that OpenTelemetry does not know is lost on the way through its types.
            if request.encode_to_vec() != body {
                known.violations.push("the request holds what OpenTelemetry does not know".to_owned());
            }
            if matches!(answer, Answer::Take | Answer::Reject(_)) {
                let (spans, violations) = spans::read(request);
                known.spans.extend(spans);
                known.violations.extend(violations);
            }
        }
        known.requests.push(SentRequest { path: uri.to_string(), headers, body });
        answer
    };
    match answer {
        Answer::Take => taken(None),
        Answer::Reject(rejected_spans) => {
            let error_message = "told to".to_owned();
            taken(Some(ExportTracePartialSuccess { rejected_spans, error_message }))
        }
        Answer::Refuse(status, after) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let after = after.map(|seconds| [("retry-after", seconds.to_string())]);
            match after {
                Some(after) => (status, after).into_response(),
                None => status.into_response(),
            }
        }
        Answer::Hang => std::future::pending().await,
    }
}

fn taken(partial_success: Option<ExportTracePartialSuccess>) -> Response {
    let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    ([(CONTENT_TYPE, "application/x-protobuf")], body).into_response()
}
