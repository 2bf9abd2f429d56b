//! A deterministic executor: one thread, an order of polls drawn from a seed, and groups of tasks
//! that can be killed or paused at any point where they wait. Needs no runtime and no real time.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures::future::BoxFuture;

use crate::{
    chance::Stream,
    clock::{SimClock, lock},
};

/// A set of tasks that live and die together: one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(pub u64);

type TaskId = u64;

struct Task {
    group: Group,
    future: BoxFuture<'static, ()>,
    wake: Arc<TaskWake>,
}

struct TaskWake {
    id: TaskId,
    queued: AtomicBool,
    ready: Arc<Mutex<Vec<TaskId>>>,
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            lock(&self.ready).push(self.id);
        }
    }
}

/// Asks the executor to kill a group as soon as the current poll ends; clones ask the same one.
#[derive(Debug, Clone, Default)]
pub struct KillSwitch(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    pulled: AtomicBool,
    groups: Mutex<Vec<Group>>,
}

impl KillSwitch {
    /// Asks for the end of `group`.
    pub fn pull(&self, group: Group) {
        lock(&self.0.groups).push(group);
        self.0.pulled.store(true, Ordering::Relaxed);
    }

    /// The groups whose end was asked for since the last call.
    pub(crate) fn take(&self) -> Vec<Group> {
        if self.0.pulled.swap(false, Ordering::Relaxed) {
            std::mem::take(&mut *lock(&self.0.groups))
        } else {
            Vec::new()
        }
    }
}

/// What one turn of the executor did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// A task was polled.
    Polled,
    /// A task panicked and is gone; the message says how.
    Panicked(Group, String),
    /// Nothing can run before time passes or somebody wakes a task.
    Stalled,
}

/// Runs tasks one poll at a time.
pub struct Executor {
    tasks: BTreeMap<TaskId, Task>,
    ready: Arc<Mutex<Vec<TaskId>>>,
    order: Stream,
    paused: BTreeSet<Group>,
    held: Vec<TaskId>,
    next_id: TaskId,
}

impl Executor {
    /// An executor that draws the order of its polls from `order`.
    #[must_use]
    pub fn new(order: Stream) -> Self {
        Self {
            tasks: BTreeMap::new(),
            ready: Arc::default(),
            order,
            paused: BTreeSet::new(),
            held: Vec::new(),
            next_id: 0,
        }
    }

    /// Adds a task to `group`.
    pub fn spawn(&mut self, group: Group, future: BoxFuture<'static, ()>) {
        self.next_id += 1;
        let id = self.next_id;
        let wake = Arc::new(TaskWake { id, queued: AtomicBool::new(true), ready: Arc::clone(&self.ready) });
        self.tasks.insert(id, Task { group, future, wake });
        lock(&self.ready).push(id);
    }

    /// Drops every task of `group`, wherever it waits.
    pub fn kill(&mut self, group: Group) {
        self.paused.remove(&group);
        self.tasks.retain(|_, task| task.group != group);
        self.held.retain(|id| self.tasks.contains_key(id));
    }

    /// Polls no task of `group` until [`Self::resume`]; its timers run on.
    pub fn pause(&mut self, group: Group) {
        self.paused.insert(group);
    }

    /// Lets `group` go on.
    pub fn resume(&mut self, group: Group) {
        self.paused.remove(&group);
        lock(&self.ready).append(&mut self.held);
    }

    /// Whether any task of `group` is left.
    #[must_use]
    pub fn lives(&self, group: Group) -> bool {
        self.tasks.values().any(|task| task.group == group)
    }

    /// Polls one task that is ready.
    pub fn turn(&mut self) -> Turn {
        while let Some(id) = self.draw() {
            let Some(mut task) = self.tasks.remove(&id) else { continue };
            if self.paused.contains(&task.group) {
                self.held.push(id);
                self.tasks.insert(id, task);
                continue;
            }
            task.wake.queued.store(false, Ordering::Relaxed);
            let waker = Waker::from(Arc::clone(&task.wake));
            let mut context = Context::from_waker(&waker);
            let polled = catch_unwind(AssertUnwindSafe(|| task.future.as_mut().poll(&mut context)));
            return match polled {
                Ok(Poll::Ready(())) => Turn::Polled,
                Ok(Poll::Pending) => {
                    self.tasks.insert(id, task);
                    Turn::Polled
                }
                Err(panic) => Turn::Panicked(task.group, message_of(panic.as_ref())),
            };
        }
        Turn::Stalled
    }

    fn draw(&mut self) -> Option<TaskId> {
        let mut ready = lock(&self.ready);
        match ready.len() {
            0 => None,
            1 => ready.pop(),
            n => Some(ready.swap_remove(self.order.below(n))),
        }
    }
}

/// Runs one future to its end; whenever nothing can run, time jumps to the end of the next sleep.
///
/// # Panics
/// When the future panics, or waits for something that can never happen.
pub fn run_alone<T: Send + 'static>(clock: &SimClock, future: impl Future<Output = T> + Send + 'static) -> T {
    let mut executor = Executor::new(Stream::new(0, "alone"));
    let result = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&result);
    executor.spawn(
        Group(0),
        Box::pin(async move {
            let value = future.await;
            *lock(&slot) = Some(value);
        }),
    );
    loop {
        match executor.turn() {
            Turn::Polled => {}
            Turn::Panicked(_, message) => panic!("{message}"),
            Turn::Stalled => match clock.next_timer() {
                Some(next) => clock.advance_to(next),
                None => break,
            },
        }
        if let Some(value) = lock(&result).take() {
            return value;
        }
    }
    panic!("the future waits for something that can never happen")
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicU32, time::Duration};

    use riscv_runner_core::engine::wake::Wake as LoopWake;

    use super::*;

    fn drain(executor: &mut Executor) {
        while executor.turn() != Turn::Stalled {}
    }

    fn counting(clock: &SimClock, count: &Arc<AtomicU32>) -> BoxFuture<'static, ()> {
        let (clock, count) = (clock.clone(), Arc::clone(count));
        Box::pin(async move {
            loop {
                count.fetch_add(1, Ordering::Relaxed);
                clock.sleep(Duration::from_secs(1)).await;
            }
        })
    }

    #[test]
    fn a_killed_group_never_runs_again_and_leaves_no_timer() {
        let (clock, count) = (SimClock::default(), Arc::new(AtomicU32::new(0)));
        let mut executor = Executor::new(Stream::new(1, "order"));
        executor.spawn(Group(1), counting(&clock, &count));
        drain(&mut executor);
        executor.kill(Group(1));
        assert_eq!((count.load(Ordering::Relaxed), clock.next_timer()), (1, None));
        assert!(!executor.lives(Group(1)));
    }

    #[test]
    fn a_paused_group_goes_on_where_it_was() {
        let (clock, count) = (SimClock::default(), Arc::new(AtomicU32::new(0)));
        let mut executor = Executor::new(Stream::new(1, "order"));
        executor.spawn(Group(1), counting(&clock, &count));
        drain(&mut executor);
        executor.pause(Group(1));
        clock.advance_to(clock.next_timer().unwrap());
        drain(&mut executor);
        assert_eq!(count.load(Ordering::Relaxed), 1);
        executor.resume(Group(1));
        drain(&mut executor);
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_panic_ends_its_task_and_is_reported() {
        let mut executor = Executor::new(Stream::new(1, "order"));
        executor.spawn(Group(4), Box::pin(async { panic!("torn") }));
        assert_eq!(executor.turn(), Turn::Panicked(Group(4), "torn".to_owned()));
        assert_eq!(executor.turn(), Turn::Stalled);
    }

    #[test]
    fn wake_ups_work_without_a_runtime() {
        let (wake, count) = (LoopWake::default(), Arc::new(AtomicU32::new(0)));
        let (woken, seen) = (wake.clone(), Arc::clone(&count));
        let mut executor = Executor::new(Stream::new(1, "order"));
        let waiting = async move {
            woken.woken().await;
            seen.fetch_add(1, Ordering::Relaxed);
        };
        executor.spawn(Group(1), Box::pin(waiting));
        drain(&mut executor);
        assert_eq!(count.load(Ordering::Relaxed), 0);
        wake.wake();
        drain(&mut executor);
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
