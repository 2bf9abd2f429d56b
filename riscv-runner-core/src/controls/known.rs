//! Whether the thing that an order names exists: an order with a mistyped name would hold back nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{Control, ControlTarget, Order};
use crate::{
    ids::{EntityId, Login, NodeName, PoolName},
    observed::Observed,
};

/// The names that orders may use.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The pools of the configuration.
    pub pools: BTreeSet<PoolName>,
    /// The nodes of the cluster; `None` where the cluster is not observed.
    pub boards: Option<Observed<BTreeSet<NodeName>>>,
    /// Accounts that deliveries have named, with their logins where known.
    pub accounts: BTreeMap<EntityId, Option<Login>>,
}

/// A name that nothing is known to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameProblem {
    /// Nothing has this name.
    Unknown {
        /// What was named.
        target: ControlTarget,
        /// The existing names of this kind, for a suggestion.
        candidates: Vec<String>,
    },
    /// It is unknown whether a board has this name, because the cluster cannot be observed.
    Unseen(NodeName),
}

/// The least similarity of a suggestion.
const LIKENESS: f64 = 0.75;
/// The most names listed in a suggestion.
const LISTED: usize = 8;

impl fmt::Display for NameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { target, .. } => write!(f, "there is no {target}"),
            Self::Unseen(name) => {
                write!(f, "the cluster cannot be observed, so it is unknown whether board {name} exists")
            }
        }
    }
}

impl NameProblem {
    /// What may have been meant.
    #[must_use]
    pub fn suggestion(&self) -> Option<String> {
        match self {
            Self::Unknown { target, candidates } => suggest(&target.name(), candidates),
            Self::Unseen(_) => None,
        }
    }
}

/// The closest name, or a few of the existing ones.
#[must_use]
pub fn suggest(name: &str, candidates: &[String]) -> Option<String> {
    let alike = candidates.iter().map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    let nearest = alike.filter(|(likeness, _)| *likeness > LIKENESS).max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, nearest)) = nearest {
        return Some(format!("did you mean {nearest}?"));
    }
    let more = if candidates.len() > LISTED { ", …" } else { "" };
    let listed: Vec<&str> = candidates.iter().take(LISTED).map(String::as_str).collect();
    (!listed.is_empty()).then(|| format!("there are: {}{more}", listed.join(", ")))
}

/// Checks the name in an order. A release needs no check: that the thing is held back is enough. Repositories
/// may be held back before their first job, and workers are checked by the store.
///
/// # Errors
/// The name, when nothing has it.
pub fn check(order: &Order, known: &Known) -> Result<(), NameProblem> {
    let unknown = |candidates| Err(NameProblem::Unknown { target: order.target(), candidates });
    match order {
        Order::Hold(Control::DrainPool(name)) if !known.pools.contains(name) => {
            unknown(known.pools.iter().map(ToString::to_string).collect())
        }
        Order::Hold(Control::DrainBoard(name)) => match &known.boards {
            Some(Observed::Present(boards)) if boards.contains(name) => Ok(()),
            Some(Observed::Present(boards)) => unknown(boards.iter().map(ToString::to_string).collect()),
            Some(Observed::Absent | Observed::Unknown(_)) | None => Err(NameProblem::Unseen(name.clone())),
        },
        Order::Hold(Control::PauseEntity(id) | Control::BanEntity(id)) | Order::Limit { entity: id, .. }
            if !known.accounts.contains_key(id) =>
        {
            unknown(known.accounts.keys().map(ToString::to_string).collect())
        }
        Order::Hold(_)
        | Order::Release(_)
        | Order::Limit { .. }
        | Order::ClearLimit { .. }
        | Order::Revoke { .. } => Ok(()),
    }
}

impl Known {
    /// The account with this id or login; logins are compared as GitHub compares them.
    #[must_use]
    pub fn account(&self, text: &str) -> Option<EntityId> {
        let by_login = |login: &Login| login.as_str().eq_ignore_ascii_case(text.trim_start_matches('@'));
        let named = self.accounts.iter().find(|(_, login)| login.as_ref().is_some_and(by_login));
        text.parse().ok().or(named.map(|(id, _)| *id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{controls::Verb, observed::Why, policy::Cap};

    fn order(verb: Verb, kind: &str, name: &str) -> Order {
        Order::new(verb, ControlTarget::parse(kind, name).unwrap(), Some(Cap::Unlimited), false).unwrap()
    }

    fn known() -> Known {
        Known {
            pools: [PoolName::new("k1").unwrap()].into(),
            boards: Some(Observed::Present([NodeName::new("k1-1").unwrap()].into())),
            accounts: [(EntityId::new(7).unwrap(), Some(Login::new("Acme").unwrap()))].into(),
        }
    }

    #[test]
    fn a_name_that_nothing_has_is_refused_with_those_there_are() {
        for (verb, kind, good, bad) in [
            (Verb::Drain, "pool", "k1", "k2"),
            (Verb::Drain, "board", "k1-1", "k1-2"),
            (Verb::Pause, "entity", "7", "8"),
            (Verb::Ban, "entity", "7", "8"),
            (Verb::Limit, "entity", "7", "8"),
        ] {
            assert_eq!(check(&order(verb, kind, good), &known()), Ok(()));
            let refused = check(&order(verb, kind, bad), &known()).unwrap_err();
            let target = ControlTarget::parse(kind, bad).unwrap();
            assert_eq!(refused, NameProblem::Unknown { target, candidates: vec![good.into()] });
        }
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let names = ["k1-1", "k1-2", "x9-10"].map(str::to_owned);
        assert_eq!(suggest("x9-11", &names).as_deref(), Some("did you mean x9-10?"));
        assert_eq!(suggest("zzz", &names).as_deref(), Some("there are: k1-1, k1-2, x9-10"));
        assert_eq!(suggest("zzz", &[]), None);
        let problem = check(&order(Verb::Drain, "board", "k1-2"), &known()).unwrap_err();
        assert_eq!(problem.to_string(), "there is no board k1-2");
        assert_eq!(problem.suggestion().as_deref(), Some("did you mean k1-1?"));
    }

    #[test]
    fn what_is_let_go_need_not_be_there_any_more() {
        for (verb, kind, name) in
            [(Verb::Undrain, "pool", "gone"), (Verb::Undrain, "board", "gone"), (Verb::Unban, "entity", "8")]
        {
            assert_eq!(check(&order(verb, kind, name), &known()), Ok(()));
        }
    }

    #[test]
    fn a_board_is_not_unknown_because_nobody_looked() {
        for boards in [None, Some(Observed::Unknown(Why::Failed))] {
            let known = Known { boards, ..known() };
            let refused = check(&order(Verb::Drain, "board", "k1-1"), &known).unwrap_err();
            assert_eq!(refused, NameProblem::Unseen(NodeName::new("k1-1").unwrap()));
        }
    }

    #[test]
    fn an_account_is_its_id_or_its_login() {
        let id = EntityId::new(7).ok();
        assert_eq!((known().account("7"), known().account("acme"), known().account("@ACME")), (id, id, id));
        assert_eq!(known().account("acm"), None);
    }
}
