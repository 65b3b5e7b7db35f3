//! The durable store of one shard instance: the block log and the snapshots beside it (DESIGN
//! sections 3, 5.3, 6 and 8).
//!
//! A store is a folder with
//! - `blocks-<n>.log`, segments of the log: own and accepted blocks, in the order in which the
//!   machine gave them out;
//! - `snapshot-<height>.snap`, certified states, of which the two newest are kept;
//! - `durable.mark`, up to where the log was durable;
//! - `store.id`, whose store it is; `fresh` and `suspect`, markers; `lock`, held by the process.
//!
//! ```text
//! machine -- Record --> LogWriter --> BlockLog --> Disk        (one thread, group commits)
//!                          |  snapshots, another thread --> Disk
//!                          +-- LogEvent::Durable(Ticket) --> what was held back may be sent
//! ```
//!
//! **What is promised**, on a disk whose sync means that data is durable:
//! - a record whose ticket was reported is there after any crash, and in order;
//! - nothing is given back that was not appended: blocks are verified again, states are
//!   restored against the root that their certificate names;
//! - own blocks are never lost silently. Where one that was reported durable may be missing,
//!   [`BlockLog::open`] gives [`Start::Suspect`], and goes on giving it until a new own block is
//!   durable: the machine signs one only after it has asked the committee.
//!
//! **When a log is suspect.** An honest crash leaves a torn tail behind what was durable; it is
//! cut off, and the start is [`Start::Restarted`], because an own block leaves only after its
//! barrier. This matters: a validator that recovers does not answer others that do, so if a
//! power cut made all of them suspect, none would come back. Evidence for more than an honest
//! crash makes it suspect:
//! - the damage, or the end, lies at or below the durable mark, or below the mark that some
//!   intact frame carries, be it behind the damage;
//! - the damage is in a segment that is not the last, or in a header with frames behind it;
//! - a segment, the mark, the identity or all of the folder is missing, without the marker that
//!   [`BlockLog::initialise`] sets and the first opening removes before anything can be written;
//! - all snapshots are unreadable although the log below them was pruned;
//! - an intact own block is not what this validator signed;
//! - a sync has failed: what the disk holds is not known.
//!
//! The suspicion is durable before anything is repaired, so a crash in between changes nothing.
//!
//! **What it cannot see**: a folder that was replaced by an older copy of itself is sound in all
//! its parts. Whoever restores a backup calls [`BlockLog::distrust`]. And see `mark.rs` for the
//! one double fault, a power cut and an independent damage to the same second, that it misses.

mod block;
mod disk;
mod end;
mod error;
mod frame;
mod log;
mod mark;
mod open;
mod queue;
mod read;
mod report;
mod sealed;
mod segment;
mod snapshot;
mod writer;

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{ChainId, Digest};
use qcn_shard::Start;
use qcn_types::{CommitteeKeys, Epoch, ShardId, ValidatorIndex};

pub use end::{keep_end, read_end};
pub use error::StorageError;
pub use log::BlockLog;
pub use report::OpenReport;
pub use writer::{LogEvent, LogWriter, Ticket};

/// The format of all files of the store.
const FORMAT_VERSION: u32 = 4;

/// A segment that has grown to this many bytes is followed by a new one.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// How many snapshots are kept: one to resume from, and one should it turn out damaged.
const SNAPSHOTS_KEPT: usize = 2;

/// A store that was opened.
#[derive(Debug)]
pub struct Opened {
    /// To be appended to.
    pub log: BlockLog,
    /// What the machine of the shard starts from.
    pub start: Start,
    /// What was found, discarded and repaired.
    pub report: OpenReport,
}

/// Whose store a folder is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct StoreIdentity {
    /// The network.
    pub chain: ChainId,
    /// The shard.
    pub shard: ShardId,
    /// The epoch.
    pub epoch: Epoch,
    /// Which member of the committee.
    pub own: ValidatorIndex,
    /// The digest of its consensus key.
    pub key: Digest,
}

impl StoreIdentity {
    /// The identity of a committee's member; nothing if there is no such member.
    #[must_use]
    pub fn of(keys: &CommitteeKeys, own: ValidatorIndex) -> Option<Self> {
        let committee = keys.committee();
        Some(Self {
            chain: keys.chain(),
            shard: committee.shard(),
            epoch: committee.epoch(),
            own,
            key: committee.member(own)?.key.digest(),
        })
    }
}

impl fmt::Display for StoreIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain, shard, epoch, own, key } = self;
        write!(
            formatter,
            "validator {own} with key {key:?} in shard {shard}, epoch {epoch}, chain {:?}",
            chain.0
        )
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
