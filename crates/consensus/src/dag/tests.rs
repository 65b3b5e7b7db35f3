use super::*;
use crate::testing::{author, committee, name, named};

fn place(round: u64, index: u16, sibling: u16) -> Vertex {
    Vertex { round: Round(round), author: author(index), sibling }
}

fn slot(round: u64, index: u16) -> Slot {
    Slot { round: Round(round), author: author(index) }
}

/// A DAG of four in which everybody's block of each round names everybody's before.
fn full(rounds: u64) -> Dag<()> {
    let mut dag = Dag::new(&committee(&[1, 2, 3, 4]));
    for round in 1..=rounds {
        let parents: Vec<BlockRef> = (0..4).map(|index| name(round - 1, index)).collect();
        for index in 0..4 {
            dag.insert(name(round, index), &parents, 10 * round, ()).unwrap();
        }
    }
    dag
}

#[test]
fn blocks_are_found_by_place_and_name() {
    let dag = full(3);
    assert_eq!((dag.len(), dag.highest_round(), dag.floor()), (12, Round(3), Round(0)));
    assert_eq!(dag.find(&name(2, 1)), Some(place(2, 1, 0)));
    assert_eq!(dag.node(place(2, 1, 0)).unwrap().reference, name(2, 1));
    assert_eq!(dag.unique(slot(2, 1)), Some(name(2, 1)));
    assert_eq!(dag.time_ms(&name(2, 1)), Some(20));
    assert_eq!((dag.weight(Round(3)), dag.weight(Round(4))), (10, 0));
    for absent in [name(4, 1), named(2, 1, "other"), name(2, 9), name(0, 1)] {
        assert_eq!((dag.find(&absent), dag.time_ms(&absent)), (None, None), "{absent:?}");
    }
    assert_eq!(dag.unique(slot(2, 9)), None);
    assert!(dag.node(place(2, 1, 1)).is_none() && dag.node(place(2, 9, 0)).is_none());
}

#[test]
fn what_does_not_fit_stays_out() {
    let mut dag = full(2);
    let parents = [name(1, 0), named(1, 1, "other"), name(2, 3)];
    let missing = vec![named(1, 1, "other")];
    let rows = [
        (name(2, 1), &parents[..1], InsertError::Duplicate),
        (name(0, 1), &[], InsertError::OutOfRange),
        (name(3, 4), &[], InsertError::OutOfRange),
        (name(3, 0), &parents, InsertError::MissingParents(missing)),
    ];
    for (block, parents, error) in rows {
        assert_eq!(dag.insert(block, parents, 0, ()), Err(error));
    }
    assert_eq!((dag.len(), dag.highest_round()), (8, Round(2)));
}

/// Of a slot the first block is found without search and the others by name; each keeps its time.
#[test]
fn siblings_stand_beside_the_first() {
    let mut dag = Dag::with_weights(vec![1, 1, 1], 2);
    let blocks = [named(1, 1, "b"), named(1, 1, "a"), named(1, 1, "c"), named(1, 2, "a")];
    for (at, block) in blocks.iter().enumerate() {
        dag.insert(*block, &[], at as u64, ()).unwrap();
    }
    let places: Vec<Vertex> = dag.in_slot(slot(1, 1)).collect();
    assert_eq!(places, [place(1, 1, 0), place(1, 1, 1), place(1, 1, 2)]);
    for (at, block) in blocks[..3].iter().enumerate() {
        assert_eq!(dag.find(block), Some(places[at]));
        assert_eq!(dag.node(places[at]).unwrap().reference, *block);
        assert_eq!(dag.time_ms(block), Some(at as u64));
    }
    assert_eq!((dag.unique(slot(1, 1)), dag.unique(slot(1, 2))), (None, Some(blocks[3])));
    assert_eq!(dag.weight(Round(1)), 2, "an author counts once");
    let over = dag.insert(named(1, 1, "d"), &[], 0, ());
    assert_eq!(over, Err(InsertError::TooManySiblings));
    let child = dag.insert(name(2, 0), &[blocks[1], blocks[3]], 0, ()).unwrap();
    let links = &dag.node(child).unwrap().links;
    assert_eq!(links.others, [places[1]]);
    assert!(links.contains(places[1]) && links.contains(place(1, 2, 0)));
    assert!(!links.contains(places[0]) && !links.contains(places[2]));
}

/// Each honest author may have been shown another of an equivocator's blocks, and all of them
/// have to be taken in.
#[test]
fn a_slot_holds_more_blocks_than_a_committee_has_members() {
    let mut dag = Dag::new(&committee(&[1]));
    for variant in 0..qcn_types::MAX_MEMBERS {
        dag.insert(named(1, 0, &variant.to_string()), &[], 0, ()).unwrap();
    }
}

#[test]
fn below_the_floor_nothing_comes_in_and_nothing_is_missing() {
    let mut dag = full(10);
    dag.raise_floor(Round(6), Round(3));
    dag.raise_floor(Round(5), Round(3));
    assert_eq!((dag.floor(), dag.highest_round(), dag.len()), (Round(6), Round(10), 28));
    assert!(dag.layer(Round(3)).is_none() && dag.layer(Round(4)).is_some());
    assert_eq!(dag.insert(named(6, 0, "late"), &[], 0, ()), Err(InsertError::OutOfRange));
    let parents = [named(6, 0, "never seen"), named(2, 1, "long gone"), name(4, 2)];
    let vertex = dag.insert(named(7, 0, "fork"), &parents, 0, ()).unwrap();
    let links = &dag.node(vertex).unwrap().links;
    assert!(links.previous.is_empty() && links.others.is_empty());
}

#[test]
fn the_floor_may_rise_above_everything() {
    let mut dag = full(2);
    dag.raise_floor(Round(1_000), Round(990));
    assert_eq!((dag.len(), dag.is_empty(), dag.highest_round()), (0, true, Round(1_000)));
    dag.insert(name(1_001, 0), &[name(1_000, 0)], 0, ()).unwrap();
    assert_eq!((dag.len(), dag.highest_round()), (1, Round(1_001)));
}

/// A walk comes by every block of the history once, newest round first, over links of any length.
#[test]
fn walks_follow_all_links() {
    let mut dag = full(3);
    let second = named(2, 3, "second");
    dag.insert(second, &[name(1, 3)], 0, ()).unwrap();
    let tip = dag.insert(name(4, 0), &[name(3, 0), name(3, 1), second], 0, ()).unwrap();
    let mut walk = Walk::from(&dag, tip);
    let mut seen = Vec::new();
    while let Some((round, first, siblings)) = walk.next_layer() {
        let first = first.iter().map(|author| Vertex { round, author, sibling: 0 });
        for vertex in first.chain(siblings) {
            walk.follow(vertex);
            seen.push(vertex);
        }
    }
    let expected: Vec<Vertex> = [(4, 0, 0), (3, 0, 0), (3, 1, 0)]
        .into_iter()
        .chain([(2, 0, 0), (2, 1, 0), (2, 2, 0), (2, 3, 0), (2, 3, 1)])
        .chain([(1, 0, 0), (1, 1, 0), (1, 2, 0), (1, 3, 0)])
        .map(|(round, index, sibling)| place(round, index, sibling))
        .collect();
    assert_eq!(seen, expected);

    let mut walk = Walk::from(&dag, tip);
    assert_eq!(walk.descend_to(Round(3)).len(), 2);
    assert_eq!(walk.descend_to(Round(1)).len(), 4);
    assert_eq!(walk.descend_to(Round(0)), []);
}

/// Far links leave no trace of the rounds between.
#[test]
fn a_walk_skips_rounds_without_blocks_of_the_history() {
    let mut dag = full(30);
    let tip = dag.insert(named(31, 0, "far"), &[name(5, 2)], 0, ()).unwrap();
    let mut walk = Walk::from(&dag, tip);
    assert_eq!(walk.descend_to(Round(31)), [tip]);
    assert_eq!(walk.descend_to(Round(12)), []);
    assert_eq!(walk.descend_to(Round(5)), [place(5, 2, 0)]);
    assert_eq!(walk.descend_to(Round(4)).len(), 4);
}
