//! All output: data to standard output, talk to standard error, colours only where they are wanted and
//! never as the only carrier of meaning. What comes from outside cannot steer the terminal.

use std::io::{self, IsTerminal, Write};

use rustix::termios::tcgetwinsize;
use serde::Serialize;

pub(crate) use crate::table::{Column, Tone, Value};
use crate::{
    args::{Color, Format},
    failure::Failure,
    table::{Table, painted},
    visible::visible,
};

/// Where output goes and how it looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    color_out: bool,
    color_err: bool,
}

impl Printer {
    /// Looks at the flag, at `NO_COLOR` and at the terminals.
    pub(crate) fn new(color: Color) -> Self {
        let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let use_color = |is_terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && !forbidden,
        };
        Self {
            color_out: use_color(io::stdout().is_terminal()),
            color_err: use_color(io::stderr().is_terminal()),
        }
    }

    /// Whether standard error takes colours, for the log.
    pub(crate) const fn colors_talk(&self) -> bool {
        self.color_err
    }

    /// Whether standard output is a terminal that takes colours and moves of the cursor.
    pub(crate) fn is_live(&self) -> bool {
        self.color_out && io::stdout().is_terminal()
    }

    /// A line of data.
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        self.raw(&format!("{}\n", visible(text)))
    }

    /// A line of data that begins in the colour of a tone.
    pub(crate) fn toned_line(&self, begin: &str, tone: Tone, rest: &str) -> Result<(), Failure> {
        let (begin, rest) = (visible(begin), visible(rest));
        self.raw(&if self.color_out {
            format!("{}{rest}\n", painted(&begin, &format!("1;{}", tone.color().unwrap_or("39"))))
        } else {
            format!("{begin}{rest}\n")
        })
    }

    /// Data as it is, at once: texts of our own, and those that are safe already. The one place that writes to
    /// standard output: a command whose data is not taken ends.
    pub(crate) fn raw(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
    }

    /// Data as JSON, exactly: programs read it.
    pub(crate) fn json<T: Serialize>(&self, data: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(data)
            .map_err(|error| Failure::because("the answer cannot be written as JSON", &error))?;
        self.raw(&(text + "\n"))
    }

    /// Data in one of two forms.
    pub(crate) fn data<T: Serialize>(
        &self,
        format: Format,
        data: &T,
        table: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match format {
            Format::Json => self.json(data),
            Format::Table => table(),
        }
    }

    /// Data as a table that fits the terminal.
    pub(crate) fn table<C: Into<Column> + Copy>(
        &self,
        columns: &[C],
        rows: impl IntoIterator<Item = Vec<Value>>,
    ) -> Result<(), Failure> {
        let table = self.laid_out(columns, rows);
        self.raw(&table.text)?;
        if !table.left_out.is_empty() {
            let names = table.left_out.join(", ");
            self.note(&format!("left out on so narrow a terminal: {names}; --format json has everything"));
        }
        Ok(())
    }

    /// A table as text.
    pub(crate) fn render<C: Into<Column> + Copy>(
        &self,
        columns: &[C],
        rows: impl IntoIterator<Item = Vec<Value>>,
    ) -> String {
        self.laid_out(columns, rows).text
    }

    fn laid_out<C: Into<Column> + Copy>(
        &self,
        columns: &[C],
        rows: impl IntoIterator<Item = Vec<Value>>,
    ) -> Table {
        let columns: Vec<Column> = columns.iter().map(|column| (*column).into()).collect();
        let rows: Vec<_> = rows.into_iter().collect();
        if self.color_out {
            Table::painted(&columns, &rows, width())
        } else {
            Table::plain(&columns, &rows, width())
        }
    }

    /// A remark.
    pub(crate) fn note(&self, text: &str) {
        self.talk("", "", text);
    }

    /// Something the operator should know though it worked.
    pub(crate) fn warning(&self, text: &str) {
        self.talk("warning: ", "\x1b[1;33m", text);
    }

    /// Something that is wrong.
    pub(crate) fn error(&self, text: &str) {
        self.talk("error: ", "\x1b[1;31m", text);
    }

    /// What to do about what was just said.
    pub(crate) fn hint(&self, text: Option<&str>) {
        if let Some(text) = text {
            self.talk("  hint: ", "\x1b[1;36m", text);
        }
    }

    fn talk(&self, label: &str, color: &str, text: &str) {
        let (mut err, text) = (io::stderr().lock(), visible(text));
        let _ = if self.color_err && !label.is_empty() {
            writeln!(err, "{color}{label}\x1b[0m{text}")
        } else {
            writeln!(err, "{label}{text}")
        };
    }
}

/// How many columns the terminal has; elsewhere lines are as long as they are.
fn width() -> Option<usize> {
    let out = io::stdout();
    let size = out.is_terminal().then(|| tcgetwinsize(&out).ok()).flatten()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
