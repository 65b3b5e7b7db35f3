//! Newtypes for the numbers of the protocol, so that mixing them up does not compile.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $letter:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
        )]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!($letter, "{}"), self.0)
            }
        }
    };
}

number!(
    /// One layer of the DAG. Round 0 is the genesis round, implicit and unsigned.
    Round(u64), "r"
);
number!(
    /// The position of a checkpoint in its shard's chain. Genesis has height 0.
    Height(u64), "h"
);
number!(
    /// The period for which one committee serves.
    Epoch(u64), "e"
);
number!(
    /// One range of the account space, with its own committee and chain.
    ShardId(u32), "s"
);
number!(
    /// Voting power, proportional to processing capability.
    Weight(u64), "w"
);
number!(
    /// The place of a validator in the committee's order.
    ValidatorIndex(u16), "v"
);
number!(
    /// A point in time, in microseconds since an epoch that the driver chooses.
    ///
    /// Protocol code never reads a clock: it is told the time with every input.
    Time(u64), "t"
);

impl Round {
    /// The genesis round.
    pub const GENESIS: Self = Self(0);

    /// The round after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The round before this one; the genesis round has none and stays itself.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The round `distance` above.
    #[must_use]
    pub const fn plus(self, distance: u64) -> Self {
        Self(self.0.saturating_add(distance))
    }

    /// The round `distance` below, or the genesis round.
    #[must_use]
    pub const fn minus(self, distance: u64) -> Self {
        Self(self.0.saturating_sub(distance))
    }
}

impl Height {
    /// The height after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl ValidatorIndex {
    /// The index as an array position.
    #[must_use]
    pub const fn position(self) -> usize {
        self.0 as usize
    }
}

impl Time {
    /// The start of time.
    pub const ZERO: Self = Self(0);

    /// A time `ms` milliseconds after zero.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000))
    }

    /// Whole milliseconds since zero.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0 / 1_000
    }

    /// The time `us` microseconds later.
    #[must_use]
    pub const fn plus_us(self, us: u64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// The time `ms` milliseconds later.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000)))
    }

    /// Microseconds from `earlier` to this time, zero if it is not earlier.
    #[must_use]
    pub const fn since_us(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
