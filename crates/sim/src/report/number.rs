//! Numbers as people read them.

/// What stands where nothing was observed.
const NOTHING: &str = "-";

/// A whole number with separators: `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number with as many decimals as its size deserves: three significant digits or so.
pub fn decimal(number: f64) -> String {
    match number.abs() {
        size if size >= 1000.0 => count_signed(number),
        size if size >= 100.0 => trimmed(format!("{number:.1}")),
        size if size >= 1.0 => trimmed(format!("{number:.2}")),
        _ => trimmed(format!("{number:.3}")),
    }
}

fn count_signed(number: f64) -> String {
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{}", count(number.abs().round() as u64))
}

/// Without the zeros that say nothing.
fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Milliseconds with their unit.
pub fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |number| format!("{} ms", decimal(number)))
}

/// A moment in virtual time, given in milliseconds: `12.5 s`.
pub fn moment(at_ms: f64) -> String {
    format!("{:.3}", at_ms / 1000.0).trim_end_matches('0').trim_end_matches('.').to_owned() + " s"
}

/// Bytes with a unit that fits, in powers of 1000.
pub fn bytes(number: f64) -> String {
    match number.abs() {
        size if size >= 1e9 => format!("{} GB", decimal(number / 1e9)),
        size if size >= 1e6 => format!("{} MB", decimal(number / 1e6)),
        size if size >= 1e3 => format!("{} kB", decimal(number / 1e3)),
        _ => format!("{} B", decimal(number)),
    }
}

/// A share between 0 and 1 in percent.
pub fn percent(share: f64) -> String {
    format!("{}%", decimal(share * 100.0))
}

/// One of several, with the noun in the right number: `1 block`, `2 blocks`.
pub fn of(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}
