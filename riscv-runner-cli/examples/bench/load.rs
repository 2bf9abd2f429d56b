//! Load on `POST /`: as fast as the answers come, or at a given rate.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{Outcome, figures::Sorted, http::Connection, payload::Deliveries};

/// How load is put on.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// Each connection sends the next delivery when the last one is answered.
    AsFastAsAnswered,
    /// So many deliveries a second over all connections, whatever the answers do; what is late counts
    /// from when it was due.
    PerSecond(f64),
}

/// What came of it.
pub(crate) struct Measured {
    /// Deliveries answered per second.
    pub(crate) per_second: f64,
    /// From when each was due until its answer.
    pub(crate) latencies: Sorted,
}

/// Puts load on for a while; every delivery is of a job of its own, numbered by `next`.
pub(crate) async fn put(
    address: SocketAddr,
    deliveries: &Deliveries,
    next: &Arc<AtomicU64>,
    connections: u32,
    pace: Pace,
    time: Duration,
) -> Outcome<Measured> {
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for n in 0..connections {
        let sender = Sender {
            connection: Connection::open(address).await?,
            deliveries: deliveries.clone(),
            next: Arc::clone(next),
        };
        let schedule = match pace {
            Pace::AsFastAsAnswered => None,
            Pace::PerSecond(rate) => {
                let gap = Duration::from_secs_f64(f64::from(connections) / rate);
                Some((begun + gap.mul_f64(f64::from(n) / f64::from(connections)), gap))
            }
        };
        tasks.spawn(sender.send(begun + time, schedule));
    }
    let mut latencies = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        latencies.extend(ended??);
    }
    let per_second = latencies.len() as f64 / begun.elapsed().as_secs_f64();
    Ok(Measured { per_second, latencies: Sorted::new(latencies) })
}

struct Sender {
    connection: Connection,
    deliveries: Deliveries,
    next: Arc<AtomicU64>,
}

impl Sender {
    async fn send(mut self, until: Instant, schedule: Option<(Instant, Duration)>) -> Outcome<Vec<Duration>> {
        let mut latencies = Vec::new();
        let mut request = Vec::with_capacity(32 * 1024);
        let mut due = schedule.map(|(first, _)| first);
        loop {
            self.deliveries.request(self.next.fetch_add(1, Ordering::Relaxed), &mut request);
            if let Some(due) = due {
                tokio::time::sleep_until(due.into()).await;
            }
            let from = due.unwrap_or_else(Instant::now);
            if from >= until {
                return Ok(latencies);
            }
            let (status, body) = self.connection.exchange(&request).await?;
            latencies.push(from.elapsed());
            if status != 200 || !contains(&body, b"job_stored") {
                return Err(
                    format!("a delivery was answered {status}: {}", String::from_utf8_lossy(&body)).into()
                );
            }
            due = due.zip(schedule).map(|(due, (_, gap))| due + gap);
        }
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}
