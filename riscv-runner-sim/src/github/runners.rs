//! Registrations: made by a JIT configuration, online while their process lives, gone after one job.

use riscv_runner_core::{
    ids::{EntityId, JobId, RunnerId, RunnerName, WorkerName},
    labels::LabelSet,
    ports::Deletion,
    scope::Scope,
};

use super::{assigned, lies::Lie};
use crate::{
    cluster::PodEnd,
    truth::{Event, Truth},
};

/// How long a runner whose registration was deleted takes to notice: its long poll lasts 50 s.
const LONG_POLL: std::time::Duration = std::time::Duration::from_secs(50);

/// A registration of an ephemeral runner.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its id.
    pub id: RunnerId,
    /// Its name.
    pub name: RunnerName,
    /// Where it is registered.
    pub scope: Scope,
    /// Its labels.
    pub labels: LabelSet,
    /// Whether its process is connected.
    pub online: bool,
    /// The job that it has.
    pub busy: Option<JobId>,
    /// The pod in which its process runs, once it does.
    pub pod: Option<u64>,
    /// What listings say wrongly about it while it has its present job.
    pub lie: Option<Lie>,
}

impl Truth {
    /// Ends the pod of a runner that executes a job; whether there was one.
    pub(crate) fn sabotage(&mut self) -> bool {
        let busy = self.github.runners.values().find(|runner| runner.busy.is_some() && runner.online);
        let Some(name) = busy.and_then(|runner| WorkerName::new(runner.name.as_str()).ok()) else {
            return false;
        };
        self.kill_pod(&name);
        true
    }

    /// Registers a runner; `None` when the name is taken in its scope.
    pub(crate) fn register(&mut self, scope: Scope, name: RunnerName, labels: LabelSet) -> Option<RunnerId> {
        let mut taken = self.github.runners.values();
        if taken.any(|runner| runner.scope == scope && runner.name == name) {
            return None;
        }
        let id = assigned(self.github.next_id());
        self.trace.line(format_args!("runner {id} registered {scope} {name}"));
        let registration =
            Registration { id, name, scope, labels, online: false, busy: None, pod: None, lie: None };
        self.github.runners.insert(id, registration);
        Some(id)
    }

    /// A runner's process connects; false when its registration is gone.
    pub(crate) fn connect(&mut self, runner: RunnerId, pod: u64) -> bool {
        let Some(registration) = self.github.runners.get_mut(&runner) else { return false };
        registration.online = true;
        registration.pod = Some(pod);
        let scope = registration.scope;
        self.trace.line(format_args!("runner {runner} online"));
        self.dispatch_soon(scope);
        true
    }

    /// A runner's process is gone.
    pub(crate) fn disconnect(&mut self, runner: RunnerId) {
        let Some(registration) = self.github.runners.get_mut(&runner) else { return };
        if !registration.online {
            return;
        }
        registration.online = false;
        let busy = registration.busy.is_some();
        self.trace.line(format_args!("runner {runner} offline"));
        if busy {
            self.runner_fell_silent(runner);
        }
    }

    /// Somebody asks for the end of a registration.
    pub(crate) fn deregister(&mut self, scope: Scope, runner: RunnerId) -> Deletion {
        let Some(registration) = self.github.runners.get(&runner).filter(|found| found.scope == scope) else {
            return Deletion::Gone;
        };
        if registration.busy.is_some() {
            return Deletion::Busy;
        }
        let pod = registration.pod.filter(|_| registration.online);
        self.github.runners.remove(&runner);
        self.trace.line(format_args!("runner {runner} deregistered"));
        if let Some(pod) = pod {
            let end = PodEnd::Failed { exit_code: Some(1), reason: None };
            self.after(LONG_POLL, Event::ContainerEnd(pod, end));
        }
        Deletion::Deleted
    }

    /// Online runners of a scope that have no job, the oldest registration first.
    pub(crate) fn idle_runners(&self, scope: Scope) -> Vec<RunnerId> {
        let runners = self.github.runners.values();
        let idle = runners.filter(|runner| runner.scope == scope && runner.online && runner.busy.is_none());
        idle.map(|runner| runner.id).collect()
    }

    /// The App was uninstalled: GitHub forgets the registrations that it made and are not busy.
    pub(crate) fn uninstalled(&mut self, entity: EntityId) {
        let idle = self.github.runners.values().filter(|r| r.scope.entity() == entity && r.busy.is_none());
        let idle: Vec<_> = idle.map(|runner| (runner.scope, runner.id)).collect();
        for (scope, runner) in idle {
            self.deregister(scope, runner);
        }
    }
}
