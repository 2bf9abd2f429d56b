//! Watches: one JSON line per change, from a version on, until the time is over or somebody cuts them.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use super::{
    Cut, Shared,
    address::Kind,
    locked,
    objects::{event, typed},
    selector::Selector,
};

/// The annotation of the bookmark that ends the objects a watch began with.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// What a watch is asked for.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) kind: &'static Kind,
    pub(super) selector: Selector,
    /// Changes after this version; 0 begins with everything there is.
    pub(super) version: u64,
    pub(super) bookmarks: bool,
    pub(super) initial_events: bool,
    pub(super) timeout: Duration,
}

struct Watching {
    shared: Arc<Shared>,
    order: Order,
    ready: VecDeque<Value>,
    version: watch::Receiver<u64>,
    cut: watch::Receiver<Cut>,
    deadline: Instant,
    over: bool,
}

/// The stream of one watch.
pub(super) fn lines(shared: Arc<Shared>, order: Order) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (version, cut) = (shared.version.subscribe(), shared.cut.subscribe());
    let deadline = Instant::now() + order.timeout;
    let mut watching =
        Watching { shared, order, ready: VecDeque::new(), version, cut, deadline, over: false };
    watching.begin();
    stream::unfold(watching, |mut watching| async move {
        let line = watching.next().await?;
        Some((line, watching))
    })
}

impl Watching {
    /// A watch from no version in particular begins with what there is.
    fn begin(&mut self) {
        if self.order.version > 0 && !self.order.initial_events {
            return;
        }
        let world = locked(&self.shared.world);
        for object in world.list(self.order.kind, &self.order.selector) {
            self.ready.push_back(event("ADDED", &typed(self.order.kind, &object)));
        }
        self.order.version = world.version();
        drop(world);
        if self.order.initial_events && self.order.bookmarks {
            let bookmark = self.bookmark(&json!({ INITIAL_EVENTS_END: "true" }));
            self.ready.push_back(bookmark);
        }
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(Bytes::from(format!("{line}\n"))));
            }
            if self.over {
                return None;
            }
            self.version.borrow_and_update();
            self.collect();
            if !self.ready.is_empty() || self.over {
                continue;
            }
            tokio::select! {
                changed = self.version.changed() => self.over |= changed.is_err(),
                _ = self.cut.changed() => {
                    let how = *self.cut.borrow_and_update();
                    self.over = true;
                    match how {
                        Cut::Ended => self.end(),
                        Cut::Off => {
                            let kind = io::ErrorKind::ConnectionReset;
                            return Some(Err(io::Error::new(kind, "the watch was cut off")));
                        }
                    }
                }
                () = tokio::time::sleep_until(self.deadline) => self.end(),
            }
        }
    }

    fn end(&mut self) {
        self.over = true;
        if self.order.bookmarks {
            let bookmark = self.bookmark(&json!({}));
            self.ready.push_back(bookmark);
        }
    }

    fn collect(&mut self) {
        let world = locked(&self.shared.world);
        match world.since(self.order.version, self.order.kind, &self.order.selector) {
            Ok(events) => {
                self.ready.extend(events);
                self.order.version = world.version();
            }
            Err(refusal) => {
                self.ready.push_back(event("ERROR", &refusal.status()));
                self.over = true;
            }
        }
    }

    fn bookmark(&self, annotations: &Value) -> Value {
        let metadata =
            json!({ "resourceVersion": self.order.version.to_string(), "annotations": annotations });
        event("BOOKMARK", &json!({ "kind": self.order.kind.kind, "apiVersion": "v1", "metadata": metadata }))
    }
}
