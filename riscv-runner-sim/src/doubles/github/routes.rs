//! Which operation a path names, and who may ask for it.

use axum::http::{HeaderMap, Method};
use serde_json::Value;

use super::{
    Shared,
    auth::{self, Asker},
    deliveries, jobs, locked,
    reply::Reply,
    runners::{self, Scope},
};

/// A request that was read.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) method: Method,
    /// Below the API's root.
    pub(super) path: String,
    pub(super) queries: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Value>,
}

impl Question {
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.queries.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An operation with the values of its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    App,
    Installation(i64),
    AccessToken(i64),
    Groups(String),
    CreateGroup(String),
    Jit(Scope),
    Runners(Scope),
    DeleteRunner(Scope, i64),
    Job(String, i64),
    RunJobs(String, i64),
    Run(String, i64),
    Runs(String),
    Deliveries,
    Attempt(i64),
    ConvertManifest(String),
}

impl Operation {
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        let segments: Vec<_> = path.trim_matches('/').split('/').collect();
        let id = |text: &str| text.parse::<i64>().ok();
        let org = |login: &str| Scope::Organization(login.into());
        let repo = |owner: &str, name: &str| Scope::Repository(format!("{owner}/{name}"));
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["app"]) => Some(Self::App),
            ("GET", ["app", "installations", i]) => Some(Self::Installation(id(i)?)),
            ("POST", ["app", "installations", i, "access_tokens"]) => Some(Self::AccessToken(id(i)?)),
            ("GET", ["app", "hook", "deliveries"]) => Some(Self::Deliveries),
            ("POST", ["app", "hook", "deliveries", i, "attempts"]) => Some(Self::Attempt(id(i)?)),
            ("POST", ["app-manifests", code, "conversions"]) => Some(Self::ConvertManifest((*code).into())),
            ("GET", ["orgs", o, "actions", "runner-groups"]) => Some(Self::Groups((*o).into())),
            ("POST", ["orgs", o, "actions", "runner-groups"]) => Some(Self::CreateGroup((*o).into())),
            ("POST", ["orgs", o, "actions", "runners", "generate-jitconfig"]) => Some(Self::Jit(org(o))),
            ("POST", ["repos", o, r, "actions", "runners", "generate-jitconfig"]) => {
                Some(Self::Jit(repo(o, r)))
            }
            ("GET", ["orgs", o, "actions", "runners"]) => Some(Self::Runners(org(o))),
            ("GET", ["repos", o, r, "actions", "runners"]) => Some(Self::Runners(repo(o, r))),
            ("DELETE", ["orgs", o, "actions", "runners", i]) => Some(Self::DeleteRunner(org(o), id(i)?)),
            ("DELETE", ["repos", o, r, "actions", "runners", i]) => {
                Some(Self::DeleteRunner(repo(o, r), id(i)?))
            }
            ("GET", ["repos", o, r, "actions", "jobs", i]) => Some(Self::Job(format!("{o}/{r}"), id(i)?)),
            ("GET", ["repos", o, r, "actions", "runs", i, "jobs"]) => {
                Some(Self::RunJobs(format!("{o}/{r}"), id(i)?))
            }
            ("GET", ["repos", o, r, "actions", "runs", i]) => Some(Self::Run(format!("{o}/{r}"), id(i)?)),
            ("GET", ["repos", o, r, "actions", "runs"]) => Some(Self::Runs(format!("{o}/{r}"))),
            _ => None,
        }
    }

    pub(super) const fn template(&self) -> &'static str {
        match self {
            Self::App => "GET /app",
            Self::Installation(_) => "GET /app/installations/{installation_id}",
            Self::AccessToken(_) => "POST /app/installations/{installation_id}/access_tokens",
            Self::Groups(_) => "GET /orgs/{org}/actions/runner-groups",
            Self::CreateGroup(_) => "POST /orgs/{org}/actions/runner-groups",
            Self::Jit(Scope::Organization(_)) => "POST /orgs/{org}/actions/runners/generate-jitconfig",
            Self::Jit(Scope::Repository(_)) => {
                "POST /repos/{owner}/{repo}/actions/runners/generate-jitconfig"
            }
            Self::Runners(Scope::Organization(_)) => "GET /orgs/{org}/actions/runners",
            Self::Runners(Scope::Repository(_)) => "GET /repos/{owner}/{repo}/actions/runners",
            Self::DeleteRunner(Scope::Organization(_), _) => "DELETE /orgs/{org}/actions/runners/{runner_id}",
            Self::DeleteRunner(Scope::Repository(_), _) => {
                "DELETE /repos/{owner}/{repo}/actions/runners/{runner_id}"
            }
            Self::Job(..) => "GET /repos/{owner}/{repo}/actions/jobs/{job_id}",
            Self::RunJobs(..) => "GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs",
            Self::Run(..) => "GET /repos/{owner}/{repo}/actions/runs/{run_id}",
            Self::Runs(_) => "GET /repos/{owner}/{repo}/actions/runs",
            Self::Deliveries => "GET /app/hook/deliveries",
            Self::Attempt(_) => "POST /app/hook/deliveries/{delivery_id}/attempts",
            Self::ConvertManifest(_) => "POST /app-manifests/{code}/conversions",
        }
    }

    /// The account that it concerns, in lower case; `None` for the App's own operations.
    fn account(&self) -> Option<String> {
        let name = match self {
            Self::App
            | Self::Installation(_)
            | Self::AccessToken(_)
            | Self::Deliveries
            | Self::ConvertManifest(_)
            | Self::Attempt(_) => {
                return None;
            }
            Self::Groups(login) | Self::CreateGroup(login) => login,
            Self::Jit(scope) | Self::Runners(scope) | Self::DeleteRunner(scope, _) => scope.name(),
            Self::Job(repo, _) | Self::RunJobs(repo, _) | Self::Run(repo, _) | Self::Runs(repo) => repo,
        };
        name.split('/').next().map(str::to_lowercase)
    }
}

/// Does what was asked, if the asker may.
pub(super) fn answer(
    shared: &std::sync::Arc<Shared>,
    asker: Asker,
    operation: &Operation,
    question: &Question,
) -> Reply {
    let installation = match (asker, operation.account()) {
        (Asker::App(app), None) => return of_app(shared, app, operation, question),
        (Asker::Installation(_), None) => {
            shared.violation(format!("{}: an installation token where the App's is needed", question.path));
            return Reply::message(401, "A JSON web token could not be decoded");
        }
        (Asker::App(_), Some(_)) => {
            shared.violation(format!("{}: the App's token where an installation's is needed", question.path));
            return Reply::message(403, "Resource not accessible by integration");
        }
        (Asker::Installation(id), Some(account)) => {
            let world = locked(&shared.world);
            let installed = world.installations.get(&id).map(|known| known.account.to_lowercase());
            if installed.as_ref() != Some(&account) {
                return Reply::not_found();
            }
            id
        }
    };
    match operation {
        Operation::Groups(login) => runners::groups(shared, login, question),
        Operation::CreateGroup(login) => runners::create_group(shared, login, question),
        Operation::Jit(scope) => runners::jit(shared, scope, question, installation),
        Operation::Runners(scope) => runners::list(shared, scope, question),
        Operation::DeleteRunner(scope, id) => runners::delete(shared, scope, *id),
        Operation::Job(repo, id) => jobs::job(shared, repo, *id),
        Operation::RunJobs(repo, id) => jobs::run_jobs(shared, repo, *id, question),
        Operation::Run(repo, id) => jobs::run(shared, repo, *id),
        Operation::Runs(repo) => jobs::runs(shared, repo, question),
        Operation::App
        | Operation::Installation(_)
        | Operation::AccessToken(_)
        | Operation::Deliveries
        | Operation::ConvertManifest(_)
        | Operation::Attempt(_) => Reply::not_found(),
    }
}

fn of_app(shared: &std::sync::Arc<Shared>, app: i64, operation: &Operation, question: &Question) -> Reply {
    match operation {
        Operation::App => auth::describe(shared, app),
        Operation::Installation(id) => auth::installation(shared, app, *id),
        Operation::AccessToken(id) => auth::access_token(shared, app, *id),
        Operation::Deliveries => deliveries::list(shared, app, question),
        Operation::Attempt(id) => deliveries::attempt(shared, app, *id),
        Operation::Groups(_)
        | Operation::CreateGroup(_)
        | Operation::Jit(_)
        | Operation::Runners(_)
        | Operation::DeleteRunner(..)
        | Operation::Job(..)
        | Operation::RunJobs(..)
        | Operation::Run(..)
        | Operation::ConvertManifest(_)
        | Operation::Runs(_) => Reply::not_found(),
    }
}
