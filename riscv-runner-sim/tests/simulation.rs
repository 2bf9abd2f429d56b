//! The simulation test: real engines in small worlds, seed after seed, under every fault profile.
//!
//! `RRCTL_SIM_SEEDS` says how many seeds in all; a broken law prints the line that reproduces it.

use std::{collections::BTreeSet, ops::ControlFlow, thread};

use riscv_runner_sim::{
    faults::{FaultKind, FaultProfile},
    simulate::{Report, simulate, sweep},
};

/// Seeds in all when `RRCTL_SIM_SEEDS` does not say.
const SEEDS: u64 = 2000;

/// Seeds that once broke a law, and what that showed.
const REGRESSIONS: &[(u64, &str, &str)] = &[
    (1, "light", "loops slept for ever when a late renewal continued a lease whose proof had run out"),
    (33, "light", "the same, of the loop that syncs pods"),
    (160, "light", "the same, of the loop that cleans registrations"),
    (187, "chaos", "a registration was forgotten because GitHub did not answer while its scope was recent"),
    (449, "network", "deliveries of one App were given up when its log could not be read for a while"),
    (1279, "network", "the first sweep for lost deliveries had no anchor while it failed"),
    (2184, "network", "the same"),
    (
        21,
        "refused_image",
        "waiting jobs kept the refused image after the operator had configured a newer one",
    ),
    (34, "refused_image", "the same"),
    (165, "reinstalls", "a running job was killed after an uninstallation whose `in_progress` had been lost"),
    (204, "reinstalls", "the same"),
    (
        2116,
        "reinstalls",
        "a job that was given up with its App was killed, for its late `in_progress` was no protection",
    ),
    (3657, "reinstalls", "the same"),
];

fn seeds() -> u64 {
    std::env::var("RRCTL_SIM_SEEDS").map_or(SEEDS, |text| text.parse().expect("RRCTL_SIM_SEEDS is a number"))
}

/// Simulates on all cores; the reports in the order of their seeds.
fn on_all_cores(cases: &[(u64, FaultProfile)]) -> Vec<Report> {
    let mut reports = Vec::new();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    sweep(cases.iter().cloned(), threads, |report| {
        reports.push(report);
        ControlFlow::Continue(())
    });
    reports.sort_by(|a, b| (a.summary.seed, &a.profile).cmp(&(b.summary.seed, &b.profile)));
    reports
}

fn complain(reports: &[Report]) {
    let broken: Vec<_> = reports.iter().filter(|report| !report.holds()).collect();
    if let Some(first) = broken.first() {
        let lines: Vec<_> = broken.iter().map(|report| report.reproduction()).collect();
        panic!("{first}\n\n{} of {} broke a law:\n{}", broken.len(), reports.len(), lines.join("\n"));
    }
}

#[test]
fn every_law_holds_under_every_profile() {
    let profiles = FaultProfile::NAMES.map(|name| FaultProfile::named(name).unwrap());
    let cases: Vec<_> = (0..seeds())
        .map(|seed| (seed, profiles[usize::try_from(seed).unwrap() % profiles.len()].clone()))
        .collect();
    let reports = on_all_cores(&cases);
    assert_eq!(reports.len(), cases.len());
    complain(&reports);
}

#[test]
fn seeds_that_once_failed_pass() {
    let cases: Vec<_> =
        REGRESSIONS.iter().map(|(seed, name, _)| (*seed, FaultProfile::named(name).unwrap())).collect();
    complain(&on_all_cores(&cases));
}

#[test]
fn the_same_seed_writes_the_same_trace() {
    for name in ["none", "light", "chaos"] {
        let profile = FaultProfile::named(name).unwrap();
        for seed in 0..3 {
            let (first, second) = (simulate(seed, &profile), simulate(seed, &profile));
            assert_eq!(first, second, "seed {seed} of {name}");
        }
        let (one, other) = (simulate(0, &profile), simulate(1, &profile));
        assert_ne!(one.summary.trace_hash, other.summary.trace_hash);
    }
}

#[test]
fn every_kind_of_fault_happens() {
    let names = ["chaos", "crashes", "reinstalls", "suspensions", "refused_image", "operators", "webhooks"];
    let profiles = names.map(|name| FaultProfile::named(name).unwrap());
    let cases: Vec<_> =
        (0..24).flat_map(|seed| profiles.iter().map(move |profile| (seed, profile.clone()))).collect();
    let seen: BTreeSet<_> =
        on_all_cores(&cases).iter().flat_map(|report| report.summary.faults.keys().copied()).collect();
    let missing: Vec<_> = FaultKind::ALL.into_iter().filter(|kind| !seen.contains(kind)).collect();
    assert_eq!(missing, []);
}

#[test]
fn without_faults_no_worker_fails() {
    let none = FaultProfile::named("none").unwrap();
    for report in on_all_cores(&(0..10).map(|seed| (seed, none.clone())).collect::<Vec<_>>()) {
        complain(std::slice::from_ref(&report));
        let summary = report.summary;
        let surplus =
            summary.failures.keys().filter(|reason| !["runner_surplus", "runner_idle"].contains(&&***reason));
        assert_eq!(surplus.count(), 0, "{:?}", summary.failures);
        assert_eq!(summary.conclusions.get("success"), Some(&summary.jobs));
        assert!(summary.jobs > 0 && summary.wait_p50 <= summary.wait_p95);
    }
}
