//! Results for people and for programs: a table, JSON, and one standalone HTML page.
//!
//! **Invariants**
//! - no figure is shown without the conditions it holds under;
//! - figures in virtual time and figures of the host never meet in one number;
//! - the page loads nothing: styles and plots are inside it;
//! - every plot has its text alternative and its numbers beside it.

mod facts;
mod markup;
mod number;
mod page;
mod plot;
mod text;

use crate::result::RunResult;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The drawing library refused.
    #[error("a plot could not be drawn: {0}")]
    Plot(String),
    /// The JSON library refused.
    #[error("the result could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// How much of the committee a table shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Detail {
    /// The heaviest, the lightest and whoever stands out.
    #[default]
    Summary,
    /// Every validator.
    Full,
}

/// The result as an aligned table for a terminal.
#[must_use]
pub fn table(result: &RunResult, detail: Detail) -> String {
    text::table(result, detail)
}

/// The result as indented JSON with a final line break.
///
/// # Errors
/// [`ReportError::Json`] if a value cannot be written.
pub fn json(result: &RunResult) -> Result<String, ReportError> {
    Ok(serde_json::to_string_pretty(result)? + "\n")
}

/// The result as a standalone HTML page.
///
/// # Errors
/// [`ReportError::Plot`] if a plot cannot be drawn.
pub fn html(result: &RunResult) -> Result<String, ReportError> {
    page::page(result)
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
