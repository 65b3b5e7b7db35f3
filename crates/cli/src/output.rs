//! What the commands that talk to a node print: text, tables, and times for people.

use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

/// Writes to standard output. A reader that has seen enough and went away is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    print_if_read(text).map(|_| ())
}

/// The same for output that goes on: says whether there is a reader still.
pub fn print_if_read(text: &str) -> anyhow::Result<bool> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("cannot write to standard output"),
    }
}

/// Writes one line to standard output.
pub fn print_line(line: &str) -> anyhow::Result<()> {
    print(&format!("{line}\n"))
}

/// Why a file cannot be read, and what to do.
pub fn unreadable(path: &Path, error: &io::Error) -> anyhow::Error {
    let shown = path.display();
    if path.is_dir() {
        return anyhow!("cannot read {shown}: it is a folder; name a file in it");
    }
    anyhow!("cannot read {shown}: {error}; check the path and the rights of this user")
}

/// Text of a node or a file, without what could steer the terminal.
pub fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A time in milliseconds, as precise as it is useful.
pub fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// Rows with aligned columns; columns of numbers stand to the right.
#[derive(Debug)]
pub struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(heads: &[&str]) -> Self {
        Self { heads: heads.iter().map(|&head| head.to_owned()).collect(), rows: Vec::new() }
    }

    /// Names and values, one a row.
    pub fn of_fields(fields: &[(&str, String)]) -> Self {
        let rows = fields.iter().map(|(name, value)| vec![(*name).to_owned(), harmless(value)]);
        Self { heads: Vec::new(), rows: rows.collect() }
    }

    /// Adds a row with as many cells as there are heads.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.heads.len(), "a row has a cell for each head");
        self.rows.push(cells.iter().map(|cell| harmless(cell)).collect());
    }

    /// The table as lines.
    pub fn render(&self) -> String {
        let columns = self.rows.first().map_or(self.heads.len(), Vec::len);
        let heads = (!self.heads.is_empty()).then_some(&self.heads);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = heads.into_iter().chain(&self.rows).map(|row| row[column].chars());
                cells.map(Iterator::count).max().unwrap_or(0)
            })
            .collect();
        let right: Vec<bool> = (0..columns).map(|column| self.is_numeric(column)).collect();
        let mut text = String::new();
        for row in heads.into_iter().chain(&self.rows) {
            let cells = row.iter().zip(&widths).zip(&right).map(|((cell, &width), &right)| {
                if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    fn is_numeric(&self, column: usize) -> bool {
        let number = |cell: &String| cell == "-" || cell.parse::<f64>().is_ok();
        !self.heads.is_empty() && self.rows.iter().all(|row| number(&row[column]))
    }
}

/// A value, or a dash where there is none.
pub fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_stand_to_the_right() {
        let mut table = Table::new(&["name", "weight", "rtt"]);
        table.row(vec!["ada".into(), "1000".into(), "-".into()]);
        table.row(vec!["b".into(), "5".into(), "1.5".into()]);
        assert_eq!(table.render(), "name  weight  rtt\nada     1000    -\nb          5  1.5\n");
        let fields = Table::of_fields(&[("height", "7".into()), ("at", "x".into())]);
        assert_eq!(fields.render(), "height  7\nat      x\n");
    }

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
