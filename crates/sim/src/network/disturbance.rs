//! What disturbs the network for a while. Several may be in force at once.

use super::Effective;

/// One cause of trouble. Ending it leaves the others as they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Disturbance {
    /// Processes of different groups cannot reach each other. Who is in no group is alone.
    Partition(Vec<Vec<usize>>),
    /// Messages from one set to the other are lost; the way back works.
    OneWay { from: Vec<usize>, to: Vec<usize> },
    /// All links of these processes take so many thousandths of their latency.
    Latency { processes: Vec<usize>, permille: u32 },
    /// These processes send no faster than this.
    Bandwidth { processes: Vec<usize>, bits_per_second: u64 },
    /// Packets are lost with at least this chance, per million.
    Loss { per_million: u32 },
}

impl Disturbance {
    /// Whether healing ends it.
    pub(crate) const fn is_cut(&self) -> bool {
        matches!(self, Self::Partition(_) | Self::OneWay { .. })
    }

    pub(super) fn apply(&self, effective: &mut Effective, processes: usize) {
        match self {
            Self::Partition(groups) => cut_between(effective, groups, processes),
            Self::OneWay { from, to } => {
                for from in from.iter().filter(|from| **from < processes) {
                    for to in to.iter().filter(|to| **to < processes) {
                        effective.cut[from * processes + to] = true;
                    }
                }
            }
            Self::Latency { processes: slow, permille } => {
                let mut is_slow = vec![false; processes];
                slow.iter().filter(|at| **at < processes).for_each(|at| is_slow[*at] = true);
                for (link, latency) in effective.latency_us.iter_mut().enumerate() {
                    if is_slow[link / processes] || is_slow[link % processes] {
                        let longer = u64::from(*latency) * u64::from(*permille) / 1_000;
                        *latency = u32::try_from(longer).unwrap_or(u32::MAX);
                    }
                }
            }
            Self::Bandwidth { processes: narrow, bits_per_second } => {
                for process in narrow.iter().filter(|process| **process < processes) {
                    let bandwidth = &mut effective.bandwidth[*process];
                    if *bandwidth == 0 || *bandwidth > *bits_per_second {
                        *bandwidth = (*bits_per_second).max(1);
                    }
                }
            }
            Self::Loss { per_million } => {
                effective.loss_per_million =
                    effective.loss_per_million.max(u64::from(*per_million));
            }
        }
    }
}

fn cut_between(effective: &mut Effective, groups: &[Vec<usize>], processes: usize) {
    // Who is in no group gets one of its own.
    let mut group_of: Vec<usize> = (0..processes).map(|process| groups.len() + process).collect();
    for (group, members) in groups.iter().enumerate() {
        for member in members.iter().filter(|member| **member < processes) {
            group_of[*member] = group;
        }
    }
    for from in 0..processes {
        for to in 0..processes {
            if group_of[from] != group_of[to] {
                effective.cut[from * processes + to] = true;
            }
        }
    }
}
