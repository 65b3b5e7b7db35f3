//! What the signs of the picture mean.

use std::fmt::Write as _;

use super::layout::text_width;

const TEXT_SIZE: i64 = 11;
const SPACE: i64 = 20;

/// A sample of a sign, drawn from its left end and middle.
type Sample = fn(x: i64, y: i64) -> String;

const ENTRIES: [(Sample, i64, &str); 8] = [
    (|x, y| badge("commit direct", "\u{2713}", x, y), 16, "leader commits"),
    (|x, y| badge("skip direct", "\u{2715}", x, y), 16, "is skipped"),
    (|x, y| badge("open", "?", x, y), 16, "is undecided"),
    (|x, y| badge("commit indirect", "\u{2713}", x, y), 16, "hollow: through an anchor"),
    (|x, y| line("vote commit", x, y), 26, "vote"),
    (certificate, 8, "certificate"),
    (|x, y| line("weak", x, y), 26, "weak link"),
    (fork, 22, "equivocation"),
];

/// How wide the legend is.
pub fn width() -> i64 {
    ENTRIES.iter().map(|(_, width, label)| entry_width(*width, label)).sum::<i64>() - SPACE
}

/// Draws all signs with their names, from left to right.
pub fn draw(svg: &mut String, left: i64, y: i64) {
    let mut x = left;
    svg.push_str("<g class=\"legend\">\n");
    for (sample, width, label) in ENTRIES {
        let _ = writeln!(
            svg,
            "{}<text class=\"small\" x=\"{}\" y=\"{}\">{label}</text>",
            sample(x, y),
            x + width + 6,
            y + 4,
        );
        x += entry_width(width, label);
    }
    svg.push_str("</g>\n");
}

fn entry_width(sign: i64, label: &str) -> i64 {
    sign + 6 + text_width(label, TEXT_SIZE) + SPACE
}

fn badge(class: &str, sign: &str, x: i64, y: i64) -> String {
    format!(
        "<g class=\"badge {class}\"><circle cx=\"{}\" cy=\"{y}\" r=\"8\"/>\
         <text x=\"{}\" y=\"{}\">{sign}</text></g>",
        x + 8,
        x + 8,
        y + 4,
    )
}

fn line(class: &str, x: i64, y: i64) -> String {
    format!("<g class=\"links\"><path class=\"{class}\" d=\"M{x} {y}h26\"/></g>")
}

fn certificate(x: i64, y: i64) -> String {
    format!("<circle class=\"certificate commit\" cx=\"{}\" cy=\"{y}\" r=\"3\"/>", x + 4)
}

fn fork(x: i64, y: i64) -> String {
    let top = y - 7;
    format!(
        "<g class=\"block fork\"><rect x=\"{x}\" y=\"{top}\" width=\"22\" height=\"14\" rx=\"4\"/></g>"
    )
}
