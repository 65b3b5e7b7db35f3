//! The machine: one input door, one output door (DESIGN sections 3 and 5).
//!
//! This module wires the parts; each decision is taken in the part that owns it. A block's way
//! in: [`Machine::receive`] (budget, place) -> rebuild its parents, or wait -> verification by
//! the driver -> [`Machine::accept`] (rules, time, slot) -> DAG -> commit rule -> linearizer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use qcn_crypto::Digest;
use qcn_types::{
    AuthorSet, BlockBody, BlockRef, Bounded, Committee, CommitteeKeys, CompactBlock, Evidence,
    Payload, RebuildError, Round, Slot, Time, ValidatorIndex, VerifiedBlock, VerifyError,
    genesis_ref,
};

use crate::commit::{Commit, CommitRecord};
use crate::commit_rule::{CommitRule, Outcome};
use crate::dag::{Dag, InsertError, Vertex};
use crate::intake::{Admission, Fetch, Intake, Pending, Waiting};
use crate::limits::{self, HORIZON_ROUNDS, MAX_BLOCKS_PER_ANSWER, MAX_HELD_BACK, RETENTION_ROUNDS};
use crate::linearizer::Linearizer;
use crate::proposer::{Proposer, Readiness};
use crate::pursuit::Pursuit;
use crate::recovery::Recovery;
use crate::rules::{Thresholds, collection_floor};
use crate::schedule::{Schedule, ScheduleState, WindowEnd};
use crate::serve::{Server, wire_form};
use crate::time_rule;
use crate::{BrokenRule, Config, Input, Message, Output, Rejection, Suspicion};

/// The consensus of one validator in one committee.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    keys: CommitteeKeys,
    own: ValidatorIndex,
    thresholds: Thresholds,
    genesis: Vec<BlockRef>,

    dag: Dag<VerifiedBlock>,
    rule: CommitRule,
    linearizer: Linearizer,
    schedule: Schedule,
    commit_index: u64,
    commit_digest: Digest,

    intake: Intake,
    /// Blocks that wait for nothing any more.
    ready: VecDeque<Waiting>,
    fetch: Fetch,
    server: Server,
    /// Parents named in full that are not here: the only way in for a second block of a slot.
    wanted: BTreeSet<BlockRef>,
    /// Valid blocks whose time has not come.
    held_back: BTreeMap<(u64, BlockRef), (ValidatorIndex, VerifiedBlock)>,
    pursuit: Pursuit,
    /// Blocks above this round are kept for peers who are given a snapshot.
    keep_above: Round,
    /// How often, of late, each author's blocks had to be asked for.
    withheld: Vec<u8>,

    proposer: Proposer,
    recovery: Option<Recovery>,
    /// Whether the shard has something to say.
    shard_busy: bool,
    /// How many blocks with a payload wait to be sequenced, by round.
    unsequenced_payloads: BTreeMap<Round, u32>,
    next_resend: Time,

    /// Authors whose fault is proven already.
    proven: AuthorSet,
    now: Time,
    next_wake: Option<Time>,
    outputs: VecDeque<Output>,
}

/// How much a machine holds, for bounds and metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Blocks in the DAG.
    pub dag_blocks: usize,
    /// Blocks that wait for parents or verification.
    pub waiting_blocks: usize,
    /// Slots that are asked for.
    pub wanted_slots: usize,
    /// Blocks whose time has not come.
    pub held_back: usize,
}

impl Machine {
    /// A machine at genesis. `seed` is the epoch's.
    #[must_use]
    pub fn new(
        now: Time,
        config: Config,
        keys: CommitteeKeys,
        own: ValidatorIndex,
        seed: Digest,
    ) -> Self {
        let committee = Arc::clone(keys.committee());
        let (shard, epoch) = (committee.shard(), committee.epoch());
        let genesis: Vec<BlockRef> = committee
            .indices()
            .map(|author| genesis_ref(keys.chain(), shard, epoch, author))
            .collect();
        let broken = config.broken_rule;
        let schedule = Schedule::new(
            Arc::clone(&committee),
            seed,
            config.leaders_per_round,
            config.schedule_interval_commits,
        );
        let members = committee.len();
        let own_genesis = genesis.get(own.position()).copied().unwrap_or_default();
        Self {
            thresholds: Thresholds::of(&committee, broken),
            dag: Dag::new(&committee),
            rule: CommitRule::new(&committee, broken, Round::GENESIS),
            linearizer: Linearizer::default(),
            schedule,
            commit_index: 0,
            commit_digest: Digest::ZERO,
            intake: Intake::default(),
            ready: VecDeque::new(),
            fetch: Fetch::default(),
            server: Server::new(members),
            wanted: BTreeSet::new(),
            held_back: BTreeMap::new(),
            pursuit: Pursuit::new(own, members),
            keep_above: Round::GENESIS,
            withheld: vec![0; members],
            proposer: Proposer::new(own, own_genesis, members, now),
            recovery: None,
            shard_busy: false,
            unsequenced_payloads: BTreeMap::new(),
            next_resend: now.plus_us(config.resend_interval_us),
            proven: AuthorSet::EMPTY,
            now,
            next_wake: None,
            outputs: VecDeque::new(),
            genesis,
            config,
            keys,
            own,
        }
    }

    /// Does not sign before the committee has said how far it is (section 5.3).
    pub fn recover(&mut self, nonce: u64) {
        if self.config.broken_rule != Some(BrokenRule::NoRoundLog) {
            self.recovery = Some(Recovery::new(nonce));
        }
    }

    /// Resumes after a commit that a certified checkpoint vouches for.
    ///
    /// `records` are the commits above the floor, oldest first, already checked to be chained and
    /// to end in the certified one; `schedule` is the state that the last one names.
    pub fn resume(&mut self, records: &[CommitRecord], schedule: &ScheduleState) {
        let Some(last) = records.last() else {
            return;
        };
        let floor = collection_floor(last.leader.round, self.config.gc_depth);
        let committee = Arc::clone(self.keys.committee());
        self.dag = Dag::new(&committee);
        self.dag.raise_floor(floor, floor);
        // The last leader's round may have leaders that are not decided yet.
        let settled = last.leader.round.previous();
        self.rule = CommitRule::new(&committee, self.config.broken_rule, settled);
        self.rule.schedule_round(&self.dag, &last.undecided_leaders);
        self.linearizer = Linearizer::resume(records, floor);
        self.schedule.restore(schedule, last.leader.round);
        self.proven = self.proven.union(self.schedule.isolated());
        self.commit_index = last.index;
        self.commit_digest = last.digest();
        self.intake = Intake::default();
        self.ready.clear();
        self.fetch = Fetch::default();
        self.wanted.clear();
        self.held_back.clear();
        self.unsequenced_payloads.clear();
        self.proposer.resume(last.leader.round);
    }

    /// Keeps the blocks above this round, the floor of a snapshot that is served.
    pub const fn keep_above(&mut self, round: Round) {
        self.keep_above = round;
    }

    /// The local round.
    #[must_use]
    pub const fn round(&self) -> Round {
        self.proposer.round()
    }

    /// The lowest round that it may sign.
    #[must_use]
    pub fn may_sign_from(&self) -> Round {
        self.proposer.may_sign_from()
    }

    /// The index of the last commit.
    #[must_use]
    pub const fn commit_index(&self) -> u64 {
        self.commit_index
    }

    /// The garbage-collection floor.
    #[must_use]
    pub const fn floor(&self) -> Round {
        self.dag.floor()
    }

    /// Whether it may not sign yet, because it is finding out what it has signed.
    #[must_use]
    pub const fn is_recovering(&self) -> bool {
        self.recovery.is_some()
    }

    /// The schedule of leaders as of the last commit.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The DAG, for invariants and drawings.
    #[must_use]
    pub const fn dag(&self) -> &Dag<VerifiedBlock> {
        &self.dag
    }

    /// How much it holds.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            dag_blocks: self.dag.len(),
            waiting_blocks: self.intake.len(),
            wanted_slots: self.fetch.len(),
            held_back: self.held_back.len(),
        }
    }

    /// The input door.
    pub fn handle(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Tick => self.tick(),
            Input::Message { from, message } => self.receive_message(from, message),
            Input::Verified { from, compact, outcome } => {
                self.intake.end_verification(from, &compact);
                match outcome {
                    Ok(block) => self.accept(from, block),
                    Err(error) => self.refuse(from, &compact, &error),
                }
            }
            Input::Payload { round, payload, attestations } => {
                self.compose(round, payload, attestations);
            }
            Input::Signed(block) => self.publish(block),
            Input::Busy(busy) => self.shard_busy = busy,
            // Nothing may be signed before the whole log is read.
            Input::Replay(block) => {
                self.replay(block);
                return self.take_in_ready();
            }
        }
        self.take_in_ready();
        self.propose_if_ready();
        self.set_wake();
    }

    /// The output door. Drained after every input; outputs are executed in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn committee(&self) -> &Committee {
        self.keys.committee()
    }

    fn reject(&mut self, from: ValidatorIndex, rejection: Rejection) {
        self.outputs.push_back(Output::Rejected { from, rejection });
    }

    fn send(&mut self, to: ValidatorIndex, message: Message) {
        if to != self.own {
            self.outputs.push_back(Output::Send { to, message });
        }
    }

    // ----- messages -----

    fn receive_message(&mut self, from: ValidatorIndex, message: Message) {
        if !self.committee().contains(from) {
            return self.reject(from, Rejection::NotAMember);
        }
        match message {
            Message::Block(compact) => self.receive(from, compact),
            Message::Blocks(blocks) => self.receive_all(from, blocks),
            Message::Rounds { first, blocks } => {
                if let Some(highest) = blocks.iter().map(|block| block.round).max() {
                    self.pursuit.note_answer(from, first, highest);
                }
                self.receive_all(from, blocks);
            }
            Message::Latest(latest) => self.note_latest(from, latest),
            Message::RoundsGone { first } => self.note_gone(from, first),
            Message::RecoveryQuery { nonce } => {
                if self.recovery.is_none() {
                    let latest = self.proposer.last();
                    self.send(from, Message::RecoveryAnswer { nonce, latest });
                }
            }
            Message::RecoveryAnswer { nonce, latest } => self.recovery_answer(from, nonce, latest),
            request => match self.server.serve(self.now, from, &request, &self.dag, &self.proven) {
                Ok(answers) => answers.into_iter().for_each(|answer| self.send(from, answer)),
                Err(rejection) => self.reject(from, rejection),
            },
        }
    }

    fn recovery_answer(&mut self, from: ValidatorIndex, nonce: u64, latest: BlockRef) {
        let Some(recovery) = &mut self.recovery else {
            return;
        };
        if let Some(block) = recovery.answer(from, nonce, latest)
            && block.round > self.dag.floor()
            && block.round <= self.dag.highest_round().plus(HORIZON_ROUNDS)
            && self.dag.find(&block).is_none()
        {
            self.fetch.want(block.slot(), from, self.now);
        }
        self.finish_recovery();
    }

    fn finish_recovery(&mut self) {
        let committee = self.keys.committee();
        let resumed = self
            .recovery
            .as_ref()
            .and_then(|recovery| recovery.resume_at(&self.dag, committee, self.thresholds));
        if let Some(round) = resumed {
            self.proposer.sign_only_from(round);
            self.recovery = None;
        }
    }

    fn receive_all(
        &mut self,
        from: ValidatorIndex,
        blocks: Bounded<Arc<CompactBlock>, MAX_BLOCKS_PER_ANSWER>,
    ) {
        for compact in blocks.into_inner() {
            self.receive(from, compact);
            self.take_in_ready();
        }
    }

    /// Takes in a block that nobody has checked.
    fn receive(&mut self, from: ValidatorIndex, compact: Arc<CompactBlock>) {
        let slot = compact.slot();
        if !self.committee().contains(slot.author) || slot.round == Round::GENESIS {
            return self.reject(from, Rejection::NotAMember);
        }
        if slot.author == from {
            self.note_claim(from, slot.round);
        }
        if slot.round <= self.dag.floor() {
            return self.reject(from, Rejection::TooOld);
        }
        let horizon = self.dag.highest_round().plus(HORIZON_ROUNDS);
        if slot.round > horizon {
            self.pursuit.note_dropped(slot.round, from, self.claimed_by_honest());
            return self.reject(from, Rejection::TooFarAhead);
        }
        if self.is_duplicate(&compact) || self.intake.knows(&compact) {
            return;
        }
        if slot.author == from {
            let withheld = &mut self.withheld[slot.author.position()];
            *withheld = withheld.saturating_sub(1);
        }
        self.rebuild(from, compact);
    }

    /// Whether the block is in the DAG or held back, or is a second block that nobody references
    /// of an author whose fault is proven.
    fn is_duplicate(&self, compact: &CompactBlock) -> bool {
        let slot = compact.slot();
        if self.held_back.values().any(|(_, block)| block.signature == compact.signature) {
            return true;
        }
        let mut occupied = false;
        for node in self.dag.in_slot(slot).filter_map(|vertex| self.dag.node(vertex)) {
            if node.content.signature == compact.signature {
                return true;
            }
            occupied = true;
        }
        let wanted = || self.wanted.iter().any(|reference| reference.slot() == slot);
        occupied && self.proven.contains(slot.author) && !wanted()
    }

    /// Rebuilds the parents of a block from the DAG and hands it to verification, or lets it
    /// wait for what is missing.
    fn rebuild(&mut self, from: ValidatorIndex, compact: Arc<CompactBlock>) {
        let dag = &self.dag;
        let resolve = |slot: Slot| dag.unique(slot);
        let rebuilt = compact.rebuild_parents(self.keys.chain(), self.keys.committee(), resolve);
        match rebuilt {
            Ok(parents) => {
                if self.intake.begin_verification(from, &compact) {
                    self.outputs.push_back(Output::Verify { from, compact, parents });
                } else {
                    self.reject(from, Rejection::OverBudget);
                }
            }
            Err(RebuildError::NotCanonical) => self.reject(from, Rejection::MalformedParents),
            Err(RebuildError::Unresolved(slots))
                if slots.iter().any(|slot| !self.committee().contains(slot.author)) =>
            {
                self.reject(from, Rejection::MalformedParents);
            }
            Err(RebuildError::Unresolved(slots)) => {
                // Slots that hold several blocks, or lie below what is kept, cannot be resolved
                // by waiting: only the sender can say which block it means.
                let floor = dag.floor();
                let (absent, hopeless): (Vec<Slot>, Vec<Slot>) = slots
                    .into_iter()
                    .partition(|slot| slot.round > floor && dag.in_slot(*slot).next().is_none());
                if hopeless.is_empty() {
                    self.wait(from, Pending::Compact(compact), &absent);
                } else {
                    self.request_full(from, compact.slot());
                }
            }
        }
    }

    fn missing_of(&self, parents: &[BlockRef]) -> Vec<BlockRef> {
        let above = parents.iter().filter(|parent| parent.round > self.dag.floor());
        above.filter(|parent| self.dag.find(parent).is_none()).copied().collect()
    }

    /// Lets a block wait, if the peer's budget allows; says whether it does now.
    fn wait(&mut self, from: ValidatorIndex, block: Pending, missing: &[Slot]) -> bool {
        let admission = self.intake.wait(from, block, missing);
        if admission == Admission::Admitted {
            for slot in missing {
                // Whose blocks keep coming by way of others is not waited for, nor is who has
                // offended or sent this validator another block.
                let withheld = self.withheld[slot.author.position()] >= limits::WITHHOLDING;
                let offended =
                    self.proven.contains(slot.author) || self.dag.in_slot(*slot).next().is_some();
                let at_once = withheld || offended;
                let delay_us = if at_once { 0 } else { self.config.sync_delay_us };
                self.fetch.want(*slot, from, self.now.plus_us(delay_us));
            }
        } else if admission == Admission::OverBudget {
            self.reject(from, Rejection::OverBudget);
        }
        admission == Admission::Admitted
    }

    /// A block did not verify. A wrong signature may mean that the parents were rebuilt wrongly,
    /// so the sender is asked for them in full before it is blamed.
    fn refuse(&mut self, from: ValidatorIndex, compact: &Arc<CompactBlock>, error: &VerifyError) {
        let rebuilt = matches!(compact.parents, qcn_types::CompactParents::Slots { .. });
        match error {
            VerifyError::BlockSignature if rebuilt => {
                self.request_full(from, compact.slot());
            }
            VerifyError::BlockSignature | VerifyError::ForeignBlock => {
                self.reject(from, Rejection::BadSignature);
            }
            VerifyError::TransactionSignature { .. }
            | VerifyError::TransactionScheme { .. }
            | VerifyError::Delivery { .. }
            | VerifyError::Announcement(_)
            | VerifyError::Report { .. } => {
                self.reject(from, Rejection::InvalidBlock);
                let dag = &self.dag;
                let parents =
                    compact.rebuild_parents(self.keys.chain(), self.keys.committee(), |slot| {
                        dag.unique(slot)
                    });
                if let Ok(parents) = parents {
                    let block = CompactBlock::clone(compact);
                    let block =
                        block.with_parents(self.keys.chain(), self.keys.committee(), parents);
                    let evidence = Evidence::invalid_block(&block);
                    // A jump to a later state in between may have changed what the slots hold.
                    if qcn_light::verify_evidence(&evidence, &self.keys).is_ok() {
                        self.prove(compact.author, evidence);
                    }
                }
            }
        }
    }

    fn prove(&mut self, author: ValidatorIndex, evidence: Evidence) {
        if self.proven.insert(author) {
            self.outputs.push_back(Output::Evidence(evidence));
        }
    }

    // ----- acceptance -----

    /// Takes in a verified block whose parents are here.
    fn accept(&mut self, from: ValidatorIndex, block: VerifiedBlock) {
        let reference = block.reference();
        if reference.round <= self.dag.floor() || self.dag.find(&reference).is_some() {
            return;
        }
        if qcn_light::check_block(&block.body, self.committee()).is_err() {
            self.prove(reference.author, Evidence::invalid_block(&block));
            return self.reject(from, Rejection::InvalidBlock);
        }
        if let Some(other) = self.other_in_slot(&reference) {
            let evidence = Evidence::equivocation(&other, &block);
            self.prove(reference.author, evidence);
            if !self.wanted.contains(&reference) {
                return self.reject(from, Rejection::UnreferencedSibling);
            }
        }
        let missing = self.missing_of(&block.body.parents);
        if !missing.is_empty() {
            return self.wait_for_parents(from, block, missing);
        }
        if !time_rule::not_below_median(&self.dag, self.committee(), &block.body) {
            return self.reject(from, Rejection::TimeTooLow);
        }
        let now_ms = self.now.as_ms();
        if block.body.time_ms > now_ms {
            let too_far = block.body.time_ms - now_ms > self.config.max_clock_drift_ms;
            if too_far || self.held_back.len() >= MAX_HELD_BACK {
                return self.reject(from, Rejection::TimeTooHigh);
            }
            self.held_back.insert((block.body.time_ms, reference), (from, block));
            return;
        }
        self.insert(block, true);
    }

    /// Another block of the slot that is in the DAG, or held back until its time comes.
    fn other_in_slot(&self, reference: &BlockRef) -> Option<VerifiedBlock> {
        let first = self.dag.in_slot(reference.slot()).next();
        let first = first.and_then(|vertex| self.dag.node(vertex)).map(|node| &node.content);
        let held_back = self.held_back.values().map(|(_, block)| block);
        let mut others = first.into_iter().chain(held_back).filter(|block| {
            let other = block.reference();
            other.slot() == reference.slot() && other != *reference
        });
        others.next().cloned()
    }

    /// Lets a verified block wait for parents that it names in full, and asks for them. They may
    /// be second blocks of a slot, which are taken in only on the word of another author: an
    /// equivocator's own chain is not followed.
    fn wait_for_parents(
        &mut self,
        from: ValidatorIndex,
        block: VerifiedBlock,
        missing: Vec<BlockRef>,
    ) {
        let reference = block.reference();
        let own_fork = missing.iter().any(|parent| {
            parent.author == reference.author && self.dag.in_slot(parent.slot()).next().is_some()
        });
        let awaited = self.intake.is_awaited_by_another(reference.slot());
        if own_fork && !awaited && !self.wanted.contains(&reference) {
            return self.reject(from, Rejection::UnreferencedSibling);
        }
        let slots: Vec<Slot> = missing.iter().map(BlockRef::slot).collect();
        if self.wait(from, Pending::Verified(block), &slots) {
            self.wanted.extend(missing);
        }
    }

    /// Puts a block into the DAG, and whatever waited for it on its way.
    fn insert(&mut self, block: VerifiedBlock, persist: bool) {
        let reference = block.reference();
        let body = &block.body;
        let (time_ms, has_payload) = (body.time_ms, !body.payload.is_empty());
        let inserted = self.dag.insert(reference, &block.body.parents, time_ms, block.clone());
        let vertex = match inserted {
            Ok(vertex) => vertex,
            Err(InsertError::MissingParents(missing)) => {
                self.wanted.extend(missing);
                return;
            }
            Err(_) => return,
        };
        self.linearizer.note_inserted(&reference, vertex);
        self.wanted.remove(&reference);
        self.fetch.arrived(reference.slot());
        if has_payload {
            *self.unsequenced_payloads.entry(reference.round).or_insert(0) += 1;
        }
        if reference.author == self.own {
            self.proposer.note_own(&block, self.now);
        }
        // Also an own block that comes back after the disk was lost: others build on it.
        if persist {
            self.outputs.push_back(Output::PersistAccepted(block.clone()));
        }
        self.outputs.push_back(Output::Accepted(block));
        self.schedule_rounds();
        self.rule.observe(&self.dag, vertex);
        self.decide();
        self.enter_round();
        if self.recovery.is_some() {
            self.finish_recovery();
        }
        self.ready.extend(self.intake.arrived(reference.slot()));
    }

    /// Takes in what waited for blocks that have come or for the floor to rise. Not before all
    /// that follows from those is done: a block that came in while a commit is under way would
    /// have the next slot decided by leaders that this very commit replaces.
    fn take_in_ready(&mut self) {
        while let Some(waiting) = self.ready.pop_front() {
            self.retry(waiting);
        }
    }

    fn retry(&mut self, waiting: Waiting) {
        match waiting.block {
            Pending::Verified(block) => self.accept(waiting.from, block),
            Pending::Compact(compact) => {
                if compact.round > self.dag.floor() && !self.is_duplicate(&compact) {
                    self.rebuild(waiting.from, compact);
                }
            }
        }
    }

    fn enter_round(&mut self) {
        let mut round = self.dag.highest_round().next();
        while round > self.proposer.round() {
            if self.thresholds.may_propose(self.dag.weight(round.previous())) {
                self.proposer.enter(round, self.now);
                self.next_resend = self.now.plus_us(self.config.resend_interval_us);
                return;
            }
            round = round.previous();
        }
    }

    fn replay(&mut self, block: VerifiedBlock) {
        if block.reference().author == self.own {
            if self.config.broken_rule == Some(BrokenRule::NoRoundLog) {
                return;
            }
            self.proposer.note_own(&block, Time::ZERO);
        }
        if self.missing_of(&block.body.parents).is_empty() {
            self.insert(block, false);
        }
    }

    // ----- commits -----

    fn schedule_rounds(&mut self) {
        // One round more than there are blocks: the proposer waits for its leaders.
        while self.rule.next_unscheduled_round() <= self.dag.highest_round().next() {
            let leaders = self.schedule.leaders(self.rule.next_unscheduled_round());
            self.rule.schedule_round(&self.dag, &leaders);
        }
    }

    fn decide(&mut self) {
        loop {
            self.rule.decide_indirectly(&self.dag);
            let Some(decision) = self.rule.next_decision() else {
                return;
            };
            let changed = match decision.outcome {
                Outcome::Commit(leader) => {
                    self.schedule.note_decision(decision.slot, true);
                    self.commit(leader)
                }
                Outcome::Skip => {
                    self.schedule.note_decision(decision.slot, false);
                    self.outputs.push_back(Output::Skipped(decision.slot));
                    false
                }
            };
            if changed {
                self.rule.unschedule_above(&self.dag, decision.slot.round);
                self.schedule_rounds();
            }
        }
    }

    /// Sequences a committed leader; says whether the schedule changed.
    fn commit(&mut self, leader: Vertex) -> bool {
        let floor = collection_floor(leader.round, self.config.gc_depth).max(self.dag.floor());
        let sequenced = self.linearizer.sequence(&self.dag, leader, floor);
        let mut blocks = Vec::with_capacity(sequenced.len());
        for vertex in sequenced {
            let Some(node) = self.dag.node(vertex) else {
                continue;
            };
            self.schedule.note_block(vertex.slot(), &node.content.body.parents);
            if !node.content.body.payload.is_empty()
                && let Some(count) = self.unsequenced_payloads.get_mut(&vertex.round)
            {
                *count = count.saturating_sub(1);
            }
            blocks.push(node.content.clone());
        }
        let isolated = self.isolate_proven(&blocks);
        self.commit_index += 1;
        let undecided_leaders = self.rule.undecided_in(leader.round);
        let window = self.schedule.end_commit(leader.round, undecided_leaders.is_empty());
        let (reference, time_ms) = match self.dag.node(leader) {
            Some(node) => (node.reference, node.content.body.time_ms),
            None => return false,
        };
        let record = CommitRecord {
            index: self.commit_index,
            previous: self.commit_digest,
            leader: reference,
            blocks: Bounded::truncated(blocks.iter().map(VerifiedBlock::reference).collect()),
            undecided_leaders: Bounded::truncated(undecided_leaders),
            schedule: self.schedule.digest(),
        };
        let digest = record.digest();
        self.commit_digest = digest;
        self.proposer.note_commit();
        let changed = window == WindowEnd::Adjusted || !isolated.is_empty();
        self.outputs.push_back(Output::Commit(Commit {
            index: self.commit_index,
            leader: reference,
            time_ms,
            blocks,
            record,
            digest,
            window_end: (window != WindowEnd::Open).then(|| self.schedule.state()),
            isolated,
        }));
        self.raise_floor(floor);
        changed
    }

    /// Isolates those whom evidence in the committed blocks proves guilty.
    fn isolate_proven(
        &mut self,
        blocks: &[VerifiedBlock],
    ) -> Vec<(ValidatorIndex, qcn_types::Offence)> {
        let mut isolated = Vec::new();
        for evidence in blocks.iter().flat_map(|block| &block.body.payload.evidence) {
            let accused = evidence.accused();
            if self.schedule.isolated().contains(accused) {
                continue;
            }
            if let Ok(offence) = qcn_light::verify_evidence(evidence, &self.keys)
                && self.schedule.isolate(accused)
            {
                self.proven.insert(accused);
                isolated.push((accused, offence));
            }
        }
        isolated
    }

    fn raise_floor(&mut self, floor: Round) {
        if floor <= self.dag.floor() {
            return;
        }
        let kept = floor.minus(RETENTION_ROUNDS).min(self.keep_above);
        self.dag.raise_floor(floor, kept.max(floor.minus(limits::MAX_RETENTION_ROUNDS)));
        self.linearizer.raise_floor(floor);
        self.fetch.raise_floor(floor);
        self.unsequenced_payloads = self.unsequenced_payloads.split_off(&floor.next());
        self.wanted.retain(|reference| reference.round > floor);
        self.held_back.retain(|(_, reference), _| reference.round > floor);
        self.ready.extend(self.intake.raise_floor(floor));
    }

    // ----- proposing -----

    /// Whether the next block should come soon. Who has proposed in the local round already is
    /// waiting for it, whatever the reason: to be idle alone would cost the others a timeout.
    fn is_busy(&self) -> bool {
        self.shard_busy
            || self.unsequenced_payloads.values().any(|count| *count > 0)
            || self.dag.highest_round() >= self.proposer.round()
    }

    fn propose_if_ready(&mut self) {
        if self.recovery.is_some() {
            return;
        }
        let readiness = self.readiness();
        if let Readiness::Now(round) = readiness {
            let late: Vec<ValidatorIndex> = self.awaited_leaders(round.previous()).collect();
            for against in late {
                let suspicion = Suspicion::LateLeader(round.previous());
                self.outputs.push_back(Output::Suspicion { against, suspicion });
            }
            self.proposer.begin(round);
            self.outputs.push_back(Output::RequestPayload { round });
        }
    }

    fn readiness(&self) -> Readiness {
        let below = self.proposer.round().previous();
        let all_here = self.awaited_leaders(below).next().is_none()
            && self.may_leave_out(below) == *self.schedule.isolated();
        self.proposer.readiness(self.now, &self.config, all_here, self.is_busy())
    }

    /// The isolated, if the others' blocks of this round are enough to build on. What nobody builds
    /// on is not sequenced, and no block has to say which of two in a slot it means.
    fn may_leave_out(&self, round: Round) -> AuthorSet {
        let isolated = self.schedule.isolated();
        let here = self.dag.layer(round).map_or(AuthorSet::EMPTY, |layer| *layer.present());
        let mut others = here.difference(isolated);
        if here.contains(self.own) {
            others.insert(self.own);
        }
        let enough = self.thresholds.may_propose(self.dag.weight_of(&others));
        if enough { *isolated } else { AuthorSet::EMPTY }
    }

    /// Leaders of the round below the own one whose blocks are not here and may still come. Who has
    /// a block above and none in that round has passed it: an honest author goes upwards only. So
    /// has this validator, which proposes in its own round only.
    fn awaited_leaders(&self, round: Round) -> impl Iterator<Item = ValidatorIndex> + '_ {
        let mut gone = AuthorSet::from_iter([self.own]);
        let mut at = round;
        while at <= self.dag.highest_round() {
            gone = self.dag.layer(at).map_or(gone, |layer| gone.union(layer.present()));
            at = at.next();
        }
        let leaders = self.rule.leaders_of(round).map(|slot| slot.author);
        leaders.filter(move |author| round > Round::GENESIS && !gone.contains(*author))
    }

    fn compose(
        &mut self,
        round: Round,
        payload: Payload,
        attestations: Bounded<qcn_types::Attestation, { qcn_types::MAX_ATTESTATIONS }>,
    ) {
        if self.proposer.in_progress() != Some(round) || self.proposer.may_sign_from() > round {
            return;
        }
        let genesis = |author: ValidatorIndex| self.genesis[author.position()];
        let left_out = self.may_leave_out(round.previous());
        let parents = self.proposer.parents(&self.dag, round, &left_out, genesis);
        let body = BlockBody {
            chain: self.keys.chain(),
            shard: self.committee().shard(),
            epoch: self.committee().epoch(),
            round,
            author: self.own,
            time_ms: time_rule::proposal_time_ms(&self.dag, self.committee(), round, self.now),
            parents,
            payload,
            attestations,
        };
        // To sign an invalid block is to sign the evidence against oneself.
        let valid = qcn_light::check_block(&body, self.committee()).is_ok();
        if !valid && self.config.broken_rule.is_none() {
            self.proposer.abandon();
            return self.proposer.resume(round);
        }
        self.outputs.push_back(Output::Sign(Box::new(body)));
    }

    fn publish(&mut self, block: VerifiedBlock) {
        let reference = block.reference();
        let expected = self.proposer.in_progress() == Some(reference.round)
            && reference.author == self.own
            && reference.round >= self.proposer.may_sign_from();
        if !expected {
            // Since it was composed, a higher own block came back from a peer or from recovery.
            if self.proposer.in_progress() == Some(reference.round) {
                self.proposer.abandon();
            }
            return;
        }
        self.outputs.push_back(Output::PersistOwn(block.clone()));
        let compact = wire_form(&block, &self.proven);
        self.outputs.push_back(Output::Broadcast(Message::Block(compact)));
        self.proposer.note_own(&block, self.now);
        self.insert(block, false);
    }

    // ----- time -----

    fn tick(&mut self) {
        let now_ms = self.now.as_ms();
        while let Some((&(time_ms, reference), _)) = self.held_back.first_key_value() {
            if time_ms > now_ms {
                break;
            }
            if let Some((from, block)) = self.held_back.remove(&(time_ms, reference)) {
                self.accept(from, block);
            }
        }
        self.fetch_missing();
        self.fetch_range();
        if let Some(recovery) = &mut self.recovery
            && recovery.ask(self.now, self.config.resend_interval_us)
        {
            let nonce = recovery.nonce();
            self.outputs.push_back(Output::Broadcast(Message::RecoveryQuery { nonce }));
        }
        self.resend();
    }

    fn set_wake(&mut self) {
        let mut wake = self.next_resend;
        if self.recovery.is_none()
            && let Readiness::At(at) = self.readiness()
        {
            wake = wake.min(at);
        }
        if let Some(recovery) = &self.recovery {
            wake = wake.min(recovery.next_ask());
        }
        if let Some(due) = self.fetch.next_due() {
            wake = wake.min(due);
        }
        if self.far_ahead().is_some() {
            let due = self.pursuit.next_request(self.first_missing_round(), self.range_pause_us());
            wake = wake.min(due);
        }
        if let Some(((time_ms, _), _)) = self.held_back.first_key_value() {
            wake = wake.min(Time::from_ms(*time_ms));
        }
        if self.next_wake != Some(wake) {
            self.next_wake = Some(wake);
            self.outputs.push_back(Output::Wake(wake));
        }
    }
}

mod catching_up;

#[cfg(test)]
mod tests;
