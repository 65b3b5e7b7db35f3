//! What a running node shows to its API, and the door through which clients hand things in.
//!
//! The runtime writes, the API reads; neither waits for the other. A reader sees a certified
//! state together with the certificate for it, never a mixture of two heights.

use std::sync::{Arc, PoisonError, RwLock};

use qcn_crypto::{ChainId, Digest};
use qcn_ledger::{Ledger, Outcome, Received};
use qcn_types::{
    Address, AuthorSet, Certificate, CommitteeKeys, Epoch, Evidence, Height, Resharding, Round,
    ShardId, Transaction, TransactionId, ValidatorIndex,
};
use serde::Serialize;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// The most submissions that wait for the runtime; beyond it clients are told to try again.
pub const MAX_WAITING_SUBMISSIONS: usize = 1_024;

/// How many notices a subscriber may lag behind before it misses some, and is told so.
pub const MAX_NOTICE_LAG: usize = 4_096;

/// Where a node stands.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NodeStatus {
    /// The local round.
    pub round: u64,
    /// The garbage-collection floor.
    pub floor: u64,
    /// The height of the newest executed checkpoint.
    pub height: u64,
    /// The highest certified height.
    pub certified_height: u64,
    /// Transactions that wait to be proposed.
    pub mempool: usize,
    /// Blocks that consensus holds in the DAG.
    pub dag_blocks: usize,
    /// Blocks that wait for their parents or verification.
    pub waiting_blocks: usize,
    /// Whether it is finding out what it has signed, after a lost disk.
    pub recovering: bool,
    /// Whether it is synchronising state.
    pub synchronising: bool,
    /// Why it stopped, if it did, such as a result that differs from a certified one.
    pub stopped: Option<String>,
    /// Whether it must not be started again as it is: its state is not that of a quorum.
    pub stopped_for_good: bool,
    /// Why it waits, if it does: a full disk. It goes on by itself once there is space.
    pub waiting_for: Option<String>,
    /// When the newest checkpoint was executed here, in milliseconds since the Unix epoch.
    pub last_checkpoint_unix_ms: u64,
}

/// A state that anyone can check: the ledger after a checkpoint, and the certificate for it.
#[derive(Clone, Debug)]
pub struct CertifiedState {
    /// Certifies the checkpoint whose state root is the ledger's.
    pub certificate: Arc<Certificate>,
    /// The state after the checkpoint. A clone of the machine's, which costs nothing.
    pub ledger: Ledger,
}

/// A connection to another validator, as this node sees it.
#[derive(Clone, Debug, Serialize)]
pub struct PeerStatus {
    /// Its place among all validators: its index in the committee, if there is one shard.
    pub index: u16,
    /// Its name in the genesis.
    pub name: String,
    /// Where it was reached or would be dialled.
    pub address: Option<String>,
    /// Whether a connection stands.
    pub connected: bool,
    /// Smoothed round-trip time in milliseconds, while connected.
    pub rtt_ms: Option<f64>,
    /// Bytes received from it since the node started.
    pub bytes_in: u64,
    /// Bytes sent to it since the node started.
    pub bytes_out: u64,
    /// Frames to it that were dropped because its queue was full.
    pub frames_dropped: u64,
    /// Packets sent to it since the node started.
    pub packets_sent: u64,
    /// Those of them that were lost, and sent again in others.
    pub packets_lost: u64,
    /// Messages of it that were refused.
    pub refused: u64,
}

/// What subscribers are told as it happens.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A block entered the DAG.
    Block {
        /// Its name.
        block: qcn_types::BlockRef,
        /// How many transactions it carries.
        transactions: usize,
    },
    /// A round's commits were executed.
    Executed {
        /// The height of the checkpoint.
        height: Height,
        /// Its digest.
        checkpoint: Digest,
        /// The checkpoint's time, in milliseconds since the Unix epoch.
        time_ms: u64,
        /// The committed leaders, in order.
        leaders: Vec<qcn_types::BlockRef>,
        /// The committed blocks, in order.
        blocks: Vec<qcn_types::BlockRef>,
        /// What became of each transaction, in order.
        outcomes: Arc<Vec<(TransactionId, Outcome)>>,
        /// Whom each of them concerns: who sent it, and who is paid by it. Empty if the blocks
        /// are not at hand.
        parties: Arc<Vec<(Address, Option<Address>)>>,
        /// What became of each receipt from another shard, in order.
        received: Arc<Vec<Received>>,
    },
    /// A leader slot was decided to stay empty.
    Skipped {
        /// Its round.
        round: Round,
        /// Whose it was.
        author: ValidatorIndex,
    },
    /// A quorum attests a checkpoint; all below it are thereby final, too.
    Certified {
        /// Its height.
        height: Height,
        /// Its digest.
        checkpoint: Digest,
    },
    /// A validator's fault was proven here.
    Evidence(Arc<Evidence>),
    /// Committed evidence isolated a validator.
    Isolated(ValidatorIndex),
    /// A connection came up or went down.
    Peer {
        /// Whose, by its place among all validators.
        validator: ValidatorIndex,
        /// Whether it stands now.
        connected: bool,
    },
    /// The network is in another epoch.
    Epoch {
        /// Which.
        epoch: Epoch,
        /// What is different from the layout of the epoch before.
        reshardings: Vec<Resharding>,
    },
}

/// Why a transaction was not taken in.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubmitError {
    /// Its signature is not that of the key it carries.
    #[error("the signature is not that of the transaction's key for this chain")]
    WrongSignature,
    /// The network does not allow this scheme for accounts.
    #[error("this network does not allow the scheme {0} for accounts")]
    SchemeNotAllowed(qcn_crypto::Scheme),
    /// The mempool or the ledger refused it.
    #[error(transparent)]
    Refused(#[from] qcn_shard::Refused),
    /// Too much waits already.
    #[error("the node is busy: try again in a moment")]
    Busy,
    /// Committed evidence isolated the validator: nobody builds on its blocks any more.
    #[error("this validator is isolated for misbehaviour: hand the transaction to another one")]
    Isolated,
    /// The node is stopping or has stopped.
    #[error("the node is not running any more")]
    Stopped,
}

impl SubmitError {
    /// Whether it says something about every transaction of this id. An id does not cover key and
    /// signature, which whoever sees a transaction can replace.
    #[must_use]
    pub const fn is_of_the_body(&self) -> bool {
        use qcn_shard::Refused;
        !matches!(
            self,
            Self::WrongSignature
                | Self::SchemeNotAllowed(_)
                | Self::Refused(Refused::ByLedger(qcn_ledger::Refusal::WrongKey) | Refused::Ended)
        )
    }

    /// A short name for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::WrongSignature => "wrong_signature",
            Self::SchemeNotAllowed(_) => "scheme_not_allowed",
            Self::Refused(qcn_shard::Refused::ByLedger(_)) => "by_ledger",
            Self::Refused(qcn_shard::Refused::NonceTaken { .. }) => "nonce_taken",
            Self::Refused(qcn_shard::Refused::Full) => "mempool_full",
            Self::Refused(qcn_shard::Refused::Ended) => "shard_changes",
            Self::Busy => "busy",
            Self::Isolated => "isolated",
            Self::Stopped => "stopped",
        }
    }
}

/// Transactions from a client, and where the answers go.
#[derive(Debug)]
pub struct Submission {
    /// What is handed in, in order; a sender's transactions in the order of their nonces.
    pub transactions: Vec<Transaction>,
    /// One answer each, in order.
    pub reply: oneshot::Sender<Vec<Result<TransactionId, SubmitError>>>,
}

/// The public face of a running node. Clones show the same node.
#[derive(Clone, Debug)]
pub struct View(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keys: CommitteeKeys,
    own: ValidatorIndex,
    /// The members' places among all validators of the network, in the order of seats.
    seats: Vec<ValidatorIndex>,
    /// Counts what there is for other shards to fetch.
    outgoing: watch::Sender<u64>,
    status: RwLock<NodeStatus>,
    certified: RwLock<Option<CertifiedState>>,
    isolated: RwLock<AuthorSet>,
    peers: RwLock<Vec<PeerStatus>>,
    notices: broadcast::Sender<Notice>,
    submissions: mpsc::Sender<Submission>,
}

impl View {
    /// A view of a node that is about to run, and the other end of its client door.
    #[must_use]
    pub fn new(keys: CommitteeKeys, own: ValidatorIndex) -> (Self, mpsc::Receiver<Submission>) {
        let seats = keys.committee().indices().collect();
        Self::seated(keys, own, seats)
    }

    /// The same in a shard whose members are some of the network's validators: their places among
    /// all of them, in the order of seats.
    #[must_use]
    pub fn seated(
        keys: CommitteeKeys,
        own: ValidatorIndex,
        seats: Vec<ValidatorIndex>,
    ) -> (Self, mpsc::Receiver<Submission>) {
        let (submissions, waiting) = mpsc::channel(MAX_WAITING_SUBMISSIONS);
        let (notices, _) = broadcast::channel(MAX_NOTICE_LAG);
        let inner = Inner {
            keys,
            own,
            seats,
            outgoing: watch::Sender::new(0),
            status: RwLock::default(),
            certified: RwLock::default(),
            isolated: RwLock::default(),
            peers: RwLock::default(),
            notices,
            submissions,
        };
        (Self(Arc::new(inner)), waiting)
    }

    /// The network.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.0.keys.chain()
    }

    /// The committee with its keys.
    #[must_use]
    pub fn keys(&self) -> &CommitteeKeys {
        &self.0.keys
    }

    /// Which member of the committee this node is.
    #[must_use]
    pub fn own(&self) -> ValidatorIndex {
        self.0.own
    }

    /// The shard.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.0.keys.committee().shard()
    }

    /// The place of a member among all validators of the network.
    #[must_use]
    pub fn validator(&self, seat: ValidatorIndex) -> Option<ValidatorIndex> {
        self.0.seats.get(seat.position()).copied()
    }

    /// The seat of a validator of the network, if it has one here.
    #[must_use]
    pub fn seat(&self, validator: ValidatorIndex) -> Option<ValidatorIndex> {
        let seat = self.0.seats.iter().position(|member| *member == validator)?;
        u16::try_from(seat).ok().map(ValidatorIndex)
    }

    /// Changes whenever there is something new for other shards.
    #[must_use]
    pub fn outgoing(&self) -> watch::Receiver<u64> {
        self.0.outgoing.subscribe()
    }

    /// Where the node stands.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        read(&self.0.status)
    }

    /// The newest certified state; none before the first certificate since the start.
    #[must_use]
    pub fn certified(&self) -> Option<CertifiedState> {
        read(&self.0.certified)
    }

    /// Whom committed evidence has isolated.
    #[must_use]
    pub fn isolated(&self) -> AuthorSet {
        read(&self.0.isolated)
    }

    /// The connections to the other validators.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        read(&self.0.peers)
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.0.notices.subscribe()
    }

    /// Hands in transactions and waits for what the node says to each.
    ///
    /// A transaction that was taken in is not final yet: follow it in the archive or the notices.
    ///
    /// # Errors
    /// [`SubmitError::Busy`], [`SubmitError::Isolated`] or [`SubmitError::Stopped`] for all of
    /// them.
    pub async fn submit(
        &self,
        transactions: Vec<Transaction>,
    ) -> Result<Vec<Result<TransactionId, SubmitError>>, SubmitError> {
        if self.isolated().contains(self.own()) {
            return Err(SubmitError::Isolated);
        }
        let (reply, answers) = oneshot::channel();
        let submission = Submission { transactions, reply };
        self.0.submissions.try_send(submission).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Stopped,
        })?;
        answers.await.map_err(|_| SubmitError::Stopped)
    }

    /// For the runtime: where the node stands now.
    pub fn set_status(&self, status: NodeStatus) {
        write(&self.0.status, status);
    }

    /// For the runtime: a newer certified state.
    pub fn set_certified(&self, state: CertifiedState) {
        write(&self.0.certified, Some(state));
    }

    /// For the runtime: whom committed evidence has isolated.
    pub fn set_isolated(&self, isolated: AuthorSet) {
        write(&self.0.isolated, isolated);
    }

    /// For the runtime: the connections.
    pub fn set_peers(&self, peers: Vec<PeerStatus>) {
        write(&self.0.peers, peers);
    }

    /// For the runtime: there is something new for other shards.
    pub fn note_outgoing(&self) {
        self.0.outgoing.send_modify(|count| *count += 1);
    }

    /// For the runtime: tells subscribers, if there are any.
    pub fn notify(&self, notice: Notice) {
        // Without subscribers there is nobody to tell.
        let _ = self.0.notices.send(notice);
    }
}

/// The connections of a node, which all its instances share. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct PeerBoard(Arc<RwLock<Vec<PeerStatus>>>);

impl PeerBoard {
    /// The connections to the other validators.
    #[must_use]
    pub fn get(&self) -> Vec<PeerStatus> {
        read(&self.0)
    }

    /// For the runtime: the connections now.
    pub fn set(&self, peers: Vec<PeerStatus>) {
        write(&self.0, peers);
    }
}

// A writer replaces the whole value, so that a panic elsewhere cannot leave half of one.
fn read<T: Clone>(lock: &RwLock<T>) -> T {
    lock.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn write<T>(lock: &RwLock<T>, value: T) {
    *lock.write().unwrap_or_else(PoisonError::into_inner) = value;
}
