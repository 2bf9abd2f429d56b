//! Webhooks: at least once, in no order, sometimes not at all; and GitHub's own log of its attempts.

use std::time::Duration;

use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{Delivery, DeliveryContent},
    entity::{Entity, EntityKind},
    ids::{DeliveryGuid, EntityId, InstallationId, RepoName},
    job::JobEvent,
};
use serde_json::value::RawValue;

use super::{accounts::app_of, chosen};
use crate::{
    faults::FaultKind,
    truth::{Event, Truth},
};

/// How long a webhook is usually on its way.
const TRANSIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// One attempt to deliver.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// The same for all attempts of one delivery.
    pub(crate) guid: DeliveryGuid,
    /// The App that it is for.
    pub(crate) app: EntityKind,
    /// The event's name with its action.
    pub(crate) event: String,
    /// When it was made.
    pub(crate) at: Timestamp,
    /// What it was answered with; 0 while nobody has answered.
    pub(crate) status: u16,
    /// Whether somebody asked for it.
    pub(crate) redelivery: bool,
    letter: Letter,
}

/// What a webhook carries.
#[derive(Debug, Clone)]
struct Letter {
    entity: Entity,
    installation: InstallationId,
    repo: Option<RepoName>,
    content: DeliveryContent,
    /// Whether our door can read it.
    readable: bool,
}

impl Truth {
    /// GitHub sends a webhook that nobody can read; its GUID.
    pub(crate) fn announce_unreadable(&mut self, choice: u64) -> Option<DeliveryGuid> {
        let entities: Vec<_> = self.github.accounts.keys().copied().collect();
        let account = self.github.accounts.get(&chosen(&entities, choice)?)?;
        let letter = Letter {
            entity: account.entity.clone(),
            installation: account.installation,
            repo: None,
            content: DeliveryContent::Other,
            readable: false,
        };
        self.faults.count(FaultKind::WebhookUnreadable);
        self.post(letter, "workflow_job.unreadable".to_owned());
        self.github.attempts.last().map(|attempt| attempt.guid.clone())
    }

    /// GitHub sends a webhook about something of `entity`.
    pub(crate) fn announce(
        &mut self,
        entity: EntityId,
        repo: Option<RepoName>,
        event: &str,
        content: DeliveryContent,
    ) {
        let Some(account) = self.github.accounts.get(&entity) else { return };
        let letter = Letter {
            entity: account.entity.clone(),
            installation: account.installation,
            repo,
            content,
            readable: true,
        };
        let event = event.to_owned();
        self.post(letter.clone(), event.clone());
        let doubled = self.webhook_luck.happens(self.profile.webhooks.doubled) && self.faults.is_active();
        if doubled {
            self.faults.count(FaultKind::WebhookDoubled);
            if self.webhook_luck.happens(0.5) {
                // GitHub has been seen to send the same news under two GUIDs.
                self.post(letter, event);
            } else {
                let newest = self.github.attempts.len() - 1;
                self.repeat(newest);
            }
        }
    }

    fn post(&mut self, letter: Letter, event: String) {
        let number = self.github.next_id();
        let guid = DeliveryGuid::new(format!("guid-{number}")).expect("a GUID of letters and digits");
        let at = self.now();
        let app = letter.entity.kind;
        let attempt = Attempt { guid, app, event, at, status: 0, redelivery: false, letter };
        self.github.attempts.push(attempt);
        self.send(self.github.attempts.len() - 1);
    }

    /// Delivers once more what was delivered, or not, before; false when there is no such attempt.
    pub(crate) fn repeat(&mut self, attempt: usize) -> bool {
        let Some(earlier) = self.github.attempts.get(attempt) else { return false };
        self.trace.line(format_args!("webhook {attempt} sent again: {} {}", earlier.guid, earlier.event));
        let again = Attempt { at: self.now(), status: 0, redelivery: true, ..earlier.clone() };
        self.github.attempts.push(again);
        self.send(self.github.attempts.len() - 1);
        true
    }

    fn send(&mut self, attempt: usize) {
        let faults = &self.profile.webhooks;
        let lost = self.webhook_luck.happens(faults.lost) && self.faults.is_active();
        let late = self.webhook_luck.happens(faults.delayed) && self.faults.is_active();
        let mut transit = self.webhook_luck.between(TRANSIT.0, TRANSIT.1);
        if late {
            self.faults.count(FaultKind::WebhookDelayed);
            transit += self.webhook_luck.between(Duration::ZERO, faults.longest_delay);
        }
        if lost {
            self.faults.count(FaultKind::WebhookLost);
            self.trace.line(format_args!("webhook {attempt} lost"));
            let content = self.github.attempts.get(attempt).map(|attempt| &attempt.letter.content);
            if let Some(DeliveryContent::Job { event: Some(JobEvent::Completed { .. }), facts }) = content {
                self.github.lost_ends.insert(facts.id);
            }
        } else {
            self.after(transit, Event::Deliver(attempt));
        }
    }

    /// The attempt reaches our door.
    pub(crate) fn deliver(&mut self, attempt: usize) {
        self.arriving.push(attempt);
    }

    /// We answered an attempt with 2xx.
    pub(crate) fn acknowledged(&mut self, attempt: usize) {
        if let Some(acknowledged) = self.github.attempts.get_mut(attempt) {
            acknowledged.status = 200;
        }
    }

    /// Whether our door answers an attempt with 400; GitHub's log says so then.
    pub(crate) fn refuses(&mut self, attempt: usize) -> bool {
        let unreadable = self.github.attempts.get_mut(attempt).filter(|attempt| !attempt.letter.readable);
        unreadable.map(|attempt| attempt.status = 400).is_some()
    }

    /// What our door sees of an attempt, once its signature held and its body was read.
    pub(crate) fn delivery(&self, attempt: usize) -> Option<Delivery> {
        let attempt = self.github.attempts.get(attempt)?;
        let Letter { entity, installation, repo, content, .. } = attempt.letter.clone();
        Some(Delivery {
            guid: attempt.guid.clone(),
            event: attempt.event.clone(),
            app: app_of(entity.kind),
            app_kind: Some(entity.kind),
            installation: Some(installation),
            sender: Some(entity.login.clone()),
            payload: payload(&attempt.event, &content),
            entity: Some(entity),
            repo,
            content,
            received_at: self.now(),
        })
    }
}

fn payload(event: &str, content: &DeliveryContent) -> Box<RawValue> {
    let action = event.rsplit('.').next().unwrap_or(event);
    let job = match content {
        DeliveryContent::Job { facts, .. } => {
            Some(serde_json::json!({ "id": facts.id, "labels": facts.labels }))
        }
        DeliveryContent::Ping | DeliveryContent::Installation(_) | DeliveryContent::Other => None,
    };
    let text = serde_json::json!({ "action": action, "workflow_job": job }).to_string();
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
