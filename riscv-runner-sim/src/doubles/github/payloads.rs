//! Jobs, repositories and accounts as GitHub writes them, in answers and in webhooks alike.

use serde_json::{Value, json};

use super::world::{Account, DoubleJob, Repo};

/// A job.
pub(super) fn job(job: &DoubleJob) -> Value {
    let page = format!("https://github.com/{}/actions/runs/{}", job.repo, job.run);
    let api = format!("https://api.github.com/repos/{}", job.repo);
    let runner = job.runner.as_ref();
    json!({
        "id": job.id,
        "run_id": job.run,
        "workflow_name": "CI",
        "head_branch": "main",
        "run_url": format!("{api}/actions/runs/{}", job.run),
        "run_attempt": 1,
        "node_id": format!("CR_{}", job.id),
        "head_sha": "0123456789abcdef0123456789abcdef01234567",
        "url": format!("{api}/actions/jobs/{}", job.id),
        "html_url": format!("{page}/job/{}", job.id),
        "status": job.status,
        "conclusion": job.conclusion,
        "created_at": job.created_at.to_string(),
        // GitHub fills this in before a runner has the job.
        "started_at": job.started_at.unwrap_or(job.created_at).to_string(),
        "completed_at": job.completed_at.map(|at| at.to_string()),
        "name": job.name,
        "steps": [],
        "check_run_url": format!("{api}/check-runs/{}", job.id),
        "labels": job.labels,
        "runner_id": runner.map(|(id, _)| id),
        "runner_name": runner.map(|(_, name)| name),
        "runner_group_id": runner.map(|_| 1),
        "runner_group_name": runner.map(|_| "Default"),
    })
}

/// An account.
pub(super) fn account(account: &Account) -> Value {
    let api = format!("https://api.github.com/users/{}", account.login);
    json!({
        "login": account.login,
        "id": account.id,
        "node_id": format!("A_{}", account.id),
        "avatar_url": format!("https://avatars.githubusercontent.com/u/{}?v=4", account.id),
        "gravatar_id": "",
        "url": api,
        "html_url": format!("https://github.com/{}", account.login),
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events{{/privacy}}"),
        "type": account.kind.as_str(),
        "site_admin": false,
    })
}

/// A repository with its owner.
pub(super) fn repo(repo: &Repo, owner: &Account) -> Value {
    let api = format!("https://api.github.com/repos/{}", repo.full_name);
    json!({
        "id": repo.id,
        "node_id": format!("R_{}", repo.id),
        "name": repo.full_name.split('/').nth(1),
        "full_name": repo.full_name,
        "private": repo.private,
        "owner": account(owner),
        "html_url": format!("https://github.com/{}", repo.full_name),
        "url": api,
        "hooks_url": format!("{api}/hooks"),
        "issues_url": format!("{api}/issues{{/number}}"),
        "license": { "key": "mit", "name": "MIT License", "spdx_id": "MIT" },
        "default_branch": "main",
        "visibility": if repo.private { "private" } else { "public" },
    })
}
