//! The shapes of what several answers contain.

use axum::extract::{FromRequestParts, Query};
use axum::http::header;
use axum::http::request::Parts;
use qcn_crypto::{Digest, to_hex};
use qcn_ledger::Outcome;
use qcn_types::{Action, BlockRef, Height, Resharding};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::shared::{SHARD_PARAMETER, parameter};
use crate::archive::{Position, TransactionRecord};

/// What a body of text is.
pub const JSON: &str = "application/json";

/// What a body of canonical bytes is.
const BINARY: &str = "application/octet-stream";

/// How many entries a list has when the client does not say.
const DEFAULT_LIMIT: usize = 50;

/// The most entries of a list.
const MAX_LIMIT: usize = 500;

/// The name of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefBody {
    /// The round.
    pub round: u64,
    /// The author's index in the committee.
    pub author: u16,
    /// The digest in hexadecimal.
    pub digest: String,
}

impl From<&BlockRef> for RefBody {
    fn from(block: &BlockRef) -> Self {
        Self { round: block.round.0, author: block.author.0, digest: block.digest.to_string() }
    }
}

pub fn refs(blocks: &[BlockRef]) -> Vec<RefBody> {
    blocks.iter().map(RefBody::from).collect()
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutcomeBody {
    /// `applied`, `sent` (on its way to another shard), `failed` (the fee is paid, the action is not done) or `skipped` (nothing
    /// changed).
    pub result: String,
    /// Why it was not applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<Outcome> for OutcomeBody {
    fn from(outcome: Outcome) -> Self {
        let (result, reason) = match outcome {
            Outcome::Applied => ("applied", None),
            Outcome::Sent(_) => ("sent", None),
            Outcome::Failed(failure) => ("failed", Some(failure.to_string())),
            Outcome::Skipped(refusal) => ("skipped", Some(refusal.to_string())),
        };
        Self { result: result.to_owned(), reason }
    }
}

/// A change of the layout between two epochs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReshardingBody {
    /// The upper half of a shard's addresses went to a new shard.
    Split {
        /// Keeps the lower half.
        shard: u32,
        /// Has the upper half.
        new: u32,
    },
    /// Two siblings became one.
    Merge {
        /// Has the addresses of both.
        into: u32,
        /// Has ended.
        closed: u32,
    },
}

impl From<&Resharding> for ReshardingBody {
    fn from(resharding: &Resharding) -> Self {
        match *resharding {
            Resharding::Split { shard, new } => Self::Split { shard: shard.0, new: new.0 },
            Resharding::Merge { into, closed } => Self::Merge { into: into.0, closed: closed.0 },
        }
    }
}

/// What a transaction does: one of the two.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionBody {
    /// Moves an amount.
    Transfer {
        /// Who receives.
        to: String,
        /// How much.
        amount: String,
    },
    /// Replaces the key of the account.
    RotateKey {
        /// The new key's scheme.
        scheme: String,
        /// The new key in hexadecimal.
        key: String,
    },
}

impl From<&Action> for ActionBody {
    fn from(action: &Action) -> Self {
        match action {
            Action::Transfer { to, amount } => {
                Self::Transfer { to: to.to_string(), amount: amount.to_string() }
            }
            Action::RotateKey { key, .. } => {
                Self::RotateKey { scheme: key.scheme().to_string(), key: to_hex(key.as_bytes()) }
            }
        }
    }
}

/// An executed transaction in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TransactionLineBody {
    /// Its name.
    pub id: String,
    /// The checkpoint's height.
    pub height: u64,
    /// Its place among the checkpoint's transactions.
    pub position: u32,
    /// What became of it.
    pub outcome: OutcomeBody,
    /// Who sent it.
    pub sender: String,
    /// Who is paid, if it is a transfer.
    pub to: Option<String>,
    /// How much, if it is a transfer.
    pub amount: Option<String>,
}

impl From<&TransactionRecord> for TransactionLineBody {
    fn from(record: &TransactionRecord) -> Self {
        let (to, amount) = match &record.action {
            Action::Transfer { to, amount } => (Some(to.to_string()), Some(amount.to_string())),
            Action::RotateKey { .. } => (None, None),
        };
        Self {
            id: record.id.to_string(),
            height: record.height.0,
            position: record.position,
            outcome: record.outcome.into(),
            sender: record.sender.to_string(),
            to,
            amount,
        }
    }
}

/// Which part of a list is asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// At most so many entries; 50 unless told, at most 500.
    pub limit: Option<usize>,
    /// Only entries below this height, this `height.position`, or this digest in a list of
    /// evidence: a list's `next`.
    pub before: Option<String>,
}

impl ListQuery {
    /// The limit, within the bounds.
    pub fn limit(&self) -> Result<usize, Problem> {
        limited(self.limit)
    }

    /// The height below which to begin.
    pub fn before_height(&self) -> Result<Height, Problem> {
        self.before.as_deref().map_or(Ok(Height(u64::MAX)), |text| number(text).map(Height))
    }

    /// The digest below which to begin, if there is one.
    pub fn before_digest(&self) -> Result<Option<Digest>, Problem> {
        self.before.as_deref().map(digest).transpose()
    }

    /// The position below which to begin.
    pub fn before_position(&self) -> Result<Position, Problem> {
        let Some(text) = &self.before else {
            return Ok(Position::END);
        };
        let Some((height, position)) = text.split_once('.') else {
            return Ok(Position { height: Height(number(text)?), position: 0 });
        };
        let position = u32::try_from(number(position)?).unwrap_or(u32::MAX);
        Ok(Position { height: Height(number(height)?), position })
    }
}

/// How many entries a list has, within the bounds.
pub fn limited(limit: Option<usize>) -> Result<usize, Problem> {
    match limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        limit => Err(Problem::malformed(
            format!("a list cannot have {limit} entries"),
            format!("ask for 1 to {MAX_LIMIT}"),
        )),
    }
}

/// Reads a number.
pub fn number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| {
        Problem::malformed(format!("{} is not a number", quoted(text)), "use decimal digits only")
    })
}

/// Reads a digest.
pub fn digest(text: &str) -> Result<Digest, Problem> {
    text.parse().map_err(|error| {
        Problem::malformed(
            format!("{} is not a digest: {error}", quoted(text)),
            "use 64 hexadecimal digits, without 0x",
        )
    })
}

/// A client's text as it may stand in a message.
pub fn quoted(text: &str) -> String {
    const SHOWN_CHARACTERS: usize = 80;
    format!("{:?}", text.chars().take(SHOWN_CHARACTERS).collect::<String>())
}

/// Parameters after the question mark, refused as a [`Problem`].
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        refuse_other_than_utf8(parts.uri.query().unwrap_or_default())?;
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(params)| Self(params)).map_err(|rejection| {
            Problem::malformed(rejection.body_text(), "see /openapi.json for the parameters")
        })
    }
}

/// What decodes parameters would put U+FFFD for bytes that are no UTF-8, and look for that.
fn refuse_other_than_utf8(query: &str) -> Result<(), Problem> {
    let mut bytes = Vec::with_capacity(query.len());
    let mut rest = query.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| first == b'%');
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.and_then(|digits| qcn_crypto::from_hex(digits).ok());
        match escaped.as_deref() {
            Some(&[byte]) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    std::str::from_utf8(&bytes).map(drop).map_err(|_| {
        let message = "the parameters after the question mark are not UTF-8";
        Problem::malformed(message, "write text as UTF-8 and escape its bytes as %XX")
    })
}

/// What the body of a request is, by its `Content-Type`. There must be one: what a browser sends
/// for any page without asking the node first has another, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyKind {
    Json,
    Binary,
}

impl<S: Send + Sync> FromRequestParts<S> for BodyKind {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let mut kinds = parts.headers.get_all(header::CONTENT_TYPE).iter();
        let only = kinds.next().filter(|_| kinds.next().is_none());
        let kind = only.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        // What follows, such as the character set, changes nothing: JSON is UTF-8.
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case(JSON) {
            Ok(Self::Json)
        } else if kind.eq_ignore_ascii_case(BINARY) {
            Ok(Self::Binary)
        } else {
            Err(Problem::wrong_media_type(&format!("{JSON} (or {BINARY}, where bytes are taken)")))
        }
    }
}

/// The variable part of a path besides its shard, refused as a [`Problem`].
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let text = parameter(parts, |name| name != SHARD_PARAMETER).await?;
        let missing = || Problem::malformed("the path is not whole", "see /openapi.json");
        text.map(Self).ok_or_else(missing)
    }
}
