//! Jobs and runs: the API on one side, what happens to a job on the other.

use serde_json::{Value, json};

use super::{
    GithubDouble, Shared, locked, paging, payloads,
    reply::Reply,
    routes::Question,
    runners,
    world::{DoubleJob, Run, World},
};

/// A job to be queued.
#[derive(Debug, Clone)]
pub struct NewJob<'a> {
    /// Its repository, `owner/name`.
    pub repo: &'a str,
    /// Its `runs-on` labels.
    pub labels: &'a [&'a str],
    /// Its name.
    pub name: &'a str,
    /// The run that it joins; a new one when there is none.
    pub run: Option<i64>,
}

impl<'a> NewJob<'a> {
    /// A job called `build`, alone in a new run.
    #[must_use]
    pub const fn new(repo: &'a str, labels: &'a [&'a str]) -> Self {
        Self { repo, labels, name: "build", run: None }
    }
}

/// `GET …/actions/jobs/{id}`.
pub(super) fn job(shared: &Shared, repo: &str, id: i64) -> Reply {
    let world = locked(&shared.world);
    match world.jobs.get(&id).filter(|job| job.repo.eq_ignore_ascii_case(repo)) {
        Some(job) => Reply::json(200, payloads::job(job)),
        None => Reply::not_found(),
    }
}

/// `GET …/actions/runs/{id}/jobs`.
pub(super) fn run_jobs(shared: &Shared, repo: &str, id: i64, question: &Question) -> Reply {
    let world = locked(&shared.world);
    if !has_run(&world, repo, id) {
        return Reply::not_found();
    }
    let ids = world.jobs_by_run.get(&id).map(Vec::as_slice).unwrap_or_default();
    let jobs: Vec<_> = ids.iter().filter_map(|id| world.jobs.get(id)).collect();
    let all: Vec<_> = (0..jobs.len()).collect();
    let page = paging::by_number(shared, question, &all);
    let listed: Vec<_> = page.items.iter().map(|n| payloads::job(jobs[*n])).collect();
    runners::linked(Reply::json(200, json!({ "total_count": jobs.len(), "jobs": listed })), page.link)
}

/// `GET …/actions/runs/{id}`.
pub(super) fn run(shared: &Shared, repo: &str, id: i64) -> Reply {
    let world = locked(&shared.world);
    match world.runs.get(&id).filter(|run| run.repo.eq_ignore_ascii_case(repo)) {
        Some(run) => Reply::json(200, run_json(id, run)),
        None => Reply::not_found(),
    }
}

/// `GET …/actions/runs`.
pub(super) fn runs(shared: &Shared, repo: &str, question: &Question) -> Reply {
    let world = locked(&shared.world);
    if world.repo(repo).is_none() {
        return Reply::not_found();
    }
    let status = question.query("status");
    let fits = |run: &Run| {
        let wanted = |status: &str| run.status == status || run.conclusion.as_deref() == Some(status);
        run.repo.eq_ignore_ascii_case(repo) && status.is_none_or(wanted)
    };
    // Newest first, as GitHub lists them.
    let runs: Vec<_> = world.runs.iter().rev().filter(|(_, run)| fits(run)).collect();
    let all: Vec<_> = (0..runs.len()).collect();
    let page = paging::by_number(shared, question, &all);
    let listed: Vec<_> = page.items.iter().map(|n| run_json(*runs[*n].0, runs[*n].1)).collect();
    runners::linked(
        Reply::json(200, json!({ "total_count": runs.len(), "workflow_runs": listed })),
        page.link,
    )
}

fn has_run(world: &World, repo: &str, id: i64) -> bool {
    world.runs.get(&id).is_some_and(|run| run.repo.eq_ignore_ascii_case(repo))
}

fn run_json(id: i64, run: &Run) -> Value {
    let owner = run.repo.split('/').next().unwrap_or_default();
    let (actor, triggering_actor) =
        run.actors.as_ref().map_or((owner, owner), |(first, latest)| (first.as_str(), latest.as_str()));
    json!({
        "actor": { "login": actor },
        "triggering_actor": { "login": triggering_actor },
        "id": id,
        "name": "CI",
        "event": "push",
        "status": run.status,
        "conclusion": run.conclusion,
        "run_attempt": 1,
        "html_url": format!("https://github.com/{}/actions/runs/{id}", run.repo),
    })
}

impl GithubDouble {
    /// Queues a job; its id. The webhook is [`GithubDouble::webhook`].
    pub fn queue(&self, new: &NewJob<'_>) -> i64 {
        let now = self.shared.now();
        let mut world = self.world();
        let run = new.run.unwrap_or_else(|| world.next_id());
        world.runs.entry(run).or_insert_with(|| Run {
            repo: new.repo.into(),
            status: "queued".into(),
            conclusion: None,
            actors: None,
        });
        let id = world.next_id();
        let job = DoubleJob {
            id,
            run,
            repo: new.repo.into(),
            name: new.name.into(),
            labels: new.labels.iter().map(|label| (*label).to_owned()).collect(),
            status: "queued".into(),
            conclusion: None,
            runner: None,
            created_at: now,
            started_at: None,
            completed_at: None,
        };
        world.jobs.insert(id, job);
        world.jobs_by_run.entry(run).or_default().push(id);
        id
    }

    /// The job.
    #[must_use]
    pub fn job(&self, id: i64) -> Option<DoubleJob> {
        self.world().jobs.get(&id).cloned()
    }

    /// Every job.
    #[must_use]
    pub fn jobs(&self) -> Vec<DoubleJob> {
        self.world().jobs.values().cloned().collect()
    }

    /// The oldest queued job that this runner may take: of its scope, with no label that it lacks.
    #[must_use]
    pub fn job_for(&self, runner: &str) -> Option<i64> {
        let world = self.world();
        let runner = world.runners.values().find(|known| known.name == runner)?;
        let has = |label: &String| runner.labels.iter().any(|own| own.eq_ignore_ascii_case(label));
        let fits = |job: &&DoubleJob| {
            let repo = job.repo.to_lowercase();
            let owner = repo.split('/').next().unwrap_or_default();
            let in_scope = runner.scope == format!("orgs/{owner}") || runner.scope == format!("repos/{repo}");
            in_scope && job.status == "queued" && job.labels.iter().all(has)
        };
        world.jobs.values().find(fits).map(|job| job.id)
    }

    /// A runner takes a job: it is online and busy, the job and its run are in progress. Whether both
    /// exist and the job was queued.
    pub fn assign(&self, job: i64, runner: &str) -> bool {
        let now = self.shared.now();
        let mut world = self.world();
        let world = &mut *world;
        let Some(runner) = world.runners.values_mut().find(|known| known.name == runner) else {
            return false;
        };
        let Some(job) = world.jobs.get_mut(&job).filter(|job| job.status == "queued") else { return false };
        (runner.online, runner.busy) = (true, true);
        job.status = "in_progress".into();
        job.runner = Some((runner.id, runner.name.clone()));
        job.started_at = Some(now);
        if let Some(run) = world.runs.get_mut(&job.run) {
            run.status = "in_progress".into();
        }
        true
    }

    /// A job ends, and with it its ephemeral runner's registration; its run ends with its last job.
    pub fn finish(&self, job: i64, conclusion: &str) {
        let now = self.shared.now();
        let mut world = self.world();
        let world = &mut *world;
        let Some(job) = world.jobs.get_mut(&job) else { return };
        job.status = "completed".into();
        job.conclusion = Some(conclusion.into());
        job.completed_at = Some(now);
        let (run, runner) = (job.run, job.runner.as_ref().map(|(id, _)| *id));
        let all_over = world
            .jobs_by_run
            .get(&run)
            .into_iter()
            .flatten()
            .all(|id| world.jobs.get(id).is_none_or(|job| job.status == "completed"));
        if let Some(run) = world.runs.get_mut(&run).filter(|_| all_over) {
            run.status = "completed".into();
            run.conclusion = Some(conclusion.into());
        }
        if let Some(runner) = runner {
            runners::remove(world, runner);
        }
    }

    /// Changes a job behind everybody's back.
    pub fn change_job(&self, id: i64, change: impl FnOnce(&mut DoubleJob)) {
        if let Some(job) = self.world().jobs.get_mut(&id) {
            change(job);
        }
    }

    /// Ends a run while its jobs stay as they are.
    pub fn finish_run(&self, run: i64, conclusion: &str) {
        if let Some(run) = self.world().runs.get_mut(&run) {
            run.status = "completed".into();
            run.conclusion = Some(conclusion.into());
        }
    }

    /// Says who started a run at first, and who its latest attempt.
    pub fn started_by(&self, run: i64, actor: &str, triggering_actor: &str) {
        if let Some(run) = self.world().runs.get_mut(&run) {
            run.actors = Some((actor.into(), triggering_actor.into()));
        }
    }

    /// Deletes a job.
    pub fn remove_job(&self, id: i64) {
        self.world().jobs.remove(&id);
    }
}
