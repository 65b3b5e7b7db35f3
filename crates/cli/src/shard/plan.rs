//! A layout, what it risks, and whether that is accepted.

use rayon::prelude::*;

use super::adversary::Strategy;
use super::capture::{Bounds, Candidate, Capture, Effort, capture};
use super::quantity::{Bound, EpochLength, Share};
use super::search::fewest_seats;

/// What is asked about.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The weights of all validators.
    pub weights: Vec<u64>,
    /// How many shards there are.
    pub shards: u32,
    /// The adversary's share of the weight.
    pub corrupt: Share,
    /// How long a committee serves.
    pub epoch_length: EpochLength,
    /// The highest acceptable probability within a year.
    pub bound: Bound,
}

/// What a number of seats risks if the adversary's weight is spread in one way.
#[derive(Clone, Copy, Debug)]
pub struct Assessment {
    /// How the adversary's weight is spread.
    pub strategy: Strategy,
    /// How many validators it has.
    pub corrupt_validators: usize,
    /// What they weigh.
    pub corrupt_weight: u64,
    /// For one shard in one epoch.
    pub capture: Capture,
    /// For any shard in one epoch.
    pub any_shard: Bounds,
    /// For any shard in a year.
    pub year: Bounds,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seats that were judged; none if no number of them is within the bound.
    pub seats: Option<usize>,
    /// Whether they were looked for.
    pub found: bool,
    /// One for each strategy; for the most seats there can be, if no number is within the bound.
    pub assessments: Vec<Assessment>,
    /// How many seats the assessments are for.
    pub assessed_seats: usize,
    /// Why the layout is refused, and what would help.
    pub refusal: Option<String>,
}

impl Layout {
    /// Who can be drawn, if the adversary's weight is spread in this way.
    fn candidates(&self, strategy: Strategy) -> Vec<Candidate> {
        let corrupt = strategy.corrupt(&self.weights, self.corrupt);
        let both = self.weights.iter().zip(corrupt);
        both.map(|(weight, corrupt)| Candidate { weight: *weight, corrupt }).collect()
    }

    /// What a number of seats risks.
    pub fn assess(&self, strategy: Strategy, seats: usize, effort: Effort) -> Assessment {
        let candidates = self.candidates(strategy);
        let corrupt = candidates.iter().filter(|one| one.corrupt);
        let capture = capture(&candidates, seats, effort);
        // Of several shards each alone is a lower bound, and their sum an upper one.
        let any_shard = Bounds {
            lower: capture.probability.lower,
            upper: (capture.probability.upper * f64::from(self.shards)).min(1.0),
        };
        let epochs = self.epoch_length.per_year();
        Assessment {
            strategy,
            corrupt_validators: corrupt.clone().count(),
            corrupt_weight: corrupt.map(|one| one.weight).sum(),
            capture,
            any_shard,
            year: Bounds {
                lower: at_least_once(any_shard.lower, epochs),
                upper: at_least_once(any_shard.upper, epochs),
            },
        }
    }

    /// Whether a number of seats is within the bound, for all strategies.
    pub fn accepts(&self, seats: usize) -> bool {
        Strategy::ALL.par_iter().all(|strategy| self.accepts_one(*strategy, seats))
    }

    /// Works only as hard as it takes to know. What stays unclear is not accepted.
    fn accepts_one(&self, strategy: Strategy, seats: usize) -> bool {
        for effort in [Effort::Quick, Effort::Medium, Effort::Thorough] {
            let year = self.assess(strategy, seats, effort).year;
            if year.upper <= self.bound.0 {
                return true;
            }
            if year.lower > self.bound.0 {
                return false;
            }
        }
        false
    }
}

/// 1 - (1 - p)^n, without loss for small p.
fn at_least_once(probability: f64, times: f64) -> f64 {
    if probability >= 1.0 { 1.0 } else { -(times * (-probability).ln_1p()).exp_m1() }
}

impl Plan {
    /// Judges a number of seats, or looks for the fewest within the bound.
    pub fn make(layout: &Layout, asked: Option<usize>) -> Self {
        let most = layout.weights.len().min(qcn_types::MAX_MEMBERS);
        let seats = asked.or_else(|| fewest_seats(most, |seats| layout.accepts(seats)));
        let assessed_seats = seats.unwrap_or(most);
        let assessments: Vec<Assessment> = Strategy::ALL
            .par_iter()
            .map(|strategy| layout.assess(*strategy, assessed_seats, Effort::Thorough))
            .collect();
        let mut plan =
            Self { seats, found: asked.is_none(), assessments, assessed_seats, refusal: None };
        if seats.is_none() || plan.worst().year.upper > layout.bound.0 {
            plan.refusal = Some(plan.refusal(layout, most));
        }
        plan
    }

    /// The assessment that decides.
    pub fn worst(&self) -> &Assessment {
        let by_year =
            |one: &&Assessment, other: &&Assessment| one.year.upper.total_cmp(&other.year.upper);
        self.assessments.iter().max_by(by_year).expect("there is one for each strategy")
    }

    fn refusal(&self, layout: &Layout, most: usize) -> String {
        const OTHERWISE: &str = "take fewer shards or longer epochs, make weights more equal, or \
                                 assume a smaller --corrupt";
        let worst = self.worst();
        let risk = format!(
            "within a year a shard is captured with a probability of up to {:.1e}, above the bound \
             of {:e} (corrupt validators: {})",
            worst.year.upper,
            layout.bound.0,
            worst.strategy.name()
        );
        if self.found {
            return format!(
                "no number of seats up to {most} is within the bound; with {most} seats {risk}; \
                 {OTHERWISE}"
            );
        }
        match fewest_seats(most, |seats| layout.accepts(seats)) {
            Some(enough) => format!("{risk}; give {enough} seats or more"),
            None => {
                format!("{risk}, and no number of seats up to {most} is within it; {OTHERWISE}")
            }
        }
    }
}
