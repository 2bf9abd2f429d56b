//! Authenticated requests: the token of the App or of an installation on one side, listings read to their end
//! on the other. It does not know what is requested.

use reqwest::Method;
use riscv_runner_core::{entity::EntityKind, ids::InstallationId};
use serde::de::DeserializeOwned;

use crate::{
    client::{Answer, ApiError, Call, Client, Endpoint, PER_PAGE, Payer, Priority, max_pages},
    tokens::Tokens,
};

/// The identity of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name {
    /// The App of this kind itself.
    App(EntityKind),
    /// An installation of the App of this kind.
    Installation(EntityKind, InstallationId),
}

/// A request and its identity.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) name: Name,
    pub(crate) priority: Priority,
    pub(crate) method: Method,
    pub(crate) endpoint: Endpoint,
    pub(crate) segments: &'a [&'a str],
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<serde_json::Value>,
}

impl<'a> Ask<'a> {
    /// A `GET` without a query.
    pub(crate) const fn get(
        name: Name,
        priority: Priority,
        endpoint: Endpoint,
        segments: &'a [&'a str],
    ) -> Self {
        Self { name, priority, method: Method::GET, endpoint, segments, query: &[], body: None }
    }
}

/// Whether a listing is read on.
pub(crate) enum Reading {
    /// The next page is wanted.
    On,
    /// What was sought has been found.
    Enough,
}

/// GitHub's API with our credentials.
pub(crate) struct Api {
    pub(crate) client: Client,
    pub(crate) tokens: Tokens,
}

impl Api {
    /// Makes one request.
    pub(crate) async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, ApiError> {
        self.call(ask.name, &self.prepare(ask, ask.query)).await
    }

    /// Makes one request and reads its answer.
    pub(crate) async fn read<T: DeserializeOwned>(&self, ask: &Ask<'_>) -> Result<T, ApiError> {
        self.ask(ask).await?.read()
    }

    /// Reads a listing page by page, until its end or until `take` has enough.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        ask: &Ask<'_>,
        mut take: impl FnMut(T) -> Reading + Send,
    ) -> Result<(), ApiError> {
        let query: Vec<_> = ask.query.iter().copied().chain([("per_page", PER_PAGE)]).collect();
        let mut call = self.prepare(ask, &query);
        for _ in 0..max_pages() {
            let answer = self.call(ask.name, &call).await?;
            if let Reading::Enough = take(answer.read()?) {
                return Ok(());
            }
            match self.client.next_page(&call, &answer)? {
                Some(next) => call = next,
                None => return Ok(()),
            }
        }
        Err(ApiError::Answer { path: "Link".into(), problem: "the listing does not end".into() })
    }

    fn prepare(&self, ask: &Ask<'_>, query: &[(&str, &str)]) -> Call {
        Call {
            method: ask.method.clone(),
            endpoint: ask.endpoint,
            address: self.client.address(ask.segments, query),
            body: ask.body.clone(),
            payer: match ask.name {
                Name::App(kind) => Payer::App(kind),
                Name::Installation(_, installation) => Payer::Installation(installation),
            },
            priority: ask.priority,
        }
    }

    async fn call(&self, name: Name, call: &Call) -> Result<Answer, ApiError> {
        match name {
            Name::App(kind) => {
                let result = self.client.send(call, &self.tokens.app(kind, self.client.now())?).await;
                if result.as_ref().is_err_and(|error| error.is_status(401)) {
                    self.tokens.forget_app(kind);
                }
                result
            }
            Name::Installation(kind, installation) => {
                let token = self.token(kind, installation, call.priority).await?;
                match self.client.send(call, &token).await {
                    Err(error) if error.is_status(401) => {
                        self.tokens.drop_token(installation, &token);
                        let token = self.token(kind, installation, call.priority).await?;
                        self.client.send(call, &token).await
                    }
                    result => result,
                }
            }
        }
    }

    async fn token(
        &self,
        kind: EntityKind,
        installation: InstallationId,
        priority: Priority,
    ) -> Result<secrecy::SecretString, ApiError> {
        self.tokens.installation(&self.client, kind, installation, priority).await
    }
}
