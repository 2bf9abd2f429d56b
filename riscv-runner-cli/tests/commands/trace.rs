//! `rrctl trace` on a real database: for each diagnosis the deliveries that lead to it, and what is printed.
//! The documentation shows the same stories, and is held to them.

use std::{fmt::Write as _, fs, path::Path};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    log::{APP, Log, example},
    run::Folder,
};

/// What happens in a story, in the order in which it arrives.
enum Step {
    Delivery(&'static str, Value),
    Refusal(i64, u16),
}

/// What happened, and what is asked about it.
struct Story {
    title: &'static str,
    about: &'static str,
    steps: Vec<Step>,
    arguments: &'static str,
}

const ACCOUNT: &str = "--entity-id 21031067";
const JOB: &str = "--job-id 289782451";

fn created() -> Step {
    Step::Delivery("installation", example("installation", "created"))
}

fn queued() -> Step {
    Step::Delivery("workflow_job", example("workflow_job", "queued"))
}

fn stories() -> Vec<Story> {
    let mut removed = example("installation_repositories", "removed");
    removed["repositories_removed"] = example("installation", "created")["repositories"].clone();
    let mut unroutable = example("workflow_job", "queued");
    unroutable["workflow_job"]["labels"] = json!(["riscv-typo"]);
    let mut elsewhere = example("workflow_job", "queued");
    elsewhere["repository"]["id"] = json!(186_853_009);
    elsewhere["repository"]["full_name"] = json!("Codertocat/Other");
    let installation = example("installation", "created");
    let mut account = installation["installation"]["account"].clone();
    account["login"] = json!("Codercat");
    let renamed = json!({
        "action": "renamed",
        "account": account,
        "changes": { "login": { "from": "Codertocat" } },
        "installation": { "id": installation["installation"]["id"] },
        "target_type": "User",
        "sender": installation["sender"],
    });
    let told = |event: &'static str, action| Step::Delivery(event, example(event, action));
    vec![
        Story {
            title: "uninstalled",
            about: "The owner removed the App. GitHub answers 404 when the scheduler asks for a token.",
            steps: vec![created(), queued(), told("installation", "deleted"), Step::Refusal(APP, 404)],
            arguments: ACCOUNT,
        },
        Story {
            title: "suspended",
            about: "Somebody suspended the installation: GitHub gives no token (403), and jobs wait.",
            steps: vec![created(), queued(), told("installation", "suspend"), Step::Refusal(APP, 403)],
            arguments: ACCOUNT,
        },
        Story {
            title: "wrong_app",
            about: "The scheduler signs with the key of another App, for example after the ids of the two Apps \
                    were exchanged in the configuration.",
            steps: vec![created(), queued(), Step::Refusal(5725, 404)],
            arguments: JOB,
        },
        Story {
            title: "repository_access_removed",
            about: "The owner took the repository out of the chosen ones.",
            steps: vec![created(), queued(), Step::Delivery("installation_repositories", removed)],
            arguments: JOB,
        },
        Story {
            title: "repository_not_selected",
            about: "The App was installed on chosen repositories, and this is none of them.",
            steps: vec![created(), Step::Delivery("workflow_job", elsewhere)],
            arguments: JOB,
        },
        Story {
            title: "account_renamed",
            about: "The account has another name since; a job from before is still looked up by the old one.",
            steps: vec![created(), queued(), Step::Delivery("installation_target", renamed)],
            arguments: JOB,
        },
        Story {
            title: "job_not_accepted",
            about: "The job's delivery arrived and led to nothing: here, no route takes its labels.",
            steps: vec![created(), Step::Delivery("workflow_job", unroutable)],
            arguments: JOB,
        },
        Story {
            title: "authentication_failing",
            about: "GitHub answers 404, and no delivery says why: the one that would is lost.",
            steps: vec![created(), queued(), Step::Refusal(APP, 404)],
            arguments: ACCOUNT,
        },
        Story {
            title: "nothing_known",
            about: "The log holds nothing about the account.",
            steps: vec![],
            arguments: ACCOUNT,
        },
        Story {
            title: "healthy",
            about: "No problem was found with the installation; the cause lies elsewhere.",
            steps: vec![
                created(),
                queued(),
                told("workflow_job", "in_progress"),
                told("workflow_job", "completed"),
            ],
            arguments: ACCOUNT,
        },
    ]
}

async fn play(story: &Story) -> Log {
    let mut log = Log::new().await;
    for step in &story.steps {
        match step {
            Step::Delivery(event, payload) => log.deliver(event, payload).await,
            Step::Refusal(app, status) => log.refuse(*app, *status).await,
        };
    }
    log
}

fn trace(log: &Log, arguments: &str) -> String {
    let mut all = vec!["trace", "--at", "2026-11-20T10:30:00Z"];
    all.extend(arguments.split(' '));
    log.folder.rrctl(&all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_diagnosis_is_told_with_the_rows_that_show_it() {
    let mut pages = String::new();
    for story in stories() {
        let log = play(&story).await;
        let answer = trace(&log, story.arguments);
        assert!(answer.starts_with("exit: 0\n"), "{answer}");
        assert!(answer.contains(&format!("\n{}", story.title)), "{}: {answer}", story.title);
        assert_snapshot!(story.title, answer);
        write_story(&mut pages, &story, &answer);
        log.store.close().await;
    }
    check_documentation(&pages);
}

fn write_story(pages: &mut String, story: &Story, answer: &str) {
    let _ = write!(
        pages,
        "## {}\n\n{}\n\n",
        story.title,
        story.about.split_whitespace().collect::<Vec<_>>().join(" ")
    );
    for step in &story.steps {
        let _ = match step {
            Step::Delivery(event, payload) => {
                writeln!(pages, "- GitHub delivers `{event}.{}`", payload["action"].as_str().unwrap())
            }
            Step::Refusal(app, status) => {
                writeln!(pages, "- App {app} asks for a token, and GitHub answers {status}")
            }
        };
    }
    if !story.steps.is_empty() {
        pages.push('\n');
    }
    let _ = write!(pages, "```console\n$ rrctl trace {}\n", story.arguments);
    let shown = answer.split("----- stdout -----\n").nth(1).unwrap();
    pages.push_str(shown.split("----- stderr -----").next().unwrap());
    pages.push_str("```\n\n");
}

/// The stories of the documentation are these, word for word.
fn check_documentation(pages: &str) {
    const MARK: &str = "<!-- The rest is written by the tests: INSTA_UPDATE=always rewrites it. -->\n\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/trace.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, stories) = text.split_once(MARK).unwrap();
    if stories.trim_end() == pages.trim_end() {
        return;
    }
    if std::env::var("INSTA_UPDATE").is_ok_and(|wish| wish == "always") {
        fs::write(&path, format!("{before}{MARK}{}\n", pages.trim_end())).unwrap();
        return;
    }
    panic!("docs/trace.md shows something else than:\n{pages}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_asked_for_in_several_ways() {
    let story = stories().remove(0);
    let log = play(&story).await;
    // As of a time at which all was well.
    assert_snapshot!(log.folder.rrctl(&["trace", "--entity-id", "21031067", "--at", "2026-11-20T10:01:30Z"]));
    assert_snapshot!(log.folder.rrctl(&[
        "trace",
        "--entity-name",
        "CODERTOCAT",
        "--at",
        "2026-11-20T10:30:00Z",
        "--per-page",
        "1"
    ]));
    assert_snapshot!(trace(&log, "--installation-id 957387 --repo Codertocat/Other --format json"));
    assert_snapshot!(trace(&log, "--entity-name nobody"));
    assert_snapshot!(log.folder.rrctl(&["trace"]));
    assert!(trace(&log, "--entity-id 1 --job-id 1").starts_with("exit: 2\n"));
    assert_snapshot!(log.folder.rrctl(&["trace", "--job-id", "1", "--at", "soon"]));
    assert_snapshot!(log.folder.rrctl(&["trace", "--job-id", "1", "--server", "http://127.0.0.1:1"]));
    let token = &[("TRACE_API_SECRET", "planted")];
    let down = log.folder.rrctl_with(&["trace", "--job-id", "1", "--server", "http://127.0.0.1:1"], token);
    assert!(down.starts_with("exit: 1\n") && down.contains("http://127.0.0.1:1 cannot be queried"), "{down}");
    assert!(!down.contains("planted"), "{down}");
    log.store.close().await;
}

#[test]
fn a_trace_without_a_configuration_says_so() {
    assert!(Folder::new().rrctl(&["trace", "--job-id", "1"]).starts_with("exit: 2\n"));
}
