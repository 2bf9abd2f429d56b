//! `[timeouts]`: every period and deadline; all of them may be set below a second.

use std::time::Duration;

use riscv_runner_core::policy::Timeouts;

use super::reader::Section;

/// Periods of loops: without them a loop would spin.
const PERIODS: [&str; 7] =
    ["tick", "jobs_poll", "runners_poll", "deliveries_sweep", "runs_poll", "lease", "retention"];

/// Reads `[timeouts]`.
pub(crate) fn read(section: Section<'_>) -> Timeouts {
    let usual = Timeouts::default();
    let timeouts = Timeouts {
        tick: section.or("tick", usual.tick),
        debounce: section.or("debounce", usual.debounce),
        jobs_poll: section.or("jobs_poll", usual.jobs_poll),
        runners_poll: section.or("runners_poll", usual.runners_poll),
        deliveries_sweep: section.or("deliveries_sweep", usual.deliveries_sweep),
        runs_poll: section.or("runs_poll", usual.runs_poll),
        pod_pending: section.or("pod_pending", usual.pod_pending),
        runner_registration: section.or("runner_registration", usual.runner_registration),
        runner_idle: section.or("runner_idle", usual.runner_idle),
        runner_surplus: section.or("runner_surplus", usual.runner_surplus),
        runner_lost: section.or("runner_lost", usual.runner_lost),
        node_lost: section.or("node_lost", usual.node_lost),
        reserved_grace: section.or("reserved_grace", usual.reserved_grace),
        orphan_grace: section.or("orphan_grace", usual.orphan_grace),
        pod_grace: section.or("pod_grace", usual.pod_grace),
        lease: section.or("lease", usual.lease),
        requeue: section.or("requeue", usual.requeue),
        stuck_queued: section.or("stuck_queued", usual.stuck_queued),
        shutdown: section.or("shutdown", usual.shutdown),
        backoff: section.or("backoff", usual.backoff),
        backoff_longest: section.or("backoff_longest", usual.backoff_longest),
        quarantine: section.or("quarantine", usual.quarantine),
        quarantine_longest: section.or("quarantine_longest", usual.quarantine_longest),
        retention: section.or("retention", usual.retention),
        keep_events: usual.keep_events,
        keep_jobs: usual.keep_jobs,
    };
    let periods = [
        timeouts.tick,
        timeouts.jobs_poll,
        timeouts.runners_poll,
        timeouts.deliveries_sweep,
        timeouts.runs_poll,
        timeouts.lease,
        timeouts.retention,
    ];
    for (key, period) in PERIODS.into_iter().zip(periods) {
        if period < Duration::from_millis(1) {
            section.error(key, "must be at least 1ms: a loop would spin", None);
        }
    }
    section.done();
    timeouts
}
