//! Progress of long work, on a terminal only: a log file does not want a bar.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How the bar looks.
const LOOK: &str = "{msg:<12} [{bar:30}] {human_pos} of {human_len}, {eta} left";

/// A bar over `total` steps on standard error; hidden where that is no terminal.
pub(crate) fn bar(what: &str, total: u64) -> ProgressBar {
    let target =
        if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(total), target).with_message(what.to_owned());
    match ProgressStyle::with_template(LOOK) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(LOOK).is_ok());
        let bar = bar("jobs", 3);
        bar.inc(2);
        assert_eq!((bar.position(), bar.length()), (2, Some(3)));
    }
}
