//! What many simulations found together: sums by profile, faults by kind, and what broke.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Report;
use crate::{faults::FaultKind, laws::Law};

/// Sums over the simulations of one profile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ProfileTotals {
    /// Worlds that were run.
    pub worlds: u64,
    /// Worlds in which a law broke.
    pub broken: u64,
    /// How many times a task was polled.
    pub steps: u64,
    /// Jobs that arrived.
    pub jobs: u64,
    /// Workers that were made.
    pub workers: u64,
    /// Faults that happened.
    pub faults: u64,
    /// Virtual seconds that the worlds existed.
    pub virtual_secs: u64,
}

/// A world in which a law broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Its seed.
    pub seed: u64,
    /// Its fault profile.
    pub profile: String,
    /// The step at which the law broke, counted from the beginning of the world.
    pub step: u64,
    /// The first law that broke.
    pub law: Law,
    /// How.
    pub detail: String,
    /// The command that runs this simulation again.
    pub reproduction: String,
}

/// What many simulations found together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Sums by profile.
    pub profiles: BTreeMap<String, ProfileTotals>,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Worlds in which a law broke, in the order in which they were run.
    pub broken: Vec<Broken>,
}

impl Totals {
    /// Adds what one simulation found.
    pub fn add(&mut self, report: &Report) {
        let summary = &report.summary;
        let sums = self.profiles.entry(report.profile.clone()).or_default();
        sums.worlds += 1;
        sums.broken += u64::from(!report.holds());
        sums.steps += summary.steps;
        sums.jobs += summary.jobs as u64;
        sums.workers += summary.workers as u64;
        sums.virtual_secs += summary.lasted.as_secs();
        for (kind, n) in &summary.faults {
            sums.faults += n;
            *self.faults.entry(*kind).or_default() += n;
        }
        self.broken.extend(summary.violations.first().map(|violation| Broken {
            seed: summary.seed,
            profile: report.profile.clone(),
            step: summary.steps,
            law: violation.law,
            detail: violation.detail.clone(),
            reproduction: report.reproduction(),
        }));
    }

    /// The sums over all profiles.
    #[must_use]
    pub fn sum(&self) -> ProfileTotals {
        self.profiles.values().fold(ProfileTotals::default(), |sum, profile| ProfileTotals {
            worlds: sum.worlds + profile.worlds,
            broken: sum.broken + profile.broken,
            steps: sum.steps + profile.steps,
            jobs: sum.jobs + profile.jobs,
            workers: sum.workers + profile.workers,
            faults: sum.faults + profile.faults,
            virtual_secs: sum.virtual_secs + profile.virtual_secs,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::{faults::FaultProfile, laws::Violation, simulate::run, world::WorldConfig};

    fn report(profile: &str) -> Report {
        let mut config = WorldConfig::drawn(5, FaultProfile::named(profile).unwrap());
        config.jobs = 2;
        config.faults_for = Duration::from_secs(60);
        run(config)
    }

    #[test]
    fn sums_are_by_profile_and_over_all() {
        let (light, none) = (report("light"), report("none"));
        let mut totals = Totals::default();
        [&light, &none, &none].into_iter().for_each(|report| totals.add(report));
        assert_eq!(totals.profiles["none"].worlds, 2);
        assert_eq!(totals.profiles["none"].steps, 2 * none.summary.steps);
        assert_eq!(totals.profiles["none"].faults, 0);
        assert_eq!(totals.faults, light.summary.faults);
        let sum = totals.sum();
        assert_eq!((sum.worlds, sum.broken, sum.jobs), (3, 0, 6));
        assert_eq!(sum.faults, light.summary.faults.values().sum::<u64>());
    }

    #[test]
    fn a_broken_law_is_kept_with_the_line_that_reproduces_it() {
        let mut report = report("none");
        let violation = Violation::new(Law::SlotsHold, Timestamp::UNIX_EPOCH, "two pods");
        report.summary.violations.push(violation);
        let mut totals = Totals::default();
        totals.add(&report);
        assert_eq!(totals.sum().broken, 1);
        let [broken] = totals.broken.as_slice() else { panic!("{:?}", totals.broken) };
        assert_eq!((broken.seed, broken.law, broken.step), (5, Law::SlotsHold, report.summary.steps));
        assert_eq!(broken.reproduction, "rrctl simulate --seeds 5..6 --faults none");
    }
}
