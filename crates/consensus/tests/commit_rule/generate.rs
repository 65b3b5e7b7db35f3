//! Random DAGs, and random orders in which to take them in.

use std::collections::BTreeMap;

use super::drawing::{Block, Drawing};

/// How much of the weight is faulty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Faulty {
    /// Up to f.
    Tolerated,
    /// More than f.
    Beyond,
}

/// A DAG of valid blocks, as a network with an arbitrary schedule could bring it about: every
/// block has parents of a quorum in the round before and its author's own previous block, honest
/// authors sign one block a round, and each round somebody is seen late by many.
pub fn valid(seed: u64, members: usize, rounds: u64, faulty: Faulty) -> Drawing {
    let mut chance = Chance(seed);
    let committee = committee(&mut chance, members);
    let faulty = choose_faulty(&mut chance, &committee, faulty);
    let silent_from: Vec<u64> = (0..members)
        .map(|author| if faulty[author] && chance.of(30) { chance.below(rounds) } else { u64::MAX })
        .collect();
    let leaders = leaders(&mut chance, &committee, rounds);
    let mut grower = Grower { chance, drawing: Drawing { committee, leaders, blocks: Vec::new() } };
    for round in 1..=rounds {
        let below = grower.layer(round - 1);
        let present: Vec<usize> = (0..members).filter(|at| !below[*at].is_empty()).collect();
        if grower.weight(&present) < quorum(&grower.drawing.committee) {
            break;
        }
        let extra = [0, 20, 60, 100][grower.chance.below(4) as usize];
        let late = grower.late_author(round - 1);
        let mut layer = Vec::new();
        for author in 0..members {
            let honest_pause = !faulty[author] && grower.chance.of(8);
            if silent_from[author] <= round || honest_pause {
                continue;
            }
            let forks =
                if faulty[author] && grower.chance.of(60) { grower.chance.below(3) } else { 0 };
            for fork in 0..=forks {
                let parents = grower.valid_parents(author, round, &below, extra, late);
                layer.push(grower.block(author, round, fork, parents));
            }
        }
        grower.drawing.blocks.extend(layer);
    }
    grower.drawing
}

/// A DAG of any shape that the file format allows: no quorums, gaps between rounds, forks of
/// everybody, links to anywhere below.
pub fn wild(seed: u64, members: usize, rounds: u64) -> Drawing {
    let mut chance = Chance(seed);
    let committee = committee(&mut chance, members);
    let leaders = leaders(&mut chance, &committee, rounds + 4);
    let mut grower = Grower { chance, drawing: Drawing { committee, leaders, blocks: Vec::new() } };
    let mut percent = |choices: [u64; 3]| choices[grower.chance.below(3) as usize];
    let (presence, links) = (percent([30, 90, 100]), percent([30, 90, 100]));
    let (forks, jumps) = (percent([0, 5, 40]), percent([0, 5, 30]));
    let mut round = 1;
    while round <= rounds {
        let mut layer = Vec::new();
        for author in 0..members {
            if !grower.chance.of(presence) {
                continue;
            }
            let count = 1 + if grower.chance.of(forks) { grower.chance.below(3) } else { 0 };
            for fork in 0..count {
                let mut parents = Vec::new();
                for other in 0..members {
                    if grower.chance.of(links) {
                        parents.push(grower.any_below(other, round));
                    }
                }
                layer.push(grower.block(author, round, fork, parents));
            }
        }
        grower.drawing.blocks.extend(layer);
        round += 1 + if grower.chance.of(jumps) { grower.chance.below(4) } else { 0 };
    }
    grower.drawing
}

/// The positions of all blocks, parents before children, in a random order.
pub fn random_order(drawing: &Drawing, seed: u64) -> Vec<usize> {
    let mut chance = Chance(seed);
    let position: BTreeMap<&str, usize> =
        drawing.blocks.iter().enumerate().map(|(at, block)| (block.id.as_str(), at)).collect();
    let mut missing = vec![0; drawing.blocks.len()];
    let mut children = vec![Vec::new(); drawing.blocks.len()];
    for (at, block) in drawing.blocks.iter().enumerate() {
        for parent in block.parents.iter().filter_map(|parent| position.get(parent.as_str())) {
            missing[at] += 1;
            children[*parent].push(at);
        }
    }
    // Some orders run far ahead along a few authors, some stay close to the rounds.
    let newest_first = chance.of(50);
    let mut ready: Vec<usize> = (0..missing.len()).filter(|at| missing[*at] == 0).collect();
    let mut order = Vec::with_capacity(missing.len());
    while !ready.is_empty() {
        let pick = if newest_first && chance.of(70) {
            ready.len() - 1
        } else {
            chance.below(ready.len() as u64) as usize
        };
        let taken = ready.swap_remove(pick);
        order.push(taken);
        for child in &children[taken] {
            missing[*child] -= 1;
            if missing[*child] == 0 {
                ready.push(*child);
            }
        }
    }
    order
}

/// A sequence of numbers that follows from its seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    /// Whether something of so many percent happens.
    pub fn of(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

type Committee = Vec<(String, u64)>;

fn committee(chance: &mut Chance, members: usize) -> Committee {
    let heaviest = [1, 5, 1_000][chance.below(3) as usize];
    let name = |index: usize| char::from(b'A' + index as u8).to_string();
    (0..members).map(|index| (name(index), 1 + chance.below(heaviest))).collect()
}

fn quorum(committee: &Committee) -> u64 {
    let total: u64 = committee.iter().map(|(_, weight)| weight).sum();
    total - (total - 1) / 3
}

fn choose_faulty(chance: &mut Chance, committee: &Committee, faulty: Faulty) -> Vec<bool> {
    let total: u64 = committee.iter().map(|(_, weight)| weight).sum();
    let tolerated = (total - 1) / 3;
    let mut order: Vec<usize> = (0..committee.len()).collect();
    chance.shuffle(&mut order);
    let mut chosen = vec![false; committee.len()];
    let mut weight = 0;
    for member in order {
        let with = weight + committee[member].1;
        let choose = match faulty {
            Faulty::Tolerated => with <= tolerated,
            Faulty::Beyond => weight <= tolerated || chance.of(30),
        };
        if choose {
            chosen[member] = true;
            weight = with;
        }
    }
    chosen
}

fn leaders(chance: &mut Chance, committee: &Committee, rounds: u64) -> BTreeMap<u64, Vec<String>> {
    let most = 1 + chance.below(3).min(committee.len() as u64);
    let gaps = chance.of(30);
    let mut leaders = BTreeMap::new();
    for round in 1..=rounds + 2 {
        let count = if gaps { chance.below(most + 1) } else { most };
        let mut order: Vec<usize> = (0..committee.len()).collect();
        chance.shuffle(&mut order);
        let drawn = order.iter().take(count as usize).map(|at| committee[*at].0.clone());
        if count > 0 {
            leaders.insert(round, drawn.collect());
        }
    }
    leaders
}

struct Grower {
    chance: Chance,
    drawing: Drawing,
}

impl Grower {
    fn name(&self, author: usize) -> &str {
        &self.drawing.committee[author].0
    }

    fn weight(&self, authors: &[usize]) -> u64 {
        authors.iter().map(|author| self.drawing.committee[*author].1).sum()
    }

    /// The ids of a round's blocks by author.
    fn layer(&self, round: u64) -> Vec<Vec<String>> {
        let members = 0..self.drawing.committee.len();
        members
            .map(|author| match round {
                0 => vec![format!("{}0", self.name(author))],
                _ => self.drawing.in_slot(round, self.name(author)).map(|b| b.id.clone()).collect(),
            })
            .collect()
    }

    /// Somebody, most often a leader, whose blocks of the round most others do not see in time.
    fn late_author(&mut self, round: u64) -> Option<usize> {
        if !self.chance.of(60) {
            return None;
        }
        let leaders = self.drawing.leaders.get(&round).into_iter().flatten();
        let mut leader = leaders.filter_map(|name| {
            self.drawing.committee.iter().position(|(member, _)| member == name)
        });
        let members = self.drawing.committee.len() as u64;
        leader.next_back().or_else(|| Some(self.chance.below(members) as usize))
    }

    fn valid_parents(
        &mut self,
        author: usize,
        round: u64,
        below: &[Vec<String>],
        extra: u64,
        late: Option<usize>,
    ) -> Vec<String> {
        let mut order: Vec<usize> = (0..below.len())
            .filter(|other| *other != author && !below[*other].is_empty())
            .collect();
        self.chance.shuffle(&mut order);
        // A late author's blocks are taken only by a few who saw them.
        let hidden = late.filter(|_| self.chance.of(70));
        order.sort_by_key(|other| Some(*other) == hidden);
        let own = self.own_previous(author, below);
        let mut chosen = if below[author].is_empty() { vec![] } else { vec![author] };
        for other in order {
            let needed = self.weight(&chosen) < quorum(&self.drawing.committee);
            if needed || (Some(other) != hidden && self.chance.of(extra)) {
                chosen.push(other);
            }
        }
        let mut parents = vec![own];
        for (other, blocks) in below.iter().enumerate() {
            if other == author {
                continue;
            }
            if chosen.contains(&other) {
                let pick = self.chance.below(blocks.len() as u64) as usize;
                parents.push(blocks[pick].clone());
            } else if round > 2 && self.chance.of(20) {
                parents.push(self.any_below(other, round - 1));
            }
        }
        parents
    }

    /// One of the author's blocks of the round below, or else its newest one.
    fn own_previous(&mut self, author: usize, below: &[Vec<String>]) -> String {
        if !below[author].is_empty() {
            let pick = self.chance.below(below[author].len() as u64) as usize;
            return below[author][pick].clone();
        }
        let name = self.name(author);
        let own = self.drawing.blocks.iter().rev().filter(|block| block.author == name);
        let newest = own.map(|block| block.id.clone()).next();
        newest.unwrap_or_else(|| format!("{name}0"))
    }

    /// Any block of an author below a round, or its genesis block.
    fn any_below(&mut self, author: usize, round: u64) -> String {
        let name = self.name(author).to_owned();
        let blocks = self.drawing.blocks.iter();
        let below: Vec<&Block> =
            blocks.filter(|block| block.author == name && block.round < round).collect();
        // Mostly the newest ones.
        let reach = if self.chance.of(70) { below.len().min(3) } else { below.len() } as u64;
        let pick = below.len() - (self.chance.below(reach) as usize).min(below.len());
        if pick == 0 { format!("{name}0") } else { below[pick - 1].id.clone() }
    }

    fn block(&self, author: usize, round: u64, fork: u64, parents: Vec<String>) -> Block {
        let author = self.name(author).to_owned();
        let primes = "'".repeat(fork as usize);
        Block { id: format!("{author}{round}{primes}"), author, round, parents }
    }
}
