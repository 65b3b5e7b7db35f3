use super::*;
use crate::keys::KeyRing;
use qcn_crypto::{ChainId, SeededRandomness};
use qcn_types::{
    Block, BlockBody, BlockHeader, Committee, Epoch, Member, Payload, Round, ShardId,
    ValidatorIndex, Weight, genesis_ref,
};

fn keys() -> CommitteeKeys {
    let members = (0..4).map(|index| Member {
        name: format!("v{index}"),
        key: KeyRing::default().validator(index).public_key().clone(),
        weight: Weight(1),
    });
    let committee = Committee::new(ShardId(0), Epoch(0), members.collect()).unwrap();
    CommitteeKeys::decode(ChainId::default(), Arc::new(committee)).unwrap()
}

fn signed(keys: &CommitteeKeys, round: u64, author: u16) -> Block {
    let own = ValidatorIndex(author);
    let mut authors: Vec<ValidatorIndex> = keys.committee().indices().collect();
    authors.sort_by_key(|author| (*author != own, *author));
    let genesis = |author| genesis_ref(keys.chain(), ShardId(0), Epoch(0), author);
    let body = BlockBody {
        chain: keys.chain(),
        shard: ShardId(0),
        epoch: Epoch(0),
        round: Round(round),
        author: own,
        time_ms: 5,
        parents: authors.into_iter().map(genesis).collect(),
        payload: Payload::default(),
        attestations: Default::default(),
    };
    let context = BlockHeader::signing_context(keys.chain());
    let mut randomness = SeededRandomness::from_u64(1, "memo");
    let signature = KeyRing::default()
        .validator(author as usize)
        .sign_seeded(&context, body.digest().as_bytes(), &mut randomness)
        .unwrap();
    Block { body, signature }
}

#[test]
fn equal_blocks_are_checked_once_however_they_travel() {
    let keys = keys();
    let block = signed(&keys, 1, 2);
    let mut memo = Memo::new(4);
    for compact in
        [CompactBlock::pack(&block), CompactBlock::pack(&block), CompactBlock::in_full(&block)]
    {
        let compact = Arc::new(compact);
        for _ in 0..3 {
            let outcome = memo.verify(&keys, &compact, block.body.parents.clone());
            assert_eq!(outcome.unwrap().reference().round, Round(1));
        }
    }
    assert_eq!((memo.misses, memo.hits), (1, 8));
}

/// A hit must never vouch for anything that was not checked.
#[test]
fn whatever_differs_is_checked_anew() {
    let keys = keys();
    let block = signed(&keys, 1, 2);
    let mut memo = Memo::new(4);
    let genuine = Arc::new(CompactBlock::pack(&block));
    assert!(memo.verify(&keys, &genuine, block.body.parents.clone()).is_ok());
    let mut other_parents = block.body.parents.clone();
    other_parents.pop();
    assert!(memo.verify(&keys, &genuine, other_parents).is_err());
    let changes: [fn(&mut CompactBlock); 3] = [
        |block| block.time_ms += 1,
        |block| block.author = ValidatorIndex(1),
        |block| block.round = Round(2),
    ];
    for change in changes {
        let mut changed = CompactBlock::clone(&genuine);
        change(&mut changed);
        let changed = Arc::new(changed);
        assert!(memo.verify(&keys, &changed, block.body.parents.clone()).is_err());
        assert!(memo.verify(&keys, &changed, block.body.parents.clone()).is_err(), "from memory");
    }
    assert!(memo.verify(&keys, &genuine, block.body.parents.clone()).is_ok());
}

#[test]
fn old_rounds_are_forgotten_and_far_ones_not_kept() {
    let keys = keys();
    let mut memo = Memo::new(4);
    for round in [1, 50, ROUNDS_ABOVE + 200] {
        let block = signed(&keys, round, 0);
        let compact = Arc::new(CompactBlock::pack(&block));
        memo.verify(&keys, &compact, block.body.parents.clone()).unwrap();
    }
    assert!(memo.rounds.len() <= 51);
    memo.advance(60 + ROUNDS_BELOW);
    assert!(memo.rounds.is_empty());
    assert_eq!(memo.lowest, 60);
}
