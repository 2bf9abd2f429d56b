//! How many series a scrape has after a day's work: as many as after an hour's.

use futures::{StreamExt, stream};
use http::StatusCode;
use riscv_runner_core::pod::PodPhase;

use crate::{payloads::Job, serving::Serving};

const JOBS: i64 = 10_000;
const REPOSITORIES: i64 = 500;
/// What a scrape may have with one pool; it was 237 when this was written.
const MOST: usize = 300;

/// Delivers jobs of so many repositories, each of an account of its own; some run and some end, some ask
/// for labels of their own, and every other one has an event of its own making.
async fn work(serving: &Serving, jobs: std::ops::RangeInclusive<i64>) {
    let names: Vec<&'static str> = (0..REPOSITORIES)
        .map(|n| &*Box::leak(format!("account-{n}/repository-{n}").into_boxed_str()))
        .collect();
    stream::iter(jobs)
        .for_each_concurrent(32, |id| {
            let n = id % REPOSITORIES;
            let repo = names[usize::try_from(n).unwrap()];
            let action = ["queued", "in_progress", "completed"][usize::try_from(id % 3).unwrap()];
            let labels = if id % 5 == 0 { vec![repo] } else { vec!["ubuntu-24.04-riscv"] };
            let runner = (action != "queued").then_some("rr-other");
            let job = Job { id, action, owner: 1000 + n, repo, labels, runner, ..Job::default() };
            async move {
                let answer = serving.send(job.request(&format!("guid-{id}"))).await;
                assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
            }
        })
        .await;
}

fn series(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

#[tokio::test]
async fn ten_thousand_jobs_of_five_hundred_repositories_add_no_series() {
    let serving = Serving::seeing(3);
    let since = serving.clock.now();
    serving.looking.worker("rr-abc", "k1-1", PodPhase::Running { since }, None).await;
    work(&serving, 1..=60).await;
    let few = serving.get("/metrics").await.text;
    work(&serving, 61..=JOBS).await;
    let many = serving.get("/metrics").await.text;
    for told in ["account-", "repository-", "rr-"] {
        assert!(!many.contains(told), "a label names {told}: {many}");
    }
    assert_eq!(series(&few), series(&many), "{many}");
    assert!(series(&many) <= MOST, "{} series", series(&many));
}
