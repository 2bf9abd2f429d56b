//! What an operator may order: one type for the command line, HTTP and the tables.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ControlTarget;
use crate::{
    ids::{EntityId, NodeName, PoolName, RepoName, WorkerName},
    policy::Cap,
};

/// Something that can be held back and released.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Control {
    /// Nothing is provisioned at all.
    PauseEverything,
    /// Nothing is provisioned for the account.
    PauseEntity(EntityId),
    /// Nothing is provisioned for jobs of the repository.
    PauseRepository(RepoName),
    /// The pool takes no new workers.
    DrainPool(PoolName),
    /// The board takes no new workers.
    DrainBoard(NodeName),
    /// New jobs of the account are refused.
    BanEntity(EntityId),
}

impl Control {
    /// What it applies to.
    #[must_use]
    pub fn target(&self) -> ControlTarget {
        match self {
            Self::PauseEverything => ControlTarget::Everything,
            Self::PauseEntity(id) | Self::BanEntity(id) => ControlTarget::Entity(*id),
            Self::PauseRepository(name) => ControlTarget::Repository(name.clone()),
            Self::DrainPool(name) => ControlTarget::Pool(name.clone()),
            Self::DrainBoard(name) => ControlTarget::Board(name.clone()),
        }
    }
}

/// What an operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Hold something back; if it is held back already, the new note replaces the old one.
    Hold(Control),
    /// Release it.
    Release(Control),
    /// Let the account have this many workers, whatever the configuration says.
    Limit {
        /// The account.
        entity: EntityId,
        /// The most workers that the account may have.
        cap: Cap,
    },
    /// Apply the configured number of workers to the account again.
    ClearLimit {
        /// The account.
        entity: EntityId,
    },
    /// End a worker now: deregister it, then end its pod.
    Revoke {
        /// The worker.
        worker: WorkerName,
        /// Whether to end it even if a job runs on it, and whatever GitHub says.
        force: bool,
    },
}

/// Whether an order changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Ordered {
    /// The order is in force and in the audit.
    Done,
    /// There was nothing to do: nothing was held back, or the worker has ended.
    NothingToDo,
}

/// The verb of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Provision nothing for an account, a repository or everything.
    Pause,
    /// The end of a pause.
    Resume,
    /// Place nothing new on a board or a pool.
    Drain,
    /// The end of a drain.
    Undrain,
    /// Change an account's cap.
    Limit,
    /// The end of a changed cap.
    ClearLimit,
    /// Refuse an account's new jobs.
    Ban,
    /// The end of a ban.
    Unban,
    /// End a worker.
    Revoke,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 9] = [
        Self::Pause,
        Self::Resume,
        Self::Drain,
        Self::Undrain,
        Self::Limit,
        Self::ClearLimit,
        Self::Ban,
        Self::Unban,
        Self::Revoke,
    ];

    /// The word in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Drain => "drain",
            Self::Undrain => "undrain",
            Self::Limit => "limit",
            Self::ClearLimit => "clear_limit",
            Self::Ban => "ban",
            Self::Unban => "unban",
            Self::Revoke => "revoke",
        }
    }

    /// The verb of this word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == text)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An order that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The verb does not apply to this kind of target.
    #[error("{verb} takes {expected}, not {given}")]
    Target {
        /// The verb.
        verb: Verb,
        /// The kinds of target that it applies to.
        expected: &'static str,
        /// The kind of target that was given.
        given: &'static str,
    },
    /// A limit without a number.
    #[error("limit needs max_workers: a number, or \"unlimited\"")]
    NoCap,
}

impl Order {
    /// Builds an order from its parts; `cap` is only used by [`Verb::Limit`], `force` only by
    /// [`Verb::Revoke`].
    ///
    /// # Errors
    /// When the verb does not go with the target, or a limit has no cap.
    pub fn new(verb: Verb, target: ControlTarget, cap: Option<Cap>, force: bool) -> Result<Self, OrderError> {
        let given = target.kind();
        let wrong = |expected| OrderError::Target { verb, expected, given };
        let of_account = || match &target {
            ControlTarget::Entity(id) => Ok(*id),
            ControlTarget::Everything
            | ControlTarget::Repository(_)
            | ControlTarget::Pool(_)
            | ControlTarget::Board(_)
            | ControlTarget::Worker(_) => Err(wrong("an entity")),
        };
        Ok(match verb {
            Verb::Pause => Self::Hold(pause(target).ok_or_else(|| wrong(PAUSABLE))?),
            Verb::Resume => Self::Release(pause(target).ok_or_else(|| wrong(PAUSABLE))?),
            Verb::Drain => Self::Hold(drain(target).ok_or_else(|| wrong(DRAINABLE))?),
            Verb::Undrain => Self::Release(drain(target).ok_or_else(|| wrong(DRAINABLE))?),
            Verb::Ban => Self::Hold(Control::BanEntity(of_account()?)),
            Verb::Unban => Self::Release(Control::BanEntity(of_account()?)),
            Verb::Limit => Self::Limit { entity: of_account()?, cap: cap.ok_or(OrderError::NoCap)? },
            Verb::ClearLimit => Self::ClearLimit { entity: of_account()? },
            Verb::Revoke => match target {
                ControlTarget::Worker(worker) => Self::Revoke { worker, force },
                ControlTarget::Everything
                | ControlTarget::Entity(_)
                | ControlTarget::Repository(_)
                | ControlTarget::Pool(_)
                | ControlTarget::Board(_) => return Err(wrong("a worker")),
            },
        })
    }

    /// The order's verb.
    #[must_use]
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Hold(Control::PauseEverything | Control::PauseEntity(_) | Control::PauseRepository(_)) => {
                Verb::Pause
            }
            Self::Release(
                Control::PauseEverything | Control::PauseEntity(_) | Control::PauseRepository(_),
            ) => Verb::Resume,
            Self::Hold(Control::DrainPool(_) | Control::DrainBoard(_)) => Verb::Drain,
            Self::Release(Control::DrainPool(_) | Control::DrainBoard(_)) => Verb::Undrain,
            Self::Hold(Control::BanEntity(_)) => Verb::Ban,
            Self::Release(Control::BanEntity(_)) => Verb::Unban,
            Self::Limit { .. } => Verb::Limit,
            Self::ClearLimit { .. } => Verb::ClearLimit,
            Self::Revoke { .. } => Verb::Revoke,
        }
    }

    /// What it applies to.
    #[must_use]
    pub fn target(&self) -> ControlTarget {
        match self {
            Self::Hold(control) | Self::Release(control) => control.target(),
            Self::Limit { entity, .. } | Self::ClearLimit { entity } => ControlTarget::Entity(*entity),
            Self::Revoke { worker, .. } => ControlTarget::Worker(worker.clone()),
        }
    }

    /// The cap that it sets, if it sets one.
    #[must_use]
    pub const fn cap(&self) -> Option<Cap> {
        match self {
            Self::Limit { cap, .. } => Some(*cap),
            Self::Hold(_) | Self::Release(_) | Self::ClearLimit { .. } | Self::Revoke { .. } => None,
        }
    }

    /// Whether it is a revocation that overrides GitHub.
    #[must_use]
    pub const fn is_forced(&self) -> bool {
        matches!(self, Self::Revoke { force: true, .. })
    }
}

const PAUSABLE: &str = "everything, an entity or a repository";
const DRAINABLE: &str = "a board or a pool";

fn pause(target: ControlTarget) -> Option<Control> {
    match target {
        ControlTarget::Everything => Some(Control::PauseEverything),
        ControlTarget::Entity(id) => Some(Control::PauseEntity(id)),
        ControlTarget::Repository(name) => Some(Control::PauseRepository(name)),
        ControlTarget::Pool(_) | ControlTarget::Board(_) | ControlTarget::Worker(_) => None,
    }
}

fn drain(target: ControlTarget) -> Option<Control> {
    match target {
        ControlTarget::Pool(name) => Some(Control::DrainPool(name)),
        ControlTarget::Board(name) => Some(Control::DrainBoard(name)),
        ControlTarget::Everything
        | ControlTarget::Entity(_)
        | ControlTarget::Repository(_)
        | ControlTarget::Worker(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::controls::{Controls, Note};

    fn targets() -> Vec<ControlTarget> {
        let name = |kind| match kind {
            "everything" => "",
            "entity" => "7",
            "repository" => "acme/tools",
            _ => "k1-1",
        };
        ControlTarget::KINDS.map(|kind| ControlTarget::parse(kind, name(kind)).unwrap()).into()
    }

    #[test]
    fn an_order_is_its_parts() {
        let mut made = 0;
        for verb in Verb::ALL {
            assert_eq!(Verb::parse(verb.as_str()), Some(verb));
            for target in targets() {
                if let Ok(order) = Order::new(verb, target.clone(), Some(Cap::AtMost(3)), true) {
                    made += 1;
                    assert_eq!((order.verb(), order.target()), (verb, target));
                    let again = Order::new(order.verb(), order.target(), order.cap(), order.is_forced());
                    assert_eq!(again, Ok(order));
                }
            }
        }
        assert_eq!(made, 3 + 3 + 2 + 2 + 1 + 1 + 1 + 1 + 1);
    }

    #[test]
    fn a_verb_says_what_it_takes() {
        let pool = ControlTarget::parse("pool", "k1").unwrap();
        let error = Order::new(Verb::Pause, pool, None, false).unwrap_err();
        assert_eq!(error.to_string(), "pause takes everything, an entity or a repository, not pool");
        let entity = ControlTarget::parse("entity", "7").unwrap();
        let error = Order::new(Verb::Limit, entity, None, false).unwrap_err();
        assert_eq!(error.to_string(), "limit needs max_workers: a number, or \"unlimited\"");
        assert!(ControlTarget::parse("galaxy", "").is_err());
        assert!(ControlTarget::parse("everything", "else").is_err());
    }

    #[test]
    fn what_is_held_is_listed_and_let_go() {
        let mut controls = Controls::default();
        let note = Note { reason: "fan".into(), actor: "ann".into(), since: Timestamp::UNIX_EPOCH };
        let orders = [
            (Verb::Pause, "everything", ""),
            (Verb::Pause, "entity", "7"),
            (Verb::Ban, "entity", "7"),
            (Verb::Limit, "entity", "7"),
            (Verb::Pause, "repository", "acme/tools"),
            (Verb::Drain, "pool", "k1"),
            (Verb::Drain, "board", "k1-1"),
            (Verb::Revoke, "worker", "rr-1"),
        ]
        .map(|(verb, kind, name)| {
            let target = ControlTarget::parse(kind, name).unwrap();
            Order::new(verb, target, Some(Cap::Unlimited), true).unwrap()
        });
        for order in &orders {
            assert_eq!(controls.apply(order, &note), Ordered::Done);
        }
        let listed: Vec<Order> = controls.in_force().into_iter().map(|one| one.order).collect();
        assert_eq!(listed, orders);
        for order in &orders {
            let release = match order {
                Order::Hold(control) => Order::Release(control.clone()),
                Order::Limit { entity, .. } => Order::ClearLimit { entity: *entity },
                Order::Release(_) | Order::ClearLimit { .. } | Order::Revoke { .. } => continue,
            };
            assert_eq!(controls.apply(&release, &note), Ordered::Done);
            assert_eq!(controls.apply(&release, &note), Ordered::NothingToDo);
        }
        assert_eq!(controls.in_force().len(), 1, "a revocation ends with its worker");
    }
}
