//! Server-sent events: one rendering for all viewers of the same thing, sent to each as it changes.
//!
//! Connections are bounded, kept alive by comments, and closed when the process stops: a stream that
//! never ends would hold up its shutdown.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::{future::BoxFuture, stream};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::{state::AppState, views::Reader};

/// Proxies close connections that are silent for a minute, some sooner.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A comment of the event stream: the client ignores it.
const STILL_HERE: Bytes = Bytes::from_static(b": still here\n\n");
/// How long a client whose connection broke waits before it comes again.
const RETRY: Bytes = Bytes::from_static(b"retry: 5000\n\n");

/// Viewers who see the same: readers with the same rights, below the same path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Audience {
    /// What they may see.
    pub(crate) reader: Reader,
    /// Where the host nested the router; links begin with it.
    pub(crate) base: String,
}

/// The result of one poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    /// Compared with the previous poll.
    pub(crate) content: String,
    /// Changes with every poll and is not worth an event of its own.
    pub(crate) as_of: String,
}

/// Polls again, or says why it cannot.
pub(crate) type Looking = Box<dyn Fn(AppState, Audience) -> BoxFuture<'static, Result<Look, String>> + Send>;

/// All viewers.
pub(crate) struct Live {
    feeds: Mutex<BTreeMap<Audience, Feed>>,
    places: Arc<Semaphore>,
    ended: watch::Sender<bool>,
    every: Duration,
}

type Feed = Arc<watch::Sender<Bytes>>;

/// One connection: dropping it frees its place.
struct Watching {
    feed: watch::Receiver<Bytes>,
    ended: watch::Receiver<bool>,
    greeted: bool,
    _place: OwnedSemaphorePermit,
}

impl Live {
    /// Without viewers; at most `places` at the same time, whose contents are polled every `every`.
    pub(crate) fn new(places: usize, every: Duration) -> Self {
        Self {
            feeds: Mutex::default(),
            places: Arc::new(Semaphore::new(places)),
            ended: watch::Sender::new(false),
            every,
        }
    }

    /// Ends every stream and accepts no further viewers.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Adds a viewer; `None` when every place is taken or the process is stopping.
    pub(crate) fn watch(&self, state: &AppState, audience: Audience, look: Looking) -> Option<Response> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        if *self.ended.borrow() {
            return None;
        }
        let mut feeds = self.lock();
        let feed = if let Some(feed) = feeds.get(&audience) {
            feed.subscribe()
        } else {
            let (sender, receiver) = watch::channel(Bytes::new());
            let sender = Arc::new(sender);
            feeds.insert(audience.clone(), Arc::clone(&sender));
            tokio::spawn(keep_looking(state.clone(), audience, sender, look));
            receiver
        };
        drop(feeds);
        let watching = Watching { feed, ended: self.ended.subscribe(), greeted: false, _place: place };
        let stream = stream::unfold(watching, |mut watching| async move {
            let chunk = watching.next().await?;
            Some((Ok::<_, Infallible>(chunk), watching))
        });
        let mut response = Response::new(Body::from_stream(stream));
        *response.status_mut() = StatusCode::OK;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        // nginx holds answers back to fill its buffers unless it is told not to.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Some(response)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Audience, Feed>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the feed was given up because it has no viewers. Checked under the lock, so that nobody joins
    /// a feed that ends.
    fn gave_up(&self, audience: &Audience, feed: &Feed) -> bool {
        let mut feeds = self.lock();
        let deserted = feed.receiver_count() == 0;
        if deserted {
            feeds.remove(audience);
        }
        deserted
    }
}

impl Watching {
    /// The next piece of the stream; `None` ends it.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            let now = self.feed.borrow_and_update().clone();
            return Some(Bytes::from([RETRY, now].concat()));
        }
        tokio::select! {
            changed = self.feed.changed() => {
                changed.ok()?;
                Some(self.feed.borrow_and_update().clone())
            }
            _ = self.ended.wait_for(|ended| *ended) => None,
            () = tokio::time::sleep(HEARTBEAT) => Some(STILL_HERE),
        }
    }
}

/// Polls repeatedly, for as long as there are viewers.
async fn keep_looking(state: AppState, audience: Audience, feed: Feed, look: Looking) {
    let live = &state.0.live;
    let mut ended = live.ended.subscribe();
    let mut last = None;
    while !live.gave_up(&audience, &feed) && !*ended.borrow_and_update() {
        let seen = look(state.clone(), audience.clone()).await;
        let content = seen.as_ref().map(|look| look.content.clone());
        if last.as_ref() != Some(&content.map_err(Clone::clone)) {
            feed.send_replace(match &seen {
                Ok(look) => event("overview", &format!("{}{}", look.content, look.as_of)),
                Err(problem) => event("unavailable", problem),
            });
        }
        last = Some(seen.map(|look| look.content));
        tokio::select! {
            () = tokio::time::sleep(live.every) => {}
            _ = ended.changed() => {}
        }
    }
}

/// An event of the stream. A line break would end the event, so each line gets a field of its own.
fn event(name: &str, data: &str) -> Bytes {
    let mut text = format!("event: {name}\n");
    for line in data.replace("\r\n", "\n").split(['\n', '\r']) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "data: {line}");
    }
    text.push('\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_the_data_does_not_end_the_event() {
        let bytes = event("overview", "a\n\nevent: forged\r\rb\r\nc");
        let text = std::str::from_utf8(&bytes).unwrap();
        assert_eq!(
            text,
            "event: overview\ndata: a\ndata: \ndata: event: forged\ndata: \ndata: b\ndata: c\n\n"
        );
    }
}
