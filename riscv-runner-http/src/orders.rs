//! `POST /controls`: orders of operators for automation, behind a token of their own.
//!
//! The token is checked before anything is read. Only `Authorization: Bearer` is accepted: a browser never
//! sends it by itself, so no other site can make one give an order.

mod sent;

use std::{collections::BTreeMap, sync::Arc};

use axum::{body::Body, extract::State, response::Response};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use riscv_runner_core::{
    controls::{
        ControlTarget, Order, Ordered, WrittenOrder,
        known::{self, Known, NameProblem},
    },
    ids::{EntityId, JobId, Login, WorkerName},
    observed::Observed,
    ports::{ControlStore, PortError},
    snapshot::Snapshot,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use subtle::ConstantTimeEq;

use self::sent::{Invalid, Sent, SentTarget};
use crate::{
    answer::{self, Fault},
    state::{AppState, PICTURE_MAX_AGE},
};

/// An order is a few lines.
const MAX_BODY: usize = 16 * 1024;

/// The store that receives orders, and the token that authorizes them.
#[derive(Clone)]
pub(crate) struct Operators {
    pub(crate) store: Arc<dyn ControlStore>,
    pub(crate) token: Option<SecretString>,
}

#[derive(Debug, Serialize)]
struct Answer {
    changed: bool,
    order: WrittenOrder,
}

/// Why an order was not carried out.
enum Refusal {
    Unauthorized,
    TooLarge,
    Invalid(&'static str, String),
    Unknown(NameProblem),
    UnknownAccount(Login, Option<String>),
    Busy(JobId),
    Unavailable(PortError),
}

/// Receives one order.
pub(crate) async fn receive(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Response {
    match carry_out(&state, &headers, body).await {
        Ok(answer) => answer::json(StatusCode::OK, &answer),
        Err(refusal) => refusal.response(),
    }
}

async fn carry_out(state: &AppState, headers: &HeaderMap, body: Body) -> Result<Answer, Refusal> {
    let operators = state.0.operators.as_ref().ok_or(Refusal::Unauthorized)?;
    let token = operators.token.as_ref().ok_or(Refusal::Unauthorized)?;
    if !holds(headers, token) {
        return Err(Refusal::Unauthorized);
    }
    let bytes = axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| Refusal::TooLarge)?;
    let sent = Sent::read(&bytes, state.0.platform.now())?;
    let order = sent.order(resolve(state, operators, &sent.target).await?)?;
    check(state, operators, &order, sent.force).await?;
    let note = &sent.note;
    let ordered = state.read(operators.store.order(&order, note)).await.map_err(Refusal::Unavailable)?;
    let changed = ordered == Ordered::Done;
    if let (Order::Revoke { worker, .. }, Ordered::NothingToDo) = (&order, ordered) {
        must_have_been(state, worker).await?;
    }
    tracing::info!(verb = %order.verb(), target = %order.target(), actor = note.actor, reason = note.reason, changed, "an operator gave an order");
    Ok(Answer { changed, order: WrittenOrder::of(&order, note) })
}

fn holds(headers: &HeaderMap, token: &SecretString) -> bool {
    let presented = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, credentials) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| credentials.trim())
    });
    presented.is_some_and(|presented| token.expose_secret().as_bytes().ct_eq(presented.as_bytes()).into())
}

impl From<Invalid> for Refusal {
    fn from(Invalid { field, problem }: Invalid) -> Self {
        Self::Invalid(field, problem)
    }
}

/// The target of the order; an account that is named by its login must be known.
async fn resolve(
    state: &AppState,
    operators: &Operators,
    target: &SentTarget,
) -> Result<ControlTarget, Refusal> {
    let login = match target {
        SentTarget::Known(target) => return Ok(target.clone()),
        SentTarget::Account(login) => login,
    };
    let accounts = accounts(state, operators).await?;
    let known = Known { accounts, ..Known::default() };
    let account = known.account(login.as_str());
    account.map(ControlTarget::Entity).ok_or_else(|| {
        let logins: Vec<_> = known.accounts.values().flatten().map(ToString::to_string).collect();
        Refusal::UnknownAccount(login.clone(), known::suggest(login.as_str(), &logins))
    })
}

/// Whether the target exists and, if it is a worker, is free.
async fn check(state: &AppState, operators: &Operators, order: &Order, force: bool) -> Result<(), Refusal> {
    if force {
        return Ok(());
    }
    let picture = match state.picture(PICTURE_MAX_AGE).await {
        Some(Ok(picture)) => Some(picture),
        Some(Err(_)) | None => None,
    };
    let snapshot = picture.as_ref().map(|picture| &picture.snapshot);
    if let (Order::Revoke { worker, .. }, Some(snapshot)) = (order, snapshot) {
        let job = snapshot.workers.get(worker).filter(|worker| worker.runs_known_job());
        return job.and_then(|worker| worker.job).map_or(Ok(()), |job| Err(Refusal::Busy(job.id)));
    }
    let known = names(state, operators, order, snapshot).await?;
    known::check(order, &known).map_err(Refusal::Unknown)
}

/// A worker that has ended needs no revoking; one that never was is a mistyped name.
async fn must_have_been(state: &AppState, worker: &WorkerName) -> Result<(), Refusal> {
    let row = state.read(state.0.reports.worker(worker)).await.map_err(Refusal::Unavailable)?;
    if row.is_some() {
        return Ok(());
    }
    let candidates = match state.picture(PICTURE_MAX_AGE).await {
        Some(Ok(picture)) => picture.snapshot.workers.keys().map(ToString::to_string).collect(),
        Some(Err(_)) | None => Vec::new(),
    };
    let target = ControlTarget::Worker(worker.clone());
    Err(Refusal::Unknown(NameProblem::Unknown { target, candidates }))
}

async fn names(
    state: &AppState,
    operators: &Operators,
    order: &Order,
    snapshot: Option<&Snapshot>,
) -> Result<Known, Refusal> {
    let policy = state.policy();
    let boards = snapshot.map(|snapshot| match &snapshot.nodes {
        Observed::Present(nodes) => Observed::Present(nodes.keys().cloned().collect()),
        Observed::Absent => Observed::Absent,
        Observed::Unknown(why) => Observed::Unknown(*why),
    });
    let mut known = Known { pools: policy.pools.keys().cloned().collect(), boards, ..Known::default() };
    if matches!(order.target(), ControlTarget::Entity(_)) {
        known.accounts = accounts(state, operators).await?;
    }
    Ok(known)
}

async fn accounts(
    state: &AppState,
    operators: &Operators,
) -> Result<BTreeMap<EntityId, Option<Login>>, Refusal> {
    let heard = state.read(operators.store.known_accounts()).await.map_err(Refusal::Unavailable)?;
    let configured = state.policy().entities.keys().map(|id| (*id, None)).collect::<Vec<_>>();
    let heard = heard.into_iter().map(|entity| (entity.id, Some(entity.login)));
    Ok(configured.into_iter().chain(heard).collect())
}

impl Refusal {
    fn response(self) -> Response {
        let (status, fault) = match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, Fault::new("unauthorized")),
            Self::TooLarge => {
                let problem = format!("the body is larger than {MAX_BODY} bytes, or ended early");
                (StatusCode::PAYLOAD_TOO_LARGE, Fault::new(problem))
            }
            Self::Invalid(field, problem) => (StatusCode::BAD_REQUEST, Fault::new(problem).field(field)),
            Self::Unknown(problem) => {
                let status = match problem {
                    NameProblem::Unknown { .. } => StatusCode::NOT_FOUND,
                    NameProblem::Unseen(_) => StatusCode::SERVICE_UNAVAILABLE,
                };
                let otherwise = match &problem {
                    NameProblem::Unknown { target: ControlTarget::Worker(_), .. } => {
                        "GET /workers lists those of recent days"
                    }
                    NameProblem::Unknown { .. } | NameProblem::Unseen(_) => {
                        "\"force\": true accepts the name as it is"
                    }
                };
                let hint = problem.suggestion().map_or_else(String::new, |text| format!("{text} or: "));
                let hint = format!("{hint}{otherwise}");
                (status, Fault::new(problem.to_string()).field("target").hint(hint))
            }
            Self::UnknownAccount(login, suggestion) => {
                let fault = Fault::new(format!("no account named {login} is known")).field("target");
                let hint = suggestion.map_or_else(String::new, |text| format!("{text} or: "));
                (StatusCode::NOT_FOUND, fault.hint(format!("{hint}name it by its numeric id")))
            }
            Self::Busy(job) => {
                let fault = Fault::new(format!("the worker runs job {job}")).field("target").hint(
                    "it ends by itself after its job; \"force\": true ends it now, and the job fails on GitHub",
                );
                (StatusCode::CONFLICT, fault)
            }
            Self::Unavailable(error) => {
                tracing::warn!(error = error.chain(), "an order was not carried out");
                let fault = Fault::new("the store cannot be reached").hint("repeating an order does no harm");
                (StatusCode::SERVICE_UNAVAILABLE, fault)
            }
        };
        let mut response = answer::json(status, &fault);
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
