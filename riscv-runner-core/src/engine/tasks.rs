//! Work that outlives the cycle that began it: driven beside the loops, in the same future.

use futures::{
    StreamExt,
    future::{BoxFuture, Either, select},
    stream::FuturesUnordered,
};
use tokio::sync::{Mutex, mpsc, watch};

/// Tasks in flight.
pub(super) struct Tasks {
    sender: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
    receiver: Mutex<mpsc::UnboundedReceiver<BoxFuture<'static, ()>>>,
}

impl Default for Tasks {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { sender, receiver: Mutex::new(receiver) }
    }
}

impl Tasks {
    /// Begins a task. It runs while [`Tasks::drive`] does.
    pub(super) fn begin(&self, task: BoxFuture<'static, ()>) {
        // The receiver lives as long as `self`, so this cannot fail.
        let _ = self.sender.send(task);
    }

    /// Drives all tasks; after `stopping` it ends once none is left.
    pub(super) async fn drive(&self, mut stopping: watch::Receiver<bool>) {
        let mut receiver = self.receiver.lock().await;
        let mut running = FuturesUnordered::new();
        while !*stopping.borrow_and_update() {
            let arrival = Box::pin(receiver.recv());
            let stop = Box::pin(stopping.changed());
            let done = async {
                if running.next().await.is_none() {
                    std::future::pending::<()>().await;
                }
            };
            match select(select(arrival, stop), Box::pin(done)).await {
                Either::Left((Either::Left((Some(task), _)), _)) => running.push(task),
                Either::Left(_) | Either::Right(_) => {}
            }
        }
        while let Ok(task) = receiver.try_recv() {
            running.push(task);
        }
        while running.next().await.is_some() {
            while let Ok(task) = receiver.try_recv() {
                running.push(task);
            }
        }
    }
}
