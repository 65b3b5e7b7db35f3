//! A validator that gets a seat where it had none fetches the final state of the shard.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use bytes::Bytes;
use qcn_crypto::Digest;
use qcn_ledger::Territory;
use qcn_light::verify_certificate;
use qcn_shard::{Event, Input, Joiner, Message, Output};
use qcn_types::{CommitteeKeys, Time, ValidatorIndex, encode};

use super::super::core;
use super::super::envelope::Envelope;
use super::super::seats::{Seats, class_of};
use super::super::stage::{GuestMail, Stage};
use super::{Teller, Told};
use crate::defects::Defects;
use crate::transport::Transport;

/// How long a guest waits for anything at most before it looks at the time.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A guest of a shard.
pub(super) struct Guest {
    pub(super) seats: Seats,
    pub(super) own: ValidatorIndex,
    pub(super) keys: CommitteeKeys,
    pub(super) territory: Territory,
    /// What the final checkpoint must name.
    pub(super) plan: Digest,
    pub(super) transport: Transport,
    pub(super) stage: Stage,
    pub(super) teller: Teller,
    pub(super) defects: Defects,
}

impl Guest {
    /// Begins to ask, on a thread of its own: checking chunks takes time. It ends with the final
    /// state, or once the stage lets go of it.
    pub(super) fn invite(self) -> std::io::Result<()> {
        let (sender, mail) = channel();
        let station = self.seats.station();
        let name = format!("guest-{}", station.shard);
        self.stage.invite(station, sender);
        let (stage, defects) = (self.stage.clone(), self.defects.clone());
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            defects.run("a guest", || self.run(&mail));
        });
        if let Err(error) = thread {
            stage.part(station);
            return Err(error);
        }
        Ok(())
    }

    fn run(self, mail: &Receiver<GuestMail>) {
        let chain = self.keys.chain();
        let members = self.keys.committee().len();
        let guest = Seats::guest(self.own);
        let territory = self.territory.clone();
        let mut joiner = Joiner::new(core::now(), chain, territory, members, guest, self.plan);
        let mut wake = None;
        loop {
            self.drain(&mut joiner, &mut wake);
            if let Some(closed) = joiner.closed() {
                self.stage.part(self.seats.station());
                self.teller.closed(closed.clone());
                return;
            }
            let until = wake.map(|wake: Time| Duration::from_micros(wake.since_us(core::now())));
            match mail.recv_timeout(until.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)) {
                Ok(GuestMail { from, message, place }) => {
                    joiner.handle(core::now(), Input::Message { from, message });
                    drop(place);
                }
                Err(RecvTimeoutError::Timeout) => joiner.handle(core::now(), Input::Tick),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn drain(&self, joiner: &mut Joiner, wake: &mut Option<Time>) {
        while let Some(output) = joiner.poll_output() {
            match output {
                Output::Send { to, message } => self.send(to, message),
                Output::VerifySync { from, package } => {
                    let valid = verify_certificate(&package.certificate, &self.keys).is_ok();
                    joiner.handle(core::now(), Input::SyncVerified { from, package, valid });
                }
                Output::Wake(at) => *wake = Some(at),
                Output::Event(Event::LyingSyncer(from)) => {
                    if let Some(validator) = self.seats.validator(from) {
                        self.transport.note_refused(validator);
                    }
                }
                _ => {}
            }
        }
    }

    fn send(&self, seat: ValidatorIndex, message: Message) {
        if let Some(validator) = self.seats.validator(seat) {
            let class = class_of(&message);
            let frame = encode(&Envelope::Guest(self.seats.station(), message));
            self.transport.send(validator, class, Bytes::from(frame));
        }
    }
}

impl Teller {
    /// The epoch of the shard is over, and this is its end.
    pub(in super::super) fn closed(&self, closed: qcn_shard::Closed) {
        self.tell(Told::Closed { station: self.station, closed: Box::new(closed) });
    }

    /// A member has misbehaved.
    pub(in super::super) fn proven(&self, evidence: &qcn_types::Evidence) {
        self.tell(Told::Proven { station: self.station, evidence: Box::new(evidence.clone()) });
    }

    fn tell(&self, told: Told) {
        // Nobody follows any more while the node stops.
        let _ = self.told.send(told);
    }
}
