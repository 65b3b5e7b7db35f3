//! Validators that come and go, and their keys.

use qcn_types::ValidatorIndex;

use super::super::{Class, Count, KnownValidator};
use super::support::{Node, config, frame, fully_connected, key, network, poll, validators};

fn named(index: u16, key_of: u16) -> KnownValidator {
    KnownValidator {
        key: key(key_of).public_key().clone(),
        ..validators(index + 1).remove(index.into())
    }
}

fn tell_all(nodes: &[Node], validators: &[KnownValidator]) {
    nodes.iter().for_each(|node| node.transport.set_validators(validators));
}

async fn reaches(from: &Node, to: &mut Node, index: u16, text: &str) {
    from.transport.send(ValidatorIndex(index), Class::Sync, frame(text));
    assert_eq!(to.next().await.frame, frame(text));
}

/// Given three validators, and a fourth that they do not know and that dials them.
/// When they are told of it, then all four are connected, and frames arrive.
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_is_let_in_once_it_is_named() {
    let mut nodes = network(3).await;
    let newcomer = Node::start(config(3, 4, &[nodes[0].address()])).await;
    nodes[0].reaches(Count::UnknownKey, 1).await;
    assert_eq!(newcomer.connected(), 0);

    tell_all(&nodes, &validators(4));
    nodes.push(newcomer);
    fully_connected(&nodes).await;
    let [zero, _, _, three] = &mut nodes[..] else { panic!("four") };
    reaches(zero, three, 3, "welcome").await;
}

/// Given four connected validators of which one is named no more,
/// then its connections end, it is refused from then on, and the others keep theirs.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_named_no_more_is_refused() {
    let nodes = network(4).await;
    let mut ups_and_downs = nodes[0].transport.connections();
    let (stay, goes) = nodes.split_at(3);
    tell_all(stay, &validators(3));
    assert!(poll(|| goes[0].connected() == 0).await);
    stay[0].reaches(Count::UnknownKey, 1).await;
    fully_connected(stay).await;
    let down = std::iter::from_fn(|| ups_and_downs.try_recv().ok()).collect::<Vec<_>>();
    assert_eq!(down, [(ValidatorIndex(3), false)], "nobody else's connection ended");
    assert_eq!(stay[0].transport.peers().len(), 2);
}

/// Given three validators of which one has a new key, known beside the old one.
/// When it shows the new one after a while, and the old one is then named no more,
/// then it stays connected throughout or comes back by itself; and somebody with the old key is
/// refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_while_both_are_known() {
    const NEW: u16 = 100;
    let mut nodes = network(3).await;
    let both: Vec<_> = validators(3).into_iter().chain([named(2, NEW)]).collect();
    tell_all(&nodes, &both);
    fully_connected(&nodes).await;
    nodes[2].transport.set_key(key(NEW)).unwrap();
    fully_connected(&nodes).await;

    let after = [named(0, 0), named(1, 1), named(2, NEW)];
    tell_all(&nodes, &after);
    let [zero, _, two] = &mut nodes[..] else { panic!("three") };
    // The connection was made with the old key, and is made anew.
    assert!(poll(|| zero.count(Count::Down) >= 1).await);
    assert!(poll(|| zero.connected() == 2 && two.connected() == 2).await);
    reaches(zero, two, 2, "with the new key").await;
    let record = || two.transport.shared.own_record().unwrap();
    assert!(
        poll(|| {
            let records = super::super::shared::lock(&zero.transport.shared.records);
            records.get(ValidatorIndex(2)) == Some(&record())
        })
        .await,
        "its record is signed with the new key"
    );

    let unknown = zero.count(Count::UnknownKey);
    let thief = Node::start(config(2, 3, &[zero.address()])).await;
    zero.reaches(Count::UnknownKey, unknown + 1).await;
    assert_eq!(thief.connected(), 0);
}

/// Keys that cannot be used, or that another one has, make no link and end none.
#[tokio::test(flavor = "multi_thread")]
async fn unusable_and_shared_keys_are_left_out() {
    let nodes = network(2).await;
    let falcon = qcn_crypto::SigningKey::generate(qcn_crypto::Scheme::Falcon512).unwrap();
    let unusable = KnownValidator { key: falcon.public_key().clone(), ..named(5, 5) };
    let all = [named(0, 0), named(1, 1), named(4, 1), unusable];
    tell_all(&nodes, &all);
    fully_connected(&nodes).await;
    assert_eq!(nodes[0].transport.peers().len(), 1);
    assert!(nodes[0].transport.set_key(falcon).is_err());
}

/// Somebody without a number follows everybody, and is taken for a lower number by some: both say
/// hello, and the connection comes up all the same.
#[tokio::test(flavor = "multi_thread")]
async fn two_that_both_follow_find_out_who_decides() {
    const NO_NUMBER: u16 = 1_000;
    for _ in 0..8 {
        let mut waiting = config(NO_NUMBER, 0, &[]);
        waiting.validators = vec![named(5, 5), named(NO_NUMBER, NO_NUMBER)];
        let waiting = Node::start(waiting).await;
        let mut knows = config(5, 0, &[waiting.address()]);
        knows.validators = vec![named(1, NO_NUMBER), named(5, 5)];
        let nodes = [waiting, Node::start(knows).await];
        fully_connected(&nodes).await;
    }
}

/// Given a validator that knows an old key of another one,
/// when a third hands on the other's record with the new key,
/// then the record is not used, and the link to the third stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_an_unknown_key_ends_no_link() {
    let mut nodes = network(2).await;
    let third = Node::start(config(2, 3, &[nodes[0].address()])).await;
    nodes.push(third);
    let late: Vec<_> = validators(3);
    let told: Vec<_> = validators(3).into_iter().chain([named(2, 100)]).collect();
    nodes[1].transport.set_validators(&late);
    nodes[0].transport.set_validators(&told);
    nodes[2].transport.set_validators(&told);
    fully_connected(&nodes).await;
    let mut ups_and_downs = nodes[1].transport.connections();
    nodes[2].transport.set_key(key(100)).unwrap();
    nodes[1].reaches(Count::RecordRefused, 1).await;
    nodes[0].transport.send(ValidatorIndex(1), Class::Sync, frame("still here"));
    assert_eq!(nodes[1].next().await.frame, frame("still here"));
    assert!(ups_and_downs.try_recv().is_err(), "no connection came up or went down");
}
