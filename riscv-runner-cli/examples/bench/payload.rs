//! `workflow_job` deliveries of the shape and size that GitHub sends, signed; only what tells one job
//! from the next differs, and stands at the end of the body, so that signing costs the generator little.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::Outcome;

/// What follows `https://api.github.com/users/LOGIN`.
const ACCOUNT_ADDRESSES: &[&str] = &[
    "followers",
    "following{/other_user}",
    "gists{/gist_id}",
    "starred{/owner}{/repo}",
    "subscriptions",
    "orgs",
    "repos",
    "events{/privacy}",
    "received_events",
];
/// The keys of the addresses above, in their order.
const ACCOUNT_KEYS: &[&str] = &[
    "followers_url",
    "following_url",
    "gists_url",
    "starred_url",
    "subscriptions_url",
    "organizations_url",
    "repos_url",
    "events_url",
    "received_events_url",
];
/// What follows `https://api.github.com/repos/OWNER/NAME`; each key is its first word.
const REPOSITORY_ADDRESSES: &[(&str, &str)] = &[
    ("forks_url", "forks"),
    ("keys_url", "keys{/key_id}"),
    ("teams_url", "teams"),
    ("hooks_url", "hooks"),
    ("collaborators_url", "collaborators{/collaborator}"),
    ("issue_events_url", "issues/events{/number}"),
    ("events_url", "events"),
    ("assignees_url", "assignees{/user}"),
    ("branches_url", "branches{/branch}"),
    ("tags_url", "tags"),
    ("blobs_url", "git/blobs{/sha}"),
    ("git_tags_url", "git/tags{/sha}"),
    ("git_refs_url", "git/refs{/sha}"),
    ("trees_url", "git/trees{/sha}"),
    ("statuses_url", "statuses/{sha}"),
    ("languages_url", "languages"),
    ("stargazers_url", "stargazers"),
    ("contributors_url", "contributors"),
    ("subscribers_url", "subscribers"),
    ("subscription_url", "subscription"),
    ("commits_url", "commits{/sha}"),
    ("git_commits_url", "git/commits{/sha}"),
    ("comments_url", "comments{/number}"),
    ("merges_url", "merges"),
    ("issue_comment_url", "issues/comments{/number}"),
    ("contents_url", "contents/{+path}"),
    ("compare_url", "compare/{base}...{head}"),
    ("archive_url", "{archive_format}{/ref}"),
    ("downloads_url", "downloads"),
    ("issues_url", "issues{/number}"),
    ("pulls_url", "pulls{/number}"),
    ("milestones_url", "milestones{/number}"),
    ("labels_url", "labels{/name}"),
    ("releases_url", "releases{/id}"),
    ("notifications_url", "notifications{?since,all,participating}"),
    ("deployments_url", "deployments"),
];

/// What the App that performed the deployment is subscribed to.
const EVENTS: &str = "branch_protection_rule check_run check_suite create delete deployment deployment_status \
    discussion discussion_comment fork gollum issue_comment issues label merge_group milestone \
    page_build project project_card project_column public pull_request pull_request_review push \
    registry_package release repository repository_dispatch status watch workflow_dispatch \
    workflow_run";

/// The label that the configuration of the measurements routes.
pub(crate) const LABEL: &str = "ubuntu-24.04-riscv";
/// The secret that the server is configured with.
pub(crate) const SECRET: &str = "a secret for measurements alone";
/// The App that the server is configured with.
pub(crate) const APP: i64 = 101;

/// Makes deliveries of jobs of one repository.
#[derive(Clone)]
pub(crate) struct Deliveries {
    prefix: String,
    signed_prefix: Hmac<Sha256>,
}

impl Deliveries {
    /// Prepares what all bodies have in common.
    pub(crate) fn new() -> Outcome<Self> {
        let (login, repo) = ("example-organization", "example-organization/some-riscv-project");
        let whole = json!({
            "action": "queued",
            "repository": repository(login, repo),
            "organization": organization(login),
            "sender": account("a-contributor", 583_231, "User"),
            "installation": { "id": 4_711, "node_id": "MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9uNDcxMQ==" },
            "deployment": deployment(repo),
        });
        let text = whole.to_string();
        let mut prefix = text.strip_suffix('}').ok_or("an object ends with a brace")?.to_owned();
        let job = job(repo).to_string();
        write!(prefix, ",\"workflow_job\":{}", job.strip_suffix('}').ok_or("an object ends with a brace")?)?;
        let mut signed_prefix = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
        signed_prefix.update(prefix.as_bytes());
        Ok(Self { prefix, signed_prefix })
    }

    /// The body about a job.
    pub(crate) fn body(&self, job: u64) -> String {
        format!("{}{}", self.prefix, tail(job))
    }

    /// A whole HTTP request with the delivery about a job, into `request`.
    pub(crate) fn request(&self, job: u64, request: &mut Vec<u8>) {
        let tail = tail(job);
        let mut mac = self.signed_prefix.clone();
        mac.update(tail.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let head = format!(
            "POST / HTTP/1.1\r\nHost: bench\r\nUser-Agent: GitHub-Hookshot/044aadd\r\nAccept: */*\r\n\
             Content-Type: application/json\r\nX-GitHub-Delivery: {:08x}-0000-4000-8000-{job:012x}\r\n\
             X-GitHub-Event: workflow_job\r\nX-GitHub-Hook-ID: 292430182\r\n\
             X-GitHub-Hook-Installation-Target-ID: {APP}\r\n\
             X-GitHub-Hook-Installation-Target-Type: integration\r\n\
             X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {}\r\n\r\n",
            job.wrapping_mul(2_654_435_761) & 0xffff_ffff,
            self.prefix.len() + tail.len(),
        );
        request.clear();
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(self.prefix.as_bytes());
        request.extend_from_slice(tail.as_bytes());
    }
}

fn tail(job: u64) -> String {
    format!(",\"id\":{job},\"run_id\":{},\"node_id\":\"CR_kwDOExample{job:011}\"}}}}", job / 4 + 1)
}

fn account(login: &str, id: i64, kind: &str) -> Value {
    let root = format!("https://api.github.com/users/{login}");
    let mut account = Map::new();
    for (key, path) in ACCOUNT_KEYS.iter().zip(ACCOUNT_ADDRESSES) {
        account.insert((*key).to_owned(), format!("{root}/{path}").into());
    }
    let own = json!({
        "login": login, "id": id, "node_id": "MDQ6VXNlcjU4MzIzMQ==", "type": kind, "site_admin": false,
        "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"), "gravatar_id": "",
        "url": root, "html_url": format!("https://github.com/{login}"), "user_view_type": "public",
    });
    account.extend(own.as_object().cloned().unwrap_or_default());
    account.into()
}

fn organization(login: &str) -> Value {
    let root = format!("https://api.github.com/orgs/{login}");
    json!({
        "login": login, "id": 134_263_123, "node_id": "O_kgDOCADfUw", "url": root,
        "repos_url": format!("{root}/repos"), "events_url": format!("{root}/events"),
        "hooks_url": format!("{root}/hooks"), "issues_url": format!("{root}/issues"),
        "members_url": format!("{root}/members{{/member}}"),
        "public_members_url": format!("{root}/public_members{{/member}}"),
        "avatar_url": "https://avatars.githubusercontent.com/u/134263123?v=4",
        "description": "Software that runs on RISC-V boards",
    })
}

fn repository(login: &str, name: &str) -> Value {
    let root = format!("https://api.github.com/repos/{name}");
    let mut repository = Map::new();
    for (key, path) in REPOSITORY_ADDRESSES {
        repository.insert((*key).to_owned(), format!("{root}/{path}").into());
    }
    let own = json!({
        "id": 612_354_784, "node_id": "R_kgDOJH_OoA", "name": name.split('/').nth(1), "full_name": name,
        "private": false, "owner": account(login, 134_263_123, "Organization"),
        "html_url": format!("https://github.com/{name}"), "url": root, "fork": false,
        "description": "A library with hand-written kernels for the vector extension",
        "created_at": "2023-03-10T18:58:00Z", "updated_at": "2026-11-20T10:11:12Z",
        "pushed_at": "2026-11-21T05:06:07Z", "git_url": format!("git://github.com/{name}.git"),
        "ssh_url": format!("git@github.com:{name}.git"), "clone_url": format!("https://github.com/{name}.git"),
        "svn_url": format!("https://github.com/{name}"), "homepage": "", "size": 145_229,
        "stargazers_count": 6_412, "watchers_count": 6_412, "language": "C++", "has_issues": true,
        "has_projects": true, "has_downloads": true, "has_wiki": true, "has_pages": false,
        "has_discussions": true,
    });
    let counts = json!({
        "forks_count": 972, "mirror_url": null, "archived": false, "disabled": false,
        "open_issues_count": 403, "allow_forking": true, "is_template": false,
        "license": { "key": "mit", "name": "MIT License", "spdx_id": "MIT",
                     "url": "https://api.github.com/licenses/mit", "node_id": "MDc6TGljZW5zZTEz" },
        "web_commit_signoff_required": false, "topics": ["riscv", "rvv", "simd", "kernels"],
        "visibility": "public", "forks": 972, "open_issues": 403, "watchers": 6_412, "default_branch": "main",
        "custom_properties": {},
    });
    for part in [own, counts] {
        repository.extend(part.as_object().cloned().unwrap_or_default());
    }
    repository.into()
}

fn deployment(repo: &str) -> Value {
    let root = format!("https://api.github.com/repos/{repo}");
    json!({
        "url": format!("{root}/deployments/1145711"), "id": 1_145_711, "node_id": "DE_kwDOJH_OoM4AEXtv",
        "task": "deploy", "original_environment": "riscv-boards", "environment": "riscv-boards",
        "description": null, "created_at": "2026-11-21T05:06:30Z", "updated_at": "2026-11-21T05:06:30Z",
        "statuses_url": format!("{root}/deployments/1145711/statuses"), "repository_url": root,
        "creator": account("a-contributor", 583_231, "User"), "sha": "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c",
        "ref": "refs/heads/vector-kernels", "payload": {}, "transient_environment": false,
        "production_environment": false,
        "performed_via_github_app": github_app(),
    })
}

fn github_app() -> Value {
    let events: Vec<&str> = EVENTS.split(' ').collect();
    json!({
            "id": 15_368, "slug": "github-actions", "node_id": "MDM6QXBwMTUzNjg=",
            "owner": account("github", 9_919, "Organization"), "name": "GitHub Actions",
            "description": "Automate your workflow from idea to production",
            "external_url": "https://help.github.com/en/actions", "html_url": "https://github.com/apps/github-actions",
            "created_at": "2018-07-30T09:30:17Z", "updated_at": "2024-04-10T20:33:16Z",
            "permissions": permissions(),
            "events": events,
    })
}

fn permissions() -> Value {
    let writable = [
        "actions",
        "attestations",
        "checks",
        "contents",
        "deployments",
        "discussions",
        "issues",
        "merge_queues",
        "packages",
        "pages",
        "pull_requests",
        "repository_hooks",
        "repository_projects",
        "security_events",
        "statuses",
    ];
    let readable = ["administration", "metadata", "vulnerability_alerts"];
    let level = |name: &str, level: &str| (name.to_owned(), Value::from(level));
    let writable = writable.iter().map(|name| level(name, "write"));
    writable.chain(readable.iter().map(|name| level(name, "read"))).collect::<Map<_, _>>().into()
}

fn job(repo: &str) -> Value {
    let page = format!("https://github.com/{repo}/actions/runs/6471123456");
    let root = format!("https://api.github.com/repos/{repo}");
    json!({
        "workflow_name": "Continuous integration", "head_branch": "vector-kernels",
        "run_url": format!("{root}/actions/runs/6471123456"), "run_attempt": 1,
        "head_sha": "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c",
        "url": format!("{root}/actions/jobs/17568912345"), "html_url": format!("{page}/job/17568912345"),
        "status": "queued", "conclusion": null, "created_at": "2026-11-21T05:06:30Z",
        "started_at": "2026-11-21T05:06:30Z", "completed_at": null,
        "name": "build (riscv64, rvv, gcc-14, release)", "steps": [],
        "check_run_url": format!("{root}/check-runs/17568912345"), "labels": [LABEL],
        "runner_id": null, "runner_name": null, "runner_group_id": null, "runner_group_name": null,
    })
}
