//! The answers of a node, as far as the commands use them. Members that a newer node adds are
//! passed over; `--json` shows them all.

mod amounts;

use std::fmt;

use serde::Deserialize;

use crate::output::harmless;
pub use amounts::{Amount, Supply};

/// Why a node says no, and what to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// For programs, such as `not_found`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&harmless(&self.message))?;
        if !self.remedy.is_empty() {
            write!(formatter, "; {}", harmless(&self.remedy))?;
        }
        Ok(())
    }
}

/// The body of an answer that says no.
#[derive(Debug, Deserialize)]
pub struct RefusedBody {
    /// Why.
    pub error: Refusal,
}

/// A transaction was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Submitted {
    /// Its id.
    pub id: String,
}

/// What became of a batch, in its order.
#[derive(Debug, Deserialize)]
pub struct SubmittedBatch {
    /// One answer for each transaction.
    pub results: Vec<BatchAnswer>,
}

/// What became of one transaction of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum BatchAnswer {
    /// It was taken in.
    Taken(Submitted),
    /// It was refused.
    Refused {
        /// Why.
        error: Refusal,
    },
}

/// What became of an executed transaction.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Outcome {
    /// `applied`, `sent`, `failed` or `skipped`.
    pub result: String,
    /// Why it was not applied.
    pub reason: Option<String>,
}

impl Outcome {
    /// Whether its action is done.
    pub fn is_applied(&self) -> bool {
        self.result == "applied"
    }

    /// Whether it is on its way to another shard.
    pub fn is_sent(&self) -> bool {
        self.result == "sent"
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&harmless(&self.result))?;
        match &self.reason {
            None => Ok(()),
            Some(reason) => write!(formatter, ": {}", harmless(reason)),
        }
    }
}

/// How a transfer to another shard went on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Arrival {
    /// The receiver's shard.
    pub shard: u64,
    /// `in_flight`, `arrived`, `bounced`, `burned` or `elsewhere`.
    pub status: String,
    /// The height there.
    pub height: Option<u64>,
    /// Whether that height is certified.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Who can say more.
    pub ask: Option<String>,
}

impl fmt::Display for Arrival {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&harmless(&self.status.replace('_', " ")))?;
        if let Some(height) = self.height {
            let state = if self.is_final { "final" } else { "not final yet" };
            write!(formatter, " at height {height} of shard {}, {state}", self.shard)?;
        }
        match &self.ask {
            None => Ok(()),
            Some(hosts) => write!(formatter, "; ask {}", harmless(hosts)),
        }
    }
}

/// Names a block.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BlockName {
    /// Its round.
    pub round: u64,
    /// Its author's index.
    pub author: u64,
    /// Its digest.
    pub digest: String,
}

impl fmt::Display for BlockName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = harmless(&self.digest);
        write!(formatter, "round {} of validator {}, {digest}", self.round, self.author)
    }
}

/// Where a node stands.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// Of the node's software.
    pub version: String,
    /// Names the network.
    pub chain_id: String,
    /// The network's name.
    pub chain_name: String,
    /// The shard that all of this is about.
    pub shard: Option<u64>,
    /// Which validator it is.
    pub validator: OwnValidator,
    /// The committee.
    pub committee: CommitteeFacts,
    /// The local round.
    pub round: u64,
    /// Executed up to here.
    pub height: u64,
    /// Final up to here.
    pub certified_height: u64,
    /// Transactions that wait.
    pub mempool: u64,
    /// Blocks in the DAG.
    pub dag_blocks: u64,
    /// Blocks that wait.
    pub waiting_blocks: u64,
    /// Whether it finds out what it signed.
    pub recovering: bool,
    /// Whether it fetches state.
    pub synchronising: bool,
    /// Why it stopped.
    pub stopped: Option<String>,
    /// Connections that stand.
    pub peers_connected: u64,
    /// The node's clock.
    pub now_unix_ms: u64,
    /// When it executed last.
    pub last_checkpoint_unix_ms: u64,
}

/// Which validator a node is.
#[derive(Debug, Deserialize)]
pub struct OwnValidator {
    /// Its place in the committee.
    pub index: u64,
    /// Its name.
    pub name: String,
    /// Its voting power.
    pub weight: u64,
}

/// Numbers of the committee.
#[derive(Debug, Deserialize)]
pub struct CommitteeFacts {
    /// How many members.
    pub size: u64,
    /// Their weight.
    pub total_weight: u64,
    /// What decides.
    pub quorum_weight: u64,
    /// What may be faulty.
    pub fault_weight: u64,
}

/// The members of the committee.
#[derive(Debug, Deserialize)]
pub struct Validators {
    /// In order of their indices.
    pub validators: Vec<Validator>,
}

/// A member of the committee, as the node sees it.
#[derive(Debug, Deserialize)]
pub struct Validator {
    /// Its place.
    pub index: u64,
    /// Its name.
    pub name: String,
    /// Its voting power.
    pub weight: u64,
    /// The scheme of its consensus key.
    pub scheme: String,
    /// Whether evidence isolated it.
    pub isolated: bool,
    /// Whether it is the node itself.
    pub own: bool,
    /// Whether a connection stands.
    pub connected: bool,
    /// The round trip.
    pub rtt_ms: Option<f64>,
    /// The round of its newest block.
    pub last_round: Option<u64>,
    /// Blocks accepted from it.
    pub blocks: u64,
    /// Leader slots committed.
    pub led: u64,
    /// Leader slots skipped.
    pub skipped: u64,
}

/// The connections of a node.
#[derive(Debug, Deserialize)]
pub struct Peers {
    /// One for each other validator.
    pub peers: Vec<Peer>,
}

/// A connection of a node.
#[derive(Debug, Deserialize)]
pub struct Peer {
    /// The peer's index.
    pub index: u64,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: Option<String>,
    /// Whether the connection stands.
    pub connected: bool,
    /// The round trip.
    pub rtt_ms: Option<f64>,
    /// Received.
    pub bytes_in: u64,
    /// Sent.
    pub bytes_out: u64,
    /// Frames dropped because its queue was full.
    pub frames_dropped: u64,
    /// Packets sent to it that were lost. Earlier nodes do not say.
    #[serde(default)]
    pub packets_lost: u64,
    /// Messages of it that were refused.
    pub refused: u64,
}

/// A checkpoint with its certificate.
#[derive(Debug, Deserialize)]
pub struct CheckpointAnswer {
    /// Its height.
    pub height: u64,
    /// Its digest.
    pub digest: String,
    /// The leader's time.
    pub time_unix_ms: u64,
    /// The committed leader.
    pub leader: BlockName,
    /// Of the accounts.
    pub state_root: String,
    /// Of the transactions and their outcomes.
    pub transactions_root: String,
    /// The checkpoint before.
    pub parent: String,
    /// The committed blocks.
    #[serde(default)]
    pub blocks: Vec<BlockName>,
    /// What became of each transaction.
    #[serde(default)]
    pub transactions: Vec<TransactionOutcome>,
    /// Makes it final.
    pub certificate: Option<CertificateFacts>,
}

/// What became of one transaction.
#[derive(Debug, Deserialize)]
pub struct TransactionOutcome {
    /// Which.
    pub id: String,
    /// What.
    pub outcome: Outcome,
}

/// Who certifies.
#[derive(Debug, Deserialize)]
pub struct CertificateFacts {
    /// The attesting weight.
    pub weight: u64,
    /// The weight needed.
    pub quorum_weight: u64,
    /// Who attests.
    pub authors: Vec<u64>,
}

/// A block of the DAG.
#[derive(Debug, Deserialize)]
pub struct BlockAnswer {
    /// Its round.
    pub round: u64,
    /// Its author's index.
    pub author: u64,
    /// Its digest.
    pub digest: String,
    /// What it builds on.
    pub parents: Vec<BlockName>,
    /// How many transactions it has.
    pub transactions: u64,
    /// How many attestations it has.
    pub attestations: u64,
    /// How many proofs of faults it has.
    pub evidence: u64,
    /// Its size.
    pub bytes: u64,
    /// Its author's time.
    pub time_unix_ms: u64,
    /// Whether its author leads the round.
    pub leader: bool,
    /// `pending` or `committed`.
    pub state: String,
    /// The checkpoint that has it.
    pub height: Option<u64>,
    /// Its transactions.
    #[serde(default)]
    pub transaction_ids: Vec<String>,
}

/// What a node knows of a transaction.
#[derive(Debug, Deserialize)]
pub struct TransactionAnswer {
    /// Its id.
    pub id: String,
    /// `pending`, `executed`, `final`, `refused` or `unknown`.
    pub status: String,
    /// The checkpoint that has it.
    pub height: Option<u64>,
    /// Its place there.
    pub position: Option<u64>,
    /// What became of it.
    pub outcome: Option<Outcome>,
    /// The block that has it.
    pub block: Option<BlockName>,
    /// The checkpoint's time.
    pub checkpoint_time_unix_ms: Option<u64>,
    /// What it says.
    pub transaction: Option<TransactionContent>,
    /// Why it was refused.
    pub refusal: Option<String>,
    /// The sender's shard, where there are several.
    pub shard: Option<u64>,
    /// How it went on, if it pays to another shard.
    pub arrival: Option<Arrival>,
}

/// What a transaction says.
#[derive(Debug, Deserialize)]
pub struct TransactionContent {
    /// Who pays.
    pub sender: String,
    /// Its number.
    pub nonce: u64,
    /// Its fee.
    pub fee: Amount,
    /// What to do.
    pub action: ActionContent,
    /// The scheme of its signature.
    pub scheme: String,
    /// Its size.
    pub bytes: u64,
}

/// What a transaction does.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionContent {
    /// Moves an amount.
    Transfer {
        /// To whom.
        to: String,
        /// How much.
        amount: Amount,
    },
    /// Names another key.
    RotateKey {
        /// Of the new key.
        scheme: String,
    },
    /// Something newer.
    #[serde(untagged)]
    Other(serde_json::Value),
}

/// An account.
#[derive(Debug, Clone, Deserialize)]
pub struct AccountAnswer {
    /// Its address.
    pub address: String,
    /// The shard that it belongs to.
    pub shard: Option<u64>,
    /// Whether it was ever paid.
    pub exists: bool,
    /// What it has.
    pub balance: Amount,
    /// How many of its transactions are final.
    pub nonce: u64,
    /// The nonce to use next.
    pub next_nonce: u64,
    /// The digest of the key that may sign.
    pub key: Option<String>,
    /// The certified height it is read at.
    pub height: u64,
}

/// Proven faults.
#[derive(Debug, Deserialize)]
pub struct EvidenceAnswer {
    /// One for each.
    pub evidence: Vec<ProvenFault>,
    /// Where the list goes on, if it does.
    pub next: Option<String>,
}

/// A proven fault.
#[derive(Debug, Deserialize)]
pub struct ProvenFault {
    /// Under which to ask for its proof.
    pub digest: String,
    /// Whose.
    pub accused: u64,
    /// Its name.
    pub name: String,
    /// What it did.
    pub offence: String,
    /// Where it was committed.
    pub height: Option<u64>,
}

/// What a search found.
#[derive(Debug, Deserialize)]
pub struct SearchAnswer {
    /// Best first.
    pub results: Vec<Found>,
}

/// Something that a search found.
#[derive(Debug, Deserialize)]
pub struct Found {
    /// What it is.
    pub kind: String,
    /// How to ask for it.
    pub id: serde_json::Value,
    /// What it is called.
    pub title: String,
    /// The shard that it is in.
    #[serde(default)]
    pub shard: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_from_strings_and_numbers() {
        let read = |text: &str| serde_json::from_str::<Amount>(text).ok();
        assert_eq!(read("\"18446744073709551615\""), Some(Amount(u64::MAX)));
        assert_eq!(read("7"), Some(Amount(7)));
        for wrong in ["-1", "\"x\"", "1.5", "null"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_unknown_action_does_not_hide_the_rest() {
        let read = |text: &str| serde_json::from_str::<ActionContent>(text).unwrap();
        let transfer = read("{\"transfer\":{\"to\":\"ab\",\"amount\":\"5\"}}");
        assert!(matches!(transfer, ActionContent::Transfer { amount: Amount(5), .. }));
        assert!(matches!(read("{\"newer\":{}}"), ActionContent::Other(_)));
    }

    #[test]
    fn a_batch_has_answers_of_both_kinds() {
        let text =
            "{\"results\":[{\"id\":\"ab\"},{\"error\":{\"code\":\"busy\",\"message\":\"m\"}}]}";
        let batch: SubmittedBatch = serde_json::from_str(text).unwrap();
        assert!(matches!(&batch.results[0], BatchAnswer::Taken(taken) if taken.id == "ab"));
        assert!(
            matches!(&batch.results[1], BatchAnswer::Refused { error } if error.code == "busy")
        );
    }
}
