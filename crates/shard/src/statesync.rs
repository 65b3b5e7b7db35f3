//! Catching up by state: a certified checkpoint, then its state in verified chunks from many
//! peers (DESIGN sections 5.5 and 6).
//!
//! Chunks are asked for by region, and which regions are missing follows from the certified root
//! alone. Regions with the same records in a state that is at hand are not asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qcn_consensus::ScheduleState;
use qcn_consensus::rules::collection_floor;
use qcn_crypto::{ChainId, Digest};
use qcn_ledger::{ChunkError, Known, Ledger, Restore, StateChunk, StateRegion, Territory};
use qcn_types::{Height, Time, ValidatorIndex};

use crate::{Event, Message, Output, SyncPackage};

/// The most chunks asked for and not yet here.
const MAX_CHUNKS_IN_FLIGHT: usize = 16;
/// How many peers are asked for an offer at once.
const PEERS_ASKED: usize = 3;
/// Without progress for so long, other peers are asked.
const PATIENCE_US: u64 = 1_000_000;
/// A guest asks again after so long: what it waits for does not exist before the epoch ends, and a
/// shard may be waiting for it then.
const GUEST_PATIENCE_US: u64 = 200_000;
/// How often the patience is doubled while nothing comes.
const MAX_DOUBLINGS: u32 = 3;
/// When nothing has come so often in a row, the whole attempt starts anew.
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
}

/// Checks everything about an offer but the certificate's signatures.
///
/// # Errors
/// [`BadOffer`].
pub fn check_offer(package: &SyncPackage, members: usize, gc_depth: u64) -> Result<(), BadOffer> {
    check_plan(package)?;
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

/// The end of an epoch comes with the plan that it names, and nothing else with any.
fn check_plan(package: &SyncPackage) -> Result<(), BadOffer> {
    let checkpoint = &package.certificate.checkpoint;
    let named = package.plan.iter().all(|plan| plan.digest() == checkpoint.next_epoch);
    if named && package.is_last() != package.plan.is_empty() {
        Ok(())
    } else {
        Err(BadOffer::WrongPlan)
    }
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

/// What something that came leads to.
#[derive(Debug, Default)]
pub struct Progress {
    /// What to say because of it.
    pub outputs: Vec<Output>,
    /// The state, once it is complete.
    pub done: Option<Synchronised>,
}

#[derive(Debug)]
struct Download {
    package: Arc<SyncPackage>,
    restore: Restore,
    /// Who is to answer for a region.
    in_flight: BTreeMap<StateRegion, ValidatorIndex>,
    /// All who were ever asked for a region and have not answered: whoever is far away answers when
    /// another has been asked.
    asked: BTreeSet<(StateRegion, ValidatorIndex)>,
    /// How often nothing came in time, since something last came.
    stalls: u32,
}

impl Download {
    fn height(&self) -> Height {
        self.package.certificate.checkpoint.height
    }

    /// A region that is missing and that nobody was asked for.
    fn wanted(&self) -> Option<StateRegion> {
        self.restore.to_ask(|region| self.in_flight.contains_key(region))
    }
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
    /// What had arrived of states that were given up.
    known: Known,
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
            known: Known::default(),
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
                    return self.ask(now, height);
                }
                download.in_flight.clear();
                download.restore.forget_gaps();
                let is_last = download.package.is_last();
                let patience = self.patience_us << download.stalls.min(MAX_DOUBLINGS);
                self.deadline = now.plus_us(patience);
                let mut requests = self.request_chunks();
                if !is_last {
                    // Perhaps there is another by now, which somebody has.
                    requests.extend(self.offer_requests(height));
                }
                requests
            }
        }
    }

    fn ask(&mut self, now: Time, height: Height) -> Requests {
        self.give_up();
        self.phase = Phase::Asking;
        self.gone.clear();
        self.deadline = now.plus_us(self.patience_us);
        self.offer_requests(height)
    }

    fn offer_requests(&mut self, above: Height) -> Requests {
        let peers: Vec<ValidatorIndex> = (0..PEERS_ASKED).filter_map(|_| self.peer()).collect();
        peers.into_iter().map(|to| (to, Message::SyncRequest { above })).collect()
    }

    /// Keeps what has arrived of a state that is no longer wanted.
    fn give_up(&mut self) {
        if let Phase::Downloading(download) = std::mem::take(&mut self.phase) {
            let known = std::mem::take(&mut self.known);
            self.known = known.and(download.restore.give_up());
        }
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

    /// The same for somebody who does not resume consensus with an earlier state: of that nothing
    /// but the root matters.
    pub fn check_for_guest(&mut self, from: ValidatorIndex, package: Arc<SyncPackage>) -> Output {
        if package.is_last() {
            return self.check(from, package, 0);
        }
        match check_plan(&package) {
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

    /// An offer that is of use and whose certificate is valid. What `own` has of that state, which
    /// is the one at `own_height`, is not fetched.
    pub fn begin(
        &mut self,
        now: Time,
        package: Arc<SyncPackage>,
        own: Option<&Ledger>,
        own_height: Height,
    ) -> Progress {
        self.give_up();
        let own = own.map(Known::of).unwrap_or_default();
        let known = own.and(std::mem::take(&mut self.known));
        let root = package.certificate.checkpoint.state_root;
        let restore = Restore::with_known(self.chain, self.territory.clone(), root, known);
        let (in_flight, asked) = (BTreeMap::new(), BTreeSet::new());
        let download = Download { package, restore, in_flight, asked, stalls: 0 };
        self.phase = Phase::Downloading(Box::new(download));
        self.deadline = now.plus_us(self.patience_us);
        self.goes_on(now, own_height)
    }

    /// A peer answers a request for a chunk: what to say because of it, and the package and state
    /// once complete. What is no such answer does nothing.
    pub fn answered(
        &mut self,
        now: Time,
        from: ValidatorIndex,
        answer: &Message,
        own_height: Height,
    ) -> Progress {
        match answer {
            Message::Chunk { height, region, chunk } if self.awaits(from, *height, region) => {
                self.chunk(now, from, region, chunk, own_height)
            }
            Message::ChunkGone { height } => {
                let requests = self.gone(now, from, *height, own_height);
                Progress { outputs: sent(requests).collect(), done: None }
            }
            _ => Progress::default(),
        }
    }

    /// Whether a peer was ever asked for a region of the state at a height, and has not answered.
    fn awaits(&self, from: ValidatorIndex, height: Height, region: &StateRegion) -> bool {
        let Phase::Downloading(download) = &self.phase else {
            return false;
        };
        download.height() == height && download.asked.contains(&(*region, from))
    }

    /// A chunk came that was asked for.
    fn chunk(
        &mut self,
        now: Time,
        from: ValidatorIndex,
        region: &StateRegion,
        chunk: &StateChunk,
        own_height: Height,
    ) -> Progress {
        let Phase::Downloading(download) = &mut self.phase else {
            return Progress::default();
        };
        download.asked.remove(&(*region, from));
        download.in_flight.remove(region);
        match download.restore.accept_in(region, chunk) {
            Ok(()) => {
                download.stalls = 0;
                self.deadline = now.plus_us(self.patience_us);
                self.goes_on(now, own_height)
            }
            // Another peer has sent a larger piece.
            Err(ChunkError::Duplicate) => self.goes_on(now, own_height),
            Err(ChunkError::WrongRoot | ChunkError::Elsewhere) => {
                let lie = self.lied(from);
                let mut progress = self.goes_on(now, own_height);
                progress.outputs.insert(0, lie);
                progress
            }
        }
    }

    /// Asks for what is missing. Once nothing is, the state is complete.
    fn goes_on(&mut self, now: Time, own_height: Height) -> Progress {
        match std::mem::take(&mut self.phase) {
            Phase::Downloading(download) if download.restore.is_complete() => {
                self.known = Known::default();
                match download.restore.finish() {
                    Ok(ledger) => Progress {
                        outputs: Vec::new(),
                        done: Some((download.package, Box::new(ledger))),
                    },
                    // A quorum certified a state that contradicts itself: nobody who sent it is to
                    // blame.
                    Err(_) => {
                        let requests = self.ask(now, own_height);
                        Progress { outputs: sent(requests).collect(), done: None }
                    }
                }
            }
            phase => {
                self.phase = phase;
                let requests = self.request_chunks();
                Progress { outputs: sent(requests).collect(), done: None }
            }
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
        let asked =
            download.height() == height && download.in_flight.values().any(|peer| *peer == from);
        if !asked {
            return Vec::new();
        }
        download.in_flight.retain(|_, peer| *peer != from);
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
            let Some(region) = download.wanted() else {
                break;
            };
            download.in_flight.insert(region, to);
            download.asked.insert((region, to));
            requests.push((to, Message::ChunkRequest { height: download.height(), region }));
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

#[cfg(test)]
mod tests;
