//! Limits notifications: the same thing once in a window, few in all, and a summary of the rest.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::{Notification, Rules, Severity, Topic};
use crate::backoff;

/// Kinds of withheld notifications that a summary names; of the rest it says how many.
const NAMED: usize = 20;

type Kind = (Topic, String, bool);

/// What was sent recently, and what was withheld.
#[derive(Debug, Default)]
pub struct Throttle {
    sent: VecDeque<Timestamp>,
    last: BTreeMap<Kind, Timestamp>,
    withheld: Option<Withheld>,
}

#[derive(Debug)]
struct Withheld {
    since: Timestamp,
    worst: Severity,
    count: usize,
    kinds: BTreeMap<Kind, usize>,
}

impl Throttle {
    /// The notification, if it may be sent now; `None` if it is not wanted or is withheld.
    pub fn offer(&mut self, notification: Notification, rules: &Rules) -> Option<Notification> {
        if !rules.want(&notification) {
            return None;
        }
        let now = notification.at;
        self.forget(now, rules);
        let kind = (notification.topic, notification.subject.clone(), notification.ended);
        if self.last.contains_key(&kind) || self.sent.len() >= rules.per_window {
            self.withhold(kind, &notification);
            return None;
        }
        // What ended may begin again, and is news then.
        let opposite = (kind.0, kind.1.clone(), !kind.2);
        self.last.remove(&opposite);
        self.last.insert(kind, now);
        self.sent.push_back(now);
        Some(notification)
    }

    /// What was withheld, once it has been withheld for a whole window.
    pub fn summary(&mut self, rules: &Rules, now: Timestamp) -> Option<Notification> {
        self.forget(now, rules);
        self.withheld.as_ref().filter(|held| backoff::age(now, held.since) >= rules.window)?;
        let held = self.withheld.take()?;
        self.sent.push_back(now);
        let span = backoff::age(now, held.since).as_secs() / 60;
        Some(Notification {
            id: format!("{}-summary", now.as_millisecond()),
            topic: Topic::Summary,
            severity: held.worst,
            subject: "withheld".to_owned(),
            title: format!("{} more notifications in {span} minutes", held.count),
            text: held.text(),
            ended: false,
            at: now,
        })
    }

    /// How many are withheld and not yet summarized.
    #[must_use]
    pub fn withheld(&self) -> usize {
        self.withheld.as_ref().map_or(0, |held| held.count)
    }

    fn forget(&mut self, now: Timestamp, rules: &Rules) {
        let is_old = |at: &Timestamp| backoff::age(now, *at) >= rules.window;
        while self.sent.front().is_some_and(is_old) {
            self.sent.pop_front();
        }
        self.last.retain(|_, at| !is_old(at));
    }

    fn withhold(&mut self, kind: Kind, notification: &Notification) {
        let held = self.withheld.get_or_insert_with(|| Withheld {
            since: notification.at,
            worst: notification.severity,
            count: 0,
            kinds: BTreeMap::new(),
        });
        held.worst = held.worst.max(notification.severity);
        held.count += 1;
        *held.kinds.entry(kind).or_default() += 1;
    }
}

impl Withheld {
    fn text(&self) -> String {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by(|a, b| b.1.cmp(a.1));
        let mut lines: Vec<_> = kinds
            .iter()
            .take(NAMED)
            .map(|((topic, subject, ended), count)| {
                let over = if *ended { " (over)" } else { "" };
                format!("{count} × {topic} {subject}{over}")
            })
            .collect();
        if kinds.len() > NAMED {
            lines.push(format!("and {} other kinds", kinds.len() - NAMED));
        }
        lines.join("\n")
    }
}
