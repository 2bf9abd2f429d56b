//! What a delivery does: whether its job becomes demand, and what the log keeps of it.
//!
//! Pure: no store, no network; the same delivery and policy decide the same.

use crate::{
    controls::Controls,
    delivery::{Delivery, DeliveryContent, DeliveryRecord, Effect, IfAbsent, LogEntry, LogSource, Outcome},
    entity::Entity,
    ids::{EntityId, Login, RepoName},
    installation::InstallationNews,
    job::{JobEvent, JobFacts},
    policy::Policy,
    routing::{Query, route},
};

/// What intake decides by: the configuration, and the bans set at run time.
#[derive(Debug, Clone, Copy)]
pub struct IntakePolicy<'a> {
    /// The configuration.
    pub policy: &'a Policy,
    /// What operators hold back.
    pub controls: &'a Controls,
}

/// Whether a delivery belongs to staging: its account or its repository does.
#[must_use]
pub fn is_staging(policy: &Policy, delivery: &Delivery) -> bool {
    let by_entity = delivery.entity.as_ref().and_then(|entity| policy.entities.get(&entity.id));
    by_entity.is_some_and(|special| special.staging)
        || delivery.repo.as_ref().is_some_and(|repo| policy.staging_repositories.contains(repo))
}

/// Whether jobs of the repository are for us: its account is not banned, and neither belongs to staging.
#[must_use]
pub fn is_served(by: &IntakePolicy<'_>, entity: &Entity, repo: &RepoName) -> bool {
    is_served_account(by, entity.id) && !by.policy.staging_repositories.contains(repo)
}

/// Whether the account is neither banned nor staging's.
#[must_use]
pub fn is_served_account(by: &IntakePolicy<'_>, entity: EntityId) -> bool {
    let is_staging = by.policy.entities.get(&entity).is_some_and(|special| special.staging);
    !is_staging && !is_banned(by, entity)
}

/// Whether a job of a run is for us, by who started the run; one that is known here is followed to its end.
#[must_use]
pub fn is_followed(by: &IntakePolicy<'_>, sender: Option<&Login>, is_known: bool) -> bool {
    is_known || !sender.is_some_and(|sender| is_banned_sender(by.policy, sender))
}

fn is_banned(by: &IntakePolicy<'_>, entity: EntityId) -> bool {
    by.policy.entities.get(&entity).is_some_and(|special| special.banned)
        || by.controls.banned_entities.contains_key(&entity)
}

/// Decides what a delivery does to the jobs table, and what the log keeps of it.
#[must_use]
pub fn decide(delivery: Delivery, by: &IntakePolicy<'_>) -> DeliveryRecord {
    let effect = effect(&delivery, by);
    let installation = InstallationNews::of(&delivery);
    DeliveryRecord {
        log: LogEntry {
            source: LogSource::Webhook,
            guid: Some(delivery.guid),
            event: delivery.event,
            installation: delivery.installation,
            app: Some(delivery.app),
            entity: delivery.entity,
            payload: delivery.payload,
            received_at: delivery.received_at,
        },
        effect,
        installation,
    }
}

fn effect(delivery: &Delivery, by: &IntakePolicy<'_>) -> Effect {
    if delivery.app_kind.is_none() {
        return Effect::Nothing(Outcome::IgnoredEvent);
    }
    match &delivery.content {
        DeliveryContent::Ping => Effect::Nothing(Outcome::Pong),
        DeliveryContent::Installation(_) => Effect::Nothing(Outcome::Ok),
        DeliveryContent::Other => Effect::Nothing(Outcome::IgnoredEvent),
        DeliveryContent::Job { facts, event } => job_effect(delivery, facts, event.as_ref(), by),
    }
}

fn job_effect(
    delivery: &Delivery,
    facts: &JobFacts,
    event: Option<&JobEvent>,
    by: &IntakePolicy<'_>,
) -> Effect {
    let policy = by.policy;
    // An organization's job that arrives through the other App can never get a runner from it.
    if delivery.app_kind != Some(facts.entity.kind) {
        return Effect::Nothing(Outcome::IgnoredEvent);
    }
    let banned_entity = is_banned(by, facts.entity.id);
    let banned_sender = delivery.sender.as_ref().is_some_and(|sender| is_banned_sender(policy, sender));
    let Some(event) = event else { return Effect::Nothing(Outcome::IgnoredAction) };
    let if_absent = if banned_entity || banned_sender {
        IfAbsent::Ignore(Outcome::BannedEntity)
    } else {
        match route(policy, &Query { labels: &facts.labels, entity: &facts.entity, repo: &facts.repo }) {
            Some(placement) => IfAbsent::Insert(placement),
            None => IfAbsent::Ignore(Outcome::IgnoredNoLabel),
        }
    };
    match (&if_absent, event) {
        (IfAbsent::Ignore(outcome), JobEvent::Queued) => Effect::Nothing(*outcome),
        // What was accepted before a rule changed is followed to its end.
        _ => Effect::Join { facts: Box::new(facts.clone()), event: event.clone(), if_absent },
    }
}

fn is_banned_sender(policy: &Policy, sender: &Login) -> bool {
    policy.banned_senders.iter().any(|banned| banned.as_str().eq_ignore_ascii_case(sender.as_str()))
}
