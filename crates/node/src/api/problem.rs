//! What a client is told when it does not get what it asked for.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use qcn_ledger::Refusal;
use qcn_shard::Refused;
use serde::Serialize;
use utoipa::ToSchema;

use crate::archive::ArchiveError;
use crate::view::SubmitError;

/// A refusal, with the remedy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
    pub remedy: String,
}

/// The body of every answer that is not what was asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// The refusal.
    pub error: ProblemDetail,
}

/// What went wrong and what helps.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProblemDetail {
    /// For programs: never changes its meaning.
    pub code: &'static str,
    /// For people: what is wrong.
    pub message: String,
    /// For people: what to do.
    pub remedy: String,
}

impl Problem {
    pub fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { status, code, message: message.into(), remedy: remedy.into() }
    }

    pub fn malformed(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message, remedy)
    }

    pub fn not_found(what: &str) -> Self {
        let remedy = "check the name; a node keeps as much history as its policy says";
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} is not known here"), remedy)
    }

    pub fn not_certified(what: &str) -> Self {
        let message = format!("no certificate is known yet that proves {what}");
        let remedy = "try again in a moment, or ask another node";
        Self::new(StatusCode::NOT_FOUND, "not_certified", message, remedy)
    }

    /// There will be one.
    pub fn no_checkpoint(message: &str) -> Self {
        let remedy = "try again in a moment";
        Self::new(StatusCode::NOT_FOUND, "no_checkpoint", message, remedy)
    }

    /// A transaction that waits has no proof.
    pub fn not_executed() -> Self {
        let message = "this transaction waits here and is not executed yet, so nothing proves it";
        let remedy = "try again in a moment; /v1/transactions/{id} says where it stands";
        Self::new(StatusCode::NOT_FOUND, "not_executed", message, remedy)
    }

    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        let remedy = "try again in a moment, or ask another node";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message, remedy)
    }

    pub fn too_large(limit_bytes: usize) -> Self {
        let message = format!("the body is longer than {limit_bytes} bytes");
        let remedy = "send less at once; several transactions fit /v1/transactions/batch";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, remedy)
    }

    pub fn wrong_media_type(allowed: &str) -> Self {
        let message = "the Content-Type of the body is missing, or none that is taken here";
        let remedy = format!("send the header Content-Type: {allowed}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_media_type", message, remedy)
    }

    pub fn detail(&self) -> ProblemDetail {
        let (message, remedy) = (self.message.clone(), self.remedy.clone());
        ProblemDetail { code: self.code, message, remedy }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(ProblemBody { error: self.detail() })).into_response()
    }
}

impl From<ArchiveError> for Problem {
    fn from(error: ArchiveError) -> Self {
        tracing::error!(%error, "the archive failed");
        let remedy = "ask another node, and tell the operator of this one";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, "archive_failed", "the node's archive failed", remedy)
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let message = error.to_string();
        let refused = |code, remedy: &str| {
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message.clone(), remedy)
        };
        match error {
            SubmitError::WrongSignature => refused(
                "wrong_signature",
                "sign the canonical body with the account's key for this chain id",
            ),
            SubmitError::SchemeNotAllowed(_) => {
                refused("scheme_not_allowed", "use a key of a scheme that the genesis allows")
            }
            SubmitError::Refused(Refused::ByLedger(refusal)) => {
                let (code, remedy) = refusal_code(refusal);
                refused(code, remedy)
            }
            SubmitError::Refused(Refused::NonceTaken { .. }) => refused(
                "nonce_taken",
                "pay a higher fee to replace the other, or use the next nonce",
            ),
            SubmitError::Refused(Refused::Full) => Self::unavailable("mempool_full", message),
            SubmitError::Refused(Refused::Ended) => Self::unavailable("shard_changes", message),
            SubmitError::Busy => Self::unavailable("busy", message),
            SubmitError::Isolated => Self::unavailable("isolated", message),
            SubmitError::Stopped => Self::unavailable("stopped", message),
        }
    }
}

const fn refusal_code(refusal: Refusal) -> (&'static str, &'static str) {
    match refusal {
        Refusal::FeeTooLow { .. } => ("fee_too_low", "pay at least the minimum fee"),
        Refusal::UnknownSender => ("unknown_sender", "pay something to the address first"),
        Refusal::WrongKey => ("wrong_key", "sign with the key that the account has now"),
        Refusal::NonceTooLow { .. } => ("nonce_too_low", "use the account's next nonce"),
        Refusal::NonceTooHigh { .. } => {
            ("nonce_too_high", "send the transactions before this one first")
        }
        Refusal::NoncesUsedUp => ("nonces_used_up", "use another account"),
        Refusal::InsufficientBalance { .. } => {
            ("insufficient_balance", "pay to the account first, or send less")
        }
        Refusal::LaneFull { .. } => ("lane_full", "it waits for room on the lane"),
    }
}
