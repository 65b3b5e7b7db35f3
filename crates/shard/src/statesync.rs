//! Catching up by state: a certified checkpoint, then its state in verified chunks from many
//! peers (DESIGN sections 5.5 and 6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qcn_consensus::ScheduleState;
use qcn_consensus::rules::collection_floor;
use qcn_crypto::{ChainId, Digest};
use qcn_ledger::{Ledger, Restore, Territory};
use qcn_types::{Height, Time, ValidatorIndex};

use crate::{Event, Message, Output, SyncPackage};

/// The most chunks asked for and not yet here.
const MAX_CHUNKS_IN_FLIGHT: usize = 16;
/// The most chunks a state may be said to have.
const MAX_CHUNKS: u32 = 1 << 20;
/// How many peers are asked for an offer at once.
const PEERS_ASKED: usize = 3;
/// Without progress for so long, other peers are asked.
const PATIENCE_US: u64 = 1_000_000;
/// A guest asks again after so long: what it waits for does not exist before the epoch ends, and a
/// shard may be waiting for it then.
const GUEST_PATIENCE_US: u64 = 200_000;
/// Without any progress for so many times the patience, the whole attempt starts anew.
const ATTEMPTS: u32 = 5;

/// Why an offer is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadOffer {
    /// The commits are not chained, or do not end in the one that the checkpoint names.
    #[error("the commits do not lead to the checkpoint")]
    BrokenChain,
    /// Commits above the floor are missing.
    #[error("commits above the floor are missing")]
    Incomplete,
    /// The schedule is not the one that the last commit names.
    #[error("the schedule is not the committed one")]
    WrongSchedule,
    /// The plan is not the one that the checkpoint names, or there is one that it does not name.
    #[error("the plan of the next epoch is not the one that the checkpoint names")]
    WrongPlan,
    /// More chunks than a state may have, or none.
    #[error("the number of chunks is impossible")]
    ChunkCount,
}

/// Checks everything about an offer but the certificate's signatures.
///
/// # Errors
/// [`BadOffer`].
pub fn check_offer(package: &SyncPackage, members: usize, gc_depth: u64) -> Result<(), BadOffer> {
    if package.chunks == 0 || package.chunks > MAX_CHUNKS {
        return Err(BadOffer::ChunkCount);
    }
    let checkpoint = &package.certificate.checkpoint;
    let named = package.plan.iter().all(|plan| plan.digest() == checkpoint.next_epoch);
    if !named || package.is_last() == package.plan.is_empty() {
        return Err(BadOffer::WrongPlan);
    }
    if package.is_last() {
        let is_bare = package.commits.is_empty() && package.schedule == ScheduleState::default();
        return if is_bare { Ok(()) } else { Err(BadOffer::BrokenChain) };
    }
    let Some((first, last)) = package.commits.first().zip(package.commits.last()) else {
        return Err(BadOffer::BrokenChain);
    };
    let chained = package
        .commits
        .windows(2)
        .all(|pair| pair[1].previous == pair[0].digest() && follows(pair[0].index, pair[1].index));
    if !chained || last.digest() != package.certificate.checkpoint.commit {
        return Err(BadOffer::BrokenChain);
    }
    // One commit wholly below the floor, or the very first, shows that none above it is left out.
    let floor = collection_floor(last.leader.round, gc_depth);
    let starts = first.index == 1 && first.previous == Digest::ZERO;
    if !starts && first.leader.round > floor {
        return Err(BadOffer::Incomplete);
    }
    if package.schedule.digest() != last.schedule || !package.schedule.fits(members) {
        return Err(BadOffer::WrongSchedule);
    }
    Ok(())
}

/// Whether an index is the next one; both may be any number.
const fn follows(before: u64, index: u64) -> bool {
    matches!(index.checked_sub(before), Some(1))
}

/// What a synchronisation asks for: messages to peers.
pub type Requests = Vec<(ValidatorIndex, Message)>;

/// The requests as outputs.
pub fn sent(requests: Requests) -> impl Iterator<Item = Output> {
    requests.into_iter().map(|(to, message)| Output::Send { to, message })
}

/// A certified package with the state that its chunks have made.
pub type Synchronised = (Arc<SyncPackage>, Box<Ledger>);

#[derive(Debug)]
struct Download {
    /// Who offered it: how many chunks there are is only its word.
    from: ValidatorIndex,
    package: Arc<SyncPackage>,
    restore: Restore,
    wanted: BTreeSet<u32>,
    /// Whom each of the others was asked for. Only that peer can answer it.
    in_flight: BTreeMap<u32, ValidatorIndex>,
    stalls: u32,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    /// Waiting for an offer whose certificate is valid.
    Asking,
    /// Fetching the state.
    Downloading(Box<Download>),
}

/// The synchronisation of one validator.
#[derive(Debug)]
pub struct StateSync {
    own: ValidatorIndex,
    members: u16,
    chain: ChainId,
    territory: Territory,
    phase: Phase,
    next_peer: u16,
    patience_us: u64,
    deadline: Time,
    /// Peers whose chunks did not fit the certified root, or were not what they were asked for.
    liars: BTreeSet<ValidatorIndex>,
    /// Peers that do not keep this state any more.
    gone: BTreeSet<ValidatorIndex>,
}

impl StateSync {
    /// Nothing to synchronise.
    #[must_use]
    pub fn new(own: ValidatorIndex, members: usize, chain: ChainId, territory: Territory) -> Self {
        Self {
            own,
            members: members as u16,
            chain,
            territory,
            phase: Phase::Idle,
            // A guest has an index beyond the last.
            next_peer: own.0 % (members as u16).max(1),
            patience_us: if own.position() < members { PATIENCE_US } else { GUEST_PATIENCE_US },
            deadline: Time::ZERO,
            liars: BTreeSet::new(),
            gone: BTreeSet::new(),
        }
    }

    /// When to look again, if it runs.
    #[must_use]
    pub const fn deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Idle => None,
            _ => Some(self.deadline),
        }
    }

    /// Starts, unless it runs already.
    pub fn start(&mut self, now: Time, height: Height) -> Requests {
        match self.phase {
            Phase::Idle => self.ask(now, height),
            _ => Vec::new(),
        }
    }

    /// Asks no more, because the validator goes on by blocks.
    pub fn stop_asking(&mut self) {
        if matches!(self.phase, Phase::Asking) {
            self.phase = Phase::Idle;
        }
    }

    /// Asks again what was not answered.
    pub fn tick(&mut self, now: Time, height: Height) -> Requests {
        if now < self.deadline {
            return Vec::new();
        }
        match &mut self.phase {
            Phase::Idle => Vec::new(),
            Phase::Asking => self.ask(now, height),
            Phase::Downloading(download) => {
                download.stalls += 1;
                if download.stalls > ATTEMPTS {
                    // Perhaps there are fewer chunks than it was said.
                    let from = download.from;
                    self.liars.insert(from);
                    return self.ask(now, height);
                }
                let again = std::mem::take(&mut download.in_flight);
                download.wanted.extend(again.into_keys());
                self.deadline = now.plus_us(self.patience_us);
                self.request_chunks()
            }
        }
    }

    fn ask(&mut self, now: Time, height: Height) -> Requests {
        self.phase = Phase::Asking;
        self.gone.clear();
        self.deadline = now.plus_us(self.patience_us);
        let peers: Vec<ValidatorIndex> = (0..PEERS_ASKED).filter_map(|_| self.peer()).collect();
        peers.into_iter().map(|to| (to, Message::SyncRequest { above: height })).collect()
    }

    /// Whether a peer has lied, and its offers are not looked at.
    #[must_use]
    pub fn is_liar(&self, peer: ValidatorIndex) -> bool {
        self.liars.contains(&peer)
    }

    /// A peer offered what no quorum has certified: nothing is taken from it any more, and the
    /// driver is told.
    pub fn lied(&mut self, peer: ValidatorIndex) -> Output {
        self.liars.insert(peer);
        Output::Event(Event::LyingSyncer(peer))
    }

    /// Has the certificate of an offer that is of use checked, unless the rest of it shows already
    /// that it is a lie.
    pub fn check(
        &mut self,
        from: ValidatorIndex,
        package: Arc<SyncPackage>,
        gc_depth: u64,
    ) -> Output {
        match check_offer(&package, usize::from(self.members), gc_depth) {
            Ok(()) => Output::VerifySync { from, package },
            Err(_) => self.lied(from),
        }
    }

    /// Whether an offer is of use: one that was asked for, or the end of the epoch, after which
    /// nothing else may ever come.
    #[must_use]
    pub fn wants(&self, package: &SyncPackage, height: Height) -> bool {
        let is_awaited = match &self.phase {
            Phase::Asking => true,
            Phase::Idle => package.is_last(),
            Phase::Downloading(download) => package.is_last() && !download.package.is_last(),
        };
        is_awaited && package.certificate.checkpoint.height > height
    }

    /// An offer that is of use and whose certificate is valid.
    pub fn begin(
        &mut self,
        now: Time,
        from: ValidatorIndex,
        package: Arc<SyncPackage>,
    ) -> Requests {
        let root = package.certificate.checkpoint.state_root;
        self.phase = Phase::Downloading(Box::new(Download {
            from,
            restore: Restore::new(self.chain, self.territory.clone(), root),
            wanted: (0..package.chunks).collect(),
            in_flight: BTreeMap::new(),
            stalls: 0,
            package,
        }));
        self.deadline = now.plus_us(self.patience_us);
        self.request_chunks()
    }

    /// A peer answers a request for a chunk: what to say because of it, and the package and state
    /// once complete. What is no such answer does nothing.
    pub fn answered(
        &mut self,
        now: Time,
        from: ValidatorIndex,
        answer: &Message,
        own_height: Height,
    ) -> (Vec<Output>, Option<Synchronised>) {
        let result = match answer {
            Message::Chunk { height, index, chunk } => {
                self.chunk(now, from, *height, chunk, *index, own_height)
            }
            Message::ChunkGone { height } => {
                ChunkResult::More(self.gone(now, from, *height, own_height))
            }
            _ => ChunkResult::More(Vec::new()),
        };
        match result {
            ChunkResult::More(requests) => (sent(requests).collect(), None),
            ChunkResult::Lie(requests) => {
                let lie = std::iter::once(Output::Event(Event::LyingSyncer(from)));
                (lie.chain(sent(requests)).collect(), None)
            }
            ChunkResult::Complete(package, ledger) => (Vec::new(), Some((package, ledger))),
        }
    }

    /// A chunk came. Gives back what to ask next, and the package and state once complete; says
    /// so if the chunk is a lie. What nobody was asked for, or somebody else, does nothing.
    fn chunk(
        &mut self,
        now: Time,
        from: ValidatorIndex,
        height: Height,
        chunk: &qcn_ledger::StateChunk,
        index: u32,
        own_height: Height,
    ) -> ChunkResult {
        let Phase::Downloading(download) = &mut self.phase else {
            return ChunkResult::More(Vec::new());
        };
        let asked = download.package.certificate.checkpoint.height == height
            && download.in_flight.get(&index) == Some(&from);
        if !asked {
            return ChunkResult::More(Vec::new());
        }
        download.in_flight.remove(&index);
        // A chunk that is there already is not the one that was asked for.
        if download.restore.accept(chunk).is_err() {
            download.wanted.insert(index);
            self.liars.insert(from);
            return ChunkResult::Lie(self.request_chunks());
        }
        self.deadline = now.plus_us(self.patience_us);
        if !download.restore.is_complete() {
            if download.wanted.is_empty() && download.in_flight.is_empty() {
                // The offer named too few chunks.
                let from = download.from;
                self.liars.insert(from);
                return ChunkResult::More(self.ask(now, own_height));
            }
            return ChunkResult::More(self.request_chunks());
        }
        let Phase::Downloading(download) = std::mem::take(&mut self.phase) else {
            return ChunkResult::More(Vec::new());
        };
        match download.restore.finish() {
            Ok(ledger) => ChunkResult::Complete(download.package, Box::new(ledger)),
            // A quorum certified a state that contradicts itself: nobody who sent it is to blame.
            Err(_) => ChunkResult::More(self.ask(now, own_height)),
        }
    }

    /// A peer that was asked does not keep this state any more: others may, and if none does, it
    /// starts anew.
    fn gone(
        &mut self,
        now: Time,
        from: ValidatorIndex,
        height: Height,
        own_height: Height,
    ) -> Requests {
        let Phase::Downloading(download) = &mut self.phase else {
            return Vec::new();
        };
        let asked = download.package.certificate.checkpoint.height == height
            && download.in_flight.values().any(|peer| *peer == from);
        if !asked {
            return Vec::new();
        }
        let theirs: Vec<u32> = download
            .in_flight
            .iter()
            .filter(|(_, peer)| **peer == from)
            .map(|(index, _)| *index)
            .collect();
        for index in theirs {
            download.in_flight.remove(&index);
            download.wanted.insert(index);
        }
        self.gone.insert(from);
        let mut others = (0..self.members).map(ValidatorIndex).filter(|peer| *peer != self.own);
        if others.all(|peer| self.gone.contains(&peer) || self.liars.contains(&peer)) {
            return self.ask(now, own_height);
        }
        self.request_chunks()
    }

    fn request_chunks(&mut self) -> Requests {
        let mut requests = Vec::new();
        loop {
            let peer = self.peer();
            let Phase::Downloading(download) = &mut self.phase else {
                break;
            };
            let Some(to) = peer.filter(|_| download.in_flight.len() < MAX_CHUNKS_IN_FLIGHT) else {
                break;
            };
            let Some(index) = download.wanted.pop_first() else {
                break;
            };
            download.in_flight.insert(index, to);
            let height = download.package.certificate.checkpoint.height;
            requests.push((to, Message::ChunkRequest { height, index }));
        }
        requests
    }

    /// The next peer in turn that has not lied and may have the state.
    fn peer(&mut self) -> Option<ValidatorIndex> {
        for _ in 0..self.members {
            self.next_peer = (self.next_peer + 1) % self.members;
            let peer = ValidatorIndex(self.next_peer);
            let of_use = !self.liars.contains(&peer) && !self.gone.contains(&peer);
            if peer != self.own && of_use {
                return Some(peer);
            }
        }
        // All have lied, so perhaps none did: the state may have been pruned under way.
        self.liars.clear();
        self.gone.clear();
        None
    }
}

/// What a chunk led to.
#[derive(Debug)]
enum ChunkResult {
    /// It fits, or is of no interest.
    More(Requests),
    /// It does not fit the certified root.
    Lie(Requests),
    /// The state is complete.
    Complete(Arc<SyncPackage>, Box<Ledger>),
}

#[cfg(test)]
mod tests;
