//! `rrctl` on a terminal of some width.

use std::{fs::File, io::Read, process::Stdio, thread};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::run::Folder;

/// Exit status, what the terminal was sent, and standard error, as one text.
pub(crate) fn shown(folder: &Folder, arguments: &[&str], variables: &[(&str, &str)], columns: u16) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut command = folder.command(arguments);
    command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(slave).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    // The terminal hangs up when nobody has its other end open.
    drop(command);
    let reading = thread::spawn(move || {
        let (mut screen, mut seen, mut bytes) = (File::from(master), Vec::new(), [0; 4096]);
        while let Ok(n @ 1..) = screen.read(&mut bytes) {
            seen.extend_from_slice(&bytes[..n]);
        }
        String::from_utf8(seen).unwrap().replace("\r\n", "\n")
    });
    let output = child.wait_with_output().unwrap();
    let (seen, said) = (reading.join().unwrap(), String::from_utf8(output.stderr).unwrap());
    let exit = output.status.code().map_or_else(|| "killed".to_owned(), |code| code.to_string());
    format!("exit: {exit}\n----- terminal -----\n{seen}----- stderr -----\n{said}")
}
