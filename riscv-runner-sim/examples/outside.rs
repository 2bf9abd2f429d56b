//! A GitHub and a Kubernetes to try rrctl on by hand: the doubles of the tests as a program, for where no account and
//! no cluster may be used.
//!
//! `cargo run -p riscv-runner-sim --features doubles --example outside -- FOLDER http://127.0.0.1:8080/` writes
//! kubeconfigs to FOLDER, sends webhooks to that address, and then takes lines from standard input:
//!
//! - `confirm MANIFEST`: what GitHub does when somebody confirms an App's manifest; prints the code
//! - `install APP LOGIN OWNER/REPO`: an organization with a repository installs an App
//! - `queue OWNER/REPO LABEL..`: a job is queued; prints its number
//! - `assign JOB WORKER`, `finish JOB CONCLUSION`: the job starts on a worker, and ends

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    thread,
};

use riscv_runner_core::entity::EntityKind;
use riscv_runner_sim::doubles::{
    github::{self, GithubDouble, NewJob},
    kube::{Behaviour, KubeDouble, Kubelet, NodeSpec},
};
use tokio::sync::mpsc;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The secret of the webhooks of every App that is made from a manifest.
const WEBHOOK_SECRET: &str = "webhook-secret-of-the-double";

/// What a line does, as told to the one who typed it.
async fn obey(github: &GithubDouble, kubelet: &Kubelet, line: &str) -> Outcome<String> {
    let (verb, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let words: Vec<&str> = rest.split_whitespace().collect();
    Ok(match (verb, words.as_slice()) {
        ("confirm", [_, ..]) => github.confirm_manifest(serde_json::from_str(rest)?),
        ("install", [app, login, repo]) => {
            github.add_account(login, EntityKind::Organization);
            github.add_repo(repo, false);
            let app = app.parse()?;
            let installation = github.install(app, login);
            let told =
                github.installation_webhook(installation, login, app, "created").ok_or("no account")?;
            format!("installation {installation}, answered {}", github.send(&told).await?)
        }
        ("queue", [repo, labels @ ..]) => {
            let job = github.queue(&NewJob::new(repo, labels));
            format!("job {job}, answered {}", tell(github, job, "queued").await?)
        }
        ("assign", [job, worker]) => {
            let job = job.parse()?;
            github.set_online(worker, true);
            if !github.assign(job, worker) {
                return Err(format!("{worker} is no runner that may have job {job}").into());
            }
            format!("answered {}", tell(github, job, "in_progress").await?)
        }
        ("finish", [job, conclusion]) => {
            let id: i64 = job.parse()?;
            let worker = github.job(id).and_then(|job| job.runner);
            github.finish(id, conclusion);
            if let Some((_, worker)) = worker {
                kubelet.end(&worker, 0).await?;
            }
            format!("answered {}", tell(github, id, "completed").await?)
        }
        _ => return Err(format!("{line:?} is none of confirm, install, queue, assign, finish").into()),
    })
}

async fn tell(github: &GithubDouble, job: i64, action: &str) -> Outcome<u16> {
    let webhook = github.webhook(job, action).ok_or("nobody installed an App for this job's repository")?;
    Ok(github.send(&webhook).await?)
}

fn arguments() -> Outcome<(PathBuf, String)> {
    let mut arguments = env::args().skip(1);
    let usage = "usage: outside FOLDER HOOK_URL";
    Ok((arguments.next().ok_or(usage)?.into(), arguments.next().ok_or(usage)?))
}

fn write_kubeconfigs(folder: &Path, kube: &KubeDouble) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("kubeconfig"), kube.kubeconfig())?;
    fs::write(folder.join("operator-kubeconfig"), kube.operator_kubeconfig())
}

/// Plays until standard input ends.
#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "a program for people")]
async fn main() -> Outcome<()> {
    let (folder, hook) = arguments()?;
    let webhook = Some((hook, WEBHOOK_SECRET.to_owned()));
    let github = GithubDouble::start(github::Config { webhook, ..github::Config::default() }).await?;
    let kube = KubeDouble::start().await?;
    write_kubeconfigs(&folder, &kube)?;
    let kubelet = Kubelet::connect(&kube.operator_kubeconfig(), "default").await?;
    for n in 1..=2 {
        let bare = NodeSpec { slots: None, labels: [].into(), ..NodeSpec::board(&format!("board-{n}"), "") };
        kubelet.set_node(&bare).await?;
    }
    let _autopilot = kubelet.autopilot(|_| Behaviour::default());
    println!("github.api_url = {:?}", github.url());
    println!("kubeconfigs in {}; nodes board-1 and board-2 are no boards yet", folder.display());

    let (typed, mut lines) = mpsc::unbounded_channel();
    thread::spawn(move || io::stdin().lines().map_while(Result::ok).try_for_each(|line| typed.send(line)));
    while let Some(line) = lines.recv().await {
        match obey(&github, &kubelet, &line).await {
            Ok(told) => println!("{told}"),
            Err(error) => println!("error: {error}"),
        }
    }
    Ok(())
}
