//! The same question without any rule: which jobs have no worker, and how old is the oldest of them? A
//! floor for any planner that reads this data.

use std::collections::HashMap;

use jiff::Timestamp;
use riscv_runner_core::{ids::JobId, scope::Scope, snapshot::Snapshot};

/// Counts workers by key and lists the jobs beyond them.
pub(crate) fn count(snapshot: &Snapshot) -> (Vec<JobId>, Option<Timestamp>) {
    let mut idle: HashMap<(Scope, &str), u32> = HashMap::new();
    for worker in snapshot.workers.values() {
        let counts = worker.is_supply() && !worker.runs_known_job();
        *idle.entry((worker.scope.scope(), worker.labels.key())).or_default() += u32::from(counts);
    }
    let mut unmet = Vec::new();
    let mut oldest = None;
    for (key, demand) in &snapshot.demand {
        let met = idle.get(&(key.scope, key.labels.key())).copied().unwrap_or(0) as usize;
        for job in demand.waiting.iter().skip(met) {
            unmet.push(job.id);
            oldest = Some(oldest.map_or(job.created_at, |oldest: Timestamp| oldest.min(job.created_at)));
        }
    }
    (unmet, oldest)
}
