//! What happens to a world from outside: jobs arrive, processes start and stand still, ports go down.

use std::{sync::Arc, time::Duration};

use riscv_runner_core::{
    backoff::add,
    controls::Order,
    ids::{EntityId, NodeName, RepoId},
    labels::LabelSet,
};

use super::{Arrival, Replica, World, config::newer_image, operators::Whim};
use crate::{
    executor::Group,
    faults::{FaultKind, PortName},
};

/// How long an operator takes to configure a newer image.
const UPGRADE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(1200));

/// How often it is seen to that enough jobs are not over.
const REFILL: Duration = Duration::from_secs(10);

/// Something that happens to a world from outside.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    Arrive { repo: RepoId, jobs: Vec<(LabelSet, Duration)> },
    Refill,
    Start(u32),
    Pause(Duration),
    Resume(Group),
    Outage(PortName, Duration),
    Limit(EntityId, Duration),
    Cancel(u64),
    Cordon(u64, Duration),
    Uncordon(NodeName),
    RefuseImage,
    Unreadable(u64),
    Operate(Whim),
    Order(Order),
    Restart(u64),
    Stopped(Group),
    Sabotage,
    Upgrade,
    StopFaults,
}

impl World {
    /// Lets everything happen that is due.
    pub(super) fn happen(&mut self) {
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > self.clock.now() {
                break;
            }
            let happening = entry.remove();
            self.on(happening);
        }
    }

    fn on(&mut self, happening: Happening) {
        let until = |wait: Duration| add(self.clock.now(), wait);
        match happening {
            Happening::Arrive { repo, jobs } => {
                self.arriving -= 1;
                self.truth.with(|truth| truth.queue_run(repo, &jobs));
            }
            Happening::Refill => self.refill(),
            Happening::Start(index) => self.start(index),
            Happening::Pause(wait) => {
                self.pause(wait);
            }
            Happening::Resume(group) => {
                self.executor.resume(group);
                for replica in self.replicas.iter_mut().filter(|replica| replica.group == group) {
                    replica.paused = false;
                }
            }
            Happening::Outage(port, wait) => {
                self.faults.outage(port, until(wait));
                self.faults.count(match port {
                    PortName::Store => FaultKind::StoreOutage,
                    PortName::Forge => FaultKind::GithubOutage,
                    PortName::Cluster => FaultKind::ClusterOutage,
                });
            }
            Happening::Limit(entity, wait) => {
                self.faults.count(FaultKind::RateLimited);
                let until = until(wait);
                self.truth.with(|truth| truth.limit(entity, until));
            }
            Happening::Cancel(choice) => {
                self.faults.count(FaultKind::JobCancelled);
                self.truth.with(|truth| truth.cancel_some(choice));
            }
            Happening::Cordon(choice, wait) => {
                self.faults.count(FaultKind::NodeCordoned);
                if let Some(node) = self.truth.with(|truth| truth.cordon_some(choice)) {
                    self.after(wait, Happening::Uncordon(node));
                }
            }
            Happening::Uncordon(node) => self.truth.with(|truth| truth.cordon(&node, false)),
            Happening::RefuseImage => self.refuse_image(),
            Happening::Unreadable(choice) => {
                self.truth.with(|truth| truth.announce_unreadable(choice));
            }
            Happening::Operate(whim) => self.operate(whim),
            Happening::Order(order) => self.order(order),
            Happening::Restart(choice) => self.restart(choice),
            Happening::Stopped(group) => self.stopped(group),
            Happening::Sabotage => {
                if !self.truth.with(crate::truth::Truth::sabotage) {
                    self.after(REFILL, Happening::Sabotage);
                }
            }
            Happening::Upgrade => self.upgrade(),
            Happening::StopFaults => self.faults.stop(),
        }
    }

    /// Lets runs arrive until as many jobs are not over as the configuration says.
    fn refill(&mut self) {
        let Arrival::Level { jobs } = self.config.arrival else { return };
        let open = self.truth.with(|truth| truth.open_jobs());
        let mut missing = (jobs as usize).saturating_sub(open);
        while missing > 0 {
            let Some(Happening::Arrive { repo, jobs }) = self.reserve.pop_front() else { return };
            missing = missing.saturating_sub(jobs.len());
            self.on(Happening::Arrive { repo, jobs });
        }
        self.after(REFILL, Happening::Refill);
    }

    /// GitHub refuses the runner of the image in use; some minutes later the operator has a newer one.
    fn refuse_image(&mut self) {
        let image = newer_image(self.upgrades);
        let first = self.truth.with(|truth| {
            truth.trace.line(format_args!("image {image} refused"));
            truth.boards.refused_images.insert(image)
        });
        if first {
            self.faults.count(FaultKind::ImageRefused);
            let wait = self.luck.between(UPGRADE.0, UPGRADE.1);
            self.after(wait, Happening::Upgrade);
        }
    }

    /// The operator puts a newer image into the configuration.
    fn upgrade(&mut self) {
        self.upgrades += 1;
        let image = newer_image(self.upgrades);
        self.truth.with(|truth| truth.trace.line(format_args!("image {image} configured")));
        self.policy.send_modify(|policy| {
            let mut newer = (**policy).clone();
            newer.pools.values_mut().for_each(|pool| pool.image = image.clone());
            *policy = Arc::new(newer);
        });
    }

    /// The leader stands still; false when nobody leads.
    pub(super) fn pause(&mut self, wait: Duration) -> bool {
        let leads = |replica: &&mut Replica| !replica.paused && replica.engine.leading().borrow().is_some();
        let Some(replica) = self.replicas.iter_mut().find(leads) else { return false };
        replica.paused = true;
        let group = replica.group;
        self.executor.pause(group);
        self.faults.count(FaultKind::Paused);
        self.truth.with(|truth| truth.trace.line(format_args!("process {} paused {wait:?}", group.0)));
        self.after(wait, Happening::Resume(group));
        true
    }
}
