//! Installations: which one of an account is current, as far as deliveries say. Pure.
//!
//! Every reinstallation has a new id, and GitHub assigns ids in ascending order; an account has at most
//! one installation of an App. So what is known is a join: the highest id wins, and one that was deleted
//! stays deleted. Deliveries may arrive in any order, more than once, and through either App.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    delivery::{Delivery, DeliveryContent, InstallationChange},
    entity::{Entity, EntityKind},
    ids::{EntityId, InstallationId},
    scope::ScopeRef,
    snapshot::InstallationHealth,
};

/// An account and the App (by the kind of account that it serves) whose installation is meant. An
/// organization that installed the personal App by mistake has an entry of its own, which no job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstallationKey {
    /// The account.
    pub entity: EntityId,
    /// The App.
    pub app: EntityKind,
}

impl InstallationKey {
    /// The key of the App that serves this account.
    #[must_use]
    pub const fn of(entity: &Entity) -> Self {
        Self { entity: entity.id, app: entity.kind }
    }
}

/// What is known of an account's installation of an App.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownInstallation {
    /// The newest one that any delivery named.
    pub id: InstallationId,
    /// When its deletion was first reported; `None` while it exists.
    pub gone_since: Option<Timestamp>,
    /// When it was last reported as created or unsuspended.
    pub returned_at: Option<Timestamp>,
}

impl KnownInstallation {
    /// What is known after both reports, in either order.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        match self.id.cmp(&other.id) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Equal => Self {
                id: self.id,
                gone_since: match (self.gone_since, other.gone_since) {
                    (Some(one), Some(another)) => Some(one.min(another)),
                    (one, another) => one.or(another),
                },
                returned_at: self.returned_at.max(other.returned_at),
            },
        }
    }
}

/// What a delivery says about an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstallationNews {
    /// The account, and the kind of its App.
    pub key: InstallationKey,
    /// What the delivery says.
    pub known: KnownInstallation,
}

impl InstallationNews {
    /// What a delivery says; `None` when it is not from one of our Apps or names no installation of an
    /// account. Only events of jobs and of installations count: in others the account that is named need not
    /// be the one that installed the App.
    #[must_use]
    pub fn of(delivery: &Delivery) -> Option<Self> {
        let change = match &delivery.content {
            DeliveryContent::Installation(change) => *change,
            DeliveryContent::Job { .. } => InstallationChange::Changed,
            DeliveryContent::Ping | DeliveryContent::Other => return None,
        };
        let at = delivery.received_at;
        let known = KnownInstallation {
            id: delivery.installation?,
            gone_since: matches!(change, InstallationChange::Gone).then_some(at),
            returned_at: matches!(change, InstallationChange::Returned).then_some(at),
        };
        let key = InstallationKey { entity: delivery.entity.as_ref()?.id, app: delivery.app_kind? };
        Some(Self { key, known })
    }
}

/// What is known of the installations of many accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installations(BTreeMap<InstallationKey, KnownInstallation>);

impl FromIterator<(InstallationKey, KnownInstallation)> for Installations {
    fn from_iter<T: IntoIterator<Item = (InstallationKey, KnownInstallation)>>(known: T) -> Self {
        let mut all = Self::default();
        for (key, known) in known {
            all.learn(&InstallationNews { key, known });
        }
        all
    }
}

impl Installations {
    /// Joins what a delivery said; returns whether that was new.
    pub fn learn(&mut self, news: &InstallationNews) -> bool {
        let before = self.0.get(&news.key).copied();
        let after = before.map_or(news.known, |known| known.join(news.known));
        self.0.insert(news.key, after);
        before != Some(after)
    }

    /// Whether this would be new.
    #[must_use]
    pub fn is_news(&self, news: &InstallationNews) -> bool {
        self.0.get(&news.key).is_none_or(|known| known.join(news.known) != *known)
    }

    /// What is known of one.
    #[must_use]
    pub fn get(&self, key: InstallationKey) -> Option<&KnownInstallation> {
        self.0.get(&key)
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&InstallationKey, &KnownInstallation)> {
        self.0.iter()
    }

    /// When this installation was last reported as created or unsuspended; `None` where it never was, or
    /// where it was deleted later: a deleted one never returns.
    #[must_use]
    pub fn returned_at(&self, installation: InstallationId) -> Option<Timestamp> {
        let known = self.0.values().find(|known| known.id == installation)?;
        known.returned_at.filter(|_| known.gone_since.is_none())
    }

    /// The installation to act through where a row names `told`.
    #[must_use]
    pub fn current(&self, key: InstallationKey, told: InstallationId) -> InstallationId {
        self.get(key).map_or(told, |known| known.id.max(told))
    }

    /// Lets a scope be addressed through the account's present installation.
    pub fn renew(&self, scope: &mut ScopeRef) {
        let key = InstallationKey { entity: scope.entity, app: scope.scope().kind() };
        scope.installation = self.current(key, scope.installation);
    }

    /// What prevents acting for an installation: its deletion, if it was reported, and what GitHub's answers
    /// showed.
    #[must_use]
    pub fn health(&self, installation: InstallationId, shown: InstallationHealth) -> InstallationHealth {
        let gone = self.0.values().find(|known| known.id == installation).and_then(|known| known.gone_since);
        let Some(gone) = gone else { return shown };
        let earliest = |since: Option<Timestamp>| Some(since.map_or(gone, |since| since.min(gone)));
        InstallationHealth {
            gone_since: earliest(shown.gone_since),
            auth_failing_since: earliest(shown.auth_failing_since),
            // It never comes back under this id.
            auth_retry_at: Some(Timestamp::MAX),
            ..shown
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: i64) -> InstallationId {
        InstallationId::new(n).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(app: EntityKind) -> InstallationKey {
        InstallationKey { entity: EntityId::new(7).unwrap(), app }
    }

    fn news() -> impl Strategy<Value = InstallationNews> {
        let time = || proptest::option::of((0..5_i64).prop_map(at));
        let app = prop_oneof![Just(EntityKind::Organization), Just(EntityKind::User)];
        (app, 1..4_i64, time(), time()).prop_map(|(app, n, gone_since, returned_at)| InstallationNews {
            key: key(app),
            known: KnownInstallation { id: id(n), gone_since, returned_at },
        })
    }

    proptest! {
        #[test]
        fn any_order_and_repetition_ends_in_the_same(
            all in proptest::collection::vec(news(), 0..8),
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
            seed in any::<u64>(),
        ) {
            let told = |order: &[InstallationNews]| {
                let mut known = Installations::default();
                for news in order {
                    let is_news = known.is_news(news);
                    assert_eq!(known.learn(news), is_news);
                }
                known
            };
            let mut other = all.clone();
            other.extend(picks.iter().filter(|_| !all.is_empty()).map(|pick| *pick.get(&all)));
            let mut state = seed;
            for n in (1..other.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                other.swap(n, usize::try_from(state >> 33).unwrap() % (n + 1));
            }
            prop_assert_eq!(told(&all), told(&other));
        }
    }

    #[test]
    fn the_other_app_and_a_late_end_of_an_earlier_one_take_nothing_over() {
        let mut known = Installations::default();
        let tell = |app, n, gone: bool| InstallationNews {
            key: key(app),
            known: KnownInstallation { id: id(n), gone_since: gone.then(|| at(n)), returned_at: None },
        };
        known.learn(&tell(EntityKind::Organization, 5, false));
        known.learn(&tell(EntityKind::User, 9, false));
        let org = key(EntityKind::Organization);
        assert_eq!(known.current(org, id(5)), id(5), "the wrong App's installation is newer");
        known.learn(&tell(EntityKind::Organization, 6, false));
        known.learn(&tell(EntityKind::Organization, 5, true));
        assert_eq!(known.current(org, id(5)), id(6));
        assert_eq!(known.health(id(6), InstallationHealth::default()), InstallationHealth::default());
        known.learn(&tell(EntityKind::Organization, 6, true));
        assert_eq!(known.health(id(6), InstallationHealth::default()).gone_since, Some(at(6)));
        assert_eq!(known.current(org, id(8)), id(8), "a row that knows more");
    }

    #[test]
    fn a_return_is_known_until_the_installation_is_deleted() {
        let mut known = Installations::default();
        let tell = |gone_since, returned_at| InstallationNews {
            key: key(EntityKind::Organization),
            known: KnownInstallation { id: id(5), gone_since, returned_at },
        };
        known.learn(&tell(None, None));
        assert_eq!(known.returned_at(id(5)), None);
        known.learn(&tell(None, Some(at(8))));
        known.learn(&tell(None, Some(at(3))));
        assert_eq!(known.returned_at(id(5)), Some(at(8)));
        assert_eq!(known.returned_at(id(6)), None);
        known.learn(&tell(Some(at(9)), None));
        assert_eq!(known.returned_at(id(5)), None);
    }
}
