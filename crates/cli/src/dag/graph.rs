//! The document with everything in it looked up, and every rule of the format checked.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use qcn_types::MAX_MEMBERS;

use super::document::{BlockEntry, Document, Leaders, MemberEntry, Object, parse};

/// The most blocks that one author may have in one round.
const MAX_BLOCKS_IN_SLOT: usize = 1 << 16;

/// The most slots, filled or not, in the rounds that have blocks.
const MAX_SLOTS: usize = 1 << 23;

/// A DAG that the commit rule can decide about.
#[derive(Debug)]
pub struct Graph {
    /// The committee in order.
    pub members: Vec<Member>,
    /// The blocks by round, author and id.
    pub blocks: Vec<Block>,
    /// The leader slots in the order in which they are decided.
    pub slots: Vec<LeaderSlot>,
}

/// A member of the committee.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its voting power, above zero.
    pub weight: u64,
}

/// A block.
#[derive(Debug)]
pub struct Block {
    /// Its name.
    pub id: String,
    /// The position of its author in the committee.
    pub author: usize,
    /// Its round, above zero.
    pub round: u64,
    /// Its parents.
    pub parents: Vec<Parent>,
}

/// A parent of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parent {
    /// The implied block of round 0 of the member at this position.
    Genesis(usize),
    /// The block at this position.
    Block(usize),
}

/// A slot that the commit rule decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeaderSlot {
    /// The round.
    pub round: u64,
    /// The position of the leader in the committee.
    pub leader: usize,
}

impl Graph {
    /// Reads a document and checks it.
    ///
    /// # Errors
    /// The first rule of the format that is broken, where, and what to do.
    pub fn parse(document: &[u8]) -> anyhow::Result<Self> {
        Self::check(parse(document)?)
    }

    fn check(document: Document) -> anyhow::Result<Self> {
        let members = check_committee(document.committee)?;
        let by_name: BTreeMap<&str, usize> =
            members.iter().enumerate().map(|(at, member)| (member.name.as_str(), at)).collect();
        let slots = check_leaders(&document.leaders, &by_name)?;
        let blocks = check_blocks(document.blocks, &by_name)?;
        check_size(&blocks, members.len())?;
        Ok(Self { members, blocks, slots })
    }

    /// W, the weight of all.
    #[must_use]
    pub fn total_weight(&self) -> u64 {
        self.members.iter().map(|member| member.weight).sum()
    }
}

fn check_committee(entries: Vec<Object<MemberEntry>>) -> anyhow::Result<Vec<Member>> {
    if entries.is_empty() {
        bail!("committee: it is empty; name at least one member");
    }
    if entries.len() > MAX_MEMBERS {
        bail!(
            "committee: {} members are too many; a committee has up to {MAX_MEMBERS}",
            entries.len()
        );
    }
    let mut total = 0_u64;
    let mut names = BTreeSet::new();
    for (at, Object(MemberEntry { name, weight })) in entries.iter().enumerate() {
        if name.is_empty() {
            bail!("committee[{at}].name: it is empty; give every member a name");
        }
        if !names.insert(name) {
            bail!("committee[{at}].name: {name:?} is a member already; give each its own name");
        }
        if *weight == 0 {
            bail!("committee[{at}].weight: it is 0; leave {name:?} out or give it a weight from 1");
        }
        let Some(sum) = total.checked_add(*weight) else {
            bail!(
                "committee[{at}].weight: up to here the weights add up to more than {}; scale all \
                 of them down",
                u64::MAX
            );
        };
        total = sum;
    }
    let member = |Object(MemberEntry { name, weight })| Member { name, weight };
    Ok(entries.into_iter().map(member).collect())
}

fn check_leaders(
    leaders: &Leaders,
    by_name: &BTreeMap<&str, usize>,
) -> anyhow::Result<Vec<LeaderSlot>> {
    let mut slots = Vec::new();
    for (key, names) in &leaders.0 {
        let round = key.parse().ok().filter(|round: &u64| *round > 0 && round.to_string() == *key);
        let Some(round) = round else {
            bail!(
                "leaders[{key:?}]: this is no round that has leaders; write a number from 1 on, \
                 without sign and leading zeros"
            );
        };
        let mut seen = BTreeSet::new();
        for (at, name) in names.iter().enumerate() {
            let place = if names.len() == 1 { String::new() } else { format!("[{at}]") };
            let Some(leader) = by_name.get(name.as_str()).copied() else {
                bail!(
                    "leaders[{key:?}]{place}: {name:?} is no member of the committee; add it there \
                     or correct the name"
                );
            };
            if !seen.insert(leader) {
                bail!("leaders[{key:?}]{place}: {name:?} leads this round already; name it once");
            }
            slots.push(LeaderSlot { round, leader });
        }
    }
    // Stable: the slots of a round keep their order.
    slots.sort_by_key(|slot| slot.round);
    Ok(slots)
}

/// What an id stands for.
#[derive(Clone, Copy)]
struct Named {
    parent: Parent,
    author: usize,
    round: u64,
}

fn check_blocks(
    entries: Vec<Object<BlockEntry>>,
    by_name: &BTreeMap<&str, usize>,
) -> anyhow::Result<Vec<Block>> {
    let authors = check_authors(&entries, by_name)?;
    let by_id = check_ids(&entries, &authors, by_name)?;
    let mut parents = Vec::with_capacity(entries.len());
    for (at, Object(entry)) in entries.iter().enumerate() {
        parents.push(check_parents(at, entry, &by_id)?);
    }
    let positions: Vec<usize> = sorted_positions(&entries, &authors);
    let mut blocks: Vec<Block> = entries
        .into_iter()
        .zip(authors.into_iter().zip(parents))
        .map(|(Object(BlockEntry { id, round, .. }), (author, parents))| Block {
            id,
            author,
            round,
            parents,
        })
        .collect();
    for parent in blocks.iter_mut().flat_map(|block| &mut block.parents) {
        if let Parent::Block(at) = parent {
            *at = positions[*at];
        }
    }
    blocks.sort_by(|a, b| (a.round, a.author, &a.id).cmp(&(b.round, b.author, &b.id)));
    Ok(blocks)
}

/// Where each block will stand among all, by round, author and id.
fn sorted_positions(entries: &[Object<BlockEntry>], authors: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|at| (entries[*at].0.round, authors[*at], &entries[*at].0.id));
    let mut positions = vec![0; order.len()];
    for (position, at) in order.into_iter().enumerate() {
        positions[at] = position;
    }
    positions
}

fn check_authors(
    entries: &[Object<BlockEntry>],
    by_name: &BTreeMap<&str, usize>,
) -> anyhow::Result<Vec<usize>> {
    let mut authors = Vec::with_capacity(entries.len());
    for (at, Object(BlockEntry { author, round, .. })) in entries.iter().enumerate() {
        let Some(member) = by_name.get(author.as_str()) else {
            bail!(
                "blocks[{at}].author: {author:?} is no member of the committee; add it there or \
                 correct the name"
            );
        };
        if *round == 0 {
            bail!(
                "blocks[{at}].round: the blocks of round 0 are implied; leave this one out, and \
                 name {author:?}'s as {:?} where it is a parent",
                genesis_id(author)
            );
        }
        authors.push(*member);
    }
    Ok(authors)
}

fn check_ids<'a>(
    entries: &'a [Object<BlockEntry>],
    authors: &[usize],
    by_name: &BTreeMap<&str, usize>,
) -> anyhow::Result<BTreeMap<std::borrow::Cow<'a, str>, Named>> {
    let genesis = |(name, author): (&&str, &usize)| {
        let named = Named { parent: Parent::Genesis(*author), author: *author, round: 0 };
        (genesis_id(name).into(), named)
    };
    let mut by_id: BTreeMap<std::borrow::Cow<'a, str>, Named> =
        by_name.iter().map(genesis).collect();
    for (at, Object(BlockEntry { id, round, .. })) in entries.iter().enumerate() {
        let named = Named { parent: Parent::Block(at), author: authors[at], round: *round };
        match by_id.insert(id.into(), named).map(|before| before.parent) {
            None => {}
            Some(Parent::Genesis(_)) => bail!(
                "blocks[{at}].id: {id:?} names an implied block of round 0; choose another id"
            ),
            Some(Parent::Block(first)) => bail!(
                "blocks[{at}].id: {id:?} is the id of blocks[{first}] already; give each block \
                 its own, also an equivocator's"
            ),
        }
    }
    Ok(by_id)
}

fn check_parents(
    at: usize,
    entry: &BlockEntry,
    by_id: &BTreeMap<std::borrow::Cow<'_, str>, Named>,
) -> anyhow::Result<Vec<Parent>> {
    let BlockEntry { id, round, parents, .. } = entry;
    let mut of_author = BTreeMap::new();
    let mut found = Vec::with_capacity(parents.len());
    for (index, parent) in parents.iter().enumerate() {
        let place = format!("blocks[{at}].parents[{index}]");
        let Some(named) = by_id.get(parent.as_str()) else {
            bail!("{place}: {parent:?} is no block; add it to blocks or leave it out here");
        };
        if named.round >= *round {
            bail!(
                "{place}: {parent:?} is of round {} and {id:?} of round {round}; a parent is of a \
                 lower round, else there could be cycles",
                named.round
            );
        }
        if let Some(other) = of_author.insert(named.author, parent) {
            bail!(
                "{place}: {parent:?} and {other:?} have one author; a block names at most one \
                 parent of each, or its vote would be ambiguous"
            );
        }
        found.push(named.parent);
    }
    Ok(found)
}

fn genesis_id(name: &str) -> String {
    format!("{name}0")
}

/// Bounds what the DAG takes in memory.
fn check_size(blocks: &[Block], members: usize) -> anyhow::Result<()> {
    let mut slots = blocks.chunk_by(|a, b| (a.round, a.author) == (b.round, b.author));
    if let Some(slot) = slots.rfind(|slot| slot.len() > MAX_BLOCKS_IN_SLOT) {
        bail!(
            "blocks: {:?} and {} others fill one slot; at most {MAX_BLOCKS_IN_SLOT} may",
            slot[0].id,
            slot.len() - 1
        );
    }
    let rounds = blocks.chunk_by(|a, b| a.round == b.round).count();
    if rounds.saturating_mul(members) > MAX_SLOTS {
        bail!(
            "blocks: they lie in {rounds} rounds of {members} slots; at most {MAX_SLOTS} slots \
             can be held, so leave rounds out"
        );
    }
    Ok(())
}
