//! One-way latencies between validators.

use std::sync::Arc;

use crate::random::Random;

/// Where the one-way latencies between validators come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LatencyModel {
    /// The same for all pairs, in microseconds.
    Constant(u32),
    /// Drawn for every pair from the seed, the same in both directions, in microseconds.
    Between {
        /// The least.
        low: u32,
        /// The most.
        high: u32,
    },
    /// One value per ordered pair, in microseconds: row `from`, column `to`.
    Matrix(Arc<[u32]>),
}

impl LatencyModel {
    /// The matrix for `validators`, row by row; none if a given matrix has another size.
    #[must_use]
    pub fn matrix(&self, validators: usize, seed: u64) -> Option<Arc<[u32]>> {
        match self {
            Self::Constant(latency) => Some(vec![*latency; validators * validators].into()),
            Self::Between { low, high } => {
                let mut random = Random::new(seed, "latency");
                let mut matrix = vec![0; validators * validators];
                for from in 0..validators {
                    for to in from..validators {
                        let latency = random.between(u64::from(*low), u64::from(*high)) as u32;
                        matrix[from * validators + to] = latency;
                        matrix[to * validators + from] = latency;
                    }
                }
                Some(matrix.into())
            }
            Self::Matrix(matrix) => {
                (matrix.len() == validators * validators).then(|| Arc::clone(matrix))
            }
        }
    }
}
