//! Jobs and runs, as GitHub describes them.

use riscv_runner_core::{
    entity::EntityKind,
    ids::{JobId, RepoName, RunId},
    ports::{Forge as _, JobRef, JobSighting, PortErrorKind, RepoRef, ReportedState, RunRef},
};
use riscv_runner_sim::doubles::github::{Fault, NewJob};

use crate::setting::{JOB, Setting};

const LABELS: [&str; 2] = ["ubuntu-24.04-riscv", "rva23"];

fn job_ref(t: &Setting, id: i64) -> JobRef {
    JobRef {
        installation: t.org.installation,
        app: EntityKind::Organization,
        repo: RepoName::new("Acme/widget").unwrap(),
        job: JobId::new(id).unwrap(),
    }
}

fn run_ref(t: &Setting, id: i64) -> RunRef {
    RunRef {
        installation: t.org.installation,
        app: EntityKind::Organization,
        repo: RepoName::new("Acme/widget").unwrap(),
        run: RunId::new(id).unwrap(),
    }
}

async fn state(t: &Setting, id: i64) -> ReportedState {
    match t.forge.job(&job_ref(t, id)).await.unwrap() {
        JobSighting::Found(report) => report.state,
        other @ (JobSighting::JobNotFound | JobSighting::InstallationNotFound) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_is_followed_from_queue_to_end() {
    let t = Setting::new().await;
    let id = t.double.queue(&NewJob::new("Acme/widget", &LABELS));
    assert_eq!(state(&t, id).await, ReportedState::Queued, "its start time means nothing yet");
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
    assert_eq!(t.double.job_for("rise-riscv-runner-a"), Some(id));
    assert!(t.double.assign(id, "rise-riscv-runner-a"));
    let ReportedState::InProgress(start) = state(&t, id).await else { panic!("not running") };
    assert_eq!(start.runner.unwrap().as_str(), "rise-riscv-runner-a");
    t.double.finish(id, "success");
    let ReportedState::Completed { end, start } = state(&t, id).await else { panic!("not over") };
    assert_eq!(end.conclusion.as_deref(), Some("success"));
    assert!(start.is_some());
    assert_eq!(t.double.runner("rise-riscv-runner-a"), None, "ephemeral");
    t.assert_lawful();
}

#[tokio::test]
async fn a_conclusion_counts_whatever_the_status_says() {
    let t = Setting::new().await;
    let id = t.double.queue(&NewJob::new("Acme/widget", &LABELS));
    t.double.change_job(id, |job| job.status = "waiting".into());
    t.double.change_job(id, |job| job.conclusion = Some("cancelled".into()));
    let ReportedState::Completed { end, start } = state(&t, id).await else { panic!("not over") };
    assert_eq!((end.conclusion.as_deref(), start), (Some("cancelled"), None));
}

#[tokio::test]
async fn a_job_that_waits_for_an_approval_is_not_queued_yet() {
    let t = Setting::new().await;
    let id = t.double.queue(&NewJob::new("Acme/widget", &LABELS));
    for status in ["requested", "waiting", "pending"] {
        t.double.change_job(id, |job| job.status = status.into());
        assert_eq!(state(&t, id).await, ReportedState::NotYetQueued, "{status}");
    }
    t.double.change_job(id, |job| job.status = "queued".into());
    assert_eq!(state(&t, id).await, ReportedState::Queued);
}

#[tokio::test]
async fn what_is_missing_is_told_apart() {
    let t = Setting::new().await;
    assert_eq!(t.forge.job(&job_ref(&t, 5)).await.unwrap(), JobSighting::JobNotFound);
    t.double.inject(Fault::status(JOB, 503).times(1));
    let error = t.forge.job(&job_ref(&t, 5)).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Transient);
    let error = t.forge.run_jobs(&run_ref(&t, 5)).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::NotFound);
    let t = Setting::new().await;
    t.double.uninstall(t.org.installation.get());
    assert_eq!(t.forge.job(&job_ref(&t, 5)).await.unwrap(), JobSighting::InstallationNotFound);
}

#[tokio::test]
async fn all_jobs_of_a_run_are_listed_over_pages() {
    let t = Setting::with(|config| config.page_limit = 2, |_| {}).await;
    let first = t.double.queue(&NewJob::new("Acme/widget", &LABELS));
    let run = t.double.job(first).unwrap().run;
    let mut ids = vec![first];
    for _ in 0..4 {
        ids.push(t.double.queue(&NewJob { run: Some(run), ..NewJob::new("Acme/widget", &LABELS) }));
    }
    let reports = t.forge.run_jobs(&run_ref(&t, run)).await.unwrap();
    assert_eq!(reports.iter().map(|report| report.job.get()).collect::<Vec<_>>(), ids);
    assert!(reports.iter().all(|report| report.run.get() == run));
    let details = &reports[0].details;
    assert_eq!(
        (details.labels.as_slice(), details.name.as_deref()),
        (&LABELS.map(str::to_owned)[..], Some("build"))
    );
    assert_eq!(details.created_at, riscv_runner_core::ports::Platform::now(&t.clock));
    let asked = t.double.requests().pop().unwrap();
    assert!(asked.query.contains(&("filter".into(), "latest".into())), "{:?}", asked.query);
    t.assert_lawful();
}

#[tokio::test]
async fn a_run_has_a_conclusion_once_it_is_over() {
    let t = Setting::new().await;
    let id = t.double.queue(&NewJob::new("Acme/widget", &LABELS));
    let run = t.double.job(id).unwrap().run;
    assert_eq!(t.forge.run_conclusion(&run_ref(&t, run)).await.unwrap(), None);
    t.double.finish_run(run, "cancelled");
    let conclusion = t.forge.run_conclusion(&run_ref(&t, run)).await.unwrap();
    assert_eq!(conclusion.as_deref(), Some("cancelled"));
    t.assert_lawful();
}

#[tokio::test]
async fn active_runs_are_those_queued_or_in_progress() {
    let t = Setting::with(|config| config.page_limit = 2, |_| {}).await;
    let runs: Vec<_> = (0..7)
        .map(|_| {
            let job = t.double.queue(&NewJob::new("Acme/widget", &LABELS));
            (job, t.double.job(job).unwrap().run)
        })
        .collect();
    t.double.queue(&NewJob::new("ada/engine", &LABELS));
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
    assert!(t.double.assign(runs[2].0, "rise-riscv-runner-a"));
    t.double.finish(runs[4].0, "cancelled");
    t.double.started_by(runs[1].1, "mallory", "ada");
    let repo = RepoName::new("Acme/widget").unwrap();
    let repo = RepoRef { installation: t.org.installation, app: EntityKind::Organization, repo };
    let found = t.forge.active_runs(&repo).await.unwrap();
    let expected: Vec<_> =
        runs.iter().enumerate().filter(|(n, _)| *n != 4).map(|(_, (_, run))| *run).collect();
    assert_eq!(found.iter().map(|found| found.run.get()).collect::<Vec<_>>(), expected);
    let senders: Vec<_> = found.iter().map(|found| found.sender.as_ref().unwrap().as_str()).collect();
    assert_eq!(senders[..3], ["Acme", "ada", "Acme"], "who started the latest attempt");
    t.assert_lawful();
}
