//! `rrctl pin` and `rrctl unpin`: rows that retention keeps, whatever their age.

use riscv_runner_core::{
    ids::IdError,
    ports::RetentionStore,
    retention::{Keepsake, Kept},
};
use serde::Serialize;

use crate::{
    args::pin::{Pin, PinKind},
    config::{self, Need, Sources},
    failure::Failure,
    printer::Printer,
    wire,
};

#[derive(Serialize)]
struct Answer {
    changed: bool,
    kind: &'static str,
    name: String,
    pinned: bool,
}

/// Runs `rrctl pin`, or `rrctl unpin` without `keep`.
pub(crate) async fn run(pin: Pin, keep: bool, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let row = row(pin.kind, &pin.name).map_err(|error| Failure::usage(error.to_string()))?;
    let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let changed = match store.keep(&row, keep).await? {
        Kept::Changed => true,
        Kept::Already => false,
        Kept::NoSuchRow => {
            return Err(Failure::failed(format!("there is no {row}")).hint(where_to_look(pin.kind)));
        }
    };
    let answer = Answer { changed, kind: kind(pin.kind), name: pin.name, pinned: keep };
    printer.data(pin.output.format, &answer, || {
        let already = if changed { "" } else { " already" };
        printer.line(&if keep {
            format!("{row} is{already} pinned: retention keeps it whatever its age")
        } else {
            format!("{row} is{already} unpinned: retention removes it by its age")
        })
    })
}

fn row(kind: PinKind, name: &str) -> Result<Keepsake, IdError> {
    Ok(match kind {
        PinKind::Job => Keepsake::Job(name.parse()?),
        PinKind::Worker => Keepsake::Worker(name.parse()?),
        PinKind::Event => Keepsake::Event(name.parse()?),
    })
}

const fn kind(kind: PinKind) -> &'static str {
    match kind {
        PinKind::Job => "job",
        PinKind::Worker => "worker",
        PinKind::Event => "event",
    }
}

const fn where_to_look(kind: PinKind) -> &'static str {
    match kind {
        PinKind::Job => "`rrctl jobs` lists them; GitHub's job id, not the run's",
        PinKind::Worker => "`rrctl workers` lists them",
        PinKind::Event => "`rrctl deliveries list` lists them",
    }
}
