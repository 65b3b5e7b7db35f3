//! Which validators are corrupt, if the adversary holds a share of the weight.

use super::quantity::Share;

/// How the adversary's weight is spread over validators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// The heaviest that fit into the share, then lighter ones.
    HeaviestFirst,
    /// The lightest.
    LightestFirst,
    /// Among validators of any weight as large a share as among all.
    Spread,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 3] = [Self::HeaviestFirst, Self::LightestFirst, Self::Spread];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HeaviestFirst => "heaviest first",
            Self::LightestFirst => "lightest first",
            Self::Spread => "spread",
        }
    }

    /// Who is corrupt. Together they weigh no more than the share of all weight.
    pub fn corrupt(self, weights: &[u64], share: Share) -> Vec<bool> {
        let total: u128 = weights.iter().copied().map(u128::from).sum();
        let mut falling: Vec<usize> = (0..weights.len()).collect();
        falling.sort_by_key(|place| (std::cmp::Reverse(weights[*place]), *place));
        let mut held = Held { corrupt: vec![false; weights.len()], left: share.of(total) };
        match self {
            Self::HeaviestFirst => {}
            Self::LightestFirst => {
                falling.iter().rev().for_each(|place| held.take(*place, weights));
            }
            Self::Spread => {
                let budget = held.left;
                let mut passed = 0;
                for place in &falling {
                    passed += u128::from(weights[*place]);
                    let taken = budget - held.left;
                    if taken + u128::from(weights[*place]) <= share.of(passed) {
                        held.take(*place, weights);
                    }
                }
            }
        }
        // Whatever still fits.
        falling.iter().for_each(|place| held.take(*place, weights));
        held.corrupt
    }
}

struct Held {
    corrupt: Vec<bool>,
    left: u128,
}

impl Held {
    fn take(&mut self, place: usize, weights: &[u64]) {
        let weight = u128::from(weights[place]);
        if !self.corrupt[place] && weight <= self.left {
            self.corrupt[place] = true;
            self.left -= weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(strategy: Strategy, weights: &[u64], share: &str) -> Vec<u64> {
        let corrupt = strategy.corrupt(weights, share.parse().unwrap());
        let held = weights.iter().zip(corrupt).filter(|(_, corrupt)| *corrupt);
        held.map(|(weight, _)| *weight).collect()
    }

    #[test]
    fn the_adversary_takes_what_fits_in_its_order() {
        let weights = [10, 40, 20, 5, 15, 10];
        assert_eq!(held(Strategy::HeaviestFirst, &weights, "0.5"), [10, 40]);
        assert_eq!(held(Strategy::HeaviestFirst, &weights, "0.39"), [20, 15]);
    }

    #[test]
    fn the_lightest_and_the_spread() {
        let weights = [10, 40, 20, 5, 15, 10];
        assert_eq!(held(Strategy::LightestFirst, &weights, "0.25"), [10, 5, 10]);
        let classes = [[8; 8], [4; 8], [1; 8]].concat();
        let spread = held(Strategy::Spread, &classes, "0.25");
        assert_eq!(spread, [8, 8, 4, 4, 1, 1]);
    }

    #[test]
    fn equal_validators_are_counted_exactly() {
        for strategy in Strategy::ALL {
            assert_eq!(held(strategy, &[7; 100], "0.29").len(), 29);
            assert_eq!(held(strategy, &[7; 100], "0").len(), 0);
        }
    }
}
