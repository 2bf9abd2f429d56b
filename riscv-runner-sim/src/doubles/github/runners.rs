//! Runner groups and registrations: the API on one side, the runners themselves on the other.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    GithubDouble, Shared, locked, paging,
    reply::Reply,
    routes::Question,
    world::{DoubleRunner, Group, World},
};

/// The most labels that GitHub takes.
const MAX_LABELS: usize = 100;
/// The longest name that GitHub takes.
const MAX_NAME: usize = 64;

/// Where a runner is registered, as the path has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    Organization(String),
    Repository(String),
}

impl Scope {
    pub(super) fn name(&self) -> &String {
        match self {
            Self::Organization(name) | Self::Repository(name) => name,
        }
    }

    fn key(&self) -> String {
        match self {
            Self::Organization(login) => format!("orgs/{}", login.to_lowercase()),
            Self::Repository(name) => format!("repos/{}", name.to_lowercase()),
        }
    }

    fn exists(&self, world: &World) -> bool {
        match self {
            Self::Organization(login) => world.groups.contains_key(&login.to_lowercase()),
            Self::Repository(name) => world.repo(name).is_some(),
        }
    }

    fn is_disabled(&self, world: &World) -> bool {
        match self {
            Self::Organization(login) => world.account(login).is_some_and(|account| account.runners_disabled),
            Self::Repository(name) => world.repo(name).is_some_and(|repo| repo.runners_disabled),
        }
    }

    fn has_group(&self, world: &World, id: i64) -> bool {
        match self {
            Self::Organization(login) => {
                let groups = world.groups.get(&login.to_lowercase());
                groups.is_some_and(|groups| groups.iter().any(|group| group.id == id))
            }
            Self::Repository(_) => id == 1,
        }
    }
}

/// `GET /orgs/{org}/actions/runner-groups`.
pub(super) fn groups(shared: &Shared, login: &str, question: &Question) -> Reply {
    let world = locked(&shared.world);
    let Some(groups) = world.groups.get(&login.to_lowercase()) else { return Reply::not_found() };
    let visible_to =
        question.query("visible_to_repository").map(|name| format!("{login}/{name}").to_lowercase());
    let is_visible = |group: &Group| match (&visible_to, &group.repositories) {
        (Some(name), Some(chosen)) => chosen.contains(name),
        (Some(_) | None, _) => true,
    };
    let all: Vec<_> = (0..groups.len()).filter(|n| is_visible(&groups[*n])).collect();
    let page = paging::by_number(shared, question, &all);
    let listed: Vec<_> = page.items.iter().map(|n| group_json(&groups[*n])).collect();
    linked(Reply::json(200, json!({ "total_count": all.len(), "runner_groups": listed })), page.link)
}

/// `POST /orgs/{org}/actions/runner-groups`.
pub(super) fn create_group(shared: &Shared, login: &str, question: &Question) -> Reply {
    let body = question.body.clone().unwrap_or_default();
    let Some(name) = body["name"].as_str() else {
        shared.violation("a runner group without a name");
        return Reply::message(422, "Invalid request. \"name\" wasn't supplied.");
    };
    let mut world = locked(&shared.world);
    if world.account(login).is_some_and(|account| !account.custom_groups) {
        return Reply::message(403, "Runner groups are not available for this organization's plan");
    }
    let id = world.next_id();
    let Some(groups) = world.groups.get_mut(&login.to_lowercase()) else { return Reply::not_found() };
    if groups.iter().any(|group| group.name == name) {
        return Reply::message(409, "A runner group with this name already exists");
    }
    let group = Group {
        id,
        name: name.into(),
        visibility: body["visibility"].as_str().unwrap_or("all").into(),
        public: body["allows_public_repositories"].as_bool().unwrap_or(false),
        repositories: None,
    };
    groups.push(group.clone());
    Reply::json(201, group_json(&group))
}

/// `POST …/actions/runners/generate-jitconfig`.
pub(super) fn jit(shared: &Shared, scope: &Scope, question: &Question, installation: i64) -> Reply {
    let body = question.body.clone().unwrap_or_default();
    let (Some(name), Some(group)) = (body["name"].as_str(), body["runner_group_id"].as_i64()) else {
        shared.violation("a JIT request without name or runner_group_id");
        return Reply::message(422, "Invalid request. \"name\" and \"runner_group_id\" must be supplied.");
    };
    let labels: Vec<_> = body["labels"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if labels.is_empty() || labels.len() > MAX_LABELS || name.is_empty() || name.len() > MAX_NAME {
        shared.violation(format!("a JIT request with {} labels and the name {name:?}", labels.len()));
        return Reply::message(422, "Invalid request.");
    }
    let mut world = locked(&shared.world);
    if !scope.exists(&world) {
        return Reply::not_found();
    }
    if scope.is_disabled(&world) {
        return Reply::message(403, "");
    }
    if !scope.has_group(&world, group) {
        return Reply::not_found();
    }
    if !world.names.insert((scope.key(), name.to_owned())) {
        return Reply::message(409, "Already exists - A runner with the name already exists.");
    }
    let id = world.next_id();
    let runner = DoubleRunner {
        id,
        name: name.into(),
        scope: scope.key(),
        group,
        labels: labels.into_iter().map(str::to_owned).collect(),
        online: false,
        busy: false,
    };
    let jit =
        STANDARD.encode(json!({ "runner": id, "name": name, "installation": installation }).to_string());
    let described = runner_json(&runner);
    world.runners.insert(id, runner);
    Reply::json(201, json!({ "runner": described, "encoded_jit_config": jit }))
}

/// `GET …/actions/runners`.
pub(super) fn list(shared: &Shared, scope: &Scope, question: &Question) -> Reply {
    let world = locked(&shared.world);
    if !scope.exists(&world) {
        return Reply::not_found();
    }
    let (key, name) = (scope.key(), question.query("name"));
    let fits = |runner: &&DoubleRunner| runner.scope == key && name.is_none_or(|name| runner.name == name);
    let runners: Vec<_> = world.runners.values().filter(fits).collect();
    let all: Vec<_> = (0..runners.len()).collect();
    let page = paging::by_number(shared, question, &all);
    let listed: Vec<_> = page.items.iter().map(|n| runner_json(runners[*n])).collect();
    linked(Reply::json(200, json!({ "total_count": runners.len(), "runners": listed })), page.link)
}

/// `DELETE …/actions/runners/{id}`.
pub(super) fn delete(shared: &Shared, scope: &Scope, id: i64) -> Reply {
    let mut world = locked(&shared.world);
    match world.runners.get(&id) {
        Some(runner) if runner.scope == scope.key() => {
            if runner.busy {
                return Reply::message(
                    422,
                    "Bad request - Runner is currently running a job and cannot be deleted.",
                );
            }
        }
        Some(_) | None => return Reply::not_found(),
    }
    remove(&mut world, id);
    Reply::empty(204)
}

pub(super) fn remove(world: &mut World, id: i64) {
    if let Some(runner) = world.runners.remove(&id) {
        world.names.remove(&(runner.scope, runner.name));
    }
}

pub(super) fn linked(reply: Reply, link: Option<String>) -> Reply {
    match link {
        Some(link) => reply.with("link", link),
        None => reply,
    }
}

fn group_json(group: &Group) -> Value {
    json!({
        "id": group.id,
        "name": group.name,
        "visibility": group.visibility,
        "default": group.id == 1,
        "inherited": false,
        "allows_public_repositories": group.public,
        "restricted_to_workflows": false,
        "selected_workflows": [],
    })
}

fn runner_json(runner: &DoubleRunner) -> Value {
    let label = |(n, name): (usize, &String)| json!({ "id": n + 1, "name": name, "type": "custom" });
    json!({
        "id": runner.id,
        "runner_group_id": runner.group,
        "name": runner.name,
        "os": if runner.online { "Linux" } else { "unknown" },
        "status": if runner.online { "online" } else { "offline" },
        "busy": runner.busy,
        "ephemeral": true,
        "labels": runner.labels.iter().enumerate().map(label).collect::<Vec<_>>(),
    })
}

impl GithubDouble {
    /// Every registration.
    #[must_use]
    pub fn runners(&self) -> Vec<DoubleRunner> {
        self.world().runners.values().cloned().collect()
    }

    /// The registration of this name.
    #[must_use]
    pub fn runner(&self, name: &str) -> Option<DoubleRunner> {
        self.world().runners.values().find(|runner| runner.name == name).cloned()
    }

    /// Makes a registration that nobody asked for through the API, in `orgs/LOGIN` or
    /// `repos/OWNER/NAME`; its id.
    pub fn add_runner(&self, scope: &str, name: &str) -> i64 {
        let mut world = self.world();
        let (id, scope) = (world.next_id(), scope.to_lowercase());
        world.names.insert((scope.clone(), name.to_owned()));
        let (labels, group) = (vec!["self-hosted".to_owned()], 1);
        let runner = DoubleRunner { id, name: name.into(), scope, group, labels, online: false, busy: false };
        world.runners.insert(id, runner);
        id
    }

    /// A runner connects (or loses its connection). Whether there is one of this name.
    pub fn set_online(&self, name: &str, online: bool) -> bool {
        self.change(name, |runner| runner.online = online)
    }

    /// A runner becomes busy or idle, as GitHub sees it. Whether there is one of this name.
    pub fn set_busy(&self, name: &str, busy: bool) -> bool {
        self.change(name, |runner| runner.busy = busy)
    }

    /// A registration ends without anybody asking.
    pub fn forget_runner(&self, name: &str) {
        let mut world = self.world();
        let ids: Vec<_> =
            world.runners.values().filter(|runner| runner.name == name).map(|runner| runner.id).collect();
        for id in ids {
            remove(&mut world, id);
        }
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut DoubleRunner)) -> bool {
        let mut world = self.world();
        let runner = world.runners.values_mut().find(|runner| runner.name == name);
        runner.map(change).is_some()
    }
}
