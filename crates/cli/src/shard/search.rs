//! The fewest seats that are accepted.
//!
//! The probability of capture does not fall with every seat: four equal members tolerate one
//! corrupt one, and so do five and six; seven tolerate two. So the search goes in steps of three,
//! from four on, on which it falls as a rule, and then looks at the sizes just below what it found.

/// The fewest seats that are looked at: fewer tolerate no fault.
const SEATS_MIN: usize = 4;

/// From 3 m + 1 seats on one corrupt member more is tolerated.
const STEP: usize = 3;

/// How many smaller sizes in a row must be refused: two rounds of the step.
pub const LOOKED_BELOW: usize = 2 * STEP;

/// Finds seats that are accepted while the [`LOOKED_BELOW`] next smaller numbers are not.
pub fn fewest_seats(most: usize, accepts: impl Fn(usize) -> bool) -> Option<usize> {
    let mut found = a_number_of_seats(most, &accepts)?;
    let below = |found: usize| (SEATS_MIN.min(most)..found).rev().take(LOOKED_BELOW);
    while let Some(fewer) = below(found).find(|seats| accepts(*seats)) {
        found = fewer;
    }
    Some(found)
}

fn a_number_of_seats(most: usize, accepts: impl Fn(usize) -> bool) -> Option<usize> {
    let seats = |steps: usize| SEATS_MIN + STEP * steps;
    let (mut refused, mut steps) = (0, 0);
    while seats(steps) <= most && !accepts(seats(steps)) {
        refused = steps;
        steps = (2 * steps).max(steps + 1);
    }
    if seats(steps) > most {
        // Sizes between the last one that was refused and all validators are left.
        let last = most.saturating_sub(SEATS_MIN) / STEP;
        if most >= SEATS_MIN && accepts(seats(last)) {
            steps = last;
        } else {
            return (most > 0 && accepts(most)).then_some(most);
        }
    }
    while refused + 1 < steps {
        let middle = refused.midpoint(steps);
        if accepts(seats(middle)) { steps = middle } else { refused = middle }
    }
    Some(seats(steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts from a size on, but of the sizes up to `ragged` only every third.
    fn from(first: usize, ragged: usize) -> impl Fn(usize) -> bool {
        move |seats| seats >= first && (seats > ragged || seats % 3 == first % 3)
    }

    #[test]
    fn the_fewest_are_found() {
        for most in [4, 5, 6, 7, 50, 512] {
            for first in 4..=most {
                assert_eq!(fewest_seats(most, from(first, 0)), Some(first), "of {most}");
            }
        }
        for first in (4..=300).step_by(3) {
            assert_eq!(fewest_seats(512, from(first, first + 30)), Some(first));
        }
        assert_eq!(fewest_seats(512, |_| true), Some(4));
    }

    #[test]
    fn it_may_be_nobody_or_everybody() {
        assert_eq!(fewest_seats(300, |_| false), None);
        assert_eq!(fewest_seats(300, |seats| seats == 300), Some(300));
        assert_eq!(fewest_seats(2, |_| true), Some(2));
        assert_eq!(fewest_seats(1, |_| false), None);
        assert_eq!(fewest_seats(0, |_| true), None);
    }
}
