//! Sets up notifications to operators and the heartbeat.

use std::sync::Arc;

use futures::future::BoxFuture;
use riscv_runner_core::{
    engine::{
        Engine,
        notices::{Notices, beat},
        outbox::outbox,
    },
    notify::Rules,
    policy::Policy,
    ports::{EngineEvent, Notifier, Observer},
};
use riscv_runner_notify::{Discord, PushMonitor, SetupError, Webhook};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{config::Config, failure::Failure, platform::TokioPlatform, witness::Witness};

/// What notifications need from the process.
pub(crate) struct Alarms {
    /// The engine whose state is observed.
    pub(crate) engine: Arc<Engine>,
    /// The engine's events.
    pub(crate) events: mpsc::Receiver<EngineEvent>,
    /// Which notifications are wanted.
    pub(crate) rules: watch::Receiver<Arc<Rules>>,
    /// The policy in force.
    pub(crate) policy: watch::Receiver<Arc<Policy>>,
    /// Counts events, and knows the engine's health.
    pub(crate) witness: Arc<Witness>,
    /// Completes when the process is asked to stop: a lease that is released is not lost.
    pub(crate) stopped: BoxFuture<'static, ()>,
}

impl Alarms {
    /// Starts notifications and the heartbeat.
    pub(crate) fn start(self, config: &Config, background: &mut JoinSet<()>) -> Result<(), Failure> {
        let Self { engine, events, rules, policy, witness, stopped } = self;
        if let Some(url) = &config.heartbeat.url {
            let monitor = PushMonitor::new(url, Arc::new(TokioPlatform));
            let monitor =
                monitor.map_err(|error| Failure::because("the heartbeat cannot be sent", &error))?;
            let (vitals, every) = (Arc::clone(&witness.vitals), config.heartbeat.every);
            background.spawn(beat(Arc::new(monitor), vitals, Arc::new(TokioPlatform), policy, every));
        }
        let notifiers =
            notifiers(config).map_err(|error| Failure::because("operators cannot be notified", &error))?;
        if notifiers.is_empty() {
            return Ok(());
        }
        let mut outboxes = Vec::new();
        for notifier in notifiers {
            let observer = Arc::clone(&witness) as Arc<dyn Observer>;
            let (outbox, courier) = outbox(notifier, Arc::new(TokioPlatform), observer);
            outboxes.push(outbox);
            background.spawn(courier.run());
        }
        let notices = Notices { engine, events, rules, outboxes };
        background.spawn(async move {
            tokio::select! {
                biased;
                () = stopped => {}
                () = notices.run() => {}
            }
        });
        Ok(())
    }
}

fn notifiers(config: &Config) -> Result<Vec<Arc<dyn Notifier>>, SetupError> {
    let notify = &config.notify;
    let mut found: Vec<Arc<dyn Notifier>> = Vec::new();
    if let Some(url) = &notify.webhook_url {
        let secret = notify.webhook_secret.clone();
        found.push(Arc::new(Webhook::new(url, secret, Arc::new(TokioPlatform))?));
    }
    if let Some(url) = &notify.discord_url {
        found.push(Arc::new(Discord::new(url, Arc::new(TokioPlatform))?));
    }
    Ok(found)
}
