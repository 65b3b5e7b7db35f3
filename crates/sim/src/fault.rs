//! What can go wrong from outside, and when.

use crate::disk::DiskFault;

/// Something that goes wrong at a point of virtual time. Validators are named by their index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Groups that cannot reach each other, until [`Fault::Heal`]. Who is in no group is alone.
    Partition {
        /// The groups.
        groups: Vec<Vec<usize>>,
    },
    /// Messages from one set to the other are lost, until [`Fault::Heal`]; the way back works.
    OneWay {
        /// Who is not heard.
        from: Vec<usize>,
        /// Who does not hear.
        to: Vec<usize>,
    },
    /// One validator reaches nobody, until [`Fault::Heal`].
    Isolate {
        /// Which.
        validator: usize,
    },
    /// A partition that comes and goes.
    Flapping {
        /// The groups while it is there.
        groups: Vec<Vec<usize>>,
        /// How long it is there, and then not, in microseconds.
        period_us: u64,
        /// How long this goes on, in microseconds.
        duration_us: u64,
    },
    /// Ends every partition and cut.
    Heal,
    /// A validator stops.
    Crash {
        /// Which.
        validator: usize,
        /// At once, or at some output.
        moment: CrashMoment,
        /// What becomes of its disk.
        disk: DiskFault,
        /// When it comes back, in microseconds after the crash; never if `None`.
        restart_after_us: Option<u64>,
    },
    /// A validator that is down comes up.
    Restart {
        /// Which.
        validator: usize,
    },
    /// A validator freezes; what is sent to it waits.
    Pause {
        /// Which.
        validator: usize,
        /// For how long, in microseconds.
        duration_us: u64,
    },
    /// Validators crash and come back, one after the other.
    Churn {
        /// Which, in this order, again and again.
        validators: Vec<usize>,
        /// The time from one crash to the next, in microseconds.
        period_us: u64,
        /// How long each is down, in microseconds.
        down_us: u64,
        /// How long this goes on, in microseconds.
        duration_us: u64,
        /// What becomes of their disks.
        disk: DiskFault,
    },
    /// A validator's clock jumps.
    ClockJump {
        /// Whose.
        validator: usize,
        /// By how much, in microseconds.
        by_us: i64,
    },
    /// The links of some validators become slower.
    LatencySpike {
        /// Whose; everybody's if empty.
        validators: Vec<usize>,
        /// To how many thousandths of their latency.
        permille: u32,
        /// For how long, in microseconds.
        duration_us: u64,
    },
    /// The uplinks of some validators become narrower.
    BandwidthCut {
        /// Whose; everybody's if empty.
        validators: Vec<usize>,
        /// To how many bits per second.
        bits_per_second: u64,
        /// For how long, in microseconds.
        duration_us: u64,
    },
    /// Packets are lost.
    LossBurst {
        /// How many of a million.
        per_million: u32,
        /// For how long, in microseconds.
        duration_us: u64,
    },
    /// A disk becomes slow.
    SlowDisk {
        /// Whose.
        validator: usize,
        /// How long it takes to make something durable, in microseconds.
        sync_us: u64,
        /// For how long, in microseconds.
        duration_us: u64,
    },
}

/// When exactly a validator crashes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum CrashMoment {
    /// At once.
    #[default]
    Now,
    /// Just before it carries out its next output of this kind.
    Before(OutputKind),
    /// Just after it has carried out its next output of this kind.
    After(OutputKind),
    /// Just before it carries out the n-th output from now, whatever that is.
    BeforeOutput(u32),
}

/// The kinds of outputs of a shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OutputKind {
    /// Checking a block.
    Verify,
    /// Signing an own block.
    Sign,
    /// Writing to the log.
    Persist,
    /// Waiting until the log is durable.
    PersistBarrier,
    /// Sending to one peer.
    Send,
    /// Sending to all peers.
    Broadcast,
    /// Executing a commit.
    Execute,
    /// Anything else.
    Other,
}

impl OutputKind {
    /// All kinds, in order.
    pub const ALL: [Self; 8] = [
        Self::Verify,
        Self::Sign,
        Self::Persist,
        Self::PersistBarrier,
        Self::Send,
        Self::Broadcast,
        Self::Execute,
        Self::Other,
    ];
}

impl Fault {
    /// The same, with disks that lose only what was not durable where a validator's must not lose more.
    pub(crate) fn losing_disks_of(self, may_lose: impl Fn(usize) -> bool) -> Self {
        match self {
            Self::Crash { validator, moment, disk, restart_after_us } if !may_lose(validator) => {
                let disk = match disk {
                    DiskFault::Nothing => disk,
                    _ => DiskFault::LoseUnsynced,
                };
                Self::Crash { validator, moment, disk, restart_after_us }
            }
            fault => fault,
        }
    }

    /// How long after it began the fault is over by itself, in microseconds; `None` for what
    /// lasts until something else ends it.
    #[must_use]
    pub const fn duration_us(&self) -> Option<u64> {
        match self {
            Self::Partition { .. } | Self::OneWay { .. } | Self::Isolate { .. } => None,
            Self::Heal | Self::Restart { .. } | Self::ClockJump { .. } => Some(0),
            Self::Crash { restart_after_us, .. } => *restart_after_us,
            Self::Pause { duration_us, .. }
            | Self::LatencySpike { duration_us, .. }
            | Self::BandwidthCut { duration_us, .. }
            | Self::LossBurst { duration_us, .. }
            | Self::SlowDisk { duration_us, .. } => Some(*duration_us),
            Self::Flapping { duration_us, period_us, .. } => Some(*duration_us + *period_us),
            Self::Churn { duration_us, down_us, .. } => Some(*duration_us + *down_us),
        }
    }

    /// Whether it only ends what others have begun.
    pub(crate) const fn ends_others(&self) -> bool {
        matches!(self, Self::Heal | Self::Restart { .. })
    }

    /// The sentence that reports print.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Partition { groups } => {
                let sizes: Vec<String> =
                    groups.iter().map(|group| group.len().to_string()).collect();
                format!("partition into groups of {}", sizes.join(" and "))
            }
            Self::OneWay { from, to } => {
                format!("one-way cut from {} to {} validators", from.len(), to.len())
            }
            Self::Isolate { validator } => format!("validator {validator} is cut off"),
            Self::Flapping { groups, period_us, duration_us } => format!(
                "partition into {} groups that comes and goes every {} ms for {} ms",
                groups.len(),
                period_us / 1_000,
                duration_us / 1_000
            ),
            Self::Heal => "all cuts heal".to_owned(),
            Self::Crash { validator, moment, disk, restart_after_us } => {
                let back = restart_after_us
                    .map_or_else(String::new, |after| format!(", back after {} ms", after / 1_000));
                format!("validator {validator} crashes ({moment:?}, disk: {disk:?}){back}")
            }
            Self::Restart { validator } => format!("validator {validator} comes up"),
            Self::Pause { validator, duration_us } => {
                format!("validator {validator} freezes for {} ms", duration_us / 1_000)
            }
            Self::Churn { validators, period_us, duration_us, .. } => format!(
                "{} validators crash in turn, one every {} ms for {} ms",
                validators.len(),
                period_us / 1_000,
                duration_us / 1_000
            ),
            Self::ClockJump { validator, by_us } => {
                format!("the clock of validator {validator} jumps by {} ms", by_us / 1_000)
            }
            Self::LatencySpike { validators, permille, duration_us } => format!(
                "latency of {} at {permille} thousandths for {} ms",
                whose(validators),
                duration_us / 1_000
            ),
            Self::BandwidthCut { validators, bits_per_second, duration_us } => format!(
                "uplink of {} at {bits_per_second} bit/s for {} ms",
                whose(validators),
                duration_us / 1_000
            ),
            Self::LossBurst { per_million, duration_us } => {
                format!("{per_million} of a million packets lost for {} ms", duration_us / 1_000)
            }
            Self::SlowDisk { validator, sync_us, duration_us } => format!(
                "the disk of validator {validator} takes {sync_us} us to sync for {} ms",
                duration_us / 1_000
            ),
        }
    }
}

fn whose(validators: &[usize]) -> String {
    if validators.is_empty() {
        "everybody".to_owned()
    } else {
        format!("{} validators", validators.len())
    }
}

impl Fault {
    /// All validators that the fault names.
    #[must_use]
    pub fn validators(&self) -> Vec<usize> {
        match self {
            Self::Partition { groups } | Self::Flapping { groups, .. } => {
                groups.iter().flatten().copied().collect()
            }
            Self::OneWay { from, to } => from.iter().chain(to).copied().collect(),
            Self::Churn { validators, .. }
            | Self::LatencySpike { validators, .. }
            | Self::BandwidthCut { validators, .. } => validators.clone(),
            Self::Isolate { validator }
            | Self::Crash { validator, .. }
            | Self::Restart { validator }
            | Self::Pause { validator, .. }
            | Self::ClockJump { validator, .. }
            | Self::SlowDisk { validator, .. } => vec![*validator],
            Self::Heal | Self::LossBurst { .. } => Vec::new(),
        }
    }
}
