//! Faults: calls that fail, take their time, or succeed and are reported as failed.

use std::time::Duration;

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing is done; this status and message are answered.
    Refuse {
        /// The status.
        status: u16,
        /// GitHub's message; may be empty.
        message: String,
        /// Further headers: `retry-after`.
        headers: Vec<(&'static str, String)>,
    },
    /// It is done, but this status is answered.
    DoneButReports(u16),
    /// It is done, but the connection ends in the middle of the answer.
    DoneButLost,
    /// The connection ends, and nothing is done.
    Lost,
    /// It takes this much longer.
    Slow(Duration),
    /// It is done, and its answer carries this header.
    AddsHeader(&'static str, String),
}

/// A fault: which calls, and how many of them.
#[derive(Debug, Clone)]
pub struct Fault {
    template: Option<String>,
    left: Option<u32>,
    skip: u32,
    effect: Effect,
}

impl Fault {
    /// Every call of one operation: `POST /orgs/{org}/actions/runner-groups`.
    #[must_use]
    pub fn on(template: impl Into<String>, effect: Effect) -> Self {
        Self { template: Some(template.into()), left: None, skip: 0, effect }
    }

    /// Every call.
    #[must_use]
    pub const fn everywhere(effect: Effect) -> Self {
        Self { template: None, left: None, skip: 0, effect }
    }

    /// Every call of one operation is answered with this status and nothing is done.
    #[must_use]
    pub fn status(template: impl Into<String>, status: u16) -> Self {
        let message = format!("injected {status}");
        Self::on(template, Effect::Refuse { status, message, headers: Vec::new() })
    }

    /// The next `n` calls alone.
    #[must_use]
    pub const fn times(mut self, n: u32) -> Self {
        self.left = Some(n);
        self
    }

    /// Not the next `n` calls.
    #[must_use]
    pub const fn after(mut self, n: u32) -> Self {
        self.skip = n;
        self
    }
}

/// The faults that are still to come; the oldest that fits is the one.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn next(&mut self, template: &str) -> Option<Effect> {
        let fits = |fault: &&mut Fault| fault.template.as_deref().is_none_or(|of| of == template);
        let mut effect = None;
        for fault in self.0.iter_mut().filter(fits) {
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if let Some(left) = &mut fault.left {
                *left -= 1;
            }
            effect = Some(fault.effect.clone());
            break;
        }
        self.0.retain(|fault| fault.left != Some(0));
        effect
    }
}
