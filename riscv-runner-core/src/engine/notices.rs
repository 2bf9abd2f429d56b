//! Watches events and, while this process leads, the observed state, and hands what is worth a notification
//! to the outboxes; also sends heartbeats. It runs beside the loops: nothing waits for it.

use std::{sync::Arc, time::Duration};

use futures::future::{Either, select};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::{Engine, outbox::Outbox};
use crate::{
    backoff,
    heartbeat::Vitals,
    notify::{Notification, Rules, Throttle, Watchman},
    plan,
    policy::Policy,
    ports::{EngineEvent, Monitor, NoticeOutcome, Platform},
};

/// The most waiting jobs of each key that a poll reads: a notification says that boards are short, and for at
/// least how many jobs.
const MOST_OF_A_KEY: u32 = 100;

/// What notifications need.
pub struct Notices {
    /// The engine whose state is observed.
    pub engine: Arc<Engine>,
    /// The engine's events; bounded, and written to without waiting.
    pub events: mpsc::Receiver<EngineEvent>,
    /// Which notifications are wanted.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// The notifiers' queues.
    pub outboxes: Vec<Outbox>,
}

impl Notices {
    /// Runs until the events end.
    pub async fn run(mut self) {
        let platform = Arc::clone(&self.engine.parts.platform);
        let (mut watchman, mut throttle) = (Watchman::default(), Throttle::default());
        let mut next_look = platform.now();
        loop {
            let wait = backoff::age(next_look, platform.now());
            let pause = platform.sleep(wait.max(Duration::from_millis(1)));
            let event = match select(Box::pin(self.events.recv()), pause).await {
                Either::Left((None, _)) => return,
                Either::Left((event, _)) => event,
                Either::Right(_) => None,
            };
            let now = platform.now();
            let found = match event {
                Some(event) => watchman.event(&event, now).into_iter().collect(),
                None => {
                    next_look = backoff::add(now, self.rules.borrow().look_every());
                    self.look(&mut watchman).await
                }
            };
            let rules = Arc::clone(&self.rules.borrow_and_update());
            self.tell(found, &mut throttle, &rules, now);
        }
    }

    async fn look(&self, watchman: &mut Watchman) -> Vec<Notification> {
        if self.engine.leading.borrow().is_none() {
            return Vec::new();
        }
        match self.engine.overview(MOST_OF_A_KEY).await {
            Ok(snapshot) => {
                let (policy, rules) = (self.engine.policy(), Arc::clone(&self.rules.borrow()));
                watchman.look(&snapshot, &plan::schedule(&snapshot, &policy), &policy, &rules)
            }
            Err(error) => {
                tracing::debug!(
                    error = error.chain(),
                    "the state that notifications depend on could not be read"
                );
                Vec::new()
            }
        }
    }

    fn tell(&self, found: Vec<Notification>, throttle: &mut Throttle, rules: &Rules, now: Timestamp) {
        for notification in found {
            let before = throttle.withheld();
            match throttle.offer(notification, rules) {
                Some(notification) => self.send(notification),
                None if throttle.withheld() > before => {
                    let outcome = NoticeOutcome::Withheld;
                    self.engine.parts.observer.observe(EngineEvent::Noticed { notifier: "none", outcome });
                }
                None => {}
            }
        }
        if let Some(summary) = throttle.summary(rules, now) {
            self.send(summary);
        }
    }

    fn send(&self, notification: Notification) {
        tracing::info!(
            topic = notification.topic.as_str(),
            severity = notification.severity.as_str(),
            title = notification.title,
            "operators are notified"
        );
        let notification = Arc::new(notification);
        for outbox in &self.outboxes {
            outbox.put(Arc::clone(&notification));
        }
    }
}

/// Sends a heartbeat at regular intervals for as long as this process is a healthy leader; runs for ever.
pub async fn beat(
    monitor: Arc<dyn Monitor>,
    vitals: Arc<Vitals>,
    platform: Arc<dyn Platform>,
    policy: watch::Receiver<Arc<Policy>>,
    every: Duration,
) {
    let mut ailing = None;
    loop {
        let health = vitals.check(platform.now(), &policy.borrow().timeouts.clone());
        match health {
            Ok(()) => {
                if let Err(error) = monitor.beat().await {
                    tracing::warn!(error = error.chain(), "the monitor did not accept the heartbeat");
                }
            }
            Err(ailment) if ailing != Some(ailment) => {
                tracing::info!(%ailment, "no heartbeats are sent");
            }
            Err(_) => {}
        }
        ailing = health.err();
        platform.sleep(every).await;
    }
}
