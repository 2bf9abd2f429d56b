//! `rrctl completions` and `rrctl man`: what shells and `man` read of the command line.

use std::{fs, path::Path};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{args::Arguments, failure::Failure, printer::Printer};

/// Runs `rrctl completions`.
pub(crate) fn completions(shell: Shell, printer: &Printer) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "rrctl", &mut script);
    let script =
        String::from_utf8(script).map_err(|error| Failure::because("the completions are no text", &error))?;
    printer.raw(&script)
}

/// Runs `rrctl man`: one page to standard output, or a page for each command into a folder.
pub(crate) fn man(folder: Option<&Path>, printer: &Printer) -> Result<(), Failure> {
    let command = Arguments::command();
    let Some(folder) = folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|error| Failure::because("the page cannot be written", &error))?;
        return printer.raw(&String::from_utf8_lossy(&page));
    };
    let failed = |error| Failure::because(&format!("{} cannot be written", folder.display()), &error);
    fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(command, folder).map_err(failed)?;
    let n = fs::read_dir(folder).map_err(failed)?.count();
    printer.note(&format!(
        "{n} pages in {}; read one with: man {}/rrctl.1",
        folder.display(),
        folder.display()
    ));
    Ok(())
}
