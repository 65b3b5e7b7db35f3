//! The machine of one shard: what consensus commits, the ledger executes.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use qcn_consensus::{Commit, Config, ConfigError, Load, Machine};
use qcn_crypto::Digest;
use qcn_ledger::{GenesisAccount, GenesisError, Ledger, Territory};
use qcn_types::{
    AuthorSet, Certificate, Checkpoint, CommitteeKeys, Evidence, Height, Round, Time,
    ValidatorIndex, VerifiedBlock,
};

use crate::checkpoints::{Attested, Checkpoints, collect_certificate, prove_contradiction};
use crate::exchange::Exchange;
use crate::mempool::Mempool;
use crate::snapshots::Snapshots;
use crate::statesync::{BadOffer, Requests, StateSync, check_offer, sent};
use crate::{Event, Input, Message, Opening, Output, Record, Start, SyncPackage};

mod between;
mod ending;
mod messages;
mod payload;
mod reporting;

pub use ending::Closed;
use ending::{Ending, executed_blocks};
pub(crate) use payload::PATIENCE_ROUNDS;
use reporting::Reports;

/// What a shard is made of.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// The committee with its keys; names chain, shard and epoch.
    pub keys: CommitteeKeys,
    /// Which member this is.
    pub own: ValidatorIndex,
    /// The epoch's seed, for the draw of leaders.
    pub seed: Digest,
    /// The parameters of consensus.
    pub consensus: Config,
    /// Which addresses the shard has, and where all others are.
    pub territory: Territory,
    /// The balances at genesis.
    pub accounts: Arc<[GenesisAccount]>,
    /// What the epoch opens with, if it is not the first: then there are no genesis balances.
    pub opening: Option<Opening>,
    /// A snapshot is taken every so many schedule windows. The blocks since the one before the
    /// newest are kept in memory.
    pub snapshot_interval: u64,
    /// Unpredictable and new at every start: recovery answers repeat it.
    pub nonce: u64,
    /// Whether events of what is executed again from the log are given once more, for drivers
    /// that keep a history which may end before the log does.
    pub replays_events: bool,
}

/// Why a shard cannot start.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StartError {
    /// The parameters do not work together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The genesis balances do not add up.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The own index is not in the committee.
    #[error("validator {0} is not in the committee")]
    NotAMember(ValidatorIndex),
    /// The log's snapshot is none that a peer would take, so nothing may be built on it.
    #[error("the snapshot in the log is not sound: {0}")]
    Snapshot(#[from] BadOffer),
}

/// Where a shard stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The local round.
    pub round: Round,
    /// The garbage-collection floor.
    pub floor: Round,
    /// The height of the newest checkpoint.
    pub height: Height,
    /// The highest certified height.
    pub certified: Height,
    /// Transactions that wait to be proposed.
    pub mempool: usize,
    /// What consensus holds.
    pub load: Load,
    /// Whether it is finding out what it has signed.
    pub recovering: bool,
    /// Whether it is synchronising state.
    pub synchronising: bool,
    /// Whether it stopped because its result differs from a certified one.
    pub stopped: bool,
}

/// One validator's part in one shard.
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    machine: Machine,
    ledger: Ledger,
    checkpoints: Checkpoints,
    mempool: Mempool,
    exchange: Exchange,
    snapshots: Snapshots,
    sync: StateSync,
    /// Commits of a round whose last leader is not decided yet.
    batch: Vec<Commit>,
    /// Proofs to propose, each not before a round: again and again until one is committed.
    evidence: VecDeque<(Round, Evidence)>,
    isolated: AuthorSet,
    ending: Ending,
    reports: Reports,
    /// Whose offers of state are being checked: one of each at a time.
    checking: BTreeSet<ValidatorIndex>,
    /// The newest height with a transaction: until it is certified there is something to say.
    newest_used_height: Height,
    was_recovering: bool,
    busy: bool,
    stopped: bool,
    machine_wake: Option<Time>,
    said_wake: Option<Time>,
    now: Time,
    outputs: VecDeque<Output>,
}

impl Shard {
    /// A shard that comes up.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(now: Time, config: ShardConfig, start: Start) -> Result<Self, StartError> {
        config.consensus.check()?;
        let committee = Arc::clone(config.keys.committee());
        if !committee.contains(config.own) {
            return Err(StartError::NotAMember(config.own));
        }
        let Opening { checkpoint: genesis, ledger, received } = match &config.opening {
            Some(opening) => opening.clone(),
            None => Opening::genesis(&config)?,
        };
        let machine = Machine::new(
            now,
            config.consensus.clone(),
            config.keys.clone(),
            config.own,
            config.seed,
        );
        let mut shard = Self {
            sync: StateSync::new(
                config.own,
                committee.len(),
                config.keys.chain(),
                config.territory.clone(),
            ),
            checkpoints: Checkpoints::new(genesis),
            mempool: Mempool::default(),
            exchange: Exchange::default(),
            snapshots: Snapshots::default(),
            batch: Vec::new(),
            evidence: VecDeque::new(),
            isolated: AuthorSet::EMPTY,
            ending: Ending::default(),
            reports: Reports::default(),
            checking: BTreeSet::new(),
            newest_used_height: Height(0),
            was_recovering: false,
            busy: false,
            stopped: false,
            machine_wake: None,
            said_wake: None,
            now,
            outputs: VecDeque::new(),
            machine,
            ledger,
            config,
        };
        let is_first = match &start {
            Start::Fresh => true,
            Start::Restarted(log) | Start::Suspect(log) => log.is_empty(),
        };
        if is_first && shard.config.opening.is_some() {
            let (height, checkpoint) = (genesis.height, genesis.digest());
            shard.event(Event::Opened { height, checkpoint, received });
        }
        match start {
            Start::Fresh => {}
            Start::Restarted(log) => shard.read_log(log)?,
            Start::Suspect(log) => {
                shard.read_log(log)?;
                shard.machine.recover(shard.config.nonce);
                shard.was_recovering = shard.machine.is_recovering();
            }
        }
        shard.say_closed();
        shard.handle(now, Input::Tick);
        Ok(shard)
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            round: self.machine.round(),
            floor: self.machine.floor(),
            height: self.checkpoints.last().height,
            certified: self.checkpoints.certified(),
            mempool: self.mempool.len(),
            load: self.machine.load(),
            recovering: self.machine.is_recovering(),
            synchronising: self.sync.deadline().is_some(),
            stopped: self.stopped,
        }
    }

    /// The state after the newest checkpoint.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The newest checkpoint.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        self.checkpoints.last()
    }

    /// The certificate of an executed checkpoint, while the blocks that attest it are kept.
    #[must_use]
    pub fn certificate(&self, checkpoint: Checkpoint) -> Option<Certificate> {
        collect_certificate(self.machine.dag(), self.config.keys.committee(), checkpoint)
    }

    /// Consensus, for invariants and drawings.
    #[must_use]
    pub const fn consensus(&self) -> &Machine {
        &self.machine
    }

    /// The input door.
    pub fn handle(&mut self, now: Time, input: Input) {
        if self.stopped {
            return;
        }
        self.now = self.now.max(now);
        match input {
            Input::Tick => {
                let requests = self.sync.tick(self.now, self.height());
                self.send_all(requests);
                self.feed(qcn_consensus::Input::Tick);
            }
            Input::Message { from, message } => self.receive(from, message),
            Input::BlockVerified { from, compact, outcome } => {
                self.feed(qcn_consensus::Input::Verified { from, compact, outcome });
            }
            Input::BlockSigned(block) => self.feed(qcn_consensus::Input::Signed(block)),
            Input::SyncVerified { from, package, valid } => {
                self.offer_checked(from, package, valid)
            }
            Input::Submit(transaction) => self.submit(transaction),
            Input::Deliver(delivery) => {
                let round = self.machine.round();
                self.exchange.offer(delivery.into_inner(), &self.ledger, round);
            }
            Input::Announce(announcement) => self.announce(*announcement),
            Input::Report(report) => self.reports.add(report.into_inner()),
            Input::Retire => self.retire(),
        }
        self.say_busy();
        self.say_resumed();
        self.set_wake();
    }

    /// The output door. Drained after every input; outputs are executed in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn height(&self) -> Height {
        self.checkpoints.last().height
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn send_all(&mut self, requests: Requests) {
        self.outputs.extend(sent(requests));
    }

    // ----- start -----

    fn read_log(&mut self, log: Vec<Record>) -> Result<(), StartError> {
        let snapshot = log.iter().rev().find_map(|record| match record {
            Record::Snapshot { package, ledger, .. } => {
                Some((Arc::clone(package), ledger.as_ref().clone()))
            }
            _ => None,
        });
        if let Some((package, ledger)) = snapshot {
            let members = self.config.keys.committee().len();
            check_offer(&package, members, self.config.consensus.gc_depth)?;
            match package.plan.first() {
                Some(plan) => self.install_last(&package, plan, ledger),
                None => self.install(&package, ledger),
            }
        }
        for record in log {
            if let Record::Own(block) | Record::Accepted(block) = record {
                self.feed(qcn_consensus::Input::Replay(block));
            }
        }
        // What happened again was said and done before.
        let replays_events = self.config.replays_events;
        self.outputs.retain(|output| match output {
            // Said once, at the end.
            Output::Event(Event::Closed { .. }) => false,
            Output::Event(_) => replays_events,
            _ => false,
        });
        Ok(())
    }

    /// Takes over a certified state.
    fn install(&mut self, package: &Arc<SyncPackage>, ledger: Ledger) {
        self.machine.resume(&package.commits, &package.schedule);
        self.snapshots = Snapshots::resume(package, &ledger, self.machine.floor());
        self.machine.keep_above(self.snapshots.floor());
        self.checkpoints = Checkpoints::new(package.certificate.checkpoint);
        self.mempool.raise_floor(self.machine.floor(), &ledger);
        self.mempool.synchronised(&ledger);
        self.exchange.synchronised(&ledger);
        self.isolated = *self.machine.schedule().isolated();
        self.batch.clear();
        self.newest_used_height = Height(0);
        self.ledger = ledger;
    }

    // ----- consensus -----

    /// Hands an input to consensus and does what it asks for.
    fn feed(&mut self, input: qcn_consensus::Input) {
        if self.ending.is_retired() {
            return;
        }
        self.machine.handle(self.now, input);
        while let Some(output) = self.machine.poll_output() {
            self.obey(output);
        }
    }

    fn obey(&mut self, output: qcn_consensus::Output) {
        use qcn_consensus::Output as Asked;
        match output {
            Asked::RequestPayload { round } => self.give_payload(round),
            Asked::Sign(body) => self.outputs.push_back(Output::SignBlock(body)),
            Asked::Verify { from, compact, parents } => {
                self.outputs.push_back(Output::VerifyBlock { from, compact, parents });
            }
            Asked::PersistOwn(block) => {
                let record = Record::Own(block.clone());
                self.outputs.push_back(Output::Persist { record, barrier: true });
                self.event(Event::Proposed(block));
            }
            Asked::PersistAccepted(block) => {
                let record = Record::Accepted(block);
                self.outputs.push_back(Output::Persist { record, barrier: false });
            }
            Asked::Send { to, message } => {
                let message = Message::Consensus(message);
                self.outputs.push_back(Output::Send { to, message });
            }
            Asked::Broadcast(message) => {
                self.outputs.push_back(Output::Broadcast(Message::Consensus(message)));
            }
            Asked::Accepted(block) => self.accepted(&block),
            Asked::Commit(commit) => self.committed(commit),
            Asked::Skipped(slot) => self.event(Event::Skipped(slot)),
            Asked::Evidence(evidence) => self.proven(evidence),
            Asked::Rejected { from, rejection } => self.event(Event::Rejected { from, rejection }),
            Asked::Suspicion { against, suspicion } => {
                self.event(Event::Suspicion { against, suspicion });
            }
            Asked::Behind { .. } if self.ending.is_executed() => {}
            Asked::Behind { .. } => {
                let requests = self.sync.start(self.now, self.height());
                self.send_all(requests);
            }
            Asked::Wake(at) => self.machine_wake = Some(at),
        }
    }

    fn accepted(&mut self, block: &VerifiedBlock) {
        let reference = block.reference();
        self.event(Event::Accepted(reference));
        if !self.isolated.contains(reference.author) {
            let deliveries = &block.body.payload.deliveries;
            self.exchange.seen(deliveries, &self.ledger, reference.round);
            self.ending.seen(block);
        }
        for attestation in &block.body.attestations {
            let committee = Arc::clone(self.config.keys.committee());
            match self.checkpoints.count(reference.author, *attestation, &committee) {
                Attested::Counted => {}
                Attested::Quorum(height, digest) => self.quorum(height, digest),
                Attested::Contradicts(other) => {
                    let dag = self.machine.dag();
                    let proof = prove_contradiction(dag, block, attestation.height, other);
                    if let Some(evidence) = proof {
                        self.proven(evidence);
                    }
                }
            }
        }
        self.close();
    }

    /// A quorum attests a checkpoint: compare it with the own one, if that exists already.
    fn quorum(&mut self, height: Height, certified: Digest) {
        let Some(own) = self.checkpoints.own_digest(height) else {
            return;
        };
        if own != certified {
            self.event(Event::Diverged { height, own, certified });
            self.stopped = true;
            return;
        }
        if self.checkpoints.certify(height) {
            self.event(Event::Certified { height, checkpoint: certified });
            let (dag, committee) = (self.machine.dag(), self.config.keys.committee());
            let certify = |checkpoint| collect_certificate(dag, committee, checkpoint);
            if self.exchange.certified(height, certify) {
                self.event(Event::Outgoing);
            }
        }
        self.certify_snapshot(height);
        self.close();
    }

    fn certify_snapshot(&mut self, height: Height) {
        let Some(checkpoint) = self.snapshots.pending(height) else {
            return;
        };
        let committee = self.config.keys.committee();
        let Some(certificate) = collect_certificate(self.machine.dag(), committee, checkpoint)
        else {
            return;
        };
        if let Some((package, ledger, floor)) = self.snapshots.certify(certificate) {
            self.machine.keep_above(self.snapshots.floor());
            let record = Record::Snapshot { package, ledger: Box::new(ledger), floor };
            self.outputs.push_back(Output::Persist { record, barrier: false });
        }
    }

    // ----- execution -----

    fn committed(&mut self, commit: Commit) {
        if self.ending.is_executed() {
            return;
        }
        for block in &commit.blocks {
            if block.reference().author == self.config.own {
                self.mempool.committed(block.reference().round);
            }
        }
        let gc_depth = self.config.consensus.gc_depth;
        let floor = qcn_consensus::rules::collection_floor(commit.leader.round, gc_depth);
        self.mempool.raise_floor(floor, &self.ledger);
        self.snapshots.note_commit(commit.record.clone(), floor);
        for (validator, offence) in &commit.isolated {
            self.isolated.insert(*validator);
            self.event(Event::Isolated { validator: *validator, offence: *offence });
        }
        let isolated = self.isolated;
        self.evidence.retain(|(_, evidence)| !isolated.contains(evidence.accused()));
        let closes = commit.record.closes_round();
        self.batch.push(commit);
        if closes {
            self.execute(floor);
        }
    }

    /// Executes the commits since the last checkpoint and makes the next one.
    fn execute(&mut self, floor: Round) {
        let batch = std::mem::take(&mut self.batch);
        let Some(last) = batch.last() else {
            return;
        };
        let blocks = || batch.iter().flat_map(|commit| &commit.blocks);
        let time_ms = last.time_ms.max(self.checkpoints.last().time_ms);
        let payloads = blocks().map(|block| (block.body.author, &block.body.payload));
        let execution = self.ledger.execute_commit(payloads, time_ms);
        let transactions = blocks().flat_map(|block| &block.body.payload.transactions);
        let senders = transactions.map(|transaction| transaction.body.sender);
        if execution.closes.is_some() {
            // What own blocks had behind the announcement was not executed, and nobody refused it.
            self.mempool.give_back(execution.outcomes.iter().map(|(id, _)| *id));
        }
        self.mempool.executed(senders, &self.ledger);
        self.sync.stop_asking();
        let parent = *self.checkpoints.last();
        let checkpoint = Checkpoint {
            shard: parent.shard,
            epoch: parent.epoch,
            height: parent.height.next(),
            leader: last.leader,
            time_ms,
            executed: parent
                .executed
                .saturating_add((execution.outcomes.len() + execution.received.len()) as u64),
            transactions_root: execution.transactions_root,
            state_root: self.ledger.state_root(),
            outbox_root: execution.outbox_root,
            parent: self.checkpoints.last_digest(),
            commit: last.digest,
            next_epoch: execution.closes.as_ref().map_or(Digest::ZERO, |plan| plan.digest()),
        };
        let quorum = self.checkpoints.append(checkpoint);
        self.exchange.executed(checkpoint, &self.ledger);
        if let Some(plan) = execution.closes {
            self.ending.executed(plan);
            self.newest_used_height = checkpoint.height;
        }
        if !execution.outcomes.is_empty() || !execution.received.is_empty() {
            self.newest_used_height = checkpoint.height;
        }
        if let Some(schedule) = last.window_end.clone() {
            let commits = self.config.consensus.schedule_interval_commits;
            let interval = self.config.snapshot_interval.saturating_mul(commits);
            self.snapshots.take(interval, checkpoint, &self.ledger, schedule, floor);
        }
        self.event(Event::Executed {
            height: checkpoint.height,
            checkpoint: self.checkpoints.last_digest(),
            state_root: checkpoint.state_root,
            header: checkpoint,
            leaders: batch.iter().map(|commit| commit.leader).collect(),
            blocks: executed_blocks(blocks()),
            outcomes: execution.outcomes,
            received: execution.received,
            state_updates: execution.state_updates,
            hashes: execution.hashes,
        });
        if let Some((height, certified)) = quorum {
            self.quorum(height, certified);
        }
    }

    // ----- what the driver and consensus should know -----

    fn say_busy(&mut self) {
        let uncertified = self.newest_used_height > self.checkpoints.certified();
        let round = self.machine.round();
        let has_more = || {
            self.mempool.is_ready()
                || !self.evidence.is_empty()
                || self.ending.is_due()
                || self.reports.is_due(round)
                || self.exchange.is_ready(&self.ledger, round)
        };
        let busy = uncertified || (!self.ending.is_executed() && has_more());
        if busy != self.busy {
            self.busy = busy;
            self.feed(qcn_consensus::Input::Busy(busy));
        }
    }

    fn say_resumed(&mut self) {
        if self.was_recovering && !self.machine.is_recovering() {
            self.was_recovering = false;
            let round = self.machine.may_sign_from();
            self.event(Event::Resumed { round });
        }
    }

    fn set_wake(&mut self) {
        let wake = match (self.machine_wake, self.sync.deadline()) {
            (Some(machine), Some(sync)) => Some(machine.min(sync)),
            (one, other) => one.or(other),
        };
        if let Some(at) = wake
            && self.said_wake != wake
        {
            self.said_wake = wake;
            self.outputs.push_back(Output::Wake(at));
        }
    }
}

#[cfg(test)]
mod tests;
