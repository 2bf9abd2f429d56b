//! All output: data to standard output, talk to standard error, colours only where they are wanted and
//! never as the only carrier of meaning. What comes from outside cannot steer the terminal.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::{
    args::{Color, Format},
    failure::Failure,
    visible::visible,
};

/// What the eye should make of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing.
    Plain,
    /// All is well.
    Good,
    /// Not yet, or not quite.
    Waiting,
    /// Something is wrong.
    Bad,
}

/// One value of a row.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    text: String,
    tone: Tone,
    right: bool,
}

impl Value {
    /// A value with a tone.
    pub(crate) fn toned<T: ToString + ?Sized>(text: &T, tone: Tone) -> Self {
        Self { text: visible(&text.to_string()).into_owned(), tone, right: false }
    }

    /// A number, which is aligned to the right.
    pub(crate) fn number<T: ToString + ?Sized>(number: &T) -> Self {
        Self { right: true, ..Self::toned(number, Tone::Plain) }
    }

    /// A text that may be missing.
    pub(crate) fn or_dash(text: Option<impl ToString>) -> Self {
        Self::toned(&text.map_or_else(|| "-".to_owned(), |text| text.to_string()), Tone::Plain)
    }
}

impl<T: AsRef<str>> From<T> for Value {
    fn from(text: T) -> Self {
        Self::toned(text.as_ref(), Tone::Plain)
    }
}

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
    pub(crate) fn line(&self, text: &str) {
        self.raw(&format!("{}\n", visible(text)));
    }

    /// A line of data that begins in the colour of a tone.
    pub(crate) fn toned_line(&self, begin: &str, tone: Tone, rest: &str) {
        let (begin, rest) = (visible(begin), visible(rest));
        let color = match tone {
            Tone::Plain => "0",
            Tone::Good => "1;32",
            Tone::Waiting => "1;33",
            Tone::Bad => "1;31",
        };
        self.raw(&if self.color_out {
            format!("\x1b[{color}m{begin}\x1b[0m{rest}\n")
        } else {
            format!("{begin}{rest}\n")
        });
    }

    /// Data as it is, at once: texts of our own, and those that are safe already.
    pub(crate) fn raw(&self, text: &str) {
        let mut out = io::stdout().lock();
        // A reader that went away, such as `head`, has seen enough.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Data as JSON, exactly: programs read it.
    pub(crate) fn json<T: Serialize>(&self, data: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(data)
            .map_err(|error| Failure::because("the answer cannot be written as JSON", &error))?;
        self.raw(&(text + "\n"));
        Ok(())
    }

    /// Data in one of two forms.
    pub(crate) fn data<T: Serialize>(
        &self,
        format: Format,
        data: &T,
        table: impl FnOnce(),
    ) -> Result<(), Failure> {
        match format {
            Format::Json => self.json(data),
            Format::Table => {
                table();
                Ok(())
            }
        }
    }

    /// Data as a table that fits the terminal.
    pub(crate) fn table(&self, header: &[&str], rows: impl IntoIterator<Item = Vec<Value>>) {
        self.raw(&self.render(header, rows));
    }

    /// A table as text.
    pub(crate) fn render(&self, header: &[&str], rows: impl IntoIterator<Item = Vec<Value>>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        if !io::stdout().is_terminal() {
            table.force_no_tty();
        }
        if self.color_out {
            table.enforce_styling();
        }
        table.set_header(header.iter().map(|name| Cell::new(name.to_uppercase())));
        for row in rows {
            table.add_row(row.into_iter().map(cell));
        }
        let mut text = String::new();
        for line in table.lines() {
            text.push_str(line.strip_prefix(' ').unwrap_or(&line).trim_end());
            text.push('\n');
        }
        text
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

fn cell(value: Value) -> Cell {
    let cell = Cell::new(value.text);
    let cell = if value.right { cell.set_alignment(CellAlignment::Right) } else { cell };
    match value.tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(comfy_table::Color::Green),
        Tone::Waiting => cell.fg(comfy_table::Color::Yellow),
        Tone::Bad => cell.fg(comfy_table::Color::Red),
    }
}
