//! Who serves which shard in an epoch: the draw of the committees (DESIGN section 7).
//!
//! Every seat of a shard goes to a candidate that has none in it yet, with a chance proportional
//! to its weight (successive sampling). Candidates may get seats in several shards.
//!
//! Shards that are neighbours in prefix order share a validator, which carries receipts between
//! them. It is not put in afterwards: for every pair of neighbours one candidate, the **link**, is
//! drawn by weight from all candidates, and counts as the first draw of both. A shard's committee
//! is the first different candidates of this sequence, as many as there are seats:
//!
//! 1. the link to the shard before it,
//! 2. the link to the shard after it,
//! 3. draws by weight of its own.
//!
//! The links are independent of each other and of everything that is drawn later, and whoever
//! draws by weight and ignores repetitions samples successively without replacement. So **the
//! links change nothing in the chances of any one committee**: each is distributed exactly as if
//! no links existed, and its probability of capture is that of the plain draw. What changes is
//! that neighbours depend on each other, through the one seat that they have in common; a union
//! bound over the shards holds all the same. (A rule that looks for pairs which share nobody, and
//! moves a member, favours whoever is in the neighbour's committee already, and would cost one
//! seat of the bound.)
//!
//! With one seat there is no place for two links: only the link to the shard before is seated.
//!
//! **Invariants**
//! - the draw is a function of its arguments, in integers;
//! - a stream is used for one thing: the links and the shards' own draws have one each.

use std::collections::BTreeSet;

use qcn_crypto::{Digest, Domain, SeededRandomness, hash};
use qcn_types::{Committee, Epoch, MAX_MEMBERS, ShardId, Weight, encode};

/// The committees of an epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draw {
    /// One for each shard, in the order in which the shards were given.
    pub committees: Vec<DrawnCommittee>,
    /// One for each pair of neighbours, in the same order.
    pub links: Vec<Link>,
}

/// Who serves a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DrawnCommittee {
    /// The shard.
    pub shard: ShardId,
    /// Its members as positions in the list of candidates, rising.
    pub seats: Vec<usize>,
}

/// Who serves both of two neighbours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// The neighbour that comes first in prefix order.
    pub left: ShardId,
    /// The other one.
    pub right: ShardId,
    /// The candidate that was drawn for this pair. With one seat a shard it may be missing on
    /// either side.
    pub drawn: usize,
    /// Everybody with a seat in both, rising. With two seats or more the drawn one is among them.
    pub shared: Vec<usize>,
}

/// Why no committees can be drawn. All of it is the caller's fault.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DrawError {
    /// The layout is empty.
    #[error("there are no shards: a layout has one shard or more")]
    NoShards,
    /// A shard stands twice in the layout.
    #[error("shard {0} is given twice: name every shard once, in prefix order")]
    DuplicateShard(ShardId),
    /// Committees without members.
    #[error("a committee needs at least one seat: ask for one or more")]
    NoSeats,
    /// More seats than a committee may have members.
    #[error(
        "{0} seats are more than the {MAX_MEMBERS} members that a committee may have: ask for fewer"
    )]
    TooManySeats(usize),
    /// Nobody is seated twice in one shard.
    #[error("{seats} seats cannot be filled by {candidates} candidates: ask for fewer seats")]
    TooFewCandidates {
        /// Seats of a shard.
        seats: usize,
        /// How many candidates there are.
        candidates: usize,
    },
    /// A candidate that could never be drawn.
    #[error("candidate {0} has weight 0: leave it out or give it a weight above zero")]
    ZeroWeight(usize),
    /// The sum of the weights is above [`Committee::MAX_TOTAL`].
    #[error(
        "the candidates' weights add up to more than {}: scale all of them down",
        Committee::MAX_TOTAL
    )]
    WeightOverflow,
}

/// Draws the committees of `epoch`, with `seats` members each.
///
/// `candidates` are the weights of all validators, in the order of the beacon's set; `shards` is
/// the layout in prefix order.
///
/// # Errors
/// [`DrawError`], if the layout and the candidates do not allow such committees.
pub fn draw_committees(
    seed: &Digest,
    epoch: Epoch,
    candidates: &[Weight],
    shards: &[ShardId],
    seats: usize,
) -> Result<Draw, DrawError> {
    check_layout(shards, seats)?;
    let urn = Urn::new(candidates)?;
    if seats > candidates.len() {
        return Err(DrawError::TooFewCandidates { seats, candidates: candidates.len() });
    }
    let pairs: Vec<(ShardId, ShardId)> = shards.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let drawn: Vec<usize> = pairs
        .iter()
        .map(|(left, right)| {
            urn.clone().draw(&mut stream(seed, epoch, Purpose::Link, &(*left, *right)))
        })
        .collect();
    let committees: Vec<DrawnCommittee> = shards
        .iter()
        .enumerate()
        .map(|(place, shard)| {
            let before = place.checked_sub(1).and_then(|pair| drawn.get(pair));
            let links = before.into_iter().chain(drawn.get(place)).copied();
            let mut own = stream(seed, epoch, Purpose::Seats, shard);
            DrawnCommittee { shard: *shard, seats: fill(urn.clone(), links, seats, &mut own) }
        })
        .collect();
    let neighbours = committees.windows(2);
    let links = pairs.iter().zip(drawn).zip(neighbours).map(|((&(left, right), drawn), pair)| {
        Link { left, right, drawn, shared: common(&pair[0].seats, &pair[1].seats) }
    });
    let links = links.collect();
    Ok(Draw { committees, links })
}

fn check_layout(shards: &[ShardId], seats: usize) -> Result<(), DrawError> {
    if shards.is_empty() {
        return Err(DrawError::NoShards);
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = shards.iter().find(|shard| !seen.insert(**shard)) {
        return Err(DrawError::DuplicateShard(*twice));
    }
    if seats == 0 {
        return Err(DrawError::NoSeats);
    }
    if seats > MAX_MEMBERS {
        return Err(DrawError::TooManySeats(seats));
    }
    Ok(())
}

/// The first `seats` different candidates of the links and then of draws from the rest.
fn fill(
    mut urn: Urn,
    links: impl Iterator<Item = usize>,
    seats: usize,
    own: &mut SeededRandomness,
) -> Vec<usize> {
    let mut seated: Vec<usize> = Vec::with_capacity(seats);
    for link in links {
        if seated.len() < seats && !seated.contains(&link) {
            urn.remove(link);
            seated.push(link);
        }
    }
    while seated.len() < seats {
        seated.push(urn.draw(own));
    }
    seated.sort_unstable();
    seated
}

/// What is in both of two rising lists.
fn common(one: &[usize], other: &[usize]) -> Vec<usize> {
    one.iter().copied().filter(|seat| other.binary_search(seat).is_ok()).collect()
}

/// What a stream of randomness is for.
#[derive(Clone, Copy)]
enum Purpose {
    Seats = 0,
    Link = 1,
}

fn stream<T: borsh::BorshSerialize>(
    seed: &Digest,
    epoch: Epoch,
    purpose: Purpose,
    whose: &T,
) -> SeededRandomness {
    let bytes = encode(&(*seed, epoch, purpose as u8, whose));
    SeededRandomness::from_seed(&hash(Domain::SeatDraw, &bytes).0)
}

/// Candidates that can be drawn by weight and are then gone, each in logarithmic time.
///
/// It is a binary indexed tree: with positions counted from 1, `sums[i - 1]` is the weight of the
/// candidates from `i - (lowest bit of i) + 1` to `i`.
#[derive(Clone)]
struct Urn<'a> {
    weights: &'a [Weight],
    sums: Vec<u64>,
    total: u64,
}

impl<'a> Urn<'a> {
    fn new(weights: &'a [Weight]) -> Result<Self, DrawError> {
        let mut total = 0_u64;
        for (candidate, weight) in weights.iter().enumerate() {
            if weight.0 == 0 {
                return Err(DrawError::ZeroWeight(candidate));
            }
            total = total
                .checked_add(weight.0)
                .filter(|total| *total <= Committee::MAX_TOTAL)
                .ok_or(DrawError::WeightOverflow)?;
        }
        let mut sums: Vec<u64> = weights.iter().map(|weight| weight.0).collect();
        for position in 1..=sums.len() {
            let above = position + lowest_bit(position);
            if above <= sums.len() {
                sums[above - 1] += sums[position - 1];
            }
        }
        Ok(Self { weights, sums, total })
    }

    /// Takes out one of the rest, each with a chance proportional to its weight.
    fn draw(&mut self, randomness: &mut SeededRandomness) -> usize {
        let mut ticket = randomness.below(self.total);
        // The candidate is the first whose weight, with that of all before it, is above the ticket.
        let mut before = 0;
        let mut step = (self.sums.len() + 1).next_power_of_two();
        while step > 0 {
            if let Some(sum) = self.sums.get(before + step - 1)
                && *sum <= ticket
            {
                before += step;
                ticket -= sum;
            }
            step /= 2;
        }
        self.remove(before);
        before
    }

    /// Takes out a candidate that is still in.
    fn remove(&mut self, candidate: usize) {
        let weight = self.weights[candidate].0;
        self.total -= weight;
        let mut position = candidate + 1;
        while position <= self.sums.len() {
            self.sums[position - 1] -= weight;
            position += lowest_bit(position);
        }
    }
}

const fn lowest_bit(position: usize) -> usize {
    position & position.wrapping_neg()
}

#[cfg(test)]
mod tests;
