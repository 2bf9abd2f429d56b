//! Registrations: created, listed and deleted, for organizations and for repositories alike.
//!
//! A registration's configuration is a secret and goes to the caller alone.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use reqwest::Method;
use riscv_runner_core::{
    backoff,
    ids::{InstallationId, RunnerId, RunnerName},
    ports::{Deletion, LeaderProof, MintError, MintRequest, Minted},
    runner::{Group, Runner},
    scope::{Scope, ScopeRef, Target},
};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    api::{Api, Ask, Name, Reading},
    client::{ApiError, Endpoint, Priority},
    groups::{DEFAULT_GROUP, Groups},
};

/// GitHub drops registrations with 502 and 503 in bursts; the third try nearly always succeeds.
const TRIES: u32 = 3;
/// The wait before the second try; it doubles, less some jitter.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait between two tries: a job is waiting.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How long a refusal is believed: owners who disabled self-hosted runners will not enable them within
/// minutes.
const REFUSAL_HOLDS: Duration = Duration::from_secs(10 * 60);

const MINT: &str = "register a runner";

/// What is remembered about registering.
#[derive(Debug, Default)]
pub(crate) struct Runners {
    groups: Groups,
    refused: Mutex<BTreeMap<Scope, Refused>>,
}

#[derive(Debug, Clone, Copy)]
struct Refused {
    installation: InstallationId,
    until: Timestamp,
    status: u16,
}

/// What our registrations look like.
#[derive(Debug)]
pub(crate) struct Naming {
    pub(crate) group: String,
    pub(crate) prefix: String,
    pub(crate) work_folder: String,
}

#[derive(Deserialize)]
struct JitAnswer {
    runner: Registered,
    encoded_jit_config: SecretString,
}

#[derive(Deserialize)]
struct Registered {
    id: RunnerId,
}

#[derive(Deserialize)]
struct Page {
    total_count: usize,
    runners: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: RunnerId,
    name: String,
    status: String,
    busy: bool,
    runner_group_id: Option<i64>,
}

impl Runners {
    /// Registers an ephemeral runner.
    pub(crate) async fn mint(
        &self,
        api: &Api,
        naming: &Naming,
        proof: &LeaderProof,
        request: &MintRequest,
    ) -> Result<Minted, MintError> {
        let scope = &request.scope;
        if self.believed(api.client.now()).contains_key(&scope.scope()) {
            return Err(MintError::SelfHostedDisabled);
        }
        if !proof.holds(api.client.now()) {
            return Err(MintError::NotLeader);
        }
        let Target::Organization = scope.target else {
            return self.register(api, naming, proof, request, DEFAULT_GROUP).await;
        };
        let group = self.groups.ensure(api, scope, &naming.group).await.map_err(unregistered)?;
        match self.register(api, naming, proof, request, group).await {
            // The group was deleted behind our back.
            Err(MintError::Rejected { status: 404, .. }) => {
                self.groups.forget(scope.entity, group).await;
                let group = self.groups.ensure(api, scope, &naming.group).await.map_err(unregistered)?;
                self.register(api, naming, proof, request, group).await
            }
            result => result,
        }
    }

    /// Lists the registrations of a scope whose names begin with our prefix, whatever their group: one of
    /// ours that an operator moved still exists.
    pub(crate) async fn list(
        &self,
        api: &Api,
        naming: &Naming,
        scope: &ScopeRef,
    ) -> Result<Vec<Runner>, ApiError> {
        let mut ours = listed(api, scope).await?;
        ours.retain(|runner| runner.name.starts_with(&naming.prefix));
        let id = match scope.target {
            Target::Organization if !ours.is_empty() => self.group(api, naming, scope).await,
            Target::Organization | Target::Repository { .. } => None,
        };
        let group = |runner: &Listed| match (&scope.target, runner.runner_group_id) {
            (Target::Organization, Some(other)) if id != Some(other) => Group::Other,
            // Repositories have no groups, and a server that names none has none.
            (Target::Organization | Target::Repository { .. }, _) => Group::Ours,
        };
        Ok(ours.into_iter().filter_map(|runner| runner.as_runner(group(&runner))).collect())
    }

    /// Our group; `None` where it cannot be known now. Then nothing is called ours, and nothing cleaned up.
    async fn group(&self, api: &Api, naming: &Naming, scope: &ScopeRef) -> Option<i64> {
        match self.groups.look_up(api, scope, &naming.group).await {
            Ok(id) => Some(id),
            Err(error) => {
                let error = error.into_port("look up the runner group");
                tracing::warn!(organization = %scope.login, error = error.chain(), "our runner group is not known; registrations are not cleaned up");
                None
            }
        }
    }

    /// Until when GitHub's refusal to register runners for the whole installation is believed, and
    /// its status. A refusal for one repository does not concern the others.
    pub(crate) fn refusal_of(
        &self,
        installation: InstallationId,
        now: Timestamp,
    ) -> Option<(Timestamp, u16)> {
        let refused = self.believed(now);
        let all = refused.iter().filter(|(scope, _)| matches!(scope, Scope::Organization(_)));
        let ours = all.map(|(_, refused)| refused).filter(|refused| refused.installation == installation);
        ours.map(|refused| (refused.until, refused.status)).max()
    }

    fn believed(&self, now: Timestamp) -> MutexGuard<'_, BTreeMap<Scope, Refused>> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|_, refused| now < refused.until);
        refused
    }

    async fn register(
        &self,
        api: &Api,
        naming: &Naming,
        proof: &LeaderProof,
        request: &MintRequest,
        group: i64,
    ) -> Result<Minted, MintError> {
        let scope = &request.scope;
        let path = Path::of(scope);
        let segments = path.segments(&["generate-jitconfig"]);
        let ask = Ask {
            name: asker(scope),
            priority: Priority::Provision,
            method: Method::POST,
            endpoint: path.pick(Endpoint::OrganizationJit, Endpoint::RepositoryJit),
            segments: &segments,
            query: &[],
            body: Some(serde_json::json!({
                "name": request.name,
                "runner_group_id": group,
                "labels": request.labels.originals(),
                "work_folder": naming.work_folder,
            })),
        };
        let mut tried = 0;
        loop {
            let now = api.client.now();
            if !proof.holds(now) {
                return Err(MintError::NotLeader);
            }
            api.client
                .limits()
                .admit_mint(scope.installation, now)
                .map_err(|refusal| unregistered(refusal.into()))?;
            tried += 1;
            match api.read::<JitAnswer>(&ask).await {
                Ok(answer) => {
                    return Ok(Minted { runner: answer.runner.id, jit: answer.encoded_jit_config });
                }
                Err(ApiError::Status { status: 502 | 503, .. }) if tried < TRIES => {
                    let wait = backoff::doubling(FIRST_WAIT, LONGEST_WAIT, tried);
                    let platform = &api.client.platform;
                    platform.sleep(backoff::jittered(wait, platform.seed())).await;
                }
                Err(error) => return Err(self.refused(api, scope, error, tried)),
            }
        }
    }

    /// What a failed request means for the worker; remembers that runners are disabled.
    fn refused(&self, api: &Api, scope: &ScopeRef, error: ApiError, tried: u32) -> MintError {
        match &error {
            // After a try of unknown effect the name may be taken by ourselves.
            ApiError::Status { status: 409, .. } if tried > 1 => MintError::Unclear(error.into_port(MINT)),
            ApiError::Status { status: 409, .. } => MintError::NameTaken,
            ApiError::Status { status: 403, message } if message.is_empty() => {
                let now = api.client.now();
                let until = backoff::add(now, REFUSAL_HOLDS);
                let refused = Refused { installation: scope.installation, until, status: 403 };
                self.believed(now).insert(scope.scope(), refused);
                MintError::SelfHostedDisabled
            }
            ApiError::Status { .. }
            | ApiError::NotSent(_)
            | ApiError::Lost(_)
            | ApiError::Limited { .. }
            | ApiError::BudgetSpent { .. }
            | ApiError::Answer { .. }
            | ApiError::Elsewhere(_)
            | ApiError::InstallationGone { .. }
            | ApiError::Auth { .. }
            | ApiError::NoApp(_)
            | ApiError::Signing(_) => unregistered(error),
        }
    }
}

/// What an error that says nothing of its own about registering means for the worker.
fn unregistered(error: ApiError) -> MintError {
    match error {
        ApiError::InstallationGone { .. } => MintError::InstallationGone,
        ApiError::Limited { until } | ApiError::BudgetSpent { until } => MintError::RateLimited { until },
        ApiError::Auth { .. } | ApiError::NoApp(_) | ApiError::Signing(_) => {
            MintError::AuthFailed(error.into_port(MINT))
        }
        ApiError::Status { status, .. } if status < 500 => {
            MintError::Rejected { status, source: error.into_port(MINT) }
        }
        ApiError::Status { .. }
        | ApiError::NotSent(_)
        | ApiError::Lost(_)
        | ApiError::Answer { .. }
        | ApiError::Elsewhere(_) => MintError::Unclear(error.into_port(MINT)),
    }
}

/// All registrations of a scope: the whole listing or none.
async fn listed(api: &Api, scope: &ScopeRef) -> Result<Vec<Listed>, ApiError> {
    let path = Path::of(scope);
    let segments = path.segments(&[]);
    let endpoint = path.pick(Endpoint::OrganizationRunners, Endpoint::RepositoryRunners);
    let ask = Ask::get(asker(scope), Priority::Reconcile, endpoint, &segments);
    let mut all = BTreeMap::new();
    let (mut pages, mut total) = (0, 0);
    api.list(&ask, |page: Page| {
        pages += 1;
        total = total.max(page.total_count);
        all.extend(page.runners.into_iter().map(|runner| (runner.id, runner)));
        Reading::On
    })
    .await?;
    // A registration deleted between two pages moves the rest forward, and one is never seen.
    if pages > 1 && all.len() < total {
        let problem = format!("{} of {total} runners were listed; the listing moved", all.len());
        return Err(ApiError::Status { status: 503, message: problem });
    }
    Ok(all.into_values().collect())
}

/// Deletes a registration; GitHub refuses while it is busy.
pub(crate) async fn delete(api: &Api, scope: &ScopeRef, runner: RunnerId) -> Result<Deletion, ApiError> {
    let path = Path::of(scope);
    let id = runner.to_string();
    let segments = path.segments(&[&id]);
    let ask = Ask {
        name: asker(scope),
        priority: Priority::Provision,
        method: Method::DELETE,
        endpoint: path.pick(Endpoint::DeleteOrganizationRunner, Endpoint::DeleteRepositoryRunner),
        segments: &segments,
        query: &[],
        body: None,
    };
    match api.ask(&ask).await {
        Ok(_) => Ok(Deletion::Deleted),
        Err(ApiError::Status { status: 404, .. }) => Ok(Deletion::Gone),
        Err(ApiError::Status { status: 422, .. }) => Ok(Deletion::Busy),
        Err(error) => Err(error),
    }
}

impl Listed {
    fn as_runner(&self, group: Group) -> Option<Runner> {
        let name = RunnerName::new(&self.name).ok()?;
        Some(Runner { id: self.id, name, online: self.status == "online", busy: self.busy, group })
    }
}

/// Where a scope's registrations are.
enum Path<'a> {
    Organization(&'a str),
    Repository { owner: &'a str, name: &'a str },
}

impl<'a> Path<'a> {
    fn of(scope: &'a ScopeRef) -> Self {
        match &scope.target {
            Target::Organization => Self::Organization(scope.login.as_str()),
            Target::Repository { name, .. } => Self::Repository { owner: name.owner(), name: name.name() },
        }
    }

    fn segments(&self, rest: &[&'a str]) -> Vec<&'a str> {
        let root = match self {
            Self::Organization(login) => vec!["orgs", *login],
            Self::Repository { owner, name } => vec!["repos", *owner, *name],
        };
        [root.as_slice(), &["actions", "runners"], rest].concat()
    }

    const fn pick(&self, organization: Endpoint, repository: Endpoint) -> Endpoint {
        match self {
            Self::Organization(_) => organization,
            Self::Repository { .. } => repository,
        }
    }
}

fn asker(scope: &ScopeRef) -> Name {
    Name::Installation(scope.scope().kind(), scope.installation)
}
