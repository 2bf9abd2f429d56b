//! The same data without any rule: which jobs have no worker, how old is the oldest of them, and how many
//! slots are free altogether? A floor for any planner that reads it.

use std::collections::HashMap;

use jiff::Timestamp;
use riscv_runner_core::{ids::JobId, scope::Scope, snapshot::Snapshot};

/// Jobs beyond the workers of their key, the age of the oldest, and the free slots.
pub(crate) type Count = (Vec<JobId>, Option<Timestamp>, u32);

/// One pass over workers, pods, boards and waiting jobs.
pub(crate) fn count(snapshot: &Snapshot) -> Count {
    let mut idle: HashMap<(Scope, &str), u32> = HashMap::new();
    for worker in snapshot.workers.values() {
        let counts = worker.is_supply() && !worker.runs_known_job();
        *idle.entry((worker.scope.scope(), worker.labels.key())).or_default() += u32::from(counts);
    }
    let pods = snapshot.pods.present().into_iter().flatten();
    let taken: u32 = pods.map(|(_, pod)| u32::from(pod.holds_slot() && pod.node.is_some())).sum();
    let nodes = snapshot.nodes.present().into_iter().flatten();
    let offered: u32 = nodes.map(|(_, node)| if node.accepts_pods() { node.slots } else { 0 }).sum();
    let mut unmet = Vec::new();
    let mut oldest = None;
    for (key, demand) in &snapshot.demand {
        let met = idle.get(&(key.scope, key.labels.key())).copied().unwrap_or(0) as usize;
        for job in demand.waiting.iter().skip(met) {
            unmet.push(job.id);
            oldest = Some(oldest.map_or(job.created_at, |oldest: Timestamp| oldest.min(job.created_at)));
        }
    }
    (unmet, oldest, offered.saturating_sub(taken))
}
