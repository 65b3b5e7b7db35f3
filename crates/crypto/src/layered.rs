//! The layered hash of the original specification.

/// Why a text has no layered hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayeredHashError {
    /// Not written yet.
    #[error("not written yet")]
    Unwritten,
}

/// The layered hash of a JSON text.
pub fn layered_hash(_json_text: &str) -> Result<String, LayeredHashError> {
    Err(LayeredHashError::Unwritten)
}
