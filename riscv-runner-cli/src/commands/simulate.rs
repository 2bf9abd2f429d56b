//! `rrctl simulate`: the real engine in small simulated worlds under faults, seed after seed on all
//! cores, judged by the laws.

use std::{
    fmt,
    num::NonZeroUsize,
    ops::{ControlFlow, Range},
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use riscv_runner_sim::{
    faults::FaultProfile,
    laws::Law,
    simulate::{ProfileTotals, Report, Totals, sweep},
};

use crate::{
    args::Simulate,
    failure::{Failure, count},
    moment::short,
    printer::{Column, Printer, Tone, Value},
    progress,
};

/// How often progress is reported where no bar is drawn.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Seeds from the first to before the last, as `A..B`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seeds(Range<u64>);

/// Text that names no seeds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seeds are written A..B with A less than B, such as 0..100")]
pub(crate) struct NoSeeds;

impl FromStr for Seeds {
    type Err = NoSeeds;

    fn from_str(text: &str) -> Result<Self, NoSeeds> {
        let (from, to) = text.split_once("..").ok_or(NoSeeds)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| NoSeeds);
        let seeds = number(from)?..number(to)?;
        if seeds.is_empty() { Err(NoSeeds) } else { Ok(Self(seeds)) }
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.0.start, self.0.end)
    }
}

/// The profiles that `--faults` names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Profiles(Vec<FaultProfile>);

impl FromStr for Profiles {
    type Err = riscv_runner_sim::faults::UnknownProfile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = if text == "all" { FaultProfile::NAMES.to_vec() } else { vec![text] };
        names.into_iter().map(FaultProfile::named).collect::<Result<_, _>>().map(Self)
    }
}

/// Runs `rrctl simulate`.
pub(crate) fn run(simulate: &Simulate, printer: &Printer) -> Result<(), Failure> {
    let Simulate { seeds, faults: Profiles(profiles), jobs_parallel, output } = simulate;
    let threads = jobs_parallel.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let worlds = (seeds.0.end - seeds.0.start).saturating_mul(profiles.len() as u64);
    printer.note(&format!("{worlds} worlds: seeds {seeds}, {threads} at a time"));
    let cases = seeds.0.clone().flat_map(|seed| profiles.iter().map(move |profile| (seed, profile.clone())));
    let began = Instant::now();
    let mut progress = Progress {
        printer: *printer,
        bar: progress::bar("worlds", worlds),
        told: began,
        totals: Totals::default(),
    };
    sweep(cases, threads, |report| {
        progress.see(&report);
        ControlFlow::Continue(())
    });
    progress.bar.finish_and_clear();
    let totals = progress.totals;
    printer.data(output.format, &totals, || show(&totals, began.elapsed(), printer))?;
    match totals.broken.first() {
        None => Ok(()),
        Some(first) => {
            let broken = count(totals.broken.len(), "world");
            Err(Failure::failed(format!("a law broke in {broken}"))
                .hint(format!("run the first again: {}", first.reproduction)))
        }
    }
}

/// What was seen so far, and when it was last reported.
struct Progress {
    printer: Printer,
    bar: ProgressBar,
    told: Instant,
    totals: Totals,
}

impl Progress {
    /// Reports a broken law at once, the first one with its trace; and progress from time to time.
    fn see(&mut self, report: &Report) {
        self.totals.add(report);
        self.bar.inc(1);
        if !report.holds() {
            self.bar.suspend(|| self.tell_broken(report));
        }
        if self.bar.is_hidden() && self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            let (done, broken) = (self.bar.position(), self.totals.broken.len());
            let worlds = self.bar.length().unwrap_or(done);
            self.printer.note(&format!("{done} of {worlds} worlds, {broken} broken"));
        }
    }

    fn tell_broken(&self, report: &Report) {
        if self.totals.broken.len() == 1 {
            self.printer.note(&report.to_string());
        } else if let Some(broken) = self.totals.broken.last() {
            self.printer.error(&format!(
                "{:?} at step {}: {}; {}",
                broken.law, broken.step, broken.detail, broken.reproduction
            ));
        }
    }
}

fn show(totals: &Totals, took: Duration, printer: &Printer) -> Result<(), Failure> {
    let header = [
        Column::always("profile"),
        Column::always("worlds"),
        Column::rank(4, "jobs"),
        Column::rank(3, "workers"),
        Column::rank(1, "steps"),
        Column::rank(5, "faults"),
        Column::rank(2, "virtual time"),
        Column::always("broken"),
    ];
    let row = |name: &str, sums: &ProfileTotals| {
        let tone = if sums.broken > 0 { Tone::Bad } else { Tone::Good };
        vec![
            name.into(),
            Value::number(&sums.worlds),
            Value::number(&sums.jobs),
            Value::number(&sums.workers),
            Value::number(&sums.steps),
            Value::number(&sums.faults),
            Value::from(short(Duration::from_secs(sums.virtual_secs))),
            Value::toned(&sums.broken, tone),
        ]
    };
    let sum = totals.sum();
    let rows = totals.profiles.iter().map(|(name, sums)| row(name, sums));
    printer.table(&header, rows.chain([row("all", &sum)]).collect::<Vec<_>>())?;
    printer.line("")?;
    let faults = totals.faults.iter().map(|(kind, n)| vec![kind.to_string().into(), Value::number(n)]);
    printer.table(&["fault", "times"], faults.collect::<Vec<_>>())?;
    printer.line("")?;
    let of_rest = Law::ALL.into_iter().filter(|law| law.is_of_rest()).count();
    let every_step = Law::ALL.len() - of_rest;
    printer.line(&format!("laws   {every_step} at each of {} steps, {of_rest} at rest", sum.steps))?;
    printer.line(&format!("time   {:.1} s", took.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_that_is_not_empty() {
        assert_eq!("3..5".parse(), Ok(Seeds(3..5)));
        assert_eq!(Seeds(3..5).to_string(), "3..5");
        for wrong in ["", "3", "3..", "..3", "5..3", "3..3", "a..b", "-1..2"] {
            assert_eq!(wrong.parse::<Seeds>(), Err(NoSeeds), "{wrong}");
        }
    }

    #[test]
    fn all_profiles_or_one_are_named() {
        let names = |Profiles(profiles): Profiles| {
            profiles.into_iter().map(|profile| profile.name).collect::<Vec<_>>()
        };
        assert_eq!(names("all".parse().unwrap()), FaultProfile::NAMES);
        assert_eq!(names("chaos".parse().unwrap()), ["chaos"]);
        assert!("kaos".parse::<Profiles>().unwrap_err().to_string().contains("chaos"));
    }
}
