//! Reading a body that anyone may send: bounded in size, in time, and over all requests together.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header::CONTENT_LENGTH};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::Refusal;

/// Up to this many bytes are allocated on the word of a header; few deliveries are larger.
const TRUSTED: usize = 64 * 1024;

/// How many bytes of unfinished bodies are held at a time: their senders need not be GitHub.
#[derive(Debug, Clone)]
pub(super) struct BodyBudget(Arc<Semaphore>);

/// A whole body; its share of the budget is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

impl BodyBudget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// Reads a body of at most `limit` bytes within `time`.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        limit: usize,
        time: Duration,
    ) -> Result<Held, Refusal> {
        let announced =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(Refusal::TooLarge { limit });
        }
        let expected = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        let bytes = BytesMut::with_capacity(expected.min(TRUSTED));
        tokio::time::timeout(time, self.collect(body, bytes, limit))
            .await
            .unwrap_or(Err(Refusal::Slow { seconds: time.as_secs() }))
    }

    async fn collect(&self, mut body: Body, mut bytes: BytesMut, limit: usize) -> Result<Held, Refusal> {
        let mut share: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            // The connection broke, so nobody reads this answer.
            let frame = frame.map_err(|_| Refusal::invalid("body", "the body ended early"))?;
            let Ok(chunk) = frame.into_data() else { continue };
            if bytes.len() + chunk.len() > limit {
                return Err(Refusal::TooLarge { limit });
            }
            let taken = u32::try_from(chunk.len())
                .ok()
                .and_then(|n| Arc::clone(&self.0).try_acquire_many_owned(n).ok());
            let taken = taken.ok_or(Refusal::Unavailable { what: "too many bodies are being received" })?;
            match &mut share {
                Some(share) => share.merge(taken),
                None => share = Some(taken),
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Held { bytes: bytes.freeze(), _share: share })
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn chunks(sizes: &[usize]) -> Body {
        let chunks: Vec<_> =
            sizes.iter().map(|size| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; *size]))).collect();
        Body::from_stream(stream::iter(chunks))
    }

    async fn read(budget: &BodyBudget, body: Body, limit: usize) -> Result<Held, Refusal> {
        budget.read(&HeaderMap::new(), body, limit, SECOND).await
    }

    #[tokio::test]
    async fn a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        let budget = BodyBudget::new(1000);
        assert_eq!(read(&budget, chunks(&[6, 4]), 10).await.unwrap().bytes.len(), 10);
        assert!(matches!(read(&budget, chunks(&[6, 5]), 10).await, Err(Refusal::TooLarge { limit: 10 })));
    }

    #[tokio::test]
    async fn an_announced_excess_is_refused_without_reading() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, 11.into());
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let refused = BodyBudget::new(1000).read(&headers, never, 10, Duration::MAX).await;
        assert!(matches!(refused, Err(Refusal::TooLarge { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_given_up() {
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let refused = read(&BodyBudget::new(1000), never, 10).await;
        assert!(matches!(refused, Err(Refusal::Slow { seconds: 1 })));
    }

    #[tokio::test]
    async fn the_budget_is_shared_and_comes_back() {
        let budget = BodyBudget::new(10);
        let first = read(&budget, chunks(&[8]), 10).await.unwrap();
        assert!(matches!(read(&budget, chunks(&[1, 3]), 10).await, Err(Refusal::Unavailable { .. })));
        drop(first);
        assert_eq!(read(&budget, chunks(&[8]), 10).await.unwrap().bytes.len(), 8);
    }
}
