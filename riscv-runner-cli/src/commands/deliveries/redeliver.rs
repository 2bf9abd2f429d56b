//! `rrctl deliveries redeliver GUID..`: GitHub delivers again what it still has.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use riscv_runner_core::{
    entity::EntityKind,
    ids::DeliveryGuid,
    ports::{Forge, Platform},
};
use riscv_runner_github::Unobserved;

use crate::{
    args::deliveries::Redeliver,
    config::{self, Need, Sources},
    failure::Failure,
    platform::TokioPlatform,
    printer::Printer,
    wire,
};

/// GitHub keeps deliveries for three days.
const KEPT: Duration = Duration::from_secs(3 * 24 * 3600);

/// Runs `rrctl deliveries redeliver`.
pub(super) async fn run(wish: &Redeliver, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    let forge = wire::forge(&config, Arc::new(Unobserved))?;
    let now = TokioPlatform.now();
    let since = now.checked_sub(KEPT).unwrap_or(now);
    let mut newest: BTreeMap<DeliveryGuid, (EntityKind, i64)> = BTreeMap::new();
    for app in config.github.apps.iter().map(|app| app.kind) {
        for attempt in forge.hook_deliveries(app, since).await? {
            let known = newest.entry(attempt.guid).or_insert((app, attempt.id));
            known.1 = known.1.max(attempt.id);
        }
    }
    let mut failed = 0;
    for guid in &wish.guids {
        let result = match newest.get(guid) {
            Some((app, attempt)) => forge.deliver_again(*app, *attempt).await.map_err(|error| error.chain()),
            None => Err("GitHub's log of the last three days does not have it".to_owned()),
        };
        match result {
            Ok(()) => printer.line(&format!("{guid}: GitHub delivers it again"))?,
            Err(error) => {
                failed += 1;
                printer.error(&format!("{guid}: {error}"));
            }
        }
    }
    if failed == 0 {
        return Ok(());
    }
    let what = format!("{failed} of {} deliveries are not delivered again", wish.guids.len());
    Err(Failure::failed(what)
        .hint("`rrctl deliveries list --github` shows what GitHub has; what our log has can be replayed"))
}
