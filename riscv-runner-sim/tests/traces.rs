//! The spans of whole worlds: each job is one tree, and nothing is told twice that happened once.

#![expect(clippy::unwrap_used, reason = "a lock is only poisoned by a test that has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use riscv_runner_core::{
    ports::{EngineEvent, Observer, Tracer},
    spans::{Span, Subject, Trouble},
};
use riscv_runner_sim::{
    faults::FaultProfile,
    world::{World, WorldConfig},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Keeps every span.
#[derive(Default)]
struct Kept(Mutex<Vec<Span>>);

impl Observer for Kept {
    fn observe(&self, _: EngineEvent) {}

    fn tracer(&self) -> Option<&dyn Tracer> {
        Some(self)
    }
}

impl Tracer for Kept {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn traced(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

/// The spans of a world that has come to rest, by trace, and how many jobs it had.
fn traces(seed: u64, profile: FaultProfile) -> (BTreeMap<Subject, Vec<Span>>, u64) {
    let kept = Arc::<Kept>::default();
    let observer: Arc<dyn Observer> = Arc::<Kept>::clone(&kept);
    let mut world = World::observed(WorldConfig::drawn(seed, profile), observer);
    world.run_to_rest(30 * DAY);
    assert_eq!(world.violations(), [], "seed {seed}");
    let jobs = world.summary().jobs;
    let mut traces = BTreeMap::<Subject, Vec<Span>>::new();
    for span in kept.0.lock().unwrap().drain(..) {
        traces.entry(span.subject.clone()).or_default().push(span);
    }
    (traces, jobs as u64)
}

fn count(spans: &[Span], name: &str) -> usize {
    spans.iter().filter(|span| span.key.name() == name).count()
}

#[test]
fn without_faults_every_job_is_one_whole_tree() {
    for seed in 0..10 {
        let (traces, jobs) = traces(seed, FaultProfile::default());
        let of_jobs: Vec<_> =
            traces.iter().filter(|(subject, _)| matches!(subject, Subject::Job(_))).collect();
        assert_eq!(of_jobs.len() as u64, jobs, "seed {seed}");
        let (mut made, mut ended) = (0, 0);
        for (subject, spans) in &traces {
            let keys: BTreeSet<_> = spans.iter().map(|span| &span.key).collect();
            assert_eq!(keys.len(), spans.len(), "seed {seed}: {subject} has a span twice: {spans:#?}");
            made += count(spans, "provision");
            ended += count(spans, "worker");
            if let Subject::Job(_) = subject {
                for name in ["job", "queued"] {
                    assert_eq!(count(spans, name), 1, "seed {seed}: {subject}: {name}: {spans:#?}");
                }
                let adrift = spans.iter().find(|span| span.parent().is_some_and(|up| !keys.contains(&up)));
                assert_eq!(adrift, None, "seed {seed}: {subject}");
            }
        }
        assert_eq!(made, ended, "seed {seed}: every worker that was made has ended");
    }
}

#[test]
fn under_faults_nothing_is_told_twice_but_the_end_of_a_job_that_came_back() {
    let mut jobs = 0;
    for profile in ["chaos", "network", "reinstalls"] {
        for seed in 0..10 {
            let (traces, _) = traces(seed, FaultProfile::named(profile).unwrap());
            for (subject, spans) in &traces {
                jobs += count(spans, "job");
                let mut seen = BTreeSet::new();
                let mut came_back = false;
                for span in spans {
                    let is_new = seen.insert(&span.key);
                    assert!(is_new || came_back, "{profile} {seed}: {subject}: {:?} twice", span.key);
                    came_back |= matches!(span.trouble, Some(Trouble::Lost(_) | Trouble::Requeued));
                }
            }
        }
    }
    assert!(jobs > 100, "{jobs}");
}
