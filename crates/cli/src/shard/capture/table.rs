//! How many clocks have rung at a time, what those candidates weigh, and what the others do.

use super::Class;

/// Smaller entries count as zero: arithmetic below is slow, and the sum of all of them is far
/// below what is added to every upper bound.
const NEGLIGIBLE: f64 = 1e-290;

/// A row for each number of clocks that have rung.
pub struct Table {
    rows: Vec<Row>,
    units_max: usize,
}

/// A cell for each weight in units.
#[derive(Clone, Default)]
pub struct Row {
    /// The probability.
    chance: Vec<f64>,
    /// The probability times the mean weight, as a share of all, of those whose clocks have not
    /// rung: the rate at which the next one rings.
    rate: Vec<f64>,
}

/// A cell: probability, and probability times rate.
#[derive(Clone, Copy, Default)]
pub struct Cell {
    chance: f64,
    rate: f64,
}

/// The probability that 0, 1, 2, ... clocks of a class have rung, up to `count_max`.
pub fn rung(class: &Class, time: f64, count_max: usize) -> Vec<f64> {
    let (yes, no) = (-(-class.size * time).exp_m1(), (-class.size * time).exp());
    let mut chances = vec![1.0];
    for _ in 0..class.members {
        if chances.len() <= count_max {
            chances.push(0.0);
        }
        for count in (1..chances.len()).rev() {
            chances[count] = flushed(chances[count] * no + chances[count - 1] * yes);
        }
        chances[0] = flushed(chances[0] * no);
    }
    chances
}

impl Table {
    /// Nobody takes part yet. Weights above `units_max` are not kept.
    pub fn new(count_max: usize, units_max: usize) -> Self {
        let mut rows = vec![Row::default(); count_max + 1];
        rows[0] = Row { chance: vec![1.0], rate: vec![0.0] };
        Self { rows, units_max }
    }

    /// The row of a number of clocks.
    pub fn row(&self, count: usize) -> &Row {
        &self.rows[count]
    }

    /// Lets a class take part, of which `rung` says how many clocks have rung.
    pub fn add(&mut self, class: &Class, rung: &[f64]) {
        for count in (0..self.rows.len()).rev() {
            let mut row = Row::default();
            for (new, chance) in rung.iter().enumerate().take(count + 1) {
                let left = (class.members - new) as f64 * class.size;
                let shift = new.saturating_mul(class.units);
                row.add(&self.rows[count - new], shift, self.units_max, *chance, left);
            }
            row.flush();
            self.rows[count] = row;
        }
    }

    /// The rate of the next clock, times the probability that so far all seats but those of the
    /// class are filled, and these by the class, with one at least, and that all weigh no more
    /// than `units_max`. Candidates of weight `heavier` have not taken part yet.
    pub fn with_some_of(&self, class: &Class, rung: &[f64], units_max: usize, heavier: f64) -> f64 {
        let seats = self.rows.len() - 1;
        let mut sum = 0.0;
        for (new, chance) in rung.iter().enumerate().skip(1).take(seats) {
            let left = (class.members - new) as f64 * class.size + heavier;
            if let Some(most) = units_max.checked_sub(new * class.units) {
                let cells = self.rows[seats - new].cells().take(most.saturating_add(1));
                sum += chance * cells.map(|cell| cell.rate + left * cell.chance).sum::<f64>();
            }
        }
        sum
    }
}

impl Row {
    /// The cells by rising weight.
    pub fn cells(&self) -> impl Iterator<Item = Cell> + '_ {
        let cells = self.chance.iter().zip(&self.rate);
        cells.map(|(chance, rate)| Cell { chance: *chance, rate: *rate })
    }

    /// Each cell with all before it.
    pub fn cumulated(&self) -> Cumulated {
        let mut sum = Cell::default();
        Cumulated(
            self.cells()
                .map(|cell| {
                    sum.chance += cell.chance;
                    sum.rate += cell.rate;
                    sum
                })
                .collect(),
        )
    }

    /// Adds another row, moved up by `shift`, times `chance`; `left` more have not rung.
    fn add(&mut self, other: &Self, shift: usize, units_max: usize, chance: f64, left: f64) {
        let kept = other.chance.len().min(units_max.saturating_add(1).saturating_sub(shift));
        if kept == 0 {
            return;
        }
        if self.chance.len() < shift + kept {
            self.chance.resize(shift + kept, 0.0);
            self.rate.resize(shift + kept, 0.0);
        }
        let chances = self.chance[shift..].iter_mut().zip(&other.chance[..kept]);
        for (to, from) in chances {
            *to += chance * from;
        }
        let froms = other.rate[..kept].iter().zip(&other.chance[..kept]);
        for (to, (rate, from)) in self.rate[shift..].iter_mut().zip(froms) {
            *to += chance * (rate + left * from);
        }
    }

    fn flush(&mut self) {
        for value in self.chance.iter_mut().chain(&mut self.rate) {
            *value = flushed(*value);
        }
    }
}

/// The cells of a row, each with all before it.
pub struct Cumulated(Vec<Cell>);

impl Cumulated {
    /// Joins a cell of other candidates with all cells here up to a weight: the probability of
    /// both, times the rate of the next clock among all.
    pub fn joined_below(&self, one: Cell, units_max: i128) -> f64 {
        let Ok(most) = usize::try_from(units_max) else {
            return 0.0;
        };
        let below = self.0.get(most).or(self.0.last()).copied().unwrap_or_default();
        one.chance * below.rate + one.rate * below.chance
    }
}

fn flushed(value: f64) -> f64 {
    if value < NEGLIGIBLE { 0.0 } else { value }
}
