//! `rrctl deliveries`: the log of deliveries, GitHub's and ours.

mod list;
mod redeliver;
mod replay;

use crate::{args::deliveries::Deliveries, config::Sources, failure::Failure, printer::Printer};

/// Runs `rrctl deliveries`.
pub(crate) async fn run(command: Deliveries, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    match command {
        Deliveries::List(list) if list.github => Box::pin(list::of_github(&list, sources, printer)).await,
        Deliveries::List(list) => list::of_store(&list, sources, printer).await,
        Deliveries::Redeliver(wish) => Box::pin(redeliver::run(&wish, sources, printer)).await,
        Deliveries::Replay(wish) => replay::run(&wish, sources, printer).await,
    }
}
