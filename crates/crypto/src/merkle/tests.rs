use proptest::prelude::*;

use super::*;

fn leaves(count: u64) -> Vec<Digest> {
    (0..count).map(|index| hash(Domain::Simulation, &index.to_le_bytes())).collect()
}

/// The definition of RFC 9162, by recursion.
fn top_by_definition(leaves: &[Digest]) -> Digest {
    if let [leaf] = leaves {
        return leaf_hash(leaf.as_bytes());
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    hash_pair(Domain::MerkleNode, &top_by_definition(left), &top_by_definition(right))
}

#[test]
fn the_tree_has_the_shape_of_the_definition() {
    for count in 1..=70 {
        let leaves = leaves(count);
        let expected = root_hash(count, Some(&top_by_definition(&leaves)));
        assert_eq!(MerkleTree::new(&leaves).root(), expected, "{count} leaves");
    }
}

#[test]
fn every_leaf_of_every_small_tree_is_proven() {
    for count in 1..=40 {
        let leaves = leaves(count);
        let tree = MerkleTree::new(&leaves);
        for (index, leaf) in (0..).zip(&leaves) {
            let proof = tree.prove(index).unwrap();
            assert_eq!(proof.verify(&tree.root(), leaf), Ok(()));
            let other = hash(Domain::Simulation, b"other");
            assert_eq!(proof.verify(&tree.root(), &other), Err(ProofError::RootMismatch));
        }
        assert_eq!(tree.prove(count), None);
    }
}

/// Without the leaf count in the root, the proof of leaf 2 of 3 would also
/// show the same leaf to be leaf 1 of 2.
#[test]
fn no_proof_serves_for_another_index_or_size() {
    for count in 1..=20 {
        let leaves = leaves(count);
        let tree = MerkleTree::new(&leaves);
        for (index, leaf) in (0..).zip(&leaves) {
            let proof = tree.prove(index).unwrap();
            for other_count in 0..=24 {
                for other_index in 0..=24 {
                    let claim = InclusionProof {
                        index: other_index,
                        leaf_count: other_count,
                        siblings: proof.siblings.clone(),
                    };
                    let same = (other_index, other_count) == (index, count);
                    assert_eq!(claim.verify(&tree.root(), leaf).is_ok(), same);
                }
            }
        }
    }
}

#[test]
fn every_bit_of_a_proof_counts() {
    let leaves = leaves(21);
    let tree = MerkleTree::new(&leaves);
    let proof = tree.prove(13).unwrap();
    for sibling in 0..proof.siblings.len() {
        for bit in 0..256 {
            let mut damaged = proof.clone();
            damaged.siblings[sibling].0[bit / 8] ^= 1 << (bit % 8);
            assert!(damaged.verify(&tree.root(), &leaves[13]).is_err());
        }
    }
    let mut longer = proof.clone();
    longer.siblings.push(Digest::ZERO);
    assert_eq!(
        longer.verify(&tree.root(), &leaves[13]),
        Err(ProofError::WrongLength { expected: 5, actual: 6 })
    );
}

#[test]
fn an_inner_node_is_no_leaf() {
    let leaves = leaves(4);
    let tree = MerkleTree::new(&leaves);
    let pair = [tree.levels[0][0].0, tree.levels[0][1].0].concat();
    let claim = InclusionProof { index: 0, leaf_count: 2, siblings: vec![tree.levels[1][1]] };
    assert_eq!(claim.verify_bytes(&tree.root(), &pair), Err(ProofError::RootMismatch));
}

#[test]
fn the_empty_tree_has_a_root_and_proves_nothing() {
    let tree = MerkleTree::new(&[]);
    assert_eq!((tree.leaf_count(), tree.prove(0)), (0, None));
    assert_ne!(tree.root(), MerkleTree::from_bytes(&[b""]).root());
    let claim = InclusionProof { index: 0, leaf_count: 0, siblings: Vec::new() };
    assert!(claim.verify(&tree.root(), &Digest::ZERO).is_err());
}

#[test]
fn byte_strings_and_digests_give_the_same_leaves() {
    let digests = leaves(5);
    let bytes: Vec<Vec<u8>> = digests.iter().map(|leaf| leaf.0.to_vec()).collect();
    assert_eq!(MerkleTree::new(&digests).root(), MerkleTree::from_bytes(&bytes).root());
    let words = ["", "a", "ab"];
    let tree = MerkleTree::from_bytes(&words);
    let proof = tree.prove(1).unwrap();
    assert_eq!(proof.verify_bytes(&tree.root(), b"a"), Ok(()));
}

#[test]
fn the_decoder_refuses_what_no_tree_has() {
    let encode = |index: u64, leaf_count: u64, siblings: usize| {
        borsh::to_vec(&InclusionProof { index, leaf_count, siblings: vec![Digest::ZERO; siblings] })
            .unwrap()
    };
    let accepts = |bytes: &[u8]| borsh::from_slice::<InclusionProof>(bytes).is_ok();
    assert!(accepts(&encode(0, 1, 0)) && accepts(&encode(0, MAX_LEAVES, MAX_SIBLINGS)));
    assert!(!accepts(&encode(0, 0, 0)), "no leaves");
    assert!(!accepts(&encode(1, 1, 0)), "index out of range");
    assert!(!accepts(&encode(0, 1, 1)), "a sibling too many");
    assert!(!accepts(&encode(0, 4, 1)), "a sibling too few");
    assert!(!accepts(&encode(0, MAX_LEAVES + 1, MAX_SIBLINGS + 1)), "too many leaves");
    let mut bytes = encode(0, 1, 0);
    bytes[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(!accepts(&bytes), "a length that is a lie");
}

proptest! {
    #[test]
    fn proofs_read_back_and_nothing_else_does(count in 1u64..300, pick: u64, cut in 1usize..40) {
        let index = pick % count;
        let proof = MerkleTree::new(&leaves(count)).prove(index).unwrap();
        let mut encoded = borsh::to_vec(&proof).unwrap();
        prop_assert_eq!(&borsh::from_slice::<InclusionProof>(&encoded).unwrap(), &proof);
        let shorter = &encoded[..encoded.len().saturating_sub(cut)];
        prop_assert!(borsh::from_slice::<InclusionProof>(shorter).is_err());
        encoded.push(0);
        prop_assert!(borsh::from_slice::<InclusionProof>(&encoded).is_err());
    }
}
