//! The payload of `workflow_job`: demand, and its progress.
//!
//! Ids are integers of 64 bits; a payload whose ids are written as floats is refused.

use jiff::Timestamp;
use riscv_runner_core::{
    delivery::DeliveryContent,
    entity::EntityKind,
    ids::{InstallationId, JobId, Login, RepoId, RepoName, RunId, RunnerName},
    job::{End, JobEvent, JobFacts, Start},
    labels::LabelSet,
};
use serde::{Deserialize, Deserializer};

use super::{
    Understood, WebhookError,
    identity::{Account, Identity},
    read,
};

#[derive(Deserialize)]
struct Payload {
    action: String,
    #[serde(deserialize_with = "nullable")]
    workflow_job: Option<Job>,
    #[serde(deserialize_with = "nullable")]
    repository: Option<Repository>,
    #[serde(deserialize_with = "nullable")]
    installation: Option<Installation>,
    organization: Option<Organization>,
    sender: Option<Sender>,
}

#[derive(Deserialize)]
struct Job {
    id: JobId,
    run_id: RunId,
    labels: Vec<String>,
    name: Option<String>,
    html_url: Option<String>,
    conclusion: Option<String>,
    runner_name: Option<String>,
    created_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Repository {
    id: RepoId,
    full_name: RepoName,
    private: bool,
    #[serde(deserialize_with = "nullable")]
    owner: Option<Account>,
}

#[derive(Deserialize)]
struct Installation {
    id: InstallationId,
}

/// Its presence alone says that the owner is an organization.
#[derive(Deserialize)]
struct Organization {}

#[derive(Deserialize)]
struct Sender {
    login: Option<Login>,
}

/// `null` is taken for what it is, but the key must be there.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// Reads the payload; `received_at` stands in for times that GitHub left out.
pub(super) fn understand(text: &str, received_at: Timestamp) -> Result<Understood, WebhookError> {
    let payload: Payload = read(text)?;
    let owner_kind = if payload.organization.is_some() { EntityKind::Organization } else { EntityKind::User };
    let owner = payload.repository.as_ref().and_then(|repository| repository.owner.as_ref());
    let identity = Identity {
        installation: payload.installation.as_ref().map(|installation| installation.id),
        entity: owner.and_then(|owner| owner.entity(Some(owner_kind))),
        sender: payload.sender.and_then(|sender| sender.login),
        repo: payload.repository.as_ref().map(|repository| repository.full_name.clone()),
    };
    let content = match (payload.workflow_job, payload.repository) {
        (Some(job), Some(repository)) => content(job, &repository, &identity, &payload.action, received_at),
        (None, _) | (_, None) => DeliveryContent::Other,
    };
    Ok(Understood { action: Some(payload.action), identity, content })
}

fn content(
    job: Job,
    repository: &Repository,
    identity: &Identity,
    action: &str,
    received_at: Timestamp,
) -> DeliveryContent {
    let (Some(installation), Some(entity)) = (identity.installation, identity.entity.clone()) else {
        return DeliveryContent::Other;
    };
    // A job that was skipped before it was ever queued has no labels; no runner could carry them.
    let Ok(labels) = LabelSet::new(&job.labels) else {
        return DeliveryContent::Other;
    };
    let event = event(&job, action, received_at);
    let facts = JobFacts {
        id: job.id,
        run: Some(job.run_id),
        entity,
        installation,
        repo_id: repository.id,
        repo: repository.full_name.clone(),
        private: repository.private,
        labels,
        name: job.name,
        html_url: job.html_url,
        created_at: job.created_at.or(job.started_at).unwrap_or(received_at),
    };
    DeliveryContent::Job { facts: Box::new(facts), event }
}

fn event(job: &Job, action: &str, received_at: Timestamp) -> Option<JobEvent> {
    // `queued` and cancelled jobs carry a start time as well; only a runner's name tells of a start.
    let runner = job.runner_name.as_ref().and_then(|name| RunnerName::new(name).ok());
    let start_at = job.started_at.unwrap_or(received_at);
    match action {
        "queued" => Some(JobEvent::Queued),
        "in_progress" => Some(JobEvent::InProgress(Start { at: start_at, runner })),
        "completed" => Some(JobEvent::Completed {
            end: End { at: job.completed_at.unwrap_or(received_at), conclusion: job.conclusion.clone() },
            start: runner.map(|runner| Start { at: start_at, runner: Some(runner) }),
        }),
        _ => None,
    }
}
