//! Installation tokens: one cached per installation, one request for it in flight.
//!
//! A failure is remembered, so that all who wait learn of it, and a gone installation is not asked for again
//! and again. Tokens are never written anywhere.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use reqwest::Method;
use riscv_runner_core::{
    backoff,
    entity::EntityKind,
    ids::{AppId, InstallationId},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{
    app_jwt::AppSigner,
    client::{ApiError, Call, Client, Endpoint, Payer, Priority},
    config::{AppConfig, ConfigError},
    observer::AuthFailure,
};

/// A token is not used in its last minutes, so that it does not end during a chain of requests.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);
/// The wait after the first refusal.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// The longest wait between two tries for a refused token.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// Our Apps, and the tokens that they hold.
#[derive(Debug)]
pub(crate) struct Tokens {
    apps: BTreeMap<EntityKind, (AppId, AppSigner)>,
    slots: Mutex<BTreeMap<InstallationId, Arc<Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    refreshing: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    token: Option<(SecretString, Timestamp)>,
    attempts: u64,
    failure: Option<Failure>,
    /// Until when a limit of the App itself forbids asking for a token.
    limited_until: Option<Timestamp>,
}

/// How requests for a token fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failing {
    /// Since the first failure without a token in between.
    pub(crate) since: Timestamp,
    /// Since the first 404 without another definite answer in between.
    pub(crate) gone_since: Option<Timestamp>,
    /// Not asked for again until then.
    pub(crate) retry_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Failure {
    since: Timestamp,
    /// When it was last asked for.
    tried_at: Timestamp,
    gone_since: Option<Timestamp>,
    refusals: u32,
    retry_at: Option<Timestamp>,
    noting: Noting,
    error: ApiError,
}

/// Which failures are logged. A refusal is retried ever less often, and each try is logged; a passing failure
/// is retried by every cycle, and logged as rarely as a refusal would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Noting {
    told: u32,
    next: Timestamp,
    tells_this: bool,
}

#[derive(Deserialize)]
struct AccessToken {
    token: SecretString,
    expires_at: Timestamp,
}

impl Tokens {
    pub(crate) fn new(apps: &[AppConfig]) -> Result<Self, ConfigError> {
        let mut signers = BTreeMap::new();
        for AppConfig { kind, app_id, private_key } in apps {
            let signer = AppSigner::new(*app_id, private_key).map_err(|source| ConfigError::Key {
                kind: *kind,
                app: *app_id,
                source,
            })?;
            if signers.insert(*kind, (*app_id, signer)).is_some() {
                return Err(ConfigError::TwoApps { kind: *kind });
            }
        }
        Ok(Self { apps: signers, slots: Mutex::default() })
    }

    /// The kinds of accounts that our Apps serve.
    pub(crate) fn kinds(&self) -> Vec<EntityKind> {
        self.apps.keys().copied().collect()
    }

    /// The token with which the App of this kind speaks as itself.
    pub(crate) fn app(&self, kind: EntityKind, now: Timestamp) -> Result<SecretString, ApiError> {
        let (app, signer) = self.of(kind)?;
        signer
            .token(now)
            .map_err(|error| ApiError::Signing(format!("the token of App {app} cannot be signed: {error}")))
    }

    /// Forgets the App's own token, after GitHub refused it.
    pub(crate) fn forget_app(&self, kind: EntityKind) {
        if let Some((_, signer)) = self.apps.get(&kind) {
            signer.forget();
        }
    }

    /// A token of the installation, valid for some minutes at least.
    pub(crate) async fn installation(
        &self,
        client: &Client,
        kind: EntityKind,
        installation: InstallationId,
        priority: Priority,
    ) -> Result<SecretString, ApiError> {
        let slot = Arc::clone(lock(&self.slots).entry(installation).or_default());
        let seen = {
            let known = lock(&slot.known);
            if let Some(answer) = known.answer(client.now()) {
                return answer;
            }
            known.attempts
        };
        let _one_at_a_time = slot.refreshing.lock().await;
        {
            let known = lock(&slot.known);
            if let Some(answer) = known.answer(client.now()) {
                return answer;
            }
            if let Some(failure) = known.failure.as_ref().filter(|_| known.attempts != seen) {
                return Err(failure.error.clone());
            }
        }
        let result = self.request(client, kind, installation, priority).await;
        self.learn(client, &slot, kind, installation, result)
    }

    /// Drops this token, after GitHub refused it; a newer one stays.
    pub(crate) fn drop_token(&self, installation: InstallationId, refused: &SecretString) {
        let slot = lock(&self.slots).get(&installation).map(Arc::clone);
        if let Some(slot) = slot {
            let mut known = lock(&slot.known);
            let same = known
                .token
                .as_ref()
                .is_some_and(|(token, _)| token.expose_secret() == refused.expose_secret());
            if same {
                known.token = None;
            }
        }
    }

    /// How asking for the installation's token fails; `None` when the last answer was a token.
    pub(crate) fn failing(&self, installation: InstallationId) -> Option<Failing> {
        let slot = Arc::clone(lock(&self.slots).get(&installation)?);
        let known = lock(&slot.known);
        known.failure.as_ref().map(|failure| Failing {
            since: failure.since,
            gone_since: failure.gone_since,
            retry_at: failure.retry_at,
        })
    }

    /// Until when the App's own limit keeps the installation without a token; `None` while it has one.
    pub(crate) fn limited_until(&self, installation: InstallationId, now: Timestamp) -> Option<Timestamp> {
        let slot = Arc::clone(lock(&self.slots).get(&installation)?);
        let known = lock(&slot.known);
        let until = known.limited_until.filter(|until| now < *until)?;
        known.token(now).is_none().then_some(until)
    }

    /// Forgets how asking failed, if it was last asked for before the installation returned.
    pub(crate) fn returned(&self, installation: InstallationId, returned_at: Timestamp) {
        let slot = lock(&self.slots).get(&installation).map(Arc::clone);
        if let Some(slot) = slot {
            lock(&slot.known).failure.take_if(|failure| failure.tried_at <= returned_at);
        }
    }

    fn of(&self, kind: EntityKind) -> Result<&(AppId, AppSigner), ApiError> {
        self.apps
            .get(&kind)
            .ok_or_else(|| ApiError::NoApp(format!("github.apps has no App of kind {kind}; add one")))
    }

    async fn request(
        &self,
        client: &Client,
        kind: EntityKind,
        installation: InstallationId,
        priority: Priority,
    ) -> Result<AccessToken, ApiError> {
        let bearer = self.app(kind, client.now())?;
        let segments = ["app", "installations", &installation.to_string(), "access_tokens"];
        let call = Call {
            method: Method::POST,
            endpoint: Endpoint::AccessToken,
            address: client.address(&segments, &[]),
            body: None,
            payer: Payer::App(kind),
            priority,
        };
        client.send(&call, &bearer).await?.read()
    }

    fn learn(
        &self,
        client: &Client,
        slot: &Slot,
        kind: EntityKind,
        installation: InstallationId,
        result: Result<AccessToken, ApiError>,
    ) -> Result<SecretString, ApiError> {
        let now = client.now();
        let mut known = lock(&slot.known);
        known.attempts += 1;
        let error = match result {
            Ok(AccessToken { token, expires_at }) => {
                let until = expires_at.checked_sub(RENEW_BEFORE).unwrap_or(now);
                known.token = Some((token.clone(), until));
                known.failure = None;
                known.limited_until = None;
                return Ok(token);
            }
            Err(error @ ApiError::Limited { until }) => {
                known.limited_until = Some(until);
                return Err(error);
            }
            Err(error @ ApiError::BudgetSpent { .. }) => return Err(error),
            Err(error) => error,
        };
        if error.is_status(401) {
            self.forget_app(kind);
        }
        let failure = Failure::after(known.failure.as_ref(), error.clone(), now);
        let (outcome, told) = (failure.error.clone(), failure.noting.tells_this);
        known.failure = Some(failure);
        drop(known);
        if let Ok((app, _)) = self.of(kind)
            && told
        {
            let (app, status, message) = (*app, error.status(), error.to_string());
            let failure = AuthFailure { installation, app, kind, status, message, at: now };
            client.observer.auth_failed(&failure);
        }
        Err(outcome)
    }
}

impl Known {
    fn token(&self, now: Timestamp) -> Option<&SecretString> {
        self.token.as_ref().filter(|(_, until)| now < *until).map(|(token, _)| token)
    }

    /// What is known without asking: a token, or that none will be given for now.
    fn answer(&self, now: Timestamp) -> Option<Result<SecretString, ApiError>> {
        if let Some(token) = self.token(now) {
            return Some(Ok(token.clone()));
        }
        let failure = self.failure.as_ref()?;
        failure.retry_at.filter(|at| now < *at).map(|_| Err(failure.error.clone()))
    }
}

impl Failure {
    /// A refusal waits longer each time; a passing failure is retried by the next cycle.
    fn after(previous: Option<&Self>, error: ApiError, now: Timestamp) -> Self {
        let since = previous.map_or(now, |failure| failure.since);
        let before = previous.map_or(0, |failure| failure.refusals);
        let gone_before = previous.and_then(|failure| failure.gone_since);
        let noting = previous.map(|failure| failure.noting);
        if error.is_passing() {
            // The first after a refusal is news, too.
            let noting = Noting::of_passing(noting.filter(|_| previous.is_some_and(Self::passes)), now);
            let error = ApiError::Auth { retry_at: None, source: Arc::new(error) };
            return Self {
                since,
                tried_at: now,
                gone_since: gone_before,
                refusals: before,
                retry_at: None,
                noting,
                error,
            };
        }
        let noting = Noting { told: 0, next: now, tells_this: true };
        let gone_since = error.is_status(404).then(|| gone_before.unwrap_or(now));
        let refusals = before.saturating_add(1);
        let retry_at = backoff::add(now, backoff::doubling(FIRST_WAIT, LONGEST_WAIT, refusals));
        let error = if error.is_status(404) {
            ApiError::InstallationGone { retry_at }
        } else {
            ApiError::Auth { retry_at: Some(retry_at), source: Arc::new(error) }
        };
        Self { since, tried_at: now, gone_since, refusals, retry_at: Some(retry_at), noting, error }
    }

    const fn passes(&self) -> bool {
        self.retry_at.is_none()
    }
}

impl Noting {
    fn of_passing(previous: Option<Self>, now: Timestamp) -> Self {
        match previous {
            Some(waiting) if now < waiting.next => Self { tells_this: false, ..waiting },
            Some(_) | None => {
                let told = previous.map_or(0, |noting| noting.told).saturating_add(1);
                let next = backoff::add(now, backoff::doubling(FIRST_WAIT, LONGEST_WAIT, told));
                Self { told, next, tells_this: true }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + second).unwrap()
    }

    fn status(status: u16) -> ApiError {
        ApiError::Status { status, message: String::new() }
    }

    /// The seconds of an hour at which a failure on every fifth second is told.
    fn told(mut answer: impl FnMut(i64) -> u16) -> Vec<i64> {
        let (mut failure, mut told) = (None, Vec::new());
        for second in (0..3600).step_by(5) {
            let next = Failure::after(failure.as_ref(), status(answer(second)), at(second));
            if next.noting.tells_this {
                told.push(second);
            }
            failure = Some(next);
        }
        told
    }

    #[test]
    fn an_outage_is_told_ever_more_seldom() {
        assert_eq!(told(|_| 502), [0, 30, 90, 210, 450, 930, 1830, 2730]);
    }

    #[test]
    fn a_refusal_in_an_outage_and_the_outage_after_it_are_told() {
        assert_eq!(told(|second| if second == 40 { 404 } else { 502 })[..5], [0, 30, 40, 45, 75]);
    }
}
