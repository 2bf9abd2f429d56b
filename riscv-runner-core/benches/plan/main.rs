//! What a plan costs, from memory, by the number of waiting jobs and by what holds them; beside a
//! counting pass over the same data. Nothing here reads or writes anything outside the process.
//!
//! `cargo bench -p riscv-runner-core --bench plan`; add `schedule` or `1000000` to select.

#![expect(clippy::unwrap_used, reason = "a world that cannot be built fails its benchmark")]

mod by_hand;
mod world;

use divan::{Bencher, counter::ItemsCount};
use riscv_runner_core::plan::{self, audit::audit};
use world::{Case, World, cases};

fn main() {
    divan::main();
}

fn per_job<'a, 'b>(bencher: Bencher<'a, 'b>, case: Case) -> Bencher<'a, 'b> {
    bencher.counter(ItemsCount::new(case.jobs))
}

/// The floor: counting without rules.
#[divan::bench(args = cases(), sample_count = 20)]
fn count_by_hand(bencher: Bencher<'_, '_>, case: Case) {
    let world = World::of(case);
    per_job(bencher, case).bench_local(|| by_hand::count(&world.snapshot));
}

/// Every waiting job gets its verdict.
#[divan::bench(args = cases(), sample_count = 20)]
fn schedule(bencher: Bencher<'_, '_>, case: Case) {
    let world = World::of(case);
    per_job(bencher, case).bench_local(|| plan::schedule(&world.snapshot, &world.policy));
}

/// The laws are checked again on the plan.
#[divan::bench(args = cases(), sample_count = 20)]
fn audit_plan(bencher: Bencher<'_, '_>, case: Case) {
    let world = World::of(case);
    let plan = plan::schedule(&world.snapshot, &world.policy);
    per_job(bencher, case).bench_local(|| audit(&world.snapshot, &world.policy, &plan));
}

/// From counts alone: which jobs are worth reading.
#[divan::bench(args = cases(), sample_count = 20)]
fn heads(bencher: Bencher<'_, '_>, case: Case) {
    let world = World::counted(case);
    per_job(bencher, case).bench_local(|| plan::heads(&world.snapshot, &world.policy));
}

/// The pure part of the engine's cycle, for which a store read no more than was asked for.
#[divan::bench(args = cases(), sample_count = 20)]
fn cycle_behind_a_store(bencher: Bencher<'_, '_>, case: Case) {
    let counted = World::counted(case);
    let read = World::as_read(case);
    per_job(bencher, case).bench_local(|| {
        let reading = plan::heads(&counted.snapshot, &counted.policy);
        let plan = plan::schedule(&read.snapshot, &read.policy);
        let violations = audit(&read.snapshot, &read.policy, &plan);
        (reading, plan, violations)
    });
}
