//! What the engine needs of GitHub.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{JitConfig, LeaderProof, PortError, PortResult};
use crate::{
    entity::EntityKind,
    ids::{DeliveryGuid, InstallationId, JobId, Login, RepoName, RunId, RunnerId, WorkerName},
    job::{End, Start},
    labels::LabelSet,
    runner::Runner,
    scope::ScopeRef,
    snapshot::InstallationHealth,
};

/// A registration to be created.
#[derive(Debug, Clone)]
pub struct MintRequest {
    /// The scope to register it in.
    pub scope: ScopeRef,
    /// The runner's name.
    pub name: WorkerName,
    /// Its labels, sent as their author spelled them.
    pub labels: LabelSet,
}

/// A registration that was created.
#[derive(Debug)]
pub struct Minted {
    /// GitHub's id for it.
    pub runner: RunnerId,
    /// What the runner needs to start; a secret.
    pub jit: JitConfig,
}

/// Why a registration was not created.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The name is taken; another one will do.
    #[error("the runner name is taken")]
    NameTaken,
    /// The installation is gone (404 for its token).
    #[error("the installation is gone")]
    InstallationGone,
    /// The App cannot authenticate for the installation.
    #[error("the App cannot authenticate")]
    AuthFailed(#[source] PortError),
    /// A limit forbids it until then.
    #[error("rate limited until {until}")]
    RateLimited {
        /// When to try again.
        until: Timestamp,
    },
    /// Self-hosted runners are disabled for the repository or organization (403, empty message).
    #[error("self-hosted runners are disabled")]
    SelfHostedDisabled,
    /// GitHub refuses for another reason.
    #[error("GitHub refuses the JIT configuration with status {status}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// GitHub's message.
        #[source]
        source: PortError,
    },
    /// The outcome is unknown: the registration may exist.
    #[error("the outcome of the registration is unknown")]
    Unclear(#[source] PortError),
    /// Nothing was sent: the caller is no longer the leader.
    #[error("this process is no longer the leader")]
    NotLeader,
}

/// The successful results of deleting a registration, and GitHub's refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It is deleted (204).
    Deleted,
    /// It was not there (404).
    Gone,
    /// GitHub refuses: it runs a job (422).
    Busy,
}

/// How to address one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRef {
    /// The installation to act through.
    pub installation: InstallationId,
    /// The App of that installation.
    pub app: EntityKind,
    /// The job's repository.
    pub repo: RepoName,
    /// The job.
    pub job: JobId,
}

/// How to address one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRef {
    /// The installation to act through.
    pub installation: InstallationId,
    /// The App of that installation.
    pub app: EntityKind,
    /// The run's repository.
    pub repo: RepoName,
    /// The run.
    pub run: RunId,
}

/// GitHub's report of a job's progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportedState {
    /// Not queued yet (`waiting`, `pending`, `requested`): it will be `queued` later, or never.
    NotYetQueued,
    /// Queued: any runner that fits may have it.
    Queued,
    /// A runner has it.
    InProgress(Start),
    /// It has ended.
    Completed {
        /// How it ended.
        end: End,
        /// When it had started, if it had.
        start: Option<Start>,
    },
}

/// GitHub's report of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReport {
    /// The job.
    pub job: JobId,
    /// Its run.
    pub run: RunId,
    /// Its progress.
    pub state: ReportedState,
    /// What the job is: enough to create demand when no webhook reported it.
    pub details: JobDetails,
}

/// GitHub's description of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDetails {
    /// Its `runs-on` labels; empty for jobs that ask for none, which no runner of ours can serve.
    pub labels: Vec<String>,
    /// Its name in the workflow.
    pub name: Option<String>,
    /// Its page on GitHub.
    pub html_url: Option<String>,
    /// When GitHub created it.
    pub created_at: Timestamp,
}

/// How to address one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoRef {
    /// The installation to act through.
    pub installation: InstallationId,
    /// The App of that installation.
    pub app: EntityKind,
    /// The repository.
    pub repo: RepoName,
}

/// A run that is queued or in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveRun {
    /// The id of the run.
    pub run: RunId,
    /// Who started its latest attempt; `None` when GitHub does not say.
    pub sender: Option<Login>,
}

/// The result of looking up a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobSighting {
    /// It exists.
    Found(JobReport),
    /// GitHub answers 404 for it.
    JobNotFound,
    /// GitHub answers 404 for the installation's token.
    InstallationNotFound,
}

/// One attempt of GitHub to deliver a webhook, as its own log lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookDelivery {
    /// GitHub's id of the attempt, used to request a redelivery.
    pub id: i64,
    /// The same for all attempts of one delivery.
    pub guid: DeliveryGuid,
    /// When the attempt was made.
    pub delivered_at: Timestamp,
    /// The status of the answer; 0 where there was none.
    pub status: u16,
    /// Whether it was a redelivery on request.
    pub redelivery: bool,
    /// The event's name.
    pub event: String,
}

impl HookDelivery {
    /// Whether it was answered with 2xx.
    #[must_use]
    pub const fn delivered(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// GitHub, as the engine needs it.
#[async_trait]
pub trait Forge: Send + Sync {
    /// Registers an ephemeral runner.
    ///
    /// # Errors
    /// Classified by what becomes of the worker; see [`MintError`].
    async fn mint(&self, proof: &LeaderProof, request: &MintRequest) -> Result<Minted, MintError>;

    /// Lists every registration of a scope that carries our name prefix.
    ///
    /// # Errors
    /// Any page that cannot be read fails the whole listing: half a listing would look like absence.
    async fn runners(&self, scope: &ScopeRef) -> PortResult<Vec<Runner>>;

    /// Deletes a registration, unless it is busy.
    ///
    /// # Errors
    /// When GitHub's answer is none of the three that [`Deletion`] names.
    async fn delete_runner(
        &self,
        proof: &LeaderProof,
        scope: &ScopeRef,
        runner: RunnerId,
    ) -> PortResult<Deletion>;

    /// Looks one job up.
    ///
    /// # Errors
    /// When nothing certain can be said.
    async fn job(&self, job: &JobRef) -> PortResult<JobSighting>;

    /// Looks up all jobs of one run, of the latest attempt.
    ///
    /// # Errors
    /// When nothing certain can be said; [`super::PortErrorKind::NotFound`] when the run is gone.
    async fn run_jobs(&self, run: &RunRef) -> PortResult<Vec<JobReport>>;

    /// The conclusion of a run: `None` while it goes on.
    ///
    /// # Errors
    /// When nothing certain can be said.
    async fn run_conclusion(&self, run: &RunRef) -> PortResult<Option<String>>;

    /// The runs of a repository that are queued or in progress (a job may become queued while its run
    /// is in progress already).
    ///
    /// # Errors
    /// When nothing certain can be said.
    async fn active_runs(&self, repo: &RepoRef) -> PortResult<Vec<ActiveRun>>;

    /// GitHub's log of deliveries to one of our Apps, newest first, back to `since`; empty for an App that is
    /// not configured.
    ///
    /// # Errors
    /// When the log cannot be read to its end.
    async fn hook_deliveries(&self, app: EntityKind, since: Timestamp) -> PortResult<Vec<HookDelivery>>;

    /// Asks GitHub to deliver again.
    ///
    /// # Errors
    /// When GitHub does not accept the request.
    async fn redeliver(&self, proof: &LeaderProof, app: EntityKind, delivery: i64) -> PortResult<()>;

    /// Reports that an installation was created or unsuspended at `returned_at`: earlier refusals are
    /// forgotten, and requests may be made at once. May be called every time its health is read.
    fn returned(&self, installation: InstallationId, returned_at: Timestamp);

    /// What prevents acting for an installation, according to its last answers.
    fn health(&self, installation: InstallationId) -> InstallationHealth;
}
