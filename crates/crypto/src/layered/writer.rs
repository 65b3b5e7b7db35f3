//! Writes a document the way Python's `json.dumps(..., sort_keys=True)` does.

use std::fmt::Write;

use super::reader::{CodePoints, Document, Node, NodeId};

/// The document's text: ASCII, with `", "` and `": "` between its parts.
pub(super) fn write(document: &Document) -> String {
    let mut text = String::new();
    // What is still to be written, the next on top: a deep document needs no call stack.
    let mut pending = vec![Step::Value(document.root)];
    while let Some(step) = pending.pop() {
        match step {
            Step::Text(fixed) => text.push_str(fixed),
            Step::Name(name) => {
                write_string(name, &mut text);
                text.push_str(": ");
            }
            Step::Value(id) => match &document.nodes[id] {
                Node::Literal(literal) => text.push_str(literal),
                Node::String(string) => write_string(string, &mut text),
                Node::Array(elements) => {
                    text.push('[');
                    pending.push(Step::Text("]"));
                    for (index, element) in elements.iter().enumerate().rev() {
                        pending.push(Step::Value(*element));
                        pending.extend(separator(index));
                    }
                }
                Node::Object(members) => {
                    text.push('{');
                    pending.push(Step::Text("}"));
                    for (index, (name, value)) in members.iter().enumerate().rev() {
                        pending.push(Step::Value(*value));
                        pending.push(Step::Name(name));
                        pending.extend(separator(index));
                    }
                }
            },
        }
    }
    text
}

enum Step<'a> {
    Text(&'static str),
    Name(&'a CodePoints),
    Value(NodeId),
}

/// What stands before the element at `index`.
fn separator<'a>(index: usize) -> Option<Step<'a>> {
    (index > 0).then_some(Step::Text(", "))
}

fn write_string(string: &CodePoints, text: &mut String) {
    text.push('"');
    for code_point in string {
        match code_point {
            0x22 => text.push_str("\\\""),
            0x5c => text.push_str("\\\\"),
            0x08 => text.push_str("\\b"),
            0x0c => text.push_str("\\f"),
            0x0a => text.push_str("\\n"),
            0x0d => text.push_str("\\r"),
            0x09 => text.push_str("\\t"),
            0x20..=0x7e => text.extend(char::from_u32(*code_point)),
            0..=0xffff => write_escape(*code_point, text),
            _ => {
                let offset = code_point - 0x10000;
                write_escape(0xd800 + (offset >> 10), text);
                write_escape(0xdc00 + (offset & 0x3ff), text);
            }
        }
    }
    text.push('"');
}

fn write_escape(code_unit: u32, text: &mut String) {
    write!(text, "\\u{code_unit:04x}").expect("a string takes any text");
}
