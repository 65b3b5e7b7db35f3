//! The machine of a shard, and who may stand between it and the node.

use std::collections::VecDeque;

use qcn_shard::{Expected, Input, Output, Shard};
use qcn_types::{Delivery, LaneEnd, LaneId, Time};

/// Stands between the machine of a node and everything else, to make it depart from the protocol.
///
/// This is for the tests across a network, which run one validator that misbehaves. It sees every
/// input before the machine does, and every output before the node carries it out. An honest node
/// has nobody there, and no setting of its own puts somebody there.
pub trait Meddler: Send {
    /// What is carried out because of an input, and what is handed in instead of it.
    fn input(&mut self, scene: Scene<'_>, input: Input) -> (Vec<Output>, Vec<Input>);

    /// What is carried out instead of an output, in order.
    fn output(&mut self, scene: Scene<'_>, output: Output) -> Vec<Output>;
}

/// What a meddler sees.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The time that the machine is told.
    pub now: Time,
    /// The machine, after everything that it was handed so far.
    pub shard: &'a Shard,
}

/// A machine with its two doors, for itself or with somebody at both.
pub(crate) struct Machine {
    shard: Shard,
    meddler: Option<Box<dyn Meddler>>,
    /// What the meddler wants carried out.
    meddled: VecDeque<Output>,
}

impl Machine {
    pub(crate) const fn new(shard: Shard, meddler: Option<Box<dyn Meddler>>) -> Self {
        Self { shard, meddler, meddled: VecDeque::new() }
    }

    pub(crate) const fn shard(&self) -> &Shard {
        &self.shard
    }

    /// What a relayer is to carry to another shard: it makes a certificate, and keeps it.
    pub(crate) fn delivery(&mut self, lane: LaneId, expected: &Expected) -> Option<Delivery> {
        self.shard.delivery(lane, expected)
    }

    /// How far what comes on a lane will be once the blocks in the DAG are executed. It has the
    /// name that this end gives it.
    pub(crate) fn expected(&self, lane: LaneId) -> Expected {
        self.shard.expected(lane)
    }

    /// The certified end of a lane to another shard.
    pub(crate) fn lane_end(&self, lane: LaneId) -> Option<LaneEnd> {
        self.shard.lane_end(lane).copied()
    }

    pub(crate) fn handle(&mut self, now: Time, input: Input) {
        let Some(meddler) = &mut self.meddler else {
            return self.shard.handle(now, input);
        };
        let scene = Scene { now, shard: &self.shard };
        let (outputs, inputs) = meddler.input(scene, input);
        self.meddled.extend(outputs);
        for input in inputs {
            self.shard.handle(now, input);
            self.show_outputs(now);
        }
    }

    /// The next thing to be carried out.
    pub(crate) fn poll_output(&mut self, now: Time) -> Option<Output> {
        if self.meddler.is_none() {
            return self.shard.poll_output();
        }
        // A machine that has just started asks for something without any input.
        self.show_outputs(now);
        self.meddled.pop_front()
    }

    fn show_outputs(&mut self, now: Time) {
        let Some(meddler) = &mut self.meddler else { return };
        while let Some(output) = self.shard.poll_output() {
            let scene = Scene { now, shard: &self.shard };
            self.meddled.extend(meddler.output(scene, output));
        }
    }
}
