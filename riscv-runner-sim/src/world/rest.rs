//! Coming to rest: every job over, everything cleaned up, nothing planned; then the laws at rest.

use std::{sync::Arc, time::Duration};

use riscv_runner_core::{backoff::age, plan, snapshot::Snapshot};

use super::World;
use crate::laws::{self, Law};

/// How often it is looked whether the world is at rest.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long the engine may take to say what it sees: without faults, all its answers take less.
const SNAPSHOT: Duration = Duration::from_secs(60);

impl World {
    /// Steps until every job is over and everything is cleaned up, or `patience` after the last fault
    /// has passed; then applies the laws at rest.
    pub fn run_to_rest(&mut self, patience: Duration) {
        let mut looked_at = self.clock.now();
        let whole = self.config.faults_for.saturating_add(patience);
        let at_rest = self.run_until(whole, |world| {
            let now = world.clock.now();
            let goes_on = world.arriving > 0 || world.faults.is_active() || !world.is_complete();
            if goes_on || age(now, looked_at) < LOOK_EVERY {
                return false;
            }
            looked_at = now;
            world.rest_state().is_rest()
        });
        if self.is_broken() {
            return;
        }
        if at_rest {
            self.demand_an_empty_plan();
        } else {
            let broken = laws::at_rest(&self.rest_state(), self.clock.now());
            if broken.is_empty() {
                self.violated(Law::ComesToRest, "there is nothing left to do, and yet it goes on".to_owned());
            }
            self.truth.with(|truth| broken.into_iter().for_each(|violation| truth.violated(violation)));
        }
    }

    /// Whether every replica runs.
    fn is_complete(&self) -> bool {
        let running = self.replicas.iter().filter(|replica| !replica.paused).count();
        running == self.config.replicas as usize
    }

    /// Nothing is left, so whoever leads plans nothing.
    fn demand_an_empty_plan(&mut self) {
        let Some(snapshot) = self.snapshot() else {
            return self.violated(Law::PlanIsEmpty, "nobody says what the engine sees".to_owned());
        };
        let policy = Arc::clone(&self.policy.borrow());
        for plan in [plan::schedule(&snapshot, &policy), plan::reconcile(&snapshot, &policy)] {
            if let Some(step) = plan.steps.first() {
                let detail = format!("at rest it plans to {} {}", step.action.name(), step.action.worker());
                self.violated(Law::PlanIsEmpty, detail);
            }
        }
    }

    /// What an engine of this world sees now; `None` when none answers.
    pub fn snapshot(&mut self) -> Option<Snapshot> {
        let replica = self.replicas.iter().find(|replica| !replica.paused)?;
        let engine = Arc::clone(&replica.engine);
        self.visit(SNAPSHOT, async move { engine.snapshot().await })?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::FaultProfile,
        world::{Arrival, WorldConfig},
    };

    const MINUTE: Duration = Duration::from_secs(60);

    fn world(replicas: u32) -> World {
        let mut config = WorldConfig::drawn(3, FaultProfile::default());
        config.replicas = replicas;
        config.arrival = Arrival::Burst;
        config.faults_for = 10 * MINUTE;
        World::new(config)
    }

    fn broken(world: &World) -> Vec<Law> {
        world.violations().into_iter().map(|violation| violation.law).collect()
    }

    #[test]
    fn a_world_that_goes_on_though_nothing_is_left_is_noticed() {
        let mut world = world(1);
        world.run_to_rest(600 * MINUTE);
        assert_eq!(broken(&world), []);
        world.replicas.iter_mut().for_each(|replica| replica.paused = true);
        world.run_to_rest(MINUTE);
        assert_eq!(broken(&world), [Law::ComesToRest]);
    }

    #[test]
    fn a_plan_that_is_not_empty_is_noticed() {
        let mut world = world(2);
        let leads =
            |world: &World| world.replicas.iter().any(|replica| replica.engine.leading().borrow().is_some());
        assert!(world.run_until(MINUTE, leads));
        assert!(world.pause(10 * MINUTE));
        assert!(world.run_until(MINUTE, |world| !world.store.all_jobs().is_empty()));
        world.demand_an_empty_plan();
        assert_eq!(broken(&world), [Law::PlanIsEmpty]);
    }
}
