//! `--watch`: the same text redrawn, on a separate screen that is restored at the end.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use rustix::termios::tcgetwinsize;
use tokio::signal::unix::SignalKind;

use crate::{failure::Failure, printer::Printer, signals};

/// The other screen, without a cursor, and lines that do not wrap.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
/// All of that undone.
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Redraws what `look` returns until the operator presses Ctrl-C. A failure is shown, and the next update is
/// tried.
pub(super) async fn watch(
    every: Duration,
    mut look: impl AsyncFnMut() -> Result<String, Failure>,
    printer: &Printer,
) -> Result<(), Failure> {
    let mut interrupted = signals::on(SignalKind::interrupt())?;
    let mut terminated = signals::on(SignalKind::terminate())?;
    let mut resized = signals::on(SignalKind::window_change())?;
    let screen = Screen::open(printer)?;
    loop {
        let frame = async {
            let text = look().await.unwrap_or_else(|failure| format!("error: {}\n", failure.what()));
            screen.show(&text)?;
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                _ = resized.recv() => {}
            }
            Ok::<_, Failure>(())
        };
        tokio::select! {
            drawn = frame => drawn?,
            _ = interrupted.recv() => return Ok(()),
            _ = terminated.recv() => return Ok(()),
        }
    }
}

/// The terminal's other screen; without a terminal, frames follow each other.
struct Screen<'a> {
    printer: &'a Printer,
    is_terminal: bool,
}

impl<'a> Screen<'a> {
    fn open(printer: &'a Printer) -> Result<Self, Failure> {
        let is_terminal = io::stdout().is_terminal();
        if is_terminal {
            printer.raw(ENTER)?;
        }
        Ok(Self { printer, is_terminal })
    }

    fn show(&self, text: &str) -> Result<(), Failure> {
        if self.is_terminal {
            let rows = tcgetwinsize(io::stdout()).map_or(usize::MAX, |size| usize::from(size.ws_row));
            self.printer.raw(&frame(text, rows))
        } else {
            self.printer.raw(&format!("{text}\n"))
        }
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        if self.is_terminal {
            // Nobody is left who could be told.
            let _ = self.printer.raw(LEAVE);
        }
    }
}

/// The text from the top left, each line cleared to its end; what does not fit is cut off.
fn frame(text: &str, rows: usize) -> String {
    let n_lines = text.lines().count();
    let fits = if n_lines <= rows { n_lines } else { rows.saturating_sub(1) };
    let mut frame = "\x1b[H".to_owned();
    for (n, line) in text.lines().take(fits).enumerate() {
        if n > 0 {
            frame.push_str("\r\n");
        }
        frame.push_str(line);
        frame.push_str("\x1b[K");
    }
    if fits < n_lines {
        frame.push_str(&format!("\r\n… {} more lines\x1b[K", n_lines - fits));
    }
    frame.push_str("\x1b[J");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_fits_its_screen() {
        assert_eq!(frame("a\nb\n", 2), "\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J");
        assert_eq!(frame("a\nb\nc\n", 2), "\x1b[Ha\x1b[K\r\n… 2 more lines\x1b[K\x1b[J");
        assert_eq!(frame("a\n", 0).matches("\r\n").count(), 1, "no screen is that small");
    }
}
