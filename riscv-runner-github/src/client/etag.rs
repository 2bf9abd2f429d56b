//! Answers that GitHub need not send again: bodies by address, for `If-None-Match`.
//!
//! Bounded by memory; a lost entry costs one request of the budget and nothing else.

use bytes::Bytes;
use moka::sync::Cache;
use reqwest::{Url, header::HeaderValue};

use super::Payer;

/// Enough for the listings of some thousand scopes.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// An answer that is still valid as long as GitHub answers 304.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) etag: HeaderValue,
    pub(super) body: Bytes,
    pub(super) next: Option<Url>,
}

/// Known answers. What one installation saw is never shown to another.
#[derive(Debug)]
pub(super) struct Etags(Cache<(Payer, String), Known>);

impl Etags {
    pub(super) fn new() -> Self {
        let weigh = |(_, address): &(Payer, String), known: &Known| {
            u32::try_from(address.len() + known.body.len() + 256).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).build())
    }

    pub(super) fn get(&self, payer: Payer, address: &Url) -> Option<Known> {
        self.0.get(&(payer, address.as_str().to_owned()))
    }

    pub(super) fn put(&self, payer: Payer, address: &Url, known: Known) {
        self.0.insert((payer, address.as_str().to_owned()), known);
    }
}
