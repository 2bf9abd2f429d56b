//! GitHub's limits: requests per hour and registrations per minute, each for one installation alone.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use riscv_runner_core::{backoff::add, ids::InstallationId};

/// What GitHub grants an installation per hour, at least.
const REQUESTS_PER_HOUR: u32 = 5_000;
/// About what the secondary limit allows: 900 points per minute at 5 points each.
const MINTS_PER_MINUTE: u32 = 180;

/// How many entries a page of a listing holds.
const PER_PAGE: usize = 100;

/// How many requests it takes to read so many entries.
pub(crate) fn pages(entries: usize) -> u32 {
    u32::try_from(entries.div_ceil(PER_PAGE).max(1)).unwrap_or(u32::MAX)
}

/// What each installation has used.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    used: BTreeMap<InstallationId, Used>,
    /// Requests of all installations since the beginning.
    pub(crate) requests: u64,
    /// How many of them asked for a registration.
    pub(crate) mints: u64,
}

#[derive(Debug, Default)]
struct Used {
    requests: Window,
    mints: Window,
    closed_until: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Window {
    ends: Option<Timestamp>,
    count: u32,
}

impl Window {
    /// Counts one more; the time when it will be allowed, if it is not now.
    fn take(&mut self, now: Timestamp, length: Duration, limit: u32) -> Result<(), Timestamp> {
        let ends = match self.ends {
            Some(ends) if now < ends => ends,
            Some(_) | None => {
                self.count = 0;
                add(now, length)
            }
        };
        self.ends = Some(ends);
        if self.count >= limit {
            return Err(ends);
        }
        self.count += 1;
        Ok(())
    }
}

impl Limits {
    /// Counts a request; the time when to ask again, if it is refused.
    pub(crate) fn request(&mut self, installation: InstallationId, now: Timestamp) -> Result<(), Timestamp> {
        self.requests += 1;
        let used = self.used.entry(installation).or_default();
        match used.closed_until {
            Some(until) if now < until => Err(until),
            Some(_) | None => used.requests.take(now, Duration::from_secs(3600), REQUESTS_PER_HOUR),
        }
    }

    /// Counts further requests that an operation needs beside its first.
    pub(crate) fn further(&mut self, installation: InstallationId, requests: u32) {
        self.requests += u64::from(requests);
        let used = self.used.entry(installation).or_default();
        used.requests.count = used.requests.count.saturating_add(requests);
    }

    /// Counts requests of an App in its own name: none of an installation's budget.
    pub(crate) fn of_app(&mut self, requests: u32) {
        self.requests += u64::from(requests);
    }

    /// Counts a registration, which is a request too.
    pub(crate) fn mint(&mut self, installation: InstallationId, now: Timestamp) -> Result<(), Timestamp> {
        self.mints += 1;
        self.request(installation, now)?;
        let used = self.used.entry(installation).or_default();
        used.mints.take(now, Duration::from_secs(60), MINTS_PER_MINUTE)
    }

    /// Refuses everything of an installation until then.
    pub(crate) fn close(&mut self, installation: InstallationId, until: Timestamp) {
        self.used.entry(installation).or_default().closed_until = Some(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_are_limited_per_minute_and_installation() {
        let (mut limits, now) = (Limits::default(), Timestamp::UNIX_EPOCH);
        let (one, other) = (InstallationId::new(1).unwrap(), InstallationId::new(2).unwrap());
        for _ in 0..MINTS_PER_MINUTE {
            limits.mint(one, now).unwrap();
        }
        let until = limits.mint(one, now).unwrap_err();
        assert_eq!(until, add(now, Duration::from_secs(60)));
        limits.mint(other, now).unwrap();
        limits.mint(one, until).unwrap();
    }

    #[test]
    fn a_closed_installation_opens_again() {
        let (mut limits, now) = (Limits::default(), Timestamp::UNIX_EPOCH);
        let one = InstallationId::new(1).unwrap();
        let until = add(now, Duration::from_secs(5));
        limits.close(one, until);
        assert_eq!(limits.request(one, now), Err(until));
        assert_eq!(limits.request(one, until), Ok(()));
    }
}
