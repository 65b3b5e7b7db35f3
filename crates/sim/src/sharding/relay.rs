//! Relayers: who carries receipts from shard to shard, and when.
//!
//! A relayer has a validator in the source and one in the destination. It asks the destination
//! how far the lane is, counting the blocks that are on their way, and the source for what is
//! certified beyond that. A cross-validator is both and goes first; others wait for a while and
//! step in only where the lane does not move, so that receipts are carried once and nobody can
//! hold them back.

use std::collections::{BTreeMap, BTreeSet};

use qcn_shard::pace::{self, Pace};
use qcn_shard::{Expected, Shard};
use qcn_types::{Bounded, Delivery, LaneEnd, LaneHead, LaneId, LaneLink, ShardId};

use super::Between;
use super::captured::{Claims, with_made_up_money};
use crate::engine::Engine;
use crate::queue::EventQueue;
use crate::simulator::QuantumNetworkSimulator;

/// Relayers of a lane besides a cross-validator. Each has other validators at both ends, so that
/// one faulty validator in either shard leaves two.
const RELAYERS: usize = 4;
/// How many relayers of a lane are never bad: one faulty validator in either shard leaves one.
const GOOD_RELAYERS: usize = 3;
/// How often a relayer looks without being told, in microseconds.
const LOOK_INTERVAL_US: u64 = 100_000;

/// How a relayer departs from what it should do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum BadRelayer {
    /// Carries nothing.
    Withholds,
    /// Brings what it once brought, again and again, and nothing else.
    Replays,
    /// Alters an amount.
    Forges,
    /// Leaves out the first batch.
    Skips,
    /// Says that its source acknowledges what it does not.
    Acknowledges,
    /// Has the keys of its whole source, and has it certify money that never was.
    Captures,
}

impl BadRelayer {
    /// All that honest shards can live with.
    pub const ALL: [Self; 5] =
        [Self::Withholds, Self::Replays, Self::Forges, Self::Skips, Self::Acknowledges];

    /// What it does, in a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Withholds => "withhold",
            Self::Replays => "replay",
            Self::Forges => "forge",
            Self::Skips => "skip",
            Self::Acknowledges => "acknowledge",
            Self::Captures => "capture",
        }
    }

    /// What it brings instead of a delivery.
    fn instead(self, mut delivery: Delivery, first: &mut Option<Delivery>) -> Option<Delivery> {
        match self {
            // With the source's keys, where the engine is at hand.
            Self::Captures => return None,
            Self::Withholds => return None,
            Self::Replays => return Some(first.get_or_insert(delivery).clone()),
            Self::Forges => {
                let mut batches = delivery.batches.to_vec();
                let mut receipts = batches.first()?.to_vec();
                receipts.first_mut()?.amount.0 += 1;
                batches[0] = Bounded::truncated(receipts);
                delivery.batches = Bounded::truncated(batches);
            }
            Self::Skips => {
                let (skipped, rest) = delivery.batches.split_first()?;
                delivery.before = delivery.before.after(&LaneLink::of(skipped))?;
                delivery.batches = Bounded::truncated(rest.to_vec());
            }
            Self::Acknowledges => {
                delivery.end.received = LaneHead { receipts: u64::MAX, ..delivery.end.sent };
            }
        }
        Some(delivery)
    }
}

/// One relayer from one shard to another. It serves every lane between the two: they may act for
/// others that they have absorbed.
#[derive(Debug)]
struct Link {
    shards: [usize; 2],
    /// The seats in the source and in the destination.
    seats: [u16; 2],
    latency_us: u64,
    /// How many others go first.
    rank: u64,
    /// By lane, as the source names it.
    paces: BTreeMap<LaneId, Pace>,
    bad: Option<BadRelayer>,
    /// The first that it carried, if it keeps bringing that.
    first: Option<Delivery>,
}

/// All relayers.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: Vec<Link>,
    by_source: BTreeMap<(usize, u16), Vec<u32>>,
    by_destination: BTreeMap<(usize, u16), Vec<u32>>,
    carried: BTreeMap<u32, Delivery>,
    /// Engines between which nothing is carried, from when to when.
    cuts: Vec<([usize; 2], u64, u64)>,
    /// How many deliveries were handed over, with how many receipts and bytes.
    pub(super) deliveries: u64,
    pub(super) receipts: u64,
    pub(super) batches: u64,
    pub(super) bytes: u64,
    /// What captured shards have certified.
    pub(super) claims: Claims,
}

impl Links {
    /// None yet, where these shards are captured.
    pub(super) fn of(captured: BTreeSet<ShardId>) -> Self {
        Self { claims: Claims::of(captured), ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    /// Gives a lane its relayers.
    pub(super) fn connect(
        &mut self,
        shards: [usize; 2],
        validators: [usize; 2],
        shared: Option<[usize; 2]>,
        latency_us: &mut impl FnMut(usize, usize) -> u64,
    ) {
        let [from, to] = shards;
        let [source, destination] = validators;
        let others = (0..RELAYERS.min(source).min(destination)).map(|number| {
            let seats = [(to + number) % source, (from + number) % destination];
            (seats, latency_us(seats[0], seats[1]))
        });
        let all = shared.map(|seats| (seats, 0)).into_iter().chain(others);
        for (rank, (seats, latency_us)) in all.enumerate() {
            let (number, seats) = (self.links.len() as u32, seats.map(|seat| seat as u16));
            self.by_source.entry((from, seats[0])).or_default().push(number);
            self.by_destination.entry((to, seats[1])).or_default().push(number);
            let rank = rank as u64;
            self.links.push(Link {
                shards,
                seats,
                latency_us,
                rank,
                paces: BTreeMap::new(),
                bad: None,
                first: None,
            });
        }
    }

    /// The engines at both ends of a link.
    pub(super) fn ends(&self, link: u32) -> [usize; 2] {
        self.links[link as usize].shards
    }

    /// Makes the first relayers of a lane bad ones; the last [`GOOD_RELAYERS`] stay honest.
    pub(super) fn corrupt(&mut self, from: usize, to: usize, bad: BadRelayer) {
        let mut relayers: Vec<&mut Link> =
            self.links.iter_mut().filter(|link| link.shards == [from, to]).collect();
        // Of a captured shard all are.
        if bad != BadRelayer::Captures {
            relayers.truncate(relayers.len().saturating_sub(GOOD_RELAYERS));
        }
        for link in relayers {
            link.bad = Some(bad);
        }
    }

    /// Nothing is carried between two engines for a while, whoever carries.
    pub(super) fn cut(&mut self, engines: [usize; 2], from: u64, until: u64) {
        self.cuts.push((engines, from, until));
    }

    fn is_cut(&self, engines: [usize; 2], now: u64) -> bool {
        let is_meant = |pair: &[usize; 2]| *pair == engines || [pair[1], pair[0]] == engines;
        self.cuts.iter().any(|(pair, from, until)| is_meant(pair) && (*from..*until).contains(&now))
    }

    /// The relayers that take from a seat.
    pub(super) fn from(&self, shard: usize, seat: u16) -> Vec<u32> {
        self.by_source.get(&(shard, seat)).cloned().unwrap_or_default()
    }

    /// The relayers that bring to a seat.
    pub(super) fn to(&self, shard: usize, seat: u16) -> Vec<u32> {
        self.by_destination.get(&(shard, seat)).cloned().unwrap_or_default()
    }

    /// Has a relayer look again after a while; not all at the same time.
    pub(super) fn look_again(&self, now: u64, link: u32, queue: &mut EventQueue<Between>) {
        let first = if now == 0 { u64::from(link) * 1_009 % LOOK_INTERVAL_US } else { 0 };
        queue.push(now + first + LOOK_INTERVAL_US, Between::Look { link });
    }

    /// A relayer looks whether it should carry something now.
    pub(super) fn look(
        &mut self,
        now: u64,
        number: u32,
        shards: &mut [QuantumNetworkSimulator],
        queue: &mut EventQueue<Between>,
    ) {
        let link = &self.links[number as usize];
        let ([from, to], seats) = (link.shards, link.seats);
        if self.is_cut([from, to], now) {
            return;
        }
        let Some(ends) = machine(&mut shards[from].engine, seats[0]).map(|it| it.lane_ends())
        else {
            return;
        };
        let mut lanes: Vec<LaneId> = ends.iter().map(LaneEnd::lane).collect();
        let Some(destination) = machine(&mut shards[to].engine, seats[1]) else {
            return;
        };
        lanes.retain(|lane| destination.acts_for(lane.peer));
        for lane in lanes {
            self.look_at(now, number, lane, shards, queue);
        }
    }

    /// A relayer looks at one lane.
    fn look_at(
        &mut self,
        now: u64,
        number: u32,
        lane: LaneId,
        shards: &mut [QuantumNetworkSimulator],
        queue: &mut EventQueue<Between>,
    ) {
        let ([from, to], seats) =
            (self.links[number as usize].shards, self.links[number as usize].seats);
        let Some(expected) =
            machine(&mut shards[to].engine, seats[1]).map(|shard| shard.expected(lane.reversed()))
        else {
            return;
        };
        let of_sources = shards[to].engine.setup.keys.seats_of_sources();
        let unseen = self.unseen(number, lane, &expected, of_sources);
        let link = &mut self.links[number as usize];
        let Some(shard) = machine(&mut shards[from].engine, link.seats[0]) else {
            return;
        };
        let is_behind = shard.lane_end(lane).is_some_and(|end| pace::is_behind(end, &expected));
        let pace = link.paces.entry(lane).or_insert(unseen);
        if !pace.carries(now, &expected, is_behind) {
            return;
        }
        let Some(delivery) = shard.delivery(lane, &expected) else {
            return;
        };
        pace.carried(now);
        let delivery = match link.bad {
            None => delivery,
            Some(BadRelayer::Captures) => {
                let setup = &shards[from].engine.setup;
                match with_made_up_money(&delivery, setup) {
                    Some(made_up) => {
                        self.claims.record(lane, made_up.end.sent);
                        made_up
                    }
                    None => delivery,
                }
            }
            Some(bad) => match bad.instead(delivery, &mut link.first) {
                Some(other) => other,
                None => return,
            },
        };
        self.deliveries += 1;
        self.receipts += delivery.receipts() as u64;
        self.batches += delivery.batches.len() as u64;
        self.bytes += qcn_types::encoded_bytes(&delivery) as u64;
        let carried = self.deliveries as u32;
        self.carried.insert(carried, delivery);
        let arrive = Between::Arrive { link: number, number: carried };
        queue.push(now + link.latency_us, arrive);
    }

    /// What a relayer finds when it looks at a lane for the first time: how long it has lagged is
    /// seen from the blocks of the epoch before. All sources have so many seats together.
    fn unseen(&self, number: u32, lane: LaneId, expected: &Expected, seats: usize) -> Pace {
        let pace = Pace::new(self.links[number as usize].rank, seats);
        if self.links[number as usize].paces.contains_key(&lane) {
            return pace;
        }
        let others = self.links.iter().filter_map(|link| link.paces.get(&lane)?.lag());
        pace.with_lag(others.filter(|lag| lag.goes_on(expected)).min())
    }

    /// What was carried arrives. Says in which shard.
    pub(super) fn arrive(
        &mut self,
        link: u32,
        number: u32,
        shards: &mut [QuantumNetworkSimulator],
    ) -> usize {
        let link = &self.links[link as usize];
        let to = link.shards[1];
        if let Some(delivery) = self.carried.remove(&number) {
            shards[to].engine.submit_delivery(link.seats[1], delivery);
        }
        to
    }
}

fn machine(engine: &mut Engine, seat: u16) -> Option<&mut Shard> {
    let process = engine.processes.get_mut(seat as usize)?;
    if process.state != crate::engine::State::Up {
        return None;
    }
    process.shard.as_deref_mut()
}
