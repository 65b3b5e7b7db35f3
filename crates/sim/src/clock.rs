//! A validator's own clock: virtual time plus an offset that it does not know.

use qcn_types::Time;

/// What every clock shows at the start of a run, so that one that runs behind is not below zero.
const START_US: u64 = 1_000_000_000_000;

/// An offset from virtual time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Clock {
    offset_us: i64,
}

impl Clock {
    pub(crate) const fn with_offset(offset_us: i64) -> Self {
        Self { offset_us }
    }

    /// Moves the clock forwards or backwards.
    pub(crate) const fn jump(&mut self, by_us: i64) {
        self.offset_us = self.offset_us.saturating_add(by_us);
    }

    /// What the clock shows at a point of virtual time.
    pub(crate) const fn local(&self, now: u64) -> Time {
        Time(START_US.saturating_add(now).saturating_add_signed(self.offset_us))
    }

    /// When, in virtual time, the clock will show `local`.
    pub(crate) const fn global(&self, local: Time) -> u64 {
        local.0.saturating_add_signed(self.offset_us.saturating_neg()).saturating_sub(START_US)
    }
}

#[cfg(test)]
mod tests;
