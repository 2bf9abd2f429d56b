//! Figures: percentiles, tables, and what `/proc` says of a process.

use std::{fs, time::Duration};

use unicode_width::UnicodeWidthStr;

use crate::Outcome;

/// What `/proc/<pid>/stat` counts in: 100 a second on every Linux there is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Durations in ascending order, to ask for percentiles.
pub(crate) struct Sorted(Vec<Duration>);

impl Sorted {
    /// Sorts them.
    pub(crate) fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    /// The percentile in milliseconds, 0 of nothing.
    pub(crate) fn ms(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let rank = (self.0.len() * percent).div_ceil(100).saturating_sub(1).min(last);
        self.0.get(rank).map_or(0.0, |duration| duration.as_secs_f64() * 1e3)
    }

    /// The longest, zero of nothing.
    pub(crate) fn longest(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The mean in milliseconds, 0 of nothing.
    pub(crate) fn mean_ms(&self) -> f64 {
        let total: Duration = self.0.iter().sum();
        total.as_secs_f64() * 1e3 / self.0.len().max(1) as f64
    }
}

/// Prints a table in Markdown.
pub(crate) fn table(title: &str, heads: &[&str], rows: &[Vec<String>]) {
    let width = |n: usize| {
        let cells = rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.width());
        cells.chain([heads[n].width()]).max().unwrap_or_default()
    };
    let line = |cells: &[&str]| {
        for (n, cell) in cells.iter().enumerate() {
            let room = " ".repeat(width(n).saturating_sub(cell.width()));
            if n == 0 { print!("| {cell}{room} |") } else { print!(" {room}{cell} |") }
        }
        println!();
    };
    println!("{title}\n");
    line(heads);
    let rules: Vec<String> = (0..heads.len()).map(|n| "-".repeat(width(n))).collect();
    line(&rules.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    println!();
}

/// Says under what load of the machine the figures are taken.
pub(crate) fn machine() {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<_> = load.split(' ').take(3).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores, load average before the run {}\n", load.join(" "));
}

/// How much processor time a process has used.
pub(crate) fn cpu_time(pid: u32) -> Outcome<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold anything, so fields are counted from its closing parenthesis.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    Ok(Duration::from_secs_f64((ticks(11) + ticks(12)) / TICKS_PER_SECOND))
}

/// The processor time of all servers of PostgreSQL that work for this client, by their parent.
pub(crate) fn cpu_time_of_children(parent: u32) -> Duration {
    let Ok(processes) = fs::read_dir("/proc") else { return Duration::ZERO };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).filter_map(|pid| cpu_time(pid).ok()).sum()
}

/// The process that started this one.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// The resident memory of a process and its peak, in KiB.
pub(crate) fn resident_kib(pid: u32) -> Outcome<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
    };
    Ok((field("VmRSS:"), field("VmHWM:")))
}
