//! Numbers: found as Python's reader finds them, written as Python writes them.

/// Decimal exponents beyond this give zero or infinity whatever the digits.
const EXPONENT_LIMIT: i64 = 400;

/// A number at the start of a text.
pub(super) struct Number<'a> {
    /// All of its characters.
    pub(super) text: &'a str,
    /// Without fraction and exponent; of any size to Python.
    pub(super) is_integer: bool,
    /// Digits before the point, the sign not counted.
    pub(super) integer_digits: usize,
}

/// Finds `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?` at the start of a text.
pub(super) fn scan(text: &str) -> Option<Number<'_>> {
    let bytes = text.as_bytes();
    let start = usize::from(bytes.first() == Some(&b'-'));
    let integer_digits = match bytes.get(start)? {
        b'0' => 1,
        b'1'..=b'9' => digits_at(bytes, start),
        _ => return None,
    };
    let mut end = start + integer_digits;
    let integer_end = end;
    if bytes.get(end) == Some(&b'.') {
        let fraction_digits = digits_at(bytes, end + 1);
        if fraction_digits > 0 {
            end += 1 + fraction_digits;
        }
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent_digits = digits_at(bytes, end + 1 + sign);
        if exponent_digits > 0 {
            end += 1 + sign + exponent_digits;
        }
    }
    Some(Number { text: &text[..end], is_integer: end == integer_end, integer_digits })
}

/// How many digits stand from `start` on.
fn digits_at(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

impl Number<'_> {
    /// The number as Python's `json.dumps` writes it.
    pub(super) fn canonical(&self) -> String {
        match (self.is_integer, self.text) {
            // Integers have no negative zero.
            (true, "-0") => "0".to_owned(),
            (true, digits) => digits.to_owned(),
            (false, decimal) => repr(nearest(decimal)),
        }
    }
}

/// The floating-point number nearest to a decimal one with fraction or exponent.
///
/// The standard library's reader cuts exponents off at a size that a very long
/// fraction could make up for, so point and exponent are joined here first.
fn nearest(decimal: &str) -> f64 {
    let (sign, magnitude) = match decimal.strip_prefix('-') {
        Some(magnitude) => (-1.0, magnitude),
        None => (1.0, decimal),
    };
    let (mantissa, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{integer}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return sign * 0.0;
    }
    // The number is 0.significant * 10^scale.
    let leading_zeros = length(&digits) - length(significant);
    let scale =
        saturating_exponent(exponent).saturating_add(length(integer)).saturating_sub(leading_zeros);
    if scale > EXPONENT_LIMIT {
        return sign * f64::INFINITY;
    }
    if scale < -EXPONENT_LIMIT {
        return sign * 0.0;
    }
    let magnitude: f64 = format!("0.{significant}e{scale}")
        .parse()
        .expect("digits, a point and a small exponent are a number");
    sign * magnitude
}

fn length(digits: &str) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX)
}

/// An exponent of any length; out of range it is as good as infinite.
fn saturating_exponent(exponent: &str) -> i64 {
    exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN } else { i64::MAX })
}

/// The number as Python's `repr` writes it: with an exponent below 1e-4 and
/// from 1e16 on, plainly in between.
fn repr(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = shortest(number);
    let (mantissa, exponent) = split_exponent(&scientific);
    let exponent: i32 = exponent.parse().expect("the exponent of a double is small");
    if !(-4..16).contains(&exponent) {
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{exponent_sign}{:02}", exponent.abs());
    }
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(magnitude) => ("-", magnitude),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    let Ok(last_integer_digit) = usize::try_from(exponent) else {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or_default());
        return format!("{sign}0.{zeros}{digits}");
    };
    // At least one digit stands on each side of the point.
    let padded = format!("{digits:0<width$}", width = last_integer_digit + 2);
    let (integer, fraction) = padded.split_at(last_integer_digit + 1);
    format!("{sign}{integer}.{fraction}")
}

/// The fewest digits that read back as the same number, and of those the
/// nearest to it, in exponent form.
///
/// If two are equally near, Python takes the even one and the standard
/// library's shortest form need not. Its form with a given number of digits
/// does, but may miss the number itself just above a power of two, where the
/// doubles below lie closer.
fn shortest(number: f64) -> String {
    let short = format!("{number:e}");
    let digits = split_exponent(&short).0.bytes().filter(u8::is_ascii_digit).count();
    let rounded = format!("{number:.*e}", digits - 1);
    match rounded.parse::<f64>() {
        Ok(read_back) if read_back == number => rounded,
        _ => short,
    }
}

fn split_exponent(scientific: &str) -> (&str, &str) {
    scientific.split_once('e').expect("the exponent form has an exponent")
}

#[cfg(test)]
mod tests;
