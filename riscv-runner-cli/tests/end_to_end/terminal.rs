//! What is drawn on a real terminal: `status --watch` takes a screen of its own, follows the window's size,
//! and gives the screen back when it is interrupted from the keyboard.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::AsFd,
    sync::{Arc, Mutex},
};

use riscv_runner_pg::testing::ThrowAwayPostgres;
use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::{process::Child, time::timeout};

use crate::{
    PATIENCE,
    server::Configuration,
    stage::{Stage, eventually},
};

/// The end of a terminal at which a person sits.
struct Terminal {
    keyboard: File,
    seen: Arc<Mutex<String>>,
    child: Child,
}

impl Terminal {
    /// Runs a command in a terminal of so many rows.
    fn run(config: &Configuration, arguments: &[&str], rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        resize(&master, rows);
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = || open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let mut command = config.command_in_session(arguments);
        command.env("TERM", "xterm-256color").stdin(slave()).stdout(slave()).stderr(slave());
        let child = command.spawn().unwrap();
        let keyboard = File::from(master);
        let (mut screen, seen) = (keyboard.try_clone().unwrap(), Arc::<Mutex<String>>::default());
        let shown = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The terminal hangs up when its last program has ended.
            while let Ok(n @ 1..) = screen.read(&mut bytes) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        });
        Self { keyboard, seen, child }
    }

    fn seen(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    async fn shows(&self, text: &str) {
        eventually(&format!("it shows {text:?}"), async || self.seen().contains(text)).await;
    }
}

fn resize(terminal: impl AsFd, rows: u16) {
    tcsetwinsize(terminal, Winsize { ws_row: rows, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_status_fits_its_terminal_and_gives_it_back() {
    let stage = Stage::start(1).await;
    let config = stage.configuration(ThrowAwayPostgres::shared());
    assert!(config.rrctl(&["migrate"]).await.status.success());
    let mut terminal = Terminal::run(&config, &["status", "--watch", "--every", "60"], 24);
    terminal.shows("spacemit-k1").await;
    let first = terminal.seen();
    assert!(first.starts_with("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H"), "a screen of its own: {first:?}");
    assert!(first.contains("boards   1 free\x1b[K"), "each line is cleared to its end: {first:?}");
    assert!(!first.contains("more lines"), "it fits: {first:?}");

    resize(&terminal.keyboard, 4);
    terminal.shows("more lines").await;
    let second = terminal.seen();
    let frame = second.rsplit("\x1b[H").next().unwrap();
    assert_eq!(frame.matches("\r\n").count(), 3, "four rows: {frame:?}");

    terminal.keyboard.write_all(b"\x03").unwrap();
    let status = timeout(PATIENCE, terminal.child.wait()).await.expect("it ends").unwrap();
    assert!(status.success(), "{status}");
    terminal.shows("\x1b[?7h\x1b[?25h\x1b[?1049l").await;
}
