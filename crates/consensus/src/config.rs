//! The parameters of the machine.

/// Timing and depth. Depth and leaders must be equal for all members of a committee.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// How many leader slots a round has, at most: no more than there are members with full odds.
    pub leaders_per_round: u16,
    /// How many rounds below the last committed leader blocks may still be committed.
    pub gc_depth: u64,
    /// Every so many commits the leaders' odds are adjusted.
    pub schedule_interval_commits: u64,
    /// How long a round waits for leader blocks once it has a quorum, in microseconds.
    pub leader_timeout_us: u64,
    /// The most that the leader timeout grows to, in microseconds.
    pub leader_timeout_max_us: u64,
    /// The least time between two own blocks, in microseconds.
    pub min_round_interval_us: u64,
    /// The time between two own blocks while nobody has anything to say, in microseconds.
    pub idle_round_interval_us: u64,
    /// How long missing parents may be on their way before they are asked for, in microseconds.
    pub sync_delay_us: u64,
    /// How long a stalled validator waits before it says again which its last block is, in
    /// microseconds.
    pub resend_interval_us: u64,
    /// How far a block's time may be ahead of the local clock and still be held back for it,
    /// in milliseconds.
    pub max_clock_drift_ms: u64,
    /// For tests of the tests only.
    #[doc(hidden)]
    pub broken_rule: Option<BrokenRule>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            leaders_per_round: 4,
            gc_depth: 64,
            schedule_interval_commits: 64,
            leader_timeout_us: 100_000,
            leader_timeout_max_us: 2_000_000,
            min_round_interval_us: 10_000,
            idle_round_interval_us: 200_000,
            sync_delay_us: 40_000,
            resend_interval_us: 500_000,
            max_clock_drift_ms: 500,
            broken_rule: None,
        }
    }
}

/// Why a configuration cannot work.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// No leader slots at all.
    #[error("leaders_per_round is 0: nothing would ever commit; give at least 1")]
    NoLeaders,
    /// The floor would overtake the parents that proposers may reference.
    #[error("gc_depth {given} is too small: give at least {least}")]
    ShallowGc {
        /// What was given.
        given: u64,
        /// What is needed.
        least: u64,
    },
    /// A schedule that never changes would never drop an isolated leader's odds.
    #[error("schedule_interval_commits is 0: give at least 1")]
    NoScheduleInterval,
    /// The timeout starts above its own cap.
    #[error("leader_timeout_us is above leader_timeout_max_us")]
    TimeoutAboveCap,
    /// A sync delay or resend interval of zero would flood the network.
    #[error("{0} is 0: give at least 1000 (one millisecond)")]
    ZeroInterval(&'static str),
}

impl Config {
    /// Checks that the parameters can work together.
    ///
    /// # Errors
    /// [`ConfigError`], naming the parameter and the remedy.
    pub fn check(&self) -> Result<(), ConfigError> {
        let least = 2 * crate::limits::MAX_PARENT_DEPTH;
        if self.leaders_per_round == 0 {
            return Err(ConfigError::NoLeaders);
        }
        if self.gc_depth < least {
            return Err(ConfigError::ShallowGc { given: self.gc_depth, least });
        }
        if self.schedule_interval_commits == 0 {
            return Err(ConfigError::NoScheduleInterval);
        }
        if self.leader_timeout_us > self.leader_timeout_max_us {
            return Err(ConfigError::TimeoutAboveCap);
        }
        for (name, interval) in [
            ("sync_delay_us", self.sync_delay_us),
            ("resend_interval_us", self.resend_interval_us),
            ("idle_round_interval_us", self.idle_round_interval_us),
        ] {
            if interval == 0 {
                return Err(ConfigError::ZeroInterval(name));
            }
        }
        Ok(())
    }
}

/// A rule broken on purpose, so that tests can see the invariants notice.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BrokenRule {
    /// A quorum is more than a third.
    SmallQuorum,
    /// An author counts once per block, not once.
    NoVoteDeduplication,
    /// What it has signed is not read back from the log, nor is the committee asked for it.
    NoRoundLog,
}
