//! The operations of GitHub's REST API that we use, each with its template.
//!
//! The templates are the label values of metrics, so nothing of a request ever enters them.

/// One operation of GitHub's REST API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// The App itself: permissions and events.
    App,
    /// One installation, as the App sees it.
    Installation,
    /// The installation that a repository was chosen for.
    RepositoryInstallation,
    /// The installation on an organization.
    OrganizationInstallation,
    /// The installation on a personal account.
    UserInstallation,
    /// A repository.
    Repository,
    /// Whether GitHub Actions is enabled in a repository.
    RepositoryActions,
    /// A token for an installation.
    AccessToken,
    /// An organization's runner groups.
    RunnerGroups,
    /// A new runner group.
    CreateRunnerGroup,
    /// A registration for an organization.
    OrganizationJit,
    /// A registration for a repository.
    RepositoryJit,
    /// An organization's registrations.
    OrganizationRunners,
    /// A repository's registrations.
    RepositoryRunners,
    /// The end of an organization's registration.
    DeleteOrganizationRunner,
    /// The end of a repository's registration.
    DeleteRepositoryRunner,
    /// One job.
    Job,
    /// The jobs of a run.
    RunJobs,
    /// One run.
    Run,
    /// The runs of a repository.
    Runs,
    /// The log of deliveries to an App.
    HookDeliveries,
    /// Another attempt to deliver.
    HookAttempt,
}

impl Endpoint {
    /// Every operation.
    pub const ALL: [Self; 22] = [
        Self::App,
        Self::Installation,
        Self::RepositoryInstallation,
        Self::OrganizationInstallation,
        Self::UserInstallation,
        Self::Repository,
        Self::RepositoryActions,
        Self::AccessToken,
        Self::RunnerGroups,
        Self::CreateRunnerGroup,
        Self::OrganizationJit,
        Self::RepositoryJit,
        Self::OrganizationRunners,
        Self::RepositoryRunners,
        Self::DeleteOrganizationRunner,
        Self::DeleteRepositoryRunner,
        Self::Job,
        Self::RunJobs,
        Self::Run,
        Self::Runs,
        Self::HookDeliveries,
        Self::HookAttempt,
    ];

    /// Method and path with placeholders, as in GitHub's documentation.
    #[must_use]
    pub const fn template(self) -> &'static str {
        match self {
            Self::App => "GET /app",
            Self::Installation => "GET /app/installations/{installation_id}",
            Self::RepositoryInstallation => "GET /repos/{owner}/{repo}/installation",
            Self::OrganizationInstallation => "GET /orgs/{org}/installation",
            Self::UserInstallation => "GET /users/{username}/installation",
            Self::Repository => "GET /repos/{owner}/{repo}",
            Self::RepositoryActions => "GET /repos/{owner}/{repo}/actions/permissions",
            Self::AccessToken => "POST /app/installations/{installation_id}/access_tokens",
            Self::RunnerGroups => "GET /orgs/{org}/actions/runner-groups",
            Self::CreateRunnerGroup => "POST /orgs/{org}/actions/runner-groups",
            Self::OrganizationJit => "POST /orgs/{org}/actions/runners/generate-jitconfig",
            Self::RepositoryJit => "POST /repos/{owner}/{repo}/actions/runners/generate-jitconfig",
            Self::OrganizationRunners => "GET /orgs/{org}/actions/runners",
            Self::RepositoryRunners => "GET /repos/{owner}/{repo}/actions/runners",
            Self::DeleteOrganizationRunner => "DELETE /orgs/{org}/actions/runners/{runner_id}",
            Self::DeleteRepositoryRunner => "DELETE /repos/{owner}/{repo}/actions/runners/{runner_id}",
            Self::Job => "GET /repos/{owner}/{repo}/actions/jobs/{job_id}",
            Self::RunJobs => "GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs",
            Self::Run => "GET /repos/{owner}/{repo}/actions/runs/{run_id}",
            Self::Runs => "GET /repos/{owner}/{repo}/actions/runs",
            Self::HookDeliveries => "GET /app/hook/deliveries",
            Self::HookAttempt => "POST /app/hook/deliveries/{delivery_id}/attempts",
        }
    }
}
