//! Finding things by what a person has at hand.

#![allow(unused_qualifications, reason = "utoipa's attribute writes them")]

use axum::Json;
use qcn_types::{Address, BlockRef, Height, Round};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::bodies::Params;
use super::problem::{Problem, ProblemBody};
use super::shared::{Chain, OfShard, Shared, ask};
use crate::archive::Found;

/// The longest text that is searched for, in bytes.
const MAX_TEXT_BYTES: usize = 128;

/// The fewest hexadecimal digits of a digest.
const MIN_DIGITS: usize = 8;

/// The most results of each kind.
const MAX_RESULTS: usize = 20;

/// What to look for.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// A height, a round, a digest, an address or the first 8 digits or more of one, or a part
    /// of a validator's name.
    pub q: String,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchBody {
    /// By kind.
    pub results: Vec<ResultBody>,
}

/// One thing.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultBody {
    /// `checkpoint`, `block`, `transaction`, `account` or `validator`.
    pub kind: &'static str,
    /// Under which to ask for it: the height, digest, address or index.
    pub id: String,
    /// For people.
    pub title: String,
    /// The shard that it is in.
    pub shard: u32,
}

/// Finds things by number, digest or name.
#[utoipa::path(get, path = "/v1/search", tag = "node", params(SearchQuery), responses(
    (status = 200, body = SearchBody), (status = 400, body = ProblemBody)))]
pub async fn search(
    OfShard(shared): OfShard,
    Params(query): Params<SearchQuery>,
) -> Result<Json<SearchBody>, Problem> {
    ask(shared, move |shared| search_body(shared, &query.q).map(Json)).await
}

pub fn search_body(shared: &Shared, text: &str) -> Result<SearchBody, Problem> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_TEXT_BYTES {
        let message = "the text to look for is empty or too long";
        let remedy = format!("give 1 to {MAX_TEXT_BYTES} bytes");
        return Err(Problem::malformed(message, remedy));
    }
    // The shard of the path first.
    let mut results = in_shard(shared, text)?;
    let shown = shared.hub().shown();
    for other in shown.chains.iter().filter(|other| other.view.shard() != shared.view.shard()) {
        results.extend(in_shard(other, text)?);
    }
    Ok(SearchBody { results })
}

fn in_shard(chain: &Chain, text: &str) -> Result<Vec<ResultBody>, Problem> {
    let mut results = Vec::new();
    if let Ok(number) = text.parse::<u64>() {
        results.extend(numbered(chain, number)?);
    }
    if text.len() >= MIN_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        results.extend(hexadecimal(chain, &text.to_ascii_lowercase())?);
    }
    results.extend(validators(chain, text));
    let shard = chain.view.shard().0;
    results.iter_mut().for_each(|found| found.shard = shard);
    Ok(results)
}

fn numbered(shared: &Chain, number: u64) -> Result<Vec<ResultBody>, Problem> {
    let mut results = Vec::new();
    if shared.archive.checkpoint(Height(number))?.is_some() {
        results.push(result("checkpoint", number, format!("checkpoint {number}")));
    }
    let round = Round(number);
    for block in shared.archive.blocks(round..=round, MAX_RESULTS)? {
        let reference = block.summary.reference;
        let title = format!("block of round {number} by {}", name(shared, reference.author));
        results.push(result("block", reference.digest, title));
    }
    Ok(results)
}

fn hexadecimal(shared: &Chain, digits: &str) -> Result<Vec<ResultBody>, Problem> {
    // Of an odd number of digits the last is compared by itself.
    let whole = digits.get(..digits.len() & !1).unwrap_or_default();
    let prefix = qcn_crypto::from_hex(whole).unwrap_or_default();
    let mut results = Vec::new();
    for found in shared.archive.search(&prefix, MAX_RESULTS)? {
        let (digest, found) = match found {
            Found::Checkpoint(height, digest) => {
                (digest, result("checkpoint", height, format!("checkpoint {height}")))
            }
            Found::Block(block) => {
                let title = block_title(shared, &block)?;
                (block.digest, result("block", block.digest, title))
            }
            Found::Transaction(id) => {
                (id.0, result("transaction", id, format!("transaction {id}")))
            }
            Found::Account(address) => {
                (address.0, result("account", address, format!("account {address}")))
            }
        };
        if digest.to_string().starts_with(digits) {
            results.push(found);
        }
    }
    // An account that has not moved anything yet is known by its full address only.
    let full = digits.parse().ok().map(Address);
    let unseen = full.filter(|address| {
        let known = results.iter().any(|found| found.id == address.to_string());
        let certified = shared.certified();
        !known && certified.is_some_and(|state| state.ledger.account(address).is_some())
    });
    results.extend(unseen.map(|found| result("account", found, format!("account {found}"))));
    Ok(results)
}

/// Rounds begin anew in each epoch, and places in the committee are others.
fn block_title(shared: &Chain, block: &BlockRef) -> Result<String, Problem> {
    let archived = shared.archive.block(&block.digest)?;
    let epoch = archived.map_or(shared.epoch(), |archived| archived.summary.epoch);
    if epoch == shared.epoch() {
        let author = name(shared, block.author);
        return Ok(format!("block of round {} by {author}", block.round));
    }
    // Of an early epoch it may not be known any more who was in it.
    let committee = shared.committee_of(epoch).ok();
    let member = committee.as_ref().and_then(|committee| committee.member(block.author));
    let author = member.map_or_else(|| block.author.to_string(), |member| member.name.clone());
    Ok(format!("block of round {} of epoch {epoch} by {author}", block.round))
}

fn validators(shared: &Chain, text: &str) -> Vec<ResultBody> {
    let committee = shared.view.keys().committee();
    let wanted = text.to_lowercase();
    let members = committee.indices().zip(committee.members());
    members
        .filter(|(_, member)| member.name.to_lowercase().contains(&wanted))
        .take(MAX_RESULTS)
        .map(|(index, member)| result("validator", index, format!("validator {}", member.name)))
        .collect()
}

fn name(shared: &Chain, author: qcn_types::ValidatorIndex) -> String {
    let member = shared.view.keys().committee().member(author);
    member.map_or_else(|| author.to_string(), |member| member.name.clone())
}

fn result(kind: &'static str, id: impl ToString, title: String) -> ResultBody {
    ResultBody { kind, id: id.to_string(), title, shard: 0 }
}
