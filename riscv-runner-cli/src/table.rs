//! Tables that fit a terminal. Words are never broken: names are there to be copied. Where there is no room, long
//! explanations wrap between words or go below their row, then the least important columns are left out.

use unicode_width::UnicodeWidthStr;

use crate::visible::visible;

/// Between two columns.
const GAP: usize = 2;
/// An explanation in a narrower column would be a tower of words.
const LEAST_DETAIL: usize = 32;
/// How far what is below a row is set in.
const INDENT: usize = 4;

/// What the colour of a text says.
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

impl Tone {
    /// The colour, as a terminal takes it.
    pub(crate) const fn color(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Waiting => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}

/// A text in a colour.
pub(crate) fn painted(text: &str, color: &str) -> String {
    format!("\x1b[{color}m{text}\x1b[0m")
}

/// On which side of its column a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// One value of a row.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    text: String,
    tone: Tone,
    side: Side,
}

impl Value {
    /// A value with a tone.
    pub(crate) fn toned<T: ToString + ?Sized>(text: &T, tone: Tone) -> Self {
        Self { text: visible(&text.to_string()).replace('\t', " "), tone, side: Side::Left }
    }

    /// A number, which is aligned to the right.
    pub(crate) fn number<T: ToString + ?Sized>(number: &T) -> Self {
        Self { side: Side::Right, ..Self::toned(number, Tone::Plain) }
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

/// What happens to a column where there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// It stays.
    Always,
    /// It wraps between words, or goes below the row; it is not there at all when it says nothing.
    Detail,
    /// It is left out, the lowest rank first.
    Rank(u8),
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    name: &'static str,
    stay: Stay,
}

impl Column {
    /// A column without which a row says nothing.
    pub(crate) const fn always(name: &'static str) -> Self {
        Self { name, stay: Stay::Always }
    }

    /// An explanation in sentences.
    pub(crate) const fn detail(name: &'static str) -> Self {
        Self { name, stay: Stay::Detail }
    }

    /// A column that is left out where there is no room, those of the lowest rank first.
    pub(crate) const fn rank(rank: u8, name: &'static str) -> Self {
        Self { name, stay: Stay::Rank(rank) }
    }
}

impl From<&'static str> for Column {
    fn from(name: &'static str) -> Self {
        Self::always(name)
    }
}

/// A table as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// Its lines.
    pub(crate) text: String,
    /// The columns for which there was no room.
    pub(crate) left_out: Vec<&'static str>,
}

impl Table {
    /// A table without colours; without a width, lines are as long as they are.
    pub(crate) fn plain(columns: &[Column], rows: &[Vec<Value>], width: Option<usize>) -> Self {
        Self::laid_out(columns, rows, width, |text, _| text.to_owned())
    }

    /// The same with colours.
    pub(crate) fn painted(columns: &[Column], rows: &[Vec<Value>], width: Option<usize>) -> Self {
        Self::laid_out(columns, rows, width, |text, tone| match tone.color() {
            Some(color) if !text.is_empty() => painted(text, color),
            Some(_) | None => text.to_owned(),
        })
    }

    fn laid_out(
        columns: &[Column],
        rows: &[Vec<Value>],
        width: Option<usize>,
        paint: impl Fn(&str, Tone) -> String,
    ) -> Self {
        let layout = Layout::new(columns, rows, width.unwrap_or(usize::MAX));
        let header: Vec<Value> = columns.iter().map(|column| column.name.to_uppercase().into()).collect();
        let mut text = layout.line(&header, |_| Break::Word, &paint);
        for row in rows {
            text.push_str(&layout.line(row, |n| Break::within(columns[n]), &paint));
            for &n in &layout.below {
                let said = &row[n].text;
                if !matches!(said.as_str(), "" | "-") {
                    text.push_str(&below(columns[n].name, said, width.unwrap_or(usize::MAX)));
                }
            }
        }
        Self { text, left_out: layout.left_out }
    }
}

/// Where a cell may be broken.
#[derive(Debug, Clone, Copy)]
enum Break {
    /// Between words.
    Word,
    /// Between the items of a list.
    Item,
}

impl Break {
    fn within(column: Column) -> Self {
        if column.stay == Stay::Detail { Self::Word } else { Self::Item }
    }

    /// What must stay together.
    fn parts(self, line: &str) -> Vec<&str> {
        match self {
            Self::Word => line.split_inclusive(' ').collect(),
            Self::Item => {
                let mut parts = Vec::new();
                let mut begin = 0;
                for (at, _) in line.match_indices(", ") {
                    parts.push(&line[begin..at + 2]);
                    begin = at + 2;
                }
                parts.push(&line[begin..]);
                parts
            }
        }
    }
}

/// Which columns are shown, how wide, and what becomes of the others.
struct Layout {
    shown: Vec<(usize, usize)>,
    below: Vec<usize>,
    left_out: Vec<&'static str>,
}

impl Layout {
    fn new(columns: &[Column], rows: &[Vec<Value>], width: usize) -> Self {
        let measure = |n: usize| Measure::of(columns[n], rows.iter().map(|row| row[n].text.as_str()));
        let measures: Vec<Measure> = (0..columns.len()).map(measure).collect();
        let says = |n: usize| rows.iter().any(|row| !matches!(row[n].text.as_str(), "" | "-"));
        let mut left: Vec<usize> =
            (0..columns.len()).filter(|&n| columns[n].stay != Stay::Detail || says(n)).collect();
        let (mut below, mut left_out) = (Vec::new(), Vec::new());
        loop {
            if let Some(shown) = widths(&left, &measures, width) {
                below.sort_unstable();
                return Self { shown, below, left_out };
            }
            let detail = left.iter().rposition(|&n| columns[n].stay == Stay::Detail);
            let dispensable = || {
                let ranked = left.iter().enumerate().filter_map(|(at, &n)| match columns[n].stay {
                    Stay::Rank(rank) => Some((rank, at)),
                    Stay::Always | Stay::Detail => None,
                });
                ranked.min().map(|(_, at)| at)
            };
            match (detail, dispensable()) {
                (Some(at), _) => below.push(left.remove(at)),
                (None, Some(at)) => left_out.push(columns[left.remove(at)].name),
                // The first column says which row it is.
                (None, None) if left.len() > 1 => below.extend(left.pop()),
                (None, None) => {
                    let shown = left.iter().map(|&n| (n, measures[n].natural)).collect();
                    return Self { shown, below, left_out };
                }
            }
        }
    }

    /// A row, of as many lines as its longest cell.
    fn line(
        &self,
        row: &[Value],
        breaks: impl Fn(usize) -> Break,
        paint: impl Fn(&str, Tone) -> String,
    ) -> String {
        let cells: Vec<Vec<String>> =
            self.shown.iter().map(|&(n, width)| wrapped(&row[n].text, breaks(n), width)).collect();
        let mut text = String::new();
        for at in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
            let mut line = String::new();
            let mut owed = 0;
            for (&(n, width), cell) in self.shown.iter().zip(&cells) {
                let said = cell.get(at).map_or("", String::as_str);
                let room = width.saturating_sub(said.width());
                let (before, after) = if row[n].side == Side::Right { (room, 0) } else { (0, room) };
                if !said.is_empty() {
                    line.extend(std::iter::repeat_n(' ', owed + before));
                    line.push_str(&paint(said, row[n].tone));
                    owed = 0;
                }
                owed += if said.is_empty() { width } else { after } + GAP;
            }
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

/// How wide a column would be, and how narrow it can be.
struct Measure {
    natural: usize,
    least: usize,
}

impl Measure {
    fn of<'a>(column: Column, cells: impl Iterator<Item = &'a str>) -> Self {
        let header = column.name.split(' ').map(UnicodeWidthStr::width).max().unwrap_or_default();
        let mut measure = Self { natural: column.name.width(), least: header };
        for line in cells.flat_map(str::lines) {
            let parts = Break::within(column).parts(line);
            let longest = parts.iter().map(|part| part.trim_end().width()).max().unwrap_or_default();
            measure.natural = measure.natural.max(line.width());
            measure.least = measure.least.max(longest);
        }
        if column.stay == Stay::Detail {
            measure.least = measure.least.max(LEAST_DETAIL.min(measure.natural));
        }
        measure
    }
}

/// How wide each column becomes, if they fit: the widest give way first.
fn widths(left: &[usize], measures: &[Measure], width: usize) -> Option<Vec<(usize, usize)>> {
    let mut widths: Vec<(usize, usize)> = left.iter().map(|&n| (n, measures[n].natural)).collect();
    let gaps = GAP * left.len().saturating_sub(1);
    let mut total = gaps + widths.iter().map(|(_, width)| width).sum::<usize>();
    while total > width {
        let gives = widths.iter_mut().filter(|(n, width)| *width > measures[*n].least);
        gives.max_by_key(|(_, width)| *width)?.1 -= 1;
        total -= 1;
    }
    Some(widths)
}

/// What is said below a row: `name: text`.
fn below(name: &str, said: &str, width: usize) -> String {
    let mut text = String::new();
    let room = width.saturating_sub(INDENT);
    for line in wrapped(&format!("{name}: {said}"), Break::Word, room) {
        text.extend(std::iter::repeat_n(' ', INDENT));
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// A text in lines of a width; what must stay together is longer if need be.
fn wrapped(text: &str, breaks: Break, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let mut current = String::new();
        for part in breaks.parts(line) {
            if !current.is_empty() && current.width() + part.trim_end().width() > width {
                lines.push(current.trim_end().to_owned());
                current.clear();
            }
            current.push_str(part);
        }
        lines.push(current.trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests;
