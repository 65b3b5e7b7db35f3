//! Reads JSON the way Python's `json.loads` does.
//!
//! The document lies flat in a vector and the open arrays and objects on an
//! explicit stack, so neither reading nor dropping a deep document can exhaust
//! the call stack.

use std::collections::BTreeMap;

use super::LayeredHashError;
use super::number;

/// Most digits of an integer that Python reads by default (since 3.11).
pub const MAX_INTEGER_DIGITS: usize = 4300;

/// Deepest nesting that is read. CPython gives up earlier, at a depth that
/// depends on its version and stack; whatever it reads is read here.
pub const MAX_NESTING: usize = 100_000;

/// A string as Python holds it: code points, lone surrogates among them.
/// The order of these vectors is Python's order of strings.
pub(super) type CodePoints = Vec<u32>;

/// Position of a node in its document.
pub(super) type NodeId = usize;

/// One value.
pub(super) enum Node {
    /// `null`, `true`, `false` or a number, as Python writes it.
    Literal(String),
    String(CodePoints),
    Array(Vec<NodeId>),
    /// Members by name, so sorted; of repeated ones the last.
    Object(BTreeMap<CodePoints, NodeId>),
}

/// A document that was read.
pub(super) struct Document {
    pub(super) nodes: Vec<Node>,
    pub(super) root: NodeId,
}

impl Document {
    pub(super) fn remove_top_level_member(&mut self, name: &str) {
        if let Node::Object(members) = &mut self.nodes[self.root] {
            let name: CodePoints = name.chars().map(u32::from).collect();
            members.remove(&name);
        }
    }
}

/// Reads one document and nothing after it but blanks.
pub(super) fn read(text: &str) -> Result<Document, LayeredHashError> {
    let mut reader = Reader { text, position: 0, nodes: Vec::new(), open: Vec::new() };
    if text.starts_with('\u{feff}') {
        return Err(reader.syntax("a byte order mark; remove it"));
    }
    let root = reader.document()?;
    reader.skip_blanks();
    if reader.peek().is_some() {
        return Err(reader.syntax("more text after the document; give one document"));
    }
    Ok(Document { nodes: reader.nodes, root })
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
    nodes: Vec<Node>,
    open: Vec<Open>,
}

/// An array or object whose end has not been read.
enum Open {
    Array(Vec<NodeId>),
    Object {
        members: BTreeMap<CodePoints, NodeId>,
        /// Name of the member whose value comes next.
        name: CodePoints,
    },
}

impl Reader<'_> {
    fn document(&mut self) -> Result<NodeId, LayeredHashError> {
        loop {
            self.skip_blanks();
            let Some(mut node) = self.value_or_opening()? else {
                continue;
            };
            // A complete value: hand it to what encloses it, which it may complete.
            loop {
                let id = self.nodes.len();
                self.nodes.push(node);
                let Some(enclosing) = self.open.pop() else {
                    return Ok(id);
                };
                match self.after_element(enclosing, id)? {
                    Some(complete) => node = complete,
                    None => break,
                }
            }
        }
    }

    /// Reads a scalar or an empty array or object; or opens one that has
    /// elements, and gives `None`.
    fn value_or_opening(&mut self) -> Result<Option<Node>, LayeredHashError> {
        match self.peek() {
            Some(b'[') => {
                self.enter()?;
                if self.take(b']') {
                    return Ok(Some(Node::Array(Vec::new())));
                }
                self.open.push(Open::Array(Vec::new()));
                Ok(None)
            }
            Some(b'{') => {
                self.enter()?;
                if self.take(b'}') {
                    return Ok(Some(Node::Object(BTreeMap::new())));
                }
                let name = self.member_name()?;
                self.open.push(Open::Object { members: BTreeMap::new(), name });
                Ok(None)
            }
            _ => self.scalar().map(Some),
        }
    }

    /// Steps over an opening bracket and the blanks behind it.
    fn enter(&mut self) -> Result<(), LayeredHashError> {
        if self.open.len() == MAX_NESTING {
            let (line, column) = self.place(self.position);
            return Err(LayeredHashError::TooDeep { line, column });
        }
        self.position += 1;
        self.skip_blanks();
        Ok(())
    }

    /// Adds an element; then either the next one follows, or the enclosing
    /// array or object is complete and comes back.
    fn after_element(
        &mut self,
        enclosing: Open,
        element: NodeId,
    ) -> Result<Option<Node>, LayeredHashError> {
        self.skip_blanks();
        match enclosing {
            Open::Array(mut elements) => {
                elements.push(element);
                if self.take(b']') {
                    return Ok(Some(Node::Array(elements)));
                }
                self.expect(b',', "expected ',' or ']' after an element of an array")?;
                self.open.push(Open::Array(elements));
            }
            Open::Object { mut members, name } => {
                members.insert(name, element);
                if self.take(b'}') {
                    return Ok(Some(Node::Object(members)));
                }
                self.expect(b',', "expected ',' or '}' after a member of an object")?;
                self.skip_blanks();
                let name = self.member_name()?;
                self.open.push(Open::Object { members, name });
            }
        }
        Ok(None)
    }

    /// A member's name and the colon behind it.
    fn member_name(&mut self) -> Result<CodePoints, LayeredHashError> {
        self.expect(b'"', "expected a member's name in double quotes")?;
        let name = self.string_after_quote()?;
        self.skip_blanks();
        self.expect(b':', "expected ':' after a member's name")?;
        Ok(name)
    }

    fn scalar(&mut self) -> Result<Node, LayeredHashError> {
        const WORDS: [&str; 6] = ["null", "true", "false", "NaN", "Infinity", "-Infinity"];
        if self.take(b'"') {
            return self.string_after_quote().map(Node::String);
        }
        let rest = &self.text[self.position..];
        if let Some(word) = WORDS.into_iter().find(|word| rest.starts_with(word)) {
            self.position += word.len();
            return Ok(Node::Literal(word.to_owned()));
        }
        self.number()
    }

    fn number(&mut self) -> Result<Node, LayeredHashError> {
        let Some(number) = number::scan(&self.text[self.position..]) else {
            return Err(self.syntax(
                "expected a value: an object, an array, a string in double quotes, a number, \
                 true, false or null",
            ));
        };
        if number.is_integer && number.integer_digits > MAX_INTEGER_DIGITS {
            let (line, column) = self.place(self.position);
            let digits = number.integer_digits;
            return Err(LayeredHashError::IntegerTooLong { line, column, digits });
        }
        self.position += number.text.len();
        Ok(Node::Literal(number.canonical()))
    }

    fn string_after_quote(&mut self) -> Result<CodePoints, LayeredHashError> {
        let mut string = CodePoints::new();
        loop {
            let Some(next) = self.text[self.position..].chars().next() else {
                return Err(self.syntax("the string does not end; close it with a double quote"));
            };
            match next {
                '"' => {
                    self.position += 1;
                    return Ok(string);
                }
                '\\' => string.push(self.escape()?),
                '\0'..='\u{1f}' => {
                    return Err(self.syntax("a control character in a string; escape it"));
                }
                _ => {
                    self.position += next.len_utf8();
                    string.push(u32::from(next));
                }
            }
        }
    }

    /// Reads an escape, the two halves of a surrogate pair as one.
    fn escape(&mut self) -> Result<u32, LayeredHashError> {
        if let Some(first) = self.unicode_escape(self.position) {
            self.position += 6;
            if !(0xd800..0xdc00).contains(&first) {
                return Ok(first);
            }
            return Ok(match self.unicode_escape(self.position) {
                Some(second @ 0xdc00..0xe000) => {
                    self.position += 6;
                    0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                }
                _ => first,
            });
        }
        let character = match self.text.as_bytes().get(self.position + 1) {
            Some(quoted @ (b'"' | b'\\' | b'/')) => *quoted,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            _ => {
                return Err(self.syntax(
                    "no such escape; use \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\u and four hex \
                     digits",
                ));
            }
        };
        self.position += 2;
        Ok(u32::from(character))
    }

    /// The number in `\uXXXX` at `start`, if that is what stands there.
    fn unicode_escape(&self, start: usize) -> Option<u32> {
        let digits = self.text.as_bytes().get(start..start + 6)?.strip_prefix(b"\\u")?;
        digits
            .iter()
            .try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.position += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, problem: &'static str) -> Result<(), LayeredHashError> {
        if self.take(byte) { Ok(()) } else { Err(self.syntax(problem)) }
    }

    /// Only these four are blanks to Python's reader.
    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    fn syntax(&self, problem: &'static str) -> LayeredHashError {
        let (line, column) = self.place(self.position);
        LayeredHashError::Syntax { line, column, problem }
    }

    fn place(&self, position: usize) -> (usize, usize) {
        let before = &self.text[..position];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
        (line, 1 + before[line_start..].chars().count())
    }
}
