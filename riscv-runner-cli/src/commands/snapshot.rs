//! `rrctl snapshot`: what the planner sees, and the policy that it follows, as JSON.

use std::{io::Read, path::Path};

use riscv_runner_core::{policy::Policy, snapshot::Snapshot};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    config::{self, Need, Sources},
    failure::Failure,
    printer::Printer,
    wire,
};

/// What is written: enough to plan again anywhere.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    snapshot: &'a Snapshot,
    policy: &'a Policy,
}

/// The part of it that older versions did not write.
#[derive(Deserialize)]
struct WrittenPolicy {
    policy: Option<Policy>,
}

/// Runs `rrctl snapshot`. It holds names of repositories and accounts, and no secret.
pub(crate) async fn run(sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    let engine = wire::observer(&config).await?;
    printer.json(&Written { snapshot: &engine.snapshot().await?, policy: &config.policy })
}

/// Reads a snapshot, from a file or from standard input, and the policy that it was taken under.
pub(crate) fn read(path: &Path) -> Result<(Snapshot, Option<Policy>), Failure> {
    let name = path.display();
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    read.map_err(|error| Failure::Usage {
        what: format!("--snapshot {name}: cannot be read: {error}"),
        hint: Some("`rrctl snapshot > FILE` writes one".to_owned()),
    })?;
    // Parsed twice, for a flattened value cannot say where in the file its fault is.
    let WrittenPolicy { policy } = parse(path, &text)?;
    Ok((parse(path, &text)?, policy))
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = error.path().to_string();
        let inner = error.into_inner();
        Failure::Usage {
            what: format!("--snapshot {}:{}: {place}: {inner}", path.display(), inner.line()),
            hint: Some("`rrctl snapshot` of the same version writes one".to_owned()),
        }
    })
}
