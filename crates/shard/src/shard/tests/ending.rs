//! The end of an epoch, and who comes late to it.

use qcn_crypto::Domain;
use qcn_types::{
    Announcement, Attestation, AttestationProof, BEACON, Bounded, EpochPlan, Layout,
    PlannedCommittee, PlannedValidator, attestations_digest,
};

use super::*;
use crate::{Closed, Joiner, Opening};

/// The plan of epoch 1: the same committee again.
fn plan(lab: &Lab) -> EpochPlan {
    let members = lab.committee_keys.committee().members();
    let validators = members.iter().zip(0..).map(|(member, number)| PlannedValidator {
        number,
        key: member.key.clone(),
        weight: member.weight,
    });
    let seats = (0..members.len() as u16).collect();
    EpochPlan {
        epoch: Epoch(1),
        seed: Digest([3; 32]),
        layout: Layout::whole(ShardId(0)),
        reshardings: Bounded::default(),
        heirs: Bounded::default(),
        validators: Bounded::truncated(validators.collect()),
        committees: Bounded::truncated(vec![PlannedCommittee {
            shard: ShardId(0),
            seats: Bounded::truncated(seats),
        }]),
    }
}

/// What the beacon announces; its committee is the shard's.
fn announcement(lab: &mut Lab) -> Verified<Announcement> {
    let plan = plan(lab);
    let members = lab.committee_keys.committee().members().to_vec();
    let beacon = Committee::new(BEACON, Epoch(0), members).unwrap();
    let beacon = CommitteeKeys::decode(lab.committee_keys.chain(), Arc::new(beacon)).unwrap();
    lab.committee_keys = lab.committee_keys.clone().with_sources([beacon]);
    let checkpoint =
        Checkpoint { shard: BEACON, next_epoch: plan.digest(), ..Checkpoint::default() };
    let attestation = Attestation { height: Height(0), checkpoint: checkpoint.digest() };
    let attestations = Bounded::truncated(vec![attestation]);
    let header = Digest([1; 32]);
    let digest = qcn_crypto::hash_pair(Domain::Block, &header, &attestations_digest(&attestations));
    let context = BlockHeader::signing_context(lab.committee_keys.chain());
    let proofs = lab.keys.iter().zip(0..).map(|(key, author)| AttestationProof {
        author: ValidatorIndex(author),
        header,
        attestations: attestations.clone(),
        signature: key.sign(&context, digest.as_bytes()).unwrap(),
    });
    let certificate =
        Certificate { checkpoint, attestations: Bounded::truncated(proofs.collect()) };
    lab.committee_keys.verify_announcement(Announcement { certificate, plan }).unwrap()
}

/// A lab of four whose first validator hears at 500 ms that the epoch is over; everybody comes
/// up anew with the beacon's keys at the start.
fn ending() -> (Lab, SigningKey) {
    ending_at(Time::from_ms(500), 0)
}

/// The same at any time, in a shard with so many accounts that nobody has keys of.
fn ending_at(end: Time, others: u32) -> (Lab, SigningKey) {
    let alice = account_key(101);
    let mut lab = Lab::new(&[1, 1, 1, 1], &[(&alice, 1_000)]);
    let other = |number: u32| {
        let address = Address(qcn_crypto::hash(Domain::Simulation, &number.to_le_bytes()));
        GenesisAccount { address, balance: Amount(1) }
    };
    lab.accounts = lab.accounts.iter().copied().chain((0..others).map(other)).collect();
    let announcement = announcement(&mut lab);
    for index in 0..4 {
        lab.restart(index, Time::ZERO, Start::Fresh);
    }
    lab.push(end, 0, Input::Announce(Box::new(announcement)));
    (lab, alice)
}

fn closed(lab: &Lab, index: usize) -> Closed {
    lab.shards[index].closed().expect("the epoch is over here")
}

/// One validator hears of the end, and all close with one final checkpoint, which is the last.
///
/// Given four validators and a transfer in the same block as the announcement,
/// when one more transfer is handed in long after the end,
/// then all have the same final checkpoint that names the plan, the first transfer is executed,
/// the second is refused, as nothing would come of it here.
#[test]
fn all_close_with_one_final_checkpoint() {
    let (mut lab, alice) = ending();
    let to = Address::of(account_key(102).public_key());
    let before = lab.transfer(&alice, 0, to, 30);
    let after = lab.transfer(&alice, 1, to, 50);
    lab.push(Time::from_ms(499), 0, before);
    lab.push(Time::from_ms(3_000), 1, after);
    lab.run_until(Time::from_ms(6_000));
    lab.assert_agreement();
    let first = closed(&lab, 0);
    assert_eq!(first.certificate.checkpoint.next_epoch, plan(&lab).digest());
    for index in 0..4 {
        let other = closed(&lab, index);
        assert_eq!(other.certificate.checkpoint, first.certificate.checkpoint);
        assert_eq!(other.ledger.account(&to).unwrap().balance, Amount(30));
        assert_eq!(qcn_light::verify_certificate(&other.certificate, &lab.committee_keys), Ok(()));
        let last = lab.events[index].iter().rev().find_map(|event| match event {
            Event::Executed { height, .. } => Some(*height),
            _ => None,
        });
        assert_eq!(last, Some(first.certificate.checkpoint.height), "nothing comes after it");
        let times = lab.events[index].iter().filter(|it| matches!(it, Event::Closed { .. }));
        assert_eq!(times.count(), 1);
    }
    assert!(lab.shards[1].pending().is_empty());
    let is_refused =
        |event: &&Event| matches!(event, Event::Refused { refusal: crate::Refused::Ended, .. });
    assert_eq!(lab.events[1].iter().filter(is_refused).count(), 1);
}

/// Whoever was away at the end is told, even by those who take no part in rounds any more.
///
/// Given that one of four is cut off before the epoch ends, and the others close and retire,
/// when it is back,
/// then it closes with the same checkpoint, and after a restart it still knows.
#[test]
fn a_closed_shard_brings_in_who_was_away() {
    let (mut lab, _) = ending();
    lab.run_until(Time::from_ms(300));
    lab.cut_off = vec![3];
    lab.run_until(Time::from_ms(4_000));
    assert!(lab.shards[3].closed().is_none());
    for index in 0..3 {
        lab.push(Time::from_ms(4_000), index, Input::Retire);
    }
    lab.run_until(Time::from_ms(5_000));
    let rounds: Vec<Round> = lab.shards.iter().map(|shard| shard.status().round).collect();
    lab.cut_off.clear();
    lab.run_until(Time::from_ms(15_000));
    lab.assert_agreement();
    let expected = closed(&lab, 0).certificate.checkpoint;
    assert_eq!(closed(&lab, 3).certificate.checkpoint, expected);
    assert_eq!(lab.shards[0].status().round, rounds[0], "the retired make no blocks");
    for index in [0, 3] {
        let log = lab.logs[index].clone();
        lab.events[index].clear();
        lab.restart(index, Time::from_ms(15_000), Start::Restarted(log));
        let said = lab.events[index].iter().filter(|it| matches!(it, Event::Closed { .. }));
        assert_eq!(
            said.count(),
            1,
            "the driver may have gone down before it opened the next epoch"
        );
        assert_eq!(closed(&lab, index).certificate.checkpoint, expected);
    }
}

/// Whoever has executed the end and never saw it certified is told, though no round follows.
///
/// Given that one of four is cut off just when it has executed the final checkpoint,
/// when the others have closed and retired and it is back,
/// then it closes with the certificate that they have, and its state is theirs.
#[test]
fn a_validator_cut_off_between_execution_and_certificate_closes() {
    let (mut lab, _) = ending();
    let mut now = Time::from_ms(400);
    while !lab.shards[3].ending.is_executed() {
        now = now.plus_ms(1);
        lab.run_until(now);
    }
    assert!(lab.shards[3].closed().is_none());
    lab.cut_off = vec![3];
    lab.queue.retain(|_, (to, input)| *to != 3 || !matches!(input, Input::Message { .. }));
    lab.run_until(now.plus_ms(2_000));
    assert!(lab.shards[3].closed().is_none());
    for index in 0..3 {
        assert!(lab.shards[index].closed().is_some());
        lab.push(now.plus_ms(2_000), index, Input::Retire);
    }
    lab.run_until(now.plus_ms(2_500));
    lab.cut_off.clear();
    lab.run_until(now.plus_ms(12_000));
    lab.assert_agreement();
    assert_eq!(closed(&lab, 3).certificate.checkpoint, closed(&lab, 0).certificate.checkpoint);
    let records = lab.logs[3].iter().filter(|it| matches!(it, Record::Snapshot { .. }));
    assert_eq!(records.count(), 1, "and it will know after a restart");
}

/// Nothing that was taken in is lost at the end: it is executed, or waits for the next epoch. What
/// comes later is not taken in.
#[test]
fn every_transaction_is_executed_or_waits() {
    let (mut lab, alice) = ending();
    let to = Address::of(account_key(102).public_key());
    for nonce in 0..60 {
        let input = lab.transfer(&alice, nonce, to, 1);
        // Blocks of the last validator stand behind the announcement of the first in their commit.
        lab.push(Time::from_ms(300 + 8 * nonce), 3, input);
    }
    lab.run_until(Time::from_ms(4_000));
    let executed = closed(&lab, 3).ledger.account(&Address::of(alice.public_key())).unwrap().nonce;
    let mut pending: Vec<u64> =
        lab.shards[3].pending().iter().map(|transaction| transaction.body.nonce).collect();
    pending.sort_unstable();
    assert!(executed > 0 && executed < 60, "{executed}");
    let is_refused = |event: &&Event| matches!(event, Event::Refused { .. });
    let taken_in = 60 - lab.events[3].iter().filter(is_refused).count() as u64;
    assert!(taken_in > executed && taken_in < 60, "{taken_in}");
    assert_eq!(pending, (executed..taken_in).collect::<Vec<u64>>());
    // What is said to be executed is: blocks behind the announcement carry what is not.
    let mut carried = BTreeMap::new();
    for record in &lab.logs[3] {
        if let Record::Own(block) | Record::Accepted(block) = record {
            carried.insert(block.reference(), block.body.payload.transactions.len());
        }
    }
    for event in &lab.events[3] {
        if let Event::Executed { blocks, outcomes, .. } = event {
            let transactions: usize = blocks.iter().filter_map(|block| carried.get(block)).sum();
            assert_eq!(transactions, outcomes.len());
        }
    }
}

/// A shard closes by the word of a quorum, not because its members have executed the end.
///
/// Given four validators of which each is cut off just when it has executed the final checkpoint,
/// when all of them have executed it and nobody has heard another attest it,
/// then nothing closes, however long they wait; once they are connected, all close.
#[test]
fn what_no_quorum_attests_closes_nothing() {
    let (mut lab, _) = ending();
    while let Some((index, at)) = lab.step(Time::from_ms(8_000)) {
        if lab.shards[index].ending.is_executed() && !lab.cut_off.contains(&index) {
            lab.cut_off.push(index);
        }
        lab.drain(index, at);
    }
    assert!(lab.shards.iter().all(|shard| shard.ending.is_executed()));
    assert!(lab.shards.iter().all(|shard| shard.closed().is_none()));
    let finals: Vec<Digest> = lab.shards.iter().map(|it| it.checkpoint().digest()).collect();
    lab.cut_off.clear();
    lab.run_until(Time::from_ms(30_000));
    for (index, executed) in finals.into_iter().enumerate() {
        assert_eq!(closed(&lab, index).certificate.checkpoint.digest(), executed);
    }
}

/// Without a quorum nobody executes the end, and so nothing closes.
#[test]
fn without_a_quorum_nobody_executes_the_end() {
    let (mut lab, _) = ending();
    lab.run_until(Time::from_ms(499));
    lab.cut_off = vec![2, 3];
    lab.run_until(Time::from_ms(8_000));
    assert!(lab.shards.iter().all(|shard| !shard.ending.is_executed()));
    assert!((0..4).all(|index| lab.shards[index].closed().is_none()));
    lab.cut_off.clear();
    lab.run_until(Time::from_ms(30_000));
    lab.assert_agreement();
    assert!((0..4).all(|index| lab.shards[index].closed().is_some()));
}

/// The next epoch goes on where this one ended.
///
/// Given a closed epoch in which Alice has sent 30,
/// when the next one opens with its state,
/// then its first checkpoint is the one after the opening, and Alice's next transfer is executed.
#[test]
fn the_next_epoch_opens_with_the_final_state() {
    let (mut lab, alice) = ending();
    let to = Address::of(account_key(102).public_key());
    let input = lab.transfer(&alice, 0, to, 30);
    lab.push(Time::from_ms(100), 0, input);
    lab.run_until(Time::from_ms(4_000));
    let end = closed(&lab, 2);
    let plan = plan(&lab);
    let opening = Opening::after(&plan, ShardId(0), std::slice::from_ref(&end)).unwrap();
    let last = end.certificate.checkpoint;
    assert_eq!(opening.checkpoint.height, last.height.next());
    assert_eq!(opening.checkpoint.executed, last.executed);
    let committee = plan.committee(ShardId(0)).unwrap();
    lab.committee_keys =
        CommitteeKeys::decode(lab.committee_keys.chain(), Arc::new(committee)).unwrap();
    lab.opening = Some(opening.clone());
    let now = Time::from_ms(5_000);
    for index in 0..4 {
        lab.logs[index].clear();
        lab.events[index].clear();
        lab.restart(index, now, Start::Fresh);
    }
    let input = lab.transfer(&alice, 1, to, 50);
    lab.push(now, 1, input);
    lab.run_until(Time::from_ms(8_000));
    lab.assert_agreement();
    assert_eq!(lab.shards[3].ledger().account(&to).unwrap().balance, Amount(80));
    let first = lab.events[0].iter().find_map(|event| match event {
        Event::Executed { header, .. } => Some(*header),
        _ => None,
    });
    assert_eq!(first.unwrap().parent, opening.checkpoint.digest());
    assert_eq!(first.unwrap().epoch, Epoch(1));
}

/// Somebody without a seat fetches the end, whatever one of those asked answers.
///
/// Given a closed shard whose first member answers a guest with a state of its own making,
/// when the guest asks all of them,
/// then it has the certified end, and has noticed the lie.
#[test]
fn a_guest_fetches_the_end_from_strangers() {
    let (mut lab, _) = ending();
    lab.run_until(Time::from_ms(4_000));
    let end = closed(&lab, 1);
    let guest = ValidatorIndex(u16::MAX);
    let chain = lab.committee_keys.chain();
    let territory = Territory::whole(ShardId(0));
    let digest = end.plan.digest();
    let mut now = Time::from_ms(4_000);
    let mut joiner = Joiner::new(now, chain, territory.clone(), 4, guest, digest);
    let mut lies = 0;
    for _ in 0..20_000 {
        now = now.plus_us(1_000);
        joiner.handle(now, Input::Tick);
        while let Some(output) = joiner.poll_output() {
            match output {
                Output::Send { to, message } => {
                    let index = to.position();
                    lab.shards[index].handle(now, Input::Message { from: guest, message });
                    while let Some(answer) = lab.shards[index].poll_output() {
                        let Output::Send { to, message } = answer else {
                            continue;
                        };
                        assert_eq!(to, guest);
                        let message = if index == 0 { forged(message) } else { message };
                        let from = ValidatorIndex(index as u16);
                        joiner.handle(now, Input::Message { from, message });
                    }
                }
                Output::VerifySync { from, package } => {
                    let certificate = &package.certificate;
                    let valid =
                        qcn_light::verify_certificate(certificate, &lab.committee_keys).is_ok();
                    joiner.handle(now, Input::SyncVerified { from, package, valid });
                }
                Output::Event(Event::LyingSyncer(liar)) => {
                    assert_eq!(liar, ValidatorIndex(0));
                    lies += 1;
                }
                _ => {}
            }
        }
    }
    let fetched = joiner.closed().expect("three of four are honest");
    assert_eq!(fetched.certificate.checkpoint, end.certificate.checkpoint);
    assert_eq!(fetched.ledger.state_root(), end.ledger.state_root());
    assert!(lies > 0);
    // A plan that nobody certified is waited for in vain.
    let mut astray = Joiner::new(now, chain, territory, 4, guest, Digest([5; 32]));
    let package = SyncPackage::last(end.certificate, plan(&lab));
    let message = Message::SyncOffer(Arc::new(package));
    while astray.poll_output().is_some() {}
    astray.handle(now, Input::Message { from: ValidatorIndex(1), message });
    let asked = std::iter::from_fn(|| astray.poll_output());
    assert!(!asked.into_iter().any(|output| matches!(output, Output::VerifySync { .. })));
}

/// A certified earlier state is no end, whatever plan is beside it.
///
/// Given somebody who waits for the end of an epoch.
/// When a member offers an earlier state with the plan, then it is called a liar; when it offers that
/// state as it is, and all chunks come, or the certificate of the first is taken for true,
/// then the epoch has not ended for the guest, and nothing opens with such an end.
#[test]
fn an_earlier_state_is_no_end() {
    let (mut lab, _) = ending();
    let now = Time::from_ms(4_000);
    lab.run_until(now);
    let end = closed(&lab, 1);
    let guest = ValidatorIndex(u16::MAX);
    let (chain, territory) = (lab.committee_keys.chain(), Territory::whole(ShardId(0)));
    let digest = end.plan.digest();
    let checkpoint = Checkpoint { next_epoch: Digest::ZERO, ..end.certificate.checkpoint };
    let certificate = Certificate { checkpoint, ..end.certificate.clone() };
    let bare = SyncPackage {
        commits: Bounded::default(),
        schedule: qcn_consensus::ScheduleState::default(),
        plan: Bounded::default(),
        certificate,
    };
    let forged = SyncPackage { plan: Bounded::truncated(vec![plan(&lab)]), ..bare.clone() };
    for (package, is_lie) in [(forged, true), (bare, false)] {
        let mut deceived = Joiner::new(now, chain, territory.clone(), 4, guest, digest);
        while deceived.poll_output().is_some() {}
        let (from, package) = (ValidatorIndex(1), Arc::new(package));
        let message = Message::SyncOffer(Arc::clone(&package));
        deceived.handle(now, Input::Message { from, message });
        let output = deceived.poll_output().unwrap();
        assert_eq!(matches!(output, Output::Event(Event::LyingSyncer(_))), is_lie, "{output:?}");
        // Even if it comes from another, the certificate is true and all chunks come.
        let from = ValidatorIndex(2);
        deceived.handle(now, Input::SyncVerified { from, package, valid: true });
        while let Some(output) = deceived.poll_output() {
            let Output::Send { to, message: Message::ChunkRequest { height, region } } = output
            else {
                continue;
            };
            let chunk = Arc::new(end.ledger.chunk_in(&region).unwrap());
            let message = Message::Chunk { height, region, chunk };
            deceived.handle(now, Input::Message { from: to, message });
        }
        assert!(deceived.closed().is_none());
        let opened = Closed { certificate: end.certificate.clone(), ..end.clone() };
        let mut earlier = opened.clone();
        earlier.certificate.checkpoint.next_epoch = Digest::ZERO;
        let (next, shard) = (plan(&lab), ShardId(0));
        assert!(Opening::after(&next, shard, &[opened]).is_ok());
        let other = qcn_ledger::OpenError::OtherPlan(shard);
        assert_eq!(Opening::after(&next, shard, &[earlier]).err(), Some(other));
    }
}

/// Most of the state is with a newcomer before the epoch ends.
///
/// Given a shard of many chunks that has snapshots, and a newcomer that knows of the plan long
/// before the shard hears of it.
/// When Alice pays somebody all the time and the epoch ends,
/// then the newcomer had a certified state before, and fetches few chunks of the final one.
#[test]
fn a_newcomer_has_most_of_the_state_before_the_end() {
    let (mut lab, alice) = ending_at(Time::from_ms(6_000), 20_000);
    let to = Address::of(account_key(102).public_key());
    for nonce in 0..20 {
        let input = lab.transfer(&alice, nonce, to, 1);
        lab.push(Time::from_ms(1_000 + 250 * nonce), 0, input);
    }
    let guest = ValidatorIndex(u16::MAX);
    let chain = lab.committee_keys.chain();
    let mut now = Time::from_ms(1_000);
    lab.run_until(now);
    let (territory, digest) = (Territory::whole(ShardId(0)), plan(&lab).digest());
    let mut joiner = Joiner::new(now, chain, territory, 4, guest, digest);
    // Chunks that came before the end of the epoch, and after it.
    let mut chunks = [0, 0];
    while joiner.closed().is_none() {
        now = now.plus_ms(1);
        assert!(now < Time::from_ms(12_000), "early {}", joiner.early_height());
        let has_ended = usize::from(lab.shards[0].closed().is_some());
        lab.run_until(now);
        joiner.handle(now, Input::Tick);
        for (from, message) in std::mem::take(&mut lab.guest_mail) {
            chunks[has_ended] += usize::from(matches!(message, Message::Chunk { .. }));
            joiner.handle(now, Input::Message { from, message });
        }
        while let Some(output) = joiner.poll_output() {
            match output {
                Output::Send { to, message } => {
                    lab.push(now, to.position(), Input::Message { from: guest, message });
                }
                Output::VerifySync { from, package } => {
                    let keys = &lab.committee_keys;
                    let valid = qcn_light::verify_certificate(&package.certificate, keys).is_ok();
                    joiner.handle(now, Input::SyncVerified { from, package, valid });
                }
                Output::Event(Event::LyingSyncer(liar)) => panic!("{liar} has not lied"),
                _ => {}
            }
        }
    }
    let fetched = joiner.closed().unwrap();
    assert_eq!(fetched.ledger.state_root(), closed(&lab, 0).ledger.state_root());
    let all = fetched.ledger.chunk_count() as usize;
    let last = fetched.certificate.checkpoint.height;
    assert!(joiner.early_height() > Height(0) && joiner.early_height() < last);
    assert!(chunks[0] >= all && chunks[1] < all / 2, "{chunks:?} of {all}");
}

/// What a liar makes of an answer.
fn forged(message: Message) -> Message {
    match message {
        Message::SyncOffer(package) => {
            let mut package = package.as_ref().clone();
            package.certificate.checkpoint.state_root = Digest([8; 32]);
            Message::SyncOffer(Arc::new(package))
        }
        other => other,
    }
}
