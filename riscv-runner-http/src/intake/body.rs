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
/// How long the rest of a body that is too large is read, so that its sender comes to read the answer.
const DRAINED: Duration = Duration::from_secs(1);

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
        mut body: Body,
        limit: usize,
        time: Duration,
    ) -> Result<Held, Refusal> {
        let read = self.read_within(headers, &mut body, limit, time).await;
        if matches!(read, Err(Refusal::TooLarge { .. })) {
            drain(body, limit).await;
        }
        read
    }

    async fn read_within(
        &self,
        headers: &HeaderMap,
        body: &mut Body,
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

    async fn collect(&self, body: &mut Body, mut bytes: BytesMut, limit: usize) -> Result<Held, Refusal> {
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

/// Drops as much again as is allowed, for a while: a connection that is closed while its other end writes loses
/// the answer.
async fn drain(mut body: Body, limit: usize) {
    let dropping = async {
        let mut left = limit;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // A sender that goes on for longer has been offered its answer.
    let _ = tokio::time::timeout(DRAINED, dropping).await;
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};

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

    #[tokio::test(start_paused = true)]
    async fn an_announced_excess_is_refused_whether_or_not_it_comes() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, 11.into());
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let refused = BodyBudget::new(1000).read(&headers, never, 10, Duration::MAX).await;
        assert!(matches!(refused, Err(Refusal::TooLarge { .. })));
    }

    #[tokio::test]
    async fn the_rest_of_a_body_that_is_too_large_is_read_within_bounds() {
        let budget = BodyBudget::new(1000);
        for (sizes, expected) in [([6, 6, 8, 2], 4), ([6, 6, 11, 1], 3), ([6, 26, 4, 4], 4)] {
            let seen = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let counted = Arc::clone(&seen);
            let body = Body::from_stream(stream::iter(sizes).map(move |size: usize| {
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; size]))
            }));
            assert!(matches!(read(&budget, body, 10).await, Err(Refusal::TooLarge { limit: 10 })));
            assert_eq!(seen.load(std::sync::atomic::Ordering::Relaxed), expected, "{sizes:?}");
        }
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
