//! Validators that come, replace their keys and leave, over real sockets and disks.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod network;

use network::{Network, Plan};
use qcn_crypto::{Role, Scheme, SigningKey};
use qcn_node::genesis::EpochsContent;
use qcn_node::membership::{NewValidatorKeys, RotationFile};
use qcn_node::votes::Vote;
use qcn_types::ShardId;

const ONLY: ShardId = ShardId(0);

const EPOCHS: EpochsContent =
    EpochsContent { epoch_ms: 3_000, shards_max: 8, split_above: 1_000_000, merge_below: 0 };

fn start(name: &str, port: u16) -> Network {
    let plan = Plan { validators: 4, shards: 1, seats: 4, port, epochs: Some(EPOCHS) };
    Network::start(name, plan)
}

/// A validator that the genesis does not name is let in, serves and leaves.
///
/// Given four validators, and the running node of a fifth that all of them refuse.
/// When they vote to admit it, then its node finds its number, fetches the state and gets seats;
/// it does so again after a restart of everybody; and once it has left, the others have no link to
/// it and go on.
#[test]
fn a_newcomer_is_admitted_serves_and_leaves() {
    let mut network = start("newcomer", 24_740);
    let [alice, bob] = [network.account_of(ONLY), network.account_of(ONLY)];
    network.pay(&alice, &bob, 1_000);
    let newcomer = network.newcomer("newcomer");
    let fifth = network.admit("newcomer", newcomer);
    assert_eq!(network.registered(fifth).unwrap()["name"], "newcomer");
    network.until_serves(fifth);
    network.pay(&bob, &alice, 10);
    network.until("its node shows it by its name and key", |network| {
        let own = network.registered(fifth).unwrap();
        let shown = network.ask_any("/v1/validators");
        let mut shown = shown["validators"].as_array().unwrap().iter();
        shown.any(|one| one["name"] == "newcomer" && one["transport_key"] == own["transport_key"])
    });

    network.restart();
    network.until_serves(fifth);
    network.pay(&alice, &bob, 10);

    network.vote_of(fifth, Vote::Leave);
    network.until("it is in the register no more", |network| network.registered(fifth).is_none());
    network.until("nobody has a link to it", |network| {
        let peers = network.ask_node(network.node(0), "/v1/peers").1;
        peers["peers"].as_array().unwrap().len() == 3 && !network.is_linked(fifth)
    });
    network.stop_node(fifth);
    network.until_serves(0);
    network.pay(&bob, &alice, 10);
}

/// A validator gets new keys by its recovery key, and signs with them from the next epoch on.
///
/// Given a validator with a recovery key, whose node knows its next keys.
/// When a rotation is handed in by another one, then the register has the new keys and the node
/// serves with them without a restart; and also after one, with the new keys alone.
#[test]
fn keys_are_replaced_by_the_recovery_key() {
    let mut network = start("rotation", 24_780);
    let [alice, bob] = [network.account_of(ONLY), network.account_of(ONLY)];
    let newcomer = network.newcomer("newcomer");
    let recovery = newcomer.keys.recovery.clone().unwrap();
    let fifth = network.admit("newcomer", newcomer);
    network.until_serves(fifth);

    let consensus = SigningKey::generate(Scheme::Falcon512).unwrap();
    let transport = SigningKey::generate(Scheme::MlDsa65).unwrap();
    let next = [
        ("next_consensus_key", &consensus, Role::Consensus),
        ("next_transport_key", &transport, Role::Transport),
    ];
    network.stop_node(fifth);
    network.name_keys(fifth, &next);
    network.start_node(fifth);
    let number = u32::try_from(fifth).unwrap();
    let new = NewValidatorKeys {
        number,
        counter: 1,
        name: "newcomer",
        consensus: Some(&consensus),
        transport: Some(&transport),
    };
    let file = RotationFile::sign(network.genesis(), &new, &recovery).unwrap();
    file.keep(&network.data_of(1)).unwrap();
    let rotation = file.digest();
    network.vote_of(1, Vote::Rotate { validator: number, counter: 1, rotation });
    network.until("the register has the new keys", |network| {
        let registered = network.registered(fifth).unwrap();
        registered["consensus_key"] == consensus.public_key().to_string()
            && registered["transport_key"] == transport.public_key().to_string()
    });
    network.until_serves(fifth);
    network.pay(&alice, &bob, 10);

    network.stop_node(fifth);
    network.name_keys(
        fifth,
        &[
            ("consensus_key", &consensus, Role::Consensus),
            ("transport_key", &transport, Role::Transport),
        ],
    );
    network.name_no_next_keys(fifth);
    network.start_node(fifth);
    network.until_serves(fifth);
    network.pay(&bob, &alice, 10);
}
