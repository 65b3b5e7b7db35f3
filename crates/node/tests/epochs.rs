//! Epochs of nodes: committees change, shards split and merge, over real sockets and disks.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod network;

use network::{Network, Plan};
use qcn_crypto::{Scheme, SigningKey};
use qcn_node::genesis::{EpochsContent, ValidatorKeys};
use qcn_node::membership::{NewValidator, NewValidatorKeys, RegistrationFile, RotationFile};
use qcn_node::votes::Vote;
use qcn_types::{BEACON, Epoch, ShardId};

const LEFT: ShardId = ShardId(0);
const RIGHT: ShardId = ShardId(1);

/// Epochs that nothing but time ends.
const EPOCHS: EpochsContent =
    EpochsContent { epoch_ms: 3_000, shards_max: 8, split_above: 1_000_000, merge_below: 0 };

/// Epochs follow each other, and accounts go on to trade across shards.
///
/// Given two shards and a beacon of the same four validators, with epochs of three seconds.
/// When accounts pay each other within and across shards over several epochs, and everybody is
/// restarted in one of them,
/// then each payment arrives once, every unit is somewhere, and what was done in earlier epochs is
/// still known.
#[test]
fn epochs_follow_each_other_and_lose_nothing() {
    let plan = Plan { validators: 4, shards: 2, seats: 4, port: 24_500, epochs: Some(EPOCHS) };
    let mut network = Network::start("epochs", plan);
    let [alice, bob] = [network.account_of(LEFT), network.account_of(RIGHT)];
    let first = network.submit(&alice, &bob, 1_000);
    network.until_arrived(first);
    for epoch in 1..=2 {
        network.until_epoch(Epoch(epoch), &[BEACON, LEFT, RIGHT]);
        network.pay(&alice, &bob, 100);
        network.pay(&bob, &alice, 7);
    }
    network.restart();
    network.pay(&alice, &bob, 100);
    network.until_epoch(Epoch(4), &[BEACON, LEFT, RIGHT]);
    network.pay(&bob, &alice, 7);
    network.until_supply_adds_up();
    let known = network.ask_any(&format!("/v1/transactions/{first}"));
    assert_eq!(
        (&known["status"], &known["arrival"]["status"]),
        (&"final".into(), &"arrived".into())
    );
}

/// Who gets a seat in a shard where it had none fetches the state from those who had.
///
/// Given seven validators and two shards of four seats each, so that committees change.
/// When some epochs have passed, while one validator was down for more than one of them,
/// then every shard has gone on with committees of other validators, payments arrive, and the one
/// that was down serves again.
#[test]
fn committees_change_and_newcomers_fetch_the_state() {
    let plan = Plan { validators: 7, shards: 2, seats: 4, port: 24_540, epochs: Some(EPOCHS) };
    let mut network = Network::start("newcomers", plan);
    let [alice, bob] = [network.account_of(LEFT), network.account_of(RIGHT)];
    network.pay(&alice, &bob, 1_000);
    let committee = |network: &Network| network.ask_any("/v1/shards")["shards"].clone();
    let before = committee(&network);
    network.stop_node(6);
    network.until_epoch_of_all_up(Epoch(3));
    network.pay(&bob, &alice, 10);
    assert_ne!(before, committee(&network));
    network.start_node(6);
    let reached = network.epoch();
    network.until_epoch_of_all_up(Epoch(reached.0 + 2));
    network.pay(&alice, &bob, 10);
    network.until_supply_adds_up();
}

/// A restart of everybody costs no newcomer what its epoch began with: of the end of the epoch before
/// nobody who was no member then has a log.
///
/// Given seven validators and two shards of four seats each, so that committees change.
/// When everybody is restarted in the middle of one epoch and of the next,
/// then all shards go on to later epochs, and payments arrive.
#[test]
fn newcomers_outlast_a_restart_of_everybody() {
    let plan = Plan { validators: 7, shards: 2, seats: 4, port: 24_620, epochs: Some(EPOCHS) };
    let mut network = Network::start("restarts", plan);
    let [alice, bob] = [network.account_of(LEFT), network.account_of(RIGHT)];
    network.pay(&alice, &bob, 1_000);
    for _ in 0..2 {
        let reached = network.epoch();
        network.until_epoch_of_all_up(Epoch(reached.0 + 1));
        network.restart();
        network.pay(&bob, &alice, 10);
    }
    let reached = network.epoch();
    network.until_epoch_of_all_up(Epoch(reached.0 + 2));
    network.pay(&alice, &bob, 10);
    network.until_supply_adds_up();
}

/// Who is admitted, who leaves and whose keys change is so from the next epoch on, over real nodes.
///
/// Given five validators, a shard of four seats, and a beacon.
/// When the first four vote to admit a newcomer, whose node does not run yet, and the fifth leaves,
/// then a later epoch has the one in the register and the other not, no vote is left, and payments
/// arrive. When one of them hands in the newcomer's next key, then the register has that.
#[test]
fn one_is_admitted_and_another_leaves() {
    let plan = Plan { validators: 5, shards: 1, seats: 4, port: 24_700, epochs: Some(EPOCHS) };
    let mut network = Network::start("membership", plan);
    let [alice, bob] = [network.account_of(LEFT), network.account_of(LEFT)];
    network.pay(&alice, &bob, 1_000);
    let keys = ValidatorKeys {
        consensus: SigningKey::generate(Scheme::Falcon512).unwrap(),
        transport: SigningKey::generate(Scheme::MlDsa65).unwrap(),
        recovery: Some(SigningKey::generate(Scheme::SlhDsaSha2_128s).unwrap()),
    };
    let new = NewValidator { name: "newcomer", weight: 1, keys: &keys, address: None };
    let file = RegistrationFile::sign(network.genesis(), &new).unwrap();
    let (registration, consensus_key) = (file.digest(), keys.consensus.public_key().digest());
    let admit = Vote::Admit { registration, weight: 1, consensus_key };
    for at in 0..4 {
        network.vote_of(at, admit);
    }
    // One of them is enough to hand it in.
    file.keep(&network.data_of(2)).unwrap();
    network.vote_of(4, Vote::Leave);
    network.until("the register has the one and not the other", |network| {
        let beacon = network.ask_any("/v1/beacon");
        let register = beacon["register"].as_array().unwrap();
        let numbers: Vec<u64> = register.iter().map(|it| it["number"].as_u64().unwrap()).collect();
        numbers == [0, 1, 2, 3, 5] && register[4]["weight"] == 1
    });
    let all_is_done = |network: &Network| (0..5).all(|at| network.votes_of(at).is_empty());
    network.until("nobody votes for anything", all_is_done);
    network.pay(&bob, &alice, 10);

    let next = SigningKey::generate(Scheme::Falcon512).unwrap();
    let new = NewValidatorKeys {
        number: 5,
        counter: 1,
        name: "newcomer",
        consensus: Some(&next),
        transport: None,
    };
    let file = RotationFile::sign(network.genesis(), &new, &keys.recovery.unwrap()).unwrap();
    file.keep(&network.data_of(3)).unwrap();
    let rotation = file.digest();
    network.vote_of(3, Vote::Rotate { validator: 5, counter: 1, rotation });
    network.until("the register has the next key", |network| {
        let newcomer = network.ask_any("/v1/beacon")["register"][4].clone();
        newcomer["consensus_key"] == next.public_key().to_string() && newcomer["rotations"] == 1
    });
    network.until("it is handed in no more", all_is_done);
    network.pay(&alice, &bob, 10);
}

/// A shard that could not close when its end was announced still can after its newcomers were
/// restarted: what they had fetched to open is on their disks, and nobody else may have it any more.
///
/// Given seven validators and a shard of four, two of which have come new into it.
/// When the other two are stopped, so that the beacon announces the next epoch and the shard cannot
/// close, then everybody else is restarted, and the two come back,
/// then the shard closes, opens the next epoch, and payments are made in it.
#[test]
fn a_shard_that_could_not_close_does_after_restarts() {
    let epochs = EpochsContent { epoch_ms: 6_000, ..EPOCHS };
    let plan = Plan { validators: 7, shards: 2, seats: 4, port: 24_660, epochs: Some(epochs) };
    let mut network = Network::start("unclosed", plan);
    let [alice, bob] = [network.account_of(LEFT), network.account_of(RIGHT)];
    let mut before = network.committee(LEFT);
    let (epoch, stopped) = loop {
        let next = Epoch(network.epoch().0 + 1);
        network.until_epoch_of_all_up(next);
        let members = network.committee(LEFT);
        let (old, new): (Vec<usize>, Vec<usize>) =
            members.iter().partition(|member| before.contains(member));
        if new.len() >= 2 {
            let stopped = old.iter().chain(&new[2..]).copied().collect::<Vec<_>>();
            break (next, stopped);
        }
        before = members;
    };
    assert_eq!(stopped.len(), 2);
    network.until("the shard has reported", |network| {
        let beacon = network.ask_any("/v1/beacon");
        let mut shards = beacon["shards"].as_array().unwrap().iter();
        shards.any(|shard| shard["shard"] == LEFT.0 && shard["epoch"] == epoch.0)
    });
    stopped.iter().for_each(|at| network.stop_node(*at));
    network.until("the next epoch is announced", |network| {
        network.hosts(BEACON).any(|node| {
            let mut views = node.views().into_iter();
            views.any(|view| view.shard() == BEACON && view.keys().committee().epoch() > epoch)
        })
    });
    assert_eq!(network.certified_epoch(LEFT), epoch, "the shard has no quorum");
    network.restart();
    let reached = network.epoch();
    network.until_epoch_of_all_up(Epoch(reached.0 + 2));
    network.pay(&alice, &bob, 10);
    network.until_supply_adds_up();
}

/// A shard splits and its halves merge again by a vote of the operators, while accounts of all
/// parts trade.
///
/// Given one shard whose accounts pay each other.
/// When all operators vote for a split, then there are two shards, and the accounts of both trade
/// across; when they vote for a merge there is one again, everything adds up, and a restart changes
/// nothing.
#[test]
fn a_shard_splits_and_merges_by_vote() {
    let plan = Plan { validators: 4, shards: 1, seats: 4, port: 24_580, epochs: Some(EPOCHS) };
    let mut network = Network::start("split", plan);
    let [low, high] = network.account_of_each_half();
    network.pay(&low, &high, 1_000);
    network.vote(Vote::Split { shard: 0 });
    network.until("there are two shards", |network| network.shards() == [0, 1]);
    network.pay(&low, &high, 10);
    network.pay(&high, &low, 20);
    network.until_supply_adds_up();
    network.assert_each_shard_adds_up();
    network.restart();
    network.pay(&low, &high, 10);
    network.vote(Vote::Merge { shard: 1 });
    network.until("there is one shard", |network| network.shards() == [0]);
    network.pay(&low, &high, 10);
    network.pay(&high, &low, 20);
    network.restart();
    network.pay(&high, &low, 20);
    network.until_supply_adds_up();
    network.assert_each_shard_adds_up();
}
