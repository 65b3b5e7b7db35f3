//! Accounts and the supply, out of the newest certified state.

use axum::Json;
use axum::http::StatusCode;
use qcn_ledger::Account;
use qcn_types::{Address, Amount, BEACON};
use serde::Serialize;
use utoipa::ToSchema;

use super::bodies::{Segment, digest};
use super::problem::{Problem, ProblemBody};
use super::shards::{TotalBody, total_body};
use super::shared::{Chain, OfShard, Shared};
use crate::proof_document::ProofDocument;
use crate::view::CertifiedState;

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountBody {
    /// Its address.
    pub address: String,
    /// The shard that it belongs to.
    pub shard: u32,
    /// Whether it was ever paid.
    pub exists: bool,
    /// What it can spend.
    pub balance: String,
    /// How many transactions it has sent.
    pub nonce: u64,
    /// The nonce for the next transaction: after those that this node is about to execute.
    pub next_nonce: u64,
    /// The digest of the key that may sign.
    pub key: String,
    /// The certified height at which it is read.
    pub height: u64,
}

/// Where all units of the currency are.
#[derive(Debug, Serialize, ToSchema)]
pub struct SupplyBody {
    /// On accounts.
    pub balances: String,
    /// Paid as fees.
    pub fees: String,
    /// Ever sent to other shards, less what was received from them.
    pub in_flight: String,
    /// What was on accounts that other shards have taken over, less what was on those that this
    /// one has taken over, as shards split and merged.
    pub resharded: String,
    /// At genesis.
    pub genesis: String,
    /// The certified height at which it is read.
    pub height: u64,
    /// The shard that all of this is about.
    pub shard: u32,
    /// The same for all shards of this node, where the network has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<TotalBody>,
}

/// An account at the newest certified height.
#[utoipa::path(get, path = "/v1/accounts/{address}", tag = "accounts", params(
    ("address" = String, Path, description = "64 hexadecimal digits")),
    responses((status = 200, body = AccountBody), (status = 400, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub async fn account(
    OfShard(shared): OfShard,
    Segment(address): Segment,
) -> Result<Json<AccountBody>, Problem> {
    let address = Address(digest(&address)?);
    account_body(&shared.of_address(&address)?, address).map(Json)
}

pub fn account_body(shared: &Shared, address: Address) -> Result<AccountBody, Problem> {
    let state = certified(shared)?;
    let found = state.ledger.account(&address);
    let account = found.unwrap_or_else(|| Account::new(address, Amount(0)));
    Ok(AccountBody {
        address: address.to_string(),
        shard: shared.view.shard().0,
        exists: found.is_some(),
        balance: account.balance.to_string(),
        nonce: account.nonce,
        next_nonce: shared.next_nonce(address, account.nonce),
        key: account.key.to_string(),
        height: state.certificate.checkpoint.height.0,
    })
}

/// A proof of what an account has, or that there is none, for anyone with the genesis.
#[utoipa::path(get, path = "/v1/accounts/{address}/proof", tag = "accounts", params(
    ("address" = String, Path, description = "64 hexadecimal digits")),
    responses((status = 200, body = ProofDocument), (status = 400, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub async fn account_proof(
    OfShard(shared): OfShard,
    Segment(address): Segment,
) -> Result<Json<ProofDocument>, Problem> {
    let address = Address(digest(&address)?);
    account_document(&shared.of_address(&address)?, address).map(Json)
}

pub fn account_document(shared: &Shared, address: Address) -> Result<ProofDocument, Problem> {
    let state = certified(shared)?;
    let proof = state.ledger.prove(&address);
    let account = state.ledger.account(&address);
    let epoch = state.certificate.checkpoint.epoch;
    let keys = shared.keys_of(epoch)?;
    let document = ProofDocument::account(&keys, &state.certificate, address, &proof, account);
    Ok(shared.hub().led_to(document, epoch))
}

/// Where all units of the currency are, at the newest certified height.
#[utoipa::path(get, path = "/v1/supply", tag = "accounts", responses(
    (status = 200, body = SupplyBody), (status = 404, body = ProblemBody),
    (status = 503, body = ProblemBody)))]
pub async fn supply(OfShard(shared): OfShard) -> Result<Json<SupplyBody>, Problem> {
    supply_body(&shared).map(Json)
}

pub fn supply_body(shared: &Shared) -> Result<SupplyBody, Problem> {
    if shared.view.shard() == BEACON {
        return Err(no_accounts());
    }
    let state = certified(shared)?;
    let (supply, shown) = (state.ledger.supply(), shared.hub().shown());
    Ok(SupplyBody {
        balances: supply.balances.to_string(),
        fees: supply.fees.to_string(),
        in_flight: (supply.sent as i128 - supply.received as i128).to_string(),
        resharded: (supply.given as i128 - supply.taken as i128).to_string(),
        genesis: supply.genesis.to_string(),
        height: state.certificate.checkpoint.height.0,
        shard: shared.view.shard().0,
        all: if shown.facts.has_several_shards() { total_body(&shown) } else { None },
    })
}

fn no_accounts() -> Problem {
    let remedy = "see /v1/supply for the shards of this node, and /v1/beacon for the beacon";
    let message = "this is the beacon, which has no accounts and so no supply";
    Problem::new(StatusCode::NOT_FOUND, "no_accounts", message, remedy)
}

fn certified(shared: &Chain) -> Result<CertifiedState, Problem> {
    let none = || Problem::unavailable("no_certified_state", "no certified state is known yet");
    shared.certified().ok_or_else(none)
}
