//! `[limits]`: how many workers may live, how scarce boards are shared, how many are created at a time.

use riscv_runner_core::policy::Limits;

use super::reader::Section;

/// Beyond this the client's connections, not GitHub, are the limit.
const MAX_CONCURRENCY: u32 = 256;

/// Reads `[limits]`.
pub(crate) fn read(section: Section<'_>) -> Limits {
    let usual = Limits::default();
    let concurrency: u32 =
        section.or("provision_concurrency", u32::try_from(usual.provision_concurrency).unwrap_or(16));
    if !(1..=MAX_CONCURRENCY).contains(&concurrency) {
        let problem = format!("must be from 1 to {MAX_CONCURRENCY}, not {concurrency}");
        section.error("provision_concurrency", problem, None);
    }
    let limits = Limits {
        default_max_workers: section.or("default_max_workers", usual.default_max_workers),
        sharing: section.or("policy", usual.sharing),
        provision_concurrency: concurrency.clamp(1, MAX_CONCURRENCY) as usize,
    };
    section.done();
    limits
}
