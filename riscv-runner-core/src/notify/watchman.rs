//! Turns events and polls of the state into notifications. A state is notified once, when it has held for
//! long enough, and again when it ends.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Notification, Rules, Severity, Topic,
    condition::{Condition, KnownBoards, Look},
};
use crate::{
    backoff, failure::FailureReason, plan::Plan, policy::Policy, ports::EngineEvent, snapshot::Snapshot,
};

#[derive(Debug)]
struct Standing {
    since: Timestamp,
    told: bool,
}

/// What is remembered between polls.
#[derive(Debug, Default)]
pub struct Watchman {
    standing: BTreeMap<Condition, Standing>,
    boards: KnownBoards,
    lost_leadership: bool,
    numbered: u64,
}

impl Watchman {
    /// The notification that an event calls for.
    pub fn event(&mut self, event: &EngineEvent, now: Timestamp) -> Option<Notification> {
        match event {
            EngineEvent::WorkerFailed { reason } => {
                let severity = severity_of(*reason)?;
                let subject = reason.as_str().to_owned();
                let title = format!("A worker failed: {}", subject.replace('_', " "));
                let text = "`rrctl workers` and the page of workers show it.".to_owned();
                Some(self.notification(Topic::WorkerFailed, severity, subject, title, text, false, now))
            }
            EngineEvent::Leading(leading) => self.leadership(*leading, now),
            EngineEvent::Cycle { .. }
            | EngineEvent::Panicked { .. }
            | EngineEvent::DeliveryGivenUp
            | EngineEvent::Provisioned { .. }
            | EngineEvent::JobStarted { .. }
            | EngineEvent::Delivered { .. }
            | EngineEvent::Recovered { .. }
            | EngineEvent::Removed { .. }
            | EngineEvent::Noticed { .. } => None,
        }
    }

    fn leadership(&mut self, leading: bool, now: Timestamp) -> Option<Notification> {
        // Another replica watches from here on, or has until now.
        self.standing.clear();
        if leading && !std::mem::take(&mut self.lost_leadership) {
            return None;
        }
        self.lost_leadership = !leading;
        let (title, text) = if leading {
            ("This replica leads again", "Scheduling continues.")
        } else {
            (
                "This replica is no longer the leader",
                "Another replica takes over once the lease has expired; /ready shows it.",
            )
        };
        let subject = "leader".to_owned();
        let severity = Severity::Warning;
        let (title, text) = (title.to_owned(), text.to_owned());
        Some(self.notification(Topic::LeadershipLost, severity, subject, title, text, leading, now))
    }

    /// The notifications that one poll by the leader calls for.
    pub fn look(
        &mut self,
        snapshot: &Snapshot,
        plan: &Plan,
        policy: &Policy,
        rules: &Rules,
    ) -> Vec<Notification> {
        let now = snapshot.now;
        let look = Look::at(snapshot, plan, policy, &mut self.boards);
        let mut told = Vec::new();
        for (condition, text) in &look.holding {
            let standing =
                self.standing.entry(condition.clone()).or_insert(Standing { since: now, told: false });
            if !standing.told && backoff::age(now, standing.since) >= condition.patience(rules) {
                standing.told = true;
                told.push((condition.clone(), text.clone(), false));
            }
        }
        self.standing.retain(|condition, standing| {
            let holds = look.holding.contains_key(condition) || !look.covers(condition);
            if !holds && standing.told {
                let text = format!("It had been so since {}.", standing.since.strftime("%Y-%m-%d %H:%M UTC"));
                told.push((condition.clone(), text, true));
            }
            holds
        });
        let notifications = told.into_iter().map(|(condition, text, ended)| {
            let title = condition.title(ended);
            let (topic, severity) = (condition.topic(), condition.severity());
            self.notification(topic, severity, condition.subject(), title, text, ended, now)
        });
        notifications.collect()
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of a notification, at the one place that makes them"
    )]
    fn notification(
        &mut self,
        topic: Topic,
        severity: Severity,
        subject: String,
        title: String,
        text: String,
        ended: bool,
        at: Timestamp,
    ) -> Notification {
        self.numbered += 1;
        let id = format!("{}-{}", at.as_millisecond(), self.numbered);
        Notification { id, topic, severity, subject, title, text, ended, at }
    }
}

/// How bad it is that a worker failed so; `None` for what is no failure of ours to run.
const fn severity_of(reason: FailureReason) -> Option<Severity> {
    match reason {
        FailureReason::RunnerIdle
        | FailureReason::RunnerSurplus
        | FailureReason::Revoked
        | FailureReason::Drained
        | FailureReason::ReplicaStopped => None,
        // Accounts decide so, and their jobs say it.
        FailureReason::InstallationNotFound | FailureReason::SelfHostedDisabled => Some(Severity::Info),
        FailureReason::PodFailed
        | FailureReason::PodStuckPending
        | FailureReason::PodMissing
        | FailureReason::PodAllocationFailure
        | FailureReason::RunnerNeverRegistered
        | FailureReason::RunnerLost
        | FailureReason::RunnerGone
        | FailureReason::NodeUnreachable
        | FailureReason::RateLimited
        | FailureReason::JitRejected => Some(Severity::Warning),
        // Nothing of the image, or of the App, runs until somebody mends it.
        FailureReason::RunnerVersionRefused | FailureReason::AuthFailed => Some(Severity::Critical),
    }
}
