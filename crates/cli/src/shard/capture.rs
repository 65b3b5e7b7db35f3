//! The probability that a drawn committee is captured: exact, up to an error that is certified.
//!
//! A committee of weight W tolerates f = (W - 1) / 3, rounded down; it is captured if its corrupt
//! members weigh more than f, that is if three times their weight is W or more. From there on the
//! others are no quorum, so it can be stopped, and two quorums need not share an honest member,
//! so it can fork.
//!
//! **Method.** Successive sampling is a race: give candidate i a clock that rings after an
//! exponential time of rate `w_i`; the first K to ring are the committee. At a fixed time t the
//! clocks are independent, so the chance that exactly K have rung, and who of them weighs what, is
//! a product that [`table`] adds up class by class. Multiplied with the rate at which the next
//! clock rings and integrated over t ([`clock`]) this is the probability; nothing is subtracted on
//! the way, so that small probabilities are as precise as large ones.
//!
//! **Errors.** [`clock`] bounds the error of its integral. If the weights are too diverse for
//! exact sums they are rounded to multiples of a unit, and the most that K roundings can add up to
//! is given to one side for the lower and to the other for the upper bound.
//!
//! **Capping.** Formation lowers weights above f (`Committee::form`). If nobody in a committee
//! weighs a third of it, nothing is lowered. If a corrupt member does, the committee is counted as
//! captured in the upper bound. If an honest one does, and no heavier corrupt one, the committee
//! is counted as captured as well: a bound, by the sum of the probabilities. The lower bound
//! leaves out all committees in which anybody is lowered.

mod clock;
mod table;

use qcn_types::cap_weights;

use clock::{Clock, Measure};
use table::Table;

/// From so many members on nobody may weigh more than f.
const CAPPED_FROM: usize = 4;

/// Added to every upper bound, for what is too small for the arithmetic.
const UNDERFLOW: f64 = 1e-270;

/// Who can be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Above zero.
    pub weight: u64,
    /// Whether the adversary has it.
    pub corrupt: bool,
}

/// How much work may go into one probability: table cells for each point in time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Effort {
    /// For a first guess.
    Quick,
    /// For most decisions.
    Medium,
    /// For what is printed: seconds at most.
    Thorough,
}

impl Effort {
    const fn cells(self) -> usize {
        match self {
            Self::Quick => 1_000_000,
            Self::Medium => 5_000_000,
            Self::Thorough => 25_000_000,
        }
    }
}

/// Certified bounds of a probability.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bounds {
    /// It is not less.
    pub lower: f64,
    /// It is not more.
    pub upper: f64,
}

/// How likely a committee is captured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Capture {
    /// With the weights that formation gives.
    pub probability: Bounds,
    /// With the weights as drawn.
    pub uncapped: Bounds,
    /// At most so likely an honest member weighs a third or more, and formation lowers it.
    pub heavy_honest: f64,
    /// Whether sums of weights were exact, not rounded.
    pub exact_weights: bool,
}

/// The probability that a committee of `seats` is captured.
///
/// # Panics
/// If there are no seats, or more than candidates: the caller has checked that.
pub fn capture(candidates: &[Candidate], seats: usize, effort: Effort) -> Capture {
    capture_within(candidates, seats, effort.cells())
}

fn capture_within(candidates: &[Candidate], seats: usize, cells: usize) -> Capture {
    assert!((1..=candidates.len()).contains(&seats), "there are candidates for all seats");
    if seats == candidates.len() {
        return everybody(candidates);
    }
    let race = Race::new(candidates, seats, cells);
    let tolerance = if race.unit_is_exact { 1e-13 } else { 1e-6 };
    let found = Clock::new(&race.sizes, seats).integrate(tolerance, |time| race.density(time));
    let [lower, upper, heavy_honest, heavy_any] = found;
    let uncapped = Bounds { lower: lower.lower, upper: (upper.upper + UNDERFLOW).min(1.0) };
    let probability = Bounds {
        lower: (lower.lower - heavy_any.upper).max(0.0),
        upper: (uncapped.upper + heavy_honest.upper).min(1.0),
    };
    let heavy_honest = heavy_honest.upper.min(1.0);
    Capture { probability, uncapped, heavy_honest, exact_weights: race.unit_is_exact }
}

/// Nothing is drawn if everybody has a seat.
fn everybody(candidates: &[Candidate]) -> Capture {
    let captured = |weights: &[u64]| {
        let total: u128 = weights.iter().copied().map(u128::from).sum();
        let of_corrupt = weights.iter().zip(candidates).filter(|(_, one)| one.corrupt);
        let corrupt: u128 = of_corrupt.map(|(weight, _)| u128::from(*weight)).sum();
        let certain = if 3 * corrupt >= total { 1.0 } else { 0.0 };
        Bounds { lower: certain, upper: certain }
    };
    let mut weights: Vec<u64> = candidates.iter().map(|one| one.weight).collect();
    let uncapped = captured(&weights);
    cap_weights(&mut weights);
    let lowered = |(one, weight): (&Candidate, &u64)| !one.corrupt && one.weight > *weight;
    let heavy_honest = candidates.iter().zip(&weights).any(lowered);
    Capture {
        probability: captured(&weights),
        uncapped,
        heavy_honest: if heavy_honest { 1.0 } else { 0.0 },
        exact_weights: true,
    }
}

/// Candidates that differ in nothing.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    weight: u64,
    corrupt: bool,
    /// How many they are.
    pub members: usize,
    /// The weight as a share of all.
    pub size: f64,
    /// The weight in units, rounded.
    pub units: usize,
    /// What rounding took away, may be negative.
    rest: i128,
}

/// The clocks of all candidates, and when the committee is captured.
struct Race {
    seats: usize,
    /// By rising weight, the honest before the corrupt.
    classes: Vec<Class>,
    unit: u64,
    unit_is_exact: bool,
    /// The weights of all candidates as shares, rising.
    sizes: Vec<f64>,
    /// By the number of corrupt seats: captured committees have at most twice the corrupt weight,
    /// plus this many units, in honest hands.
    may_exceed: Vec<i128>,
    /// And if it is at most this many units less, they are captured for certain.
    must_fall_short: Vec<i128>,
    /// The most honest weight that matters, in units.
    honest_units_max: usize,
    /// For each class: if a member can weigh a third of a committee and be the heaviest in it,
    /// the most units that such a committee has.
    heavy: Vec<Option<usize>>,
}

impl Race {
    fn new(candidates: &[Candidate], seats: usize, cells: usize) -> Self {
        let mut order: Vec<(u64, bool)> =
            candidates.iter().map(|one| (one.weight, one.corrupt)).collect();
        order.sort_unstable();
        let total: f64 = order.iter().map(|(weight, _)| *weight as f64).sum();
        let mut classes: Vec<Class> = Vec::new();
        for group in order.chunk_by(|one, other| one == other) {
            let (weight, corrupt) = group[0];
            let size = weight as f64 / total;
            let members = group.len();
            classes.push(Class { weight, corrupt, members, size, units: 0, rest: 0 });
        }
        let (unit, unit_is_exact) = unit(&classes, seats, cells);
        for class in &mut classes {
            class.units = ((class.weight + unit / 2) / unit) as usize;
            class.rest = i128::from(class.weight) - class.units as i128 * i128::from(unit);
        }
        let sizes = order.iter().map(|(weight, _)| *weight as f64 / total).collect();
        let mut race = Self {
            seats,
            classes,
            unit,
            unit_is_exact,
            sizes,
            may_exceed: Vec::new(),
            must_fall_short: Vec::new(),
            honest_units_max: 0,
            heavy: Vec::new(),
        };
        race.judge_roundings();
        race.find_heavy_classes();
        race
    }

    /// The most that roundings of `seats` members can add up to, by how many are corrupt.
    fn judge_roundings(&mut self) {
        let of = |corrupt: bool, factor: i128| {
            let side = self.classes.iter().filter(move |class| class.corrupt == corrupt);
            largest_sums(side.map(move |class| (factor * class.rest, class.members)), self.seats)
        };
        let unit = i128::from(self.unit);
        let (corrupt_up, honest_up) = (of(true, 2), of(false, -1));
        let (corrupt_down, honest_down) = (of(true, -2), of(false, 1));
        for corrupt in 0..=self.seats {
            let honest = self.seats - corrupt;
            let sum = |one: &[i128], other: &[i128]| match (one.get(corrupt), other.get(honest)) {
                (Some(one), Some(other)) => one + other,
                _ => 0,
            };
            self.may_exceed.push(sum(&corrupt_up, &honest_up).div_euclid(unit));
            let short = sum(&corrupt_down, &honest_down);
            self.must_fall_short.push(-((-short).div_euclid(unit)));
        }
        let corrupt = self.classes.iter().filter(|class| class.corrupt);
        let corrupt = corrupt.map(|class| (class.units as i128, class.members));
        let corrupt = largest_sums(corrupt, self.seats).last().copied().unwrap_or(0);
        let slack = self.may_exceed.iter().max().copied().unwrap_or(0);
        self.honest_units_max = (2 * corrupt + slack).max(0) as usize;
    }

    fn find_heavy_classes(&mut self) {
        self.heavy = vec![None; self.classes.len()];
        if self.seats < CAPPED_FROM {
            return;
        }
        let roundings = self.classes.iter().map(|class| (-class.rest, class.members));
        let slack = largest_sums(roundings, self.seats).last().copied().unwrap_or(0);
        let weights = self.classes.iter();
        let negative = weights.map(|class| (-i128::from(class.weight), class.members));
        let lightest = -largest_sums(negative, self.seats - 1).last().copied().unwrap_or(0);
        let mut not_heavier = 0;
        for (place, class) in self.classes.iter().enumerate() {
            not_heavier += class.members;
            let weight = i128::from(class.weight);
            if not_heavier >= self.seats && lightest <= 2 * weight {
                let units = (3 * weight + slack).div_euclid(self.unit.into());
                self.heavy[place] = Some(units.max(0) as usize);
            }
        }
    }

    /// At a time: the density, over the logarithm of time, of the completion of a committee that
    /// is captured for certain, that may be captured, that has a heavy honest member and no
    /// corrupt one as heavy, and that has any heavy member.
    fn density(&self, time: f64) -> [f64; 4] {
        let rung: Vec<Vec<f64>> =
            self.classes.iter().map(|class| table::rung(class, time, self.seats)).collect();
        let side = |corrupt: bool, units_max: usize| {
            let mut table = Table::new(self.seats, units_max);
            for (class, rung) in self.classes.iter().zip(&rung) {
                if class.corrupt == corrupt {
                    table.add(class, rung);
                }
            }
            table
        };
        let (corrupt, honest) = (side(true, usize::MAX), side(false, self.honest_units_max));
        let (mut lower, mut upper) = (0.0, 0.0);
        for seats in 0..=self.seats {
            let honest = honest.row(self.seats - seats).cumulated();
            for (units, one) in corrupt.row(seats).cells().enumerate() {
                let twice = 2 * units as i128;
                upper += honest.joined_below(one, twice + self.may_exceed[seats]);
                lower += honest.joined_below(one, twice - self.must_fall_short[seats]);
            }
        }
        let (heavy_honest, heavy_any) = self.heavy_density(time, &rung);
        [lower * time, upper * time, heavy_honest * time, heavy_any * time]
    }

    /// Goes through the classes by rising weight: where the heaviest member is of this class.
    fn heavy_density(&self, time: f64, rung: &[Vec<f64>]) -> (f64, f64) {
        let units_max = self.heavy.iter().flatten().max();
        let Some(units_max) = units_max else {
            return (0.0, 0.0);
        };
        let mut table = Table::new(self.seats, *units_max);
        let (mut of_honest, mut of_any) = (0.0, 0.0);
        for (place, (class, rung)) in self.classes.iter().zip(rung).enumerate() {
            if let Some(units_max) = &self.heavy[place] {
                let later = self.classes[place + 1..].iter().rev();
                let heavier = later.map(|class| class.size * class.members as f64).sum::<f64>();
                let found =
                    table.with_some_of(class, rung, *units_max, heavier) * (-heavier * time).exp();
                of_any += found;
                of_honest += if class.corrupt { 0.0 } else { found };
            }
            table.add(class, rung);
        }
        (of_honest, of_any)
    }
}

/// The weight that sums are counted in, and whether all weights are multiples of it.
fn unit(classes: &[Class], seats: usize, cells: usize) -> (u64, bool) {
    /// Exact sums may cost so many times more than rounded ones.
    const WORTH: u128 = 5;
    let weights = classes.iter().map(|class| (i128::from(class.weight), class.members));
    let heaviest = largest_sums(weights, seats).last().copied().unwrap_or(0) as u128;
    let steps: usize = classes.iter().map(|class| class.members.min(seats)).sum();
    // About a quarter of the cells is in use: low rows are short, and each side has its table.
    let units = (4 * cells / (seats * steps)).max(4 * seats) as u128;
    let divisor = classes.iter().fold(0, |divisor, class| gcd(divisor, class.weight));
    if heaviest / u128::from(divisor) <= units * WORTH {
        return (divisor, true);
    }
    (u64::try_from(heaviest.div_ceil(units)).unwrap_or(u64::MAX), false)
}

const fn gcd(mut one: u64, mut other: u64) -> u64 {
    while other > 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// The largest sums of 0, 1, 2, ... of the values, each of which is there a number of times; up to
/// `count` or as many as there are.
fn largest_sums(values: impl Iterator<Item = (i128, usize)>, count: usize) -> Vec<i128> {
    let mut values: Vec<(i128, usize)> = values.collect();
    values.sort_unstable_by(|one, other| other.cmp(one));
    let all = values.iter().flat_map(|(value, times)| std::iter::repeat_n(*value, *times));
    let mut sums = vec![0];
    for (place, value) in all.take(count).enumerate() {
        sums.push(sums[place] + value);
    }
    sums
}

impl From<Measure> for Bounds {
    fn from(measure: Measure) -> Self {
        Self { lower: measure.lower, upper: measure.upper }
    }
}

#[cfg(test)]
mod tests;
