//! Dates its blocks ahead and behind, by a little mostly and by a lot sometimes.

use qcn_shard::Output;

use super::{Behaviour, Hands};

#[derive(Debug)]
pub(super) struct TimeShifter;

impl Behaviour for TimeShifter {
    fn output(&mut self, mut output: Output, hands: &mut Hands<'_>) {
        if let Output::SignBlock(body) = &mut output {
            body.time_ms = match hands.random.below(20) {
                0..12 => body.time_ms + hands.random.below(400),
                12..18 => body.time_ms,
                18 => hands.now.as_ms() + 400 + hands.random.below(2_000),
                _ => body.time_ms.saturating_sub(hands.random.below(2)),
            };
        }
        hands.emit(output);
    }
}
