//! The layered hash of the original specification.
//!
//! `sha256(hex(sha256(canonical)) + "quantum_salt")`, where `canonical` is the
//! text that CPython gives for the document without its top-level member
//! `hash`:
//!
//! ```python
//! json.dumps({k: v for k, v in json.loads(text).items() if k != "hash"},
//!            sort_keys=True, default=str)
//! ```
//!
//! Records made by that program must keep their hashes, so the text has to be
//! equal byte for byte: numbers as Python prints them, members sorted by code
//! point, repeated members reduced to the last, everything beyond ASCII
//! escaped, lone surrogates included. Common JSON libraries lose some of that
//! while reading, hence a reader of our own. A document that `json.loads`
//! refuses is refused here too. A document that is not an object has no
//! members to leave out and is hashed whole.

mod number;
mod reader;
mod writer;

pub use reader::{MAX_INTEGER_DIGITS, MAX_NESTING};

use crate::{sha256, to_hex};

/// What the second hash appends to the first one's hexadecimal form.
const SALT: &str = "quantum_salt";

/// The member that holds a record's own hash and so is not part of it.
const HASH_MEMBER: &str = "hash";

/// Why a text has no layered hash. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayeredHashError {
    /// Python's reader would refuse the text as well.
    #[error("line {line}, column {column}: {problem}")]
    Syntax {
        /// Line of the first wrong character.
        line: usize,
        /// Its column.
        column: usize,
        /// What is wrong and what was expected.
        problem: &'static str,
    },
    /// Python refuses to read integers of more digits.
    #[error(
        "line {line}, column {column}: an integer of {digits} digits; Python reads at most \
         {MAX_INTEGER_DIGITS}, so the document has no hash (write the number as a string)"
    )]
    IntegerTooLong {
        /// Line of the integer.
        line: usize,
        /// Its column.
        column: usize,
        /// How many digits it has.
        digits: usize,
    },
    /// Arrays and objects stand deeper in one another than any Python reads.
    #[error("line {line}, column {column}: nested more than {MAX_NESTING} levels deep")]
    TooDeep {
        /// Line of the bracket that is one too many.
        line: usize,
        /// Its column.
        column: usize,
    },
}

/// The layered hash of a JSON text, as 64 hexadecimal digits.
pub fn layered_hash(json_text: &str) -> Result<String, LayeredHashError> {
    let canonical = canonical_json(json_text)?;
    let inner = to_hex(&sha256(canonical.as_bytes()));
    Ok(to_hex(&sha256(format!("{inner}{SALT}").as_bytes())))
}

/// The text that is hashed: what `json.dumps(..., sort_keys=True)` gives for
/// the document, the top-level member `hash` left out.
pub fn canonical_json(json_text: &str) -> Result<String, LayeredHashError> {
    let mut document = reader::read(json_text)?;
    document.remove_top_level_member(HASH_MEMBER);
    Ok(writer::write(&document))
}

#[cfg(test)]
mod tests;
