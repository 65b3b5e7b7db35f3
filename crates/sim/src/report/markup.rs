//! Small pieces of HTML, escaped.

/// Text that is safe between tags and inside quoted attributes.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A table with a heading row. Columns after the first `text_columns` hold numbers.
pub fn table(
    caption: &str,
    headings: &[&str],
    text_columns: usize,
    rows: &[Vec<String>],
) -> String {
    let mut html = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table>\
         <caption>{0}</caption><thead><tr>",
        escaped(caption)
    );
    for (column, heading) in headings.iter().enumerate() {
        html +=
            &format!("<th scope=\"col\"{}>{}</th>", class(column, text_columns), escaped(heading));
    }
    html += "</tr></thead><tbody>";
    for row in rows {
        html += "<tr>";
        for (column, cell) in row.iter().enumerate() {
            html += &format!("<td{}>{}</td>", class(column, text_columns), escaped(cell));
        }
        html += "</tr>";
    }
    html + "</tbody></table></div>"
}

const fn class(column: usize, text_columns: usize) -> &'static str {
    if column < text_columns { "" } else { " class=\"number\"" }
}

/// Something that is folded away until it is asked for.
pub fn folded(summary: &str, body: &str) -> String {
    format!("<details><summary>{}</summary>{body}</details>", escaped(summary))
}

/// A list of labels and what belongs to them; a label that repeats is written once.
pub fn definitions(facts: &[super::facts::Fact]) -> String {
    let mut html = String::from("<dl>");
    let mut before = "";
    for (label, value) in facts {
        if *label != before {
            html += &format!("<dt>{}</dt>", escaped(label));
        }
        html += &format!("<dd>{}</dd>", escaped(value));
        before = label;
    }
    html + "</dl>"
}
