//! How fast finality could be at best on a given matrix (DESIGN section 5.2: a leader commits
//! three message delays after it proposes).

/// The least time from a proposal to its commit at the proposer, two ways of counting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FinalityBound {
    /// Three times the one-way delay within which the proposer reaches a quorum.
    pub three_delays_us: u64,
    /// The proposal to every voter, the votes to every certifier, the certificates back, each
    /// step as soon as a quorum allows it and at no cost but the links' latency.
    pub composed_us: u64,
}

/// The bound of each validator as the proposer.
///
/// `one_way_us(from, to)` is the latency of a link; a validator reaches itself at once.
/// `quorum` is the weight of a quorum.
#[must_use]
pub fn finality_bounds(
    weights: &[u64],
    quorum: u64,
    one_way_us: impl Fn(usize, usize) -> u64,
) -> Vec<FinalityBound> {
    let members = 0..weights.len();
    let delay = |from: usize, to: usize| if from == to { 0 } else { one_way_us(from, to) };
    let when_quorum = |arrivals: &mut dyn Iterator<Item = u64>| {
        let mut by_time: Vec<(u64, u64)> = arrivals.zip(weights.iter().copied()).collect();
        by_time.sort_unstable();
        reached(&by_time, quorum)
    };
    members
        .clone()
        .map(|proposer| {
            let voted: Vec<u64> = members.clone().map(|voter| delay(proposer, voter)).collect();
            let certified: Vec<u64> = members
                .clone()
                .map(|certifier| {
                    when_quorum(
                        &mut (0..).zip(&voted).map(|(voter, at)| at + delay(voter, certifier)),
                    )
                })
                .collect();
            let composed_us = when_quorum(
                &mut (0..).zip(&certified).map(|(certifier, at)| at + delay(certifier, proposer)),
            );
            let nearest_quorum_us = when_quorum(&mut voted.iter().copied());
            FinalityBound { three_delays_us: 3 * nearest_quorum_us, composed_us }
        })
        .collect()
}

/// The time at which arrivals, sorted by time, first carry the quorum.
fn reached(by_time: &[(u64, u64)], quorum: u64) -> u64 {
    let mut weight = 0_u64;
    for &(at, more) in by_time {
        weight = weight.saturating_add(more);
        if weight >= quorum {
            return at;
        }
    }
    u64::MAX
}

/// The smallest value that at least half of the total share is not above; 0 if there is none.
#[must_use]
pub fn weighted_median(mut values: Vec<(u64, u64)>) -> u64 {
    values.sort_unstable();
    let total: u128 = values.iter().map(|&(_, share)| u128::from(share)).sum();
    let mut seen = 0_u128;
    for (value, share) in values {
        seen += u128::from(share);
        if 2 * seen >= total {
            return value;
        }
    }
    0
}
