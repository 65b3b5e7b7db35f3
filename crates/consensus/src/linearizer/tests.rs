use qcn_crypto::Digest;
use qcn_types::Bounded;

use super::*;
use crate::testing::{name, named};

/// A DAG of three, drawn by hand: round 1 is complete; of author 2 there are two blocks in round
/// 2; author 0's block of round 3 names one of them, author 1's the other.
struct Drawn {
    dag: Dag<()>,
    left: Vertex,
    right: Vertex,
}

impl Drawn {
    fn new() -> Self {
        let mut dag = Dag::with_weights(vec![1; 3], 4);
        let mut put = |block: BlockRef, parents: &[BlockRef]| {
            dag.insert(block, parents, 0, ()).unwrap();
        };
        let round_1 = [name(1, 0), name(1, 1), name(1, 2)];
        round_1.iter().for_each(|block| put(*block, &[]));
        let (one, other) = (named(2, 2, "one"), named(2, 2, "other"));
        put(name(2, 0), &round_1);
        put(name(2, 1), &round_1[..2]);
        put(one, &round_1);
        put(other, &round_1[2..]);
        put(name(3, 0), &[name(2, 0), name(2, 1), one]);
        put(name(3, 1), &[name(2, 1), other]);
        let [left, right] = [0, 1].map(|index| dag.find(&name(3, index)).unwrap());
        Self { dag, left, right }
    }

    fn names(&self, vertices: &[Vertex]) -> Vec<BlockRef> {
        vertices.iter().map(|vertex| self.dag.node(*vertex).unwrap().reference).collect()
    }
}

#[test]
fn a_commit_is_ordered_by_round_author_and_digest() {
    let drawn = Drawn::new();
    let mut linearizer = Linearizer::default();
    let first = linearizer.sequence(&drawn.dag, drawn.left, Round(0));
    let expected = [
        name(1, 0),
        name(1, 1),
        name(1, 2),
        name(2, 0),
        name(2, 1),
        named(2, 2, "one"),
        name(3, 0),
    ];
    assert_eq!(drawn.names(&first), expected);
    let second = linearizer.sequence(&drawn.dag, drawn.right, Round(0));
    assert_eq!(drawn.names(&second), [named(2, 2, "other"), name(3, 1)]);
    assert!(first.iter().chain(&second).all(|vertex| linearizer.is_sequenced(*vertex)));
    assert!(linearizer.sequence(&drawn.dag, drawn.left, Round(0)).is_empty());
}

/// Of two blocks in one slot the lower digest comes first, whichever came into the DAG first.
#[test]
fn both_blocks_of_an_equivocator_are_ordered_by_digest() {
    for swapped in [false, true] {
        let mut pair = [named(1, 0, "x"), named(1, 0, "y")];
        pair.sort_unstable();
        let mut dag = Dag::with_weights(vec![1; 2], 4);
        let mut arrival = pair;
        if swapped {
            arrival.reverse();
        }
        for block in arrival {
            dag.insert(block, &[], 0, ()).unwrap();
        }
        let one = dag.insert(name(2, 0), &[pair[0]], 0, ()).unwrap();
        let tip = dag.insert(name(3, 0), &[name(2, 0)], 0, ()).unwrap();
        dag.insert(name(2, 1), &[pair[1]], 0, ()).unwrap();
        let both = dag.insert(name(3, 1), &[name(2, 0), name(2, 1)], 0, ()).unwrap();
        let of = |vertices: Vec<Vertex>| -> Vec<BlockRef> {
            vertices.iter().map(|vertex| dag.node(*vertex).unwrap().reference).collect()
        };
        let sequence = of(Linearizer::default().sequence(&dag, both, Round(0)));
        assert_eq!(sequence, [pair[0], pair[1], name(2, 0), name(2, 1), name(3, 1)]);
        let sequence = of(Linearizer::default().sequence(&dag, tip, Round(0)));
        assert_eq!(sequence, [pair[0], name(2, 0), name(3, 0)]);
        assert!(!Linearizer::default().is_sequenced(one));
    }
}

#[test]
fn blocks_at_the_floor_stay_out() {
    let drawn = Drawn::new();
    let mut linearizer = Linearizer::default();
    let blocks = linearizer.sequence(&drawn.dag, drawn.left, Round(1));
    assert!(blocks.iter().all(|vertex| vertex.round > Round(1)) && blocks.len() == 4);
    linearizer.raise_floor(Round(2));
    assert!(!linearizer.is_sequenced(blocks[0]));
    assert!(linearizer.is_sequenced(drawn.left));
}

/// After a jump to a later state, sequenced blocks are known by name, and count as soon as they
/// come in, whichever of a slot's blocks comes in first.
#[test]
fn names_of_sequenced_blocks_outlive_the_dag() {
    let blocks = vec![name(1, 0), name(2, 0), named(2, 2, "other"), name(3, 1)];
    let record = CommitRecord {
        index: 1,
        previous: Digest::ZERO,
        leader: name(3, 1),
        blocks: Bounded::truncated(blocks.clone()),
        undecided_leaders: Bounded::default(),
        schedule: Digest::ZERO,
    };
    let drawn = Drawn::new();
    let mut linearizer = Linearizer::resume(&[record], Round(1));
    let all =
        [name(2, 0), name(2, 1), named(2, 2, "one"), named(2, 2, "other"), name(3, 0), name(3, 1)];
    for block in all {
        let vertex = drawn.dag.find(&block).unwrap();
        assert!(!linearizer.is_sequenced(vertex));
        linearizer.note_inserted(&block, vertex);
        assert_eq!(linearizer.is_sequenced(vertex), blocks.contains(&block), "{block:?}");
    }
    let new = linearizer.sequence(&drawn.dag, drawn.left, Round(1));
    assert_eq!(drawn.names(&new), [name(2, 1), named(2, 2, "one"), name(3, 0)]);
}
