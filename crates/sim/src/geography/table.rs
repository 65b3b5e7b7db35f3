//! Just enough CSV for the embedded tables.

/// The rows below the heading, split at commas outside double quotes.
pub fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines().skip(1).filter(|line| !line.is_empty()).map(cells).collect()
}

/// The cells of one line. A quoted cell may hold commas; quotes are not escaped.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match (letter, cells.last_mut()) {
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => cells.push(String::new()),
            (letter, Some(cell)) => cell.push(letter),
            (_, None) => {}
        }
    }
    cells
}
