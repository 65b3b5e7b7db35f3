//! The integral over the time at which the committee is complete.
//!
//! The density h of s = ln t is a sum, over committees A of K, of
//! `t * prod over A of (1 - exp(-w t)) * prod over the others of exp(-w t) * (their weight)`, each
//! with a factor from 0 to 1. It is summed at equidistant points (the trapezoidal rule). Three
//! facts bound the error, all of them relative to the result itself, however small it is:
//!
//! - For z = t (1 + i tan p) it is |1 - exp(-w z)| <= (1 - exp(-w t)) / cos p, since
//!   sinh(x / 2) >= x / 2. So |h(s + i p)| is at most cos(p)^-(K + 1) times h at the real part of
//!   z, and the integral along that line is at most cos(p)^-(K + 1) times the result.
//! - With a step d, the trapezoidal rule of a function that is analytic in |Im s| < p errs by at
//!   most 2 M / (exp(2 pi p / d) - 1), where M bounds the integrals along all lines in the strip
//!   (Trefethen and Weideman, SIAM Review 56, 2014, theorem 5.1).
//! - Each term of h is logarithmically concave in s, with slope
//!   1 - t (all weight) + sum over A of w t / (1 - exp(-w t)).
//!   The K lightest and the K heaviest candidates bound it, so what lies beyond the last point is
//!   at most a geometric series.

use std::f64::consts::PI;

/// More points than any sum takes that ends: weights differ by a factor of 2^64 at most.
const POINTS_MAX: usize = 1 << 14;

/// The exponential of less is zero, in floating point.
const EXPONENT_MAX: f64 = 750.0;

/// What an integral is, with certified bounds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measure {
    /// It is not less.
    pub lower: f64,
    /// It is not more.
    pub upper: f64,
}

/// The clocks of all candidates.
pub struct Clock<'a> {
    /// Shares of all weight, rising.
    sizes: &'a [f64],
    seats: usize,
}

impl<'a> Clock<'a> {
    /// The race of candidates for fewer seats than there are candidates.
    pub const fn new(sizes: &'a [f64], seats: usize) -> Self {
        Self { sizes, seats }
    }

    /// Integrates densities over the logarithm of time, to about a relative `tolerance`.
    pub fn integrate<const N: usize>(
        &self,
        tolerance: f64,
        density: impl Fn(f64) -> [f64; N],
    ) -> [Measure; N] {
        let (step, rule_error) = self.step(tolerance);
        let start = self.usual_time().ln();
        let mut sums = density(start.exp());
        let mut tails = [0.0; N];
        for direction in [-1.0, 1.0] {
            let mut beyond = [f64::INFINITY; N];
            for point in 1..=POINTS_MAX {
                let time = (start + direction * step * point as f64).exp();
                let values = density(time);
                let ratio = self.ratio(time, direction, step);
                for (place, value) in values.iter().enumerate() {
                    sums[place] += value;
                    beyond[place] = value * ratio / (1.0 - ratio).max(0.0);
                }
                let done = |(beyond, sum): (&f64, &f64)| *beyond <= tolerance * sum;
                if ratio < 1.0 && beyond.iter().zip(&sums).all(done) {
                    break;
                }
            }
            tails.iter_mut().zip(beyond).for_each(|(tail, beyond)| *tail += beyond);
        }
        let rounding = self.rounding();
        std::array::from_fn(|place| Measure {
            lower: sums[place] * step / (1.0 + rule_error) * (1.0 - rounding),
            upper: (sums[place] + tails[place]) * step / (1.0 - rule_error) * (1.0 + rounding),
        })
    }

    /// The widest step whose certified error is within the tolerance, and that error.
    fn step(&self, tolerance: f64) -> (f64, f64) {
        const ANGLES: usize = 512;
        let step_of = |place: usize| {
            let angle = PI / 2.0 * place as f64 / ANGLES as f64;
            let growth = -(self.seats as f64 + 1.0) * angle.cos().ln();
            2.0 * PI * angle / ((2.0 / tolerance).ln() + growth + tolerance)
        };
        let widest = (1..ANGLES).map(step_of).fold(0.0, f64::max);
        (widest, tolerance)
    }

    /// When as many clocks as there are seats have rung on average.
    fn usual_time(&self) -> f64 {
        let rung = |time: f64| self.sizes.iter().map(|size| -(-size * time).exp_m1()).sum::<f64>();
        let seats = self.seats as f64;
        let (mut early, mut late) = (seats / 2.0, seats);
        for _ in 0..64 {
            if rung(late) >= seats {
                break;
            }
            (early, late) = (late, late * 2.0);
        }
        for _ in 0..40 {
            let middle = (early * late).sqrt();
            if rung(middle) < seats { early = middle } else { late = middle }
        }
        late
    }

    /// Beyond a point no value is more than this times the one before it.
    fn ratio(&self, time: f64, direction: f64, step: f64) -> f64 {
        let part = |size: &f64| {
            let x = size * time;
            if x < 1e-9 { 1.0 + x / 2.0 } else { x / -(-x).exp_m1() }
        };
        let (light, heavy) =
            (&self.sizes[..self.seats], &self.sizes[self.sizes.len() - self.seats..]);
        let seated = if direction < 0.0 { light } else { heavy };
        let slope = 1.0 - time + seated.iter().map(part).sum::<f64>();
        (direction * step * slope).exp()
    }

    /// What rounding may have done to the sums, relatively: a few units in the last place for
    /// every candidate's factor and addition, and for the exponents, whose sum is no more than
    /// [`EXPONENT_MAX`] where anything is left to add up.
    fn rounding(&self) -> f64 {
        let operations = 16 * (self.sizes.len() + self.seats) + 256;
        (operations as f64 + 8.0 * EXPONENT_MAX) * f64::EPSILON
    }
}
