//! What members tell the beacon about who the validators are to be, until it has come about: the
//! same reports as nodes make of their operators' votes.

use qcn_crypto::{ChainId, SeededRandomness};
use qcn_ledger::{Beacon, Subject};
use qcn_light::Standing;
use qcn_types::{
    Applicant, Epoch, EpochPlan, KeyRotation, NewKeys, PlannedValidator, Registration, Report,
    Time, Weight,
};

use super::people::chain_of;
use super::{Change, MembershipEvent, People, Tallies};

/// What a newcomer asks for, as much as each validator of the genesis has.
const NEWCOMER_WEIGHT: u64 = 1_000;

/// A document is handed in by one in so many members at a time, as nodes do it.
const TURNS: u64 = 16;

/// So long after all is calm everybody is there to vote, in microseconds.
const ALL_THERE_US: u64 = 4_000_000;

/// Within so many epochs everything that all members are for comes about: in a short one a vote may
/// be ordered after the end.
const EPOCHS: usize = 3;

/// What has become of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sharding) enum State {
    /// It may come about.
    Open,
    /// It has come about as of this epoch.
    Done(Epoch),
    /// There is nothing left that it could be about.
    Void,
}

/// A change and what has become of it.
#[derive(Clone, Debug)]
pub(in crate::sharding) struct Matter {
    pub(in crate::sharding) event: MembershipEvent,
    pub(in crate::sharding) state: State,
    /// Which of the validator's rotations it is.
    counter: usize,
    /// What is handed in for it, once it was made.
    document: Option<Report>,
    /// Since when there is somebody for it to be about, in microseconds.
    since: Option<u64>,
}

/// All changes of a run.
#[derive(Debug)]
pub(in crate::sharding) struct Matters {
    chain: ChainId,
    calm: u64,
    pub(in crate::sharding) matters: Vec<Matter>,
}

impl Matters {
    pub(super) fn new(chain: ChainId, events: &[MembershipEvent], calm: Time) -> Self {
        let mut events = events.to_vec();
        events.sort_by_key(|event| event.at);
        let mut matters: Vec<Matter> = Vec::new();
        for event in events {
            let is_same =
                |it: &&Matter| it.event.who == event.who && it.event.change == Change::Rotate;
            let counter = matters.iter().filter(is_same).count() + 1;
            let (state, document, since) = (State::Open, None, None);
            matters.push(Matter { event, state, counter, document, since });
        }
        Self { chain, calm: calm.0, matters }
    }

    /// What a member reports, where the beacon's state is this. `turn` counts rounds of reports.
    pub(in crate::sharding) fn reports(
        &mut self,
        now: u64,
        (number, turn): (usize, u64),
        beacon: &Beacon,
        people: &People,
    ) -> Vec<Report> {
        let chain = self.chain;
        let is_turn = is_turn(beacon.plan(), number, turn);
        let is_open = |it: &&mut Matter| it.state == State::Open && it.event.at <= now;
        let open = self.matters.iter_mut().filter(is_open);
        open.flat_map(|matter| matter.reports(chain, (number, is_turn), beacon, people)).collect()
    }

    /// An epoch of the beacon has ended, and the next one finds this state.
    pub(in crate::sharding) fn epoch_begins(&mut self, now: u64, beacon: &Beacon, people: &People) {
        self.replace_earlier(now);
        let begun = self.matters.iter_mut().filter(|it| it.event.at <= now);
        for matter in begun.filter(|it| it.state == State::Open) {
            if matter.since.is_none() && matter.has_begun(beacon, people) {
                matter.since = Some(now.max(matter.event.at));
            }
            matter.state = matter.outcome(beacon, people);
        }
    }

    /// Members have one word on each validator's weight, the last one.
    fn replace_earlier(&mut self, now: u64) {
        let weighs = |change| matches!(change, Change::Weigh(_) | Change::TakeBack(_));
        for later in (0..self.matters.len()).rev() {
            let event = self.matters[later].event;
            if event.at <= now && weighs(event.change) {
                let earlier = self.matters[..later].iter_mut().filter(|it| {
                    it.event.who == event.who && weighs(it.event.change) && it.state == State::Open
                });
                earlier.for_each(|matter| matter.state = State::Void);
            }
        }
    }

    /// Since when everybody is there to vote, in microseconds.
    pub(super) const fn calm(&self) -> u64 {
        self.calm + ALL_THERE_US
    }

    /// How many rotations of somebody's keys have come about.
    pub(super) fn rotations(&self, who: usize) -> usize {
        let own = self.matters.iter().filter(|it| it.event.who == who);
        let rotations = own.filter(|it| it.event.change == Change::Rotate);
        rotations.filter(|it| matches!(it.state, State::Done(_))).count()
    }

    /// Whether somebody may be gone because it wanted to leave or was voted out. Of two votes on a
    /// weight the later one makes the earlier one void, though the members may have decided that.
    pub(super) fn may_have_gone(&self, now: u64, who: usize) -> bool {
        let mut begun = self.begun(now, who).filter(|it| it.removes());
        begun.any(|it| it.state != State::Open)
    }

    /// Whether somebody may be in the plan of an epoch who was not in the one before. Any weight
    /// brings back who is isolated; nobody comes back who has gone.
    pub(super) fn may_have_come(&self, now: u64, who: usize, epoch: Epoch) -> bool {
        let mut begun = self.begun(now, who);
        let has_gone = |it: &Matter| it.removes() && matches!(it.state, State::Done(_));
        let brings = |it: &Matter| match it.event.change {
            Change::Join => it.state == State::Done(epoch),
            Change::Weigh(weight) | Change::TakeBack(weight) => weight > 0,
            Change::Rotate | Change::Leave => false,
        };
        !begun.clone().any(has_gone) && begun.any(brings)
    }

    fn begun(&self, now: u64, who: usize) -> impl Iterator<Item = &Matter> + Clone {
        self.matters.iter().filter(move |it| it.event.who == who && it.event.at <= now)
    }

    /// What had time enough to come about and has not. `epochs` says of each but the last when it
    /// began, and how many validators it had: nobody goes while there are no more than seats.
    pub(super) fn overdue(
        &self,
        epochs: &[(u64, usize)],
        seats: usize,
    ) -> impl Iterator<Item = &Matter> {
        self.matters.iter().filter(move |matter| {
            let Some(since) = matter.since.filter(|_| matter.state == State::Open) else {
                return false;
            };
            let is_whole = |(began, validators): &&(u64, usize)| {
                *began >= since.max(self.calm()) && (!matter.removes() || *validators > seats)
            };
            epochs.iter().filter(is_whole).count() >= EPOCHS
        })
    }

    /// How often everything was to happen by now, and did.
    pub(super) fn tallies(&self, now: u64, newest: &EpochPlan, seats: usize) -> Tallies {
        let mut tallies = Tallies::default();
        for matter in self.matters.iter().filter(|it| it.event.at <= now) {
            let tally = tallies.kind_mut(matter.event.change);
            tally.asked += 1;
            tally.done += u64::from(matches!(matter.state, State::Done(_)));
            let is_refused = matter.removes()
                && matter.state == State::Open
                && matter.since.is_some()
                && newest.validators.len() <= seats;
            tallies.refused += u64::from(is_refused);
        }
        tallies
    }
}

impl Matter {
    /// Whether somebody has no seat any more if it comes about.
    const fn removes(&self) -> bool {
        matches!(self.event.change, Change::Leave | Change::Weigh(0))
    }

    fn reports(
        &mut self,
        chain: ChainId,
        (member, is_turn): (usize, bool),
        beacon: &Beacon,
        people: &People,
    ) -> Vec<Report> {
        let who = self.event.who;
        let Some(number) = people.number(who).map(|number| number as u32) else {
            return match self.event.change {
                Change::Join => self.admission(chain, (member, is_turn), beacon, people),
                _ => Vec::new(),
            };
        };
        let validator = beacon.validator(number);
        let weighs = |weight| {
            let says = says(beacon, member, Subject::Weight(number), Weight(weight));
            let report = Report::Reweigh { number, weight: Weight(weight) };
            (!says).then_some(report).into_iter().collect()
        };
        match self.event.change {
            Change::Join => Vec::new(),
            Change::Rotate => {
                let rotations = validator.map(|validator| validator.rotations as usize);
                let is_next = rotations.is_some_and(|rotations| rotations + 1 == self.counter);
                let wanted = (is_turn && is_next).then(|| self.rotation(chain, number, people));
                wanted.into_iter().collect()
            }
            Change::Leave => {
                let own = validator.filter(|_| people.number(who) == Some(member));
                let wanted = own.filter(|own| own.standing != Standing::Leaving);
                wanted.map(|_| Report::Leave).into_iter().collect()
            }
            Change::Weigh(weight) => weighs(weight),
            Change::TakeBack(weight) if self.since.is_some() => weighs(weight),
            Change::TakeBack(_) => Vec::new(),
        }
    }

    /// A vote for the newcomer, and its registration if the beacon has not got it in this epoch.
    fn admission(
        &mut self,
        chain: ChainId,
        (member, is_turn): (usize, bool),
        beacon: &Beacon,
        people: &People,
    ) -> Vec<Report> {
        let who = self.event.who;
        let made = self.document.get_or_insert_with(|| register(chain, who, people));
        let Report::Registration(registration) = &*made else {
            return Vec::new();
        };
        let (registration, weight) = (registration.digest(), Weight(NEWCOMER_WEIGHT));
        let mut reports = Vec::new();
        if !says(beacon, member, Subject::Admission(registration), weight) {
            reports.push(Report::Approval { registration, weight });
        }
        if is_turn && beacon.candidates().all(|(digest, _)| *digest != registration) {
            reports.push(made.clone());
        }
        reports
    }

    fn rotation(&mut self, chain: ChainId, number: u32, people: &People) -> Report {
        let (who, counter) = (self.event.who, self.counter);
        let made = || rotate(chain, (who, number), counter, people);
        self.document.get_or_insert_with(made).clone()
    }

    /// Whether there is somebody for it to be about.
    fn has_begun(&self, beacon: &Beacon, people: &People) -> bool {
        let number = people.number(self.event.who);
        let validator = number.and_then(|number| beacon.validator(number as u32));
        match self.event.change {
            Change::Join => true,
            Change::TakeBack(_) => validator.is_some_and(|it| it.is_isolated()),
            _ => validator.is_some(),
        }
    }

    fn outcome(&self, beacon: &Beacon, people: &People) -> State {
        let plan = beacon.plan();
        let Some(number) = people.number(self.event.who).map(|number| number as u32) else {
            return State::Open;
        };
        let is_planned = |it: &PlannedValidator| it.number == number;
        let planned = plan.validators.iter().find(|it| is_planned(it));
        let registered = beacon.validator(number);
        let is_done = match self.event.change {
            Change::Join => planned.is_some(),
            Change::Leave | Change::Weigh(0) => registered.is_none() && planned.is_none(),
            _ if registered.is_none() => return State::Void,
            Change::Rotate => registered.is_some_and(|it| it.rotations >= self.counter as u64),
            Change::TakeBack(_) if self.since.is_none() => false,
            Change::Weigh(weight) | Change::TakeBack(weight) => {
                planned.is_some_and(|it| it.weight == Weight(weight))
            }
        };
        if is_done { State::Done(plan.epoch) } else { State::Open }
    }
}

/// Whether a member has told the beacon so in this epoch.
fn says(beacon: &Beacon, member: usize, subject: Subject, weight: Weight) -> bool {
    beacon.votes(member as u32).any(|said| said == (&subject, &weight))
}

/// Whether it is a member's turn to hand in documents.
fn is_turn(plan: &EpochPlan, number: usize, turn: u64) -> bool {
    let members = plan.validators.len() as u64;
    let seat = plan.validators.iter().position(|it| it.number as usize == number);
    let is_turn = |seat| (turn + seat as u64 % TURNS).is_multiple_of(members.min(TURNS));
    seat.is_some_and(is_turn)
}

fn register(chain: ChainId, who: usize, people: &People) -> Report {
    let key = people.consensus_key(who, 0);
    let applicant = Applicant {
        name: &format!("v{who}"),
        consensus: &key,
        transport: &key,
        recovery: Some(&people.recovery_key(who)),
        weight: Weight(NEWCOMER_WEIGHT),
        anchor: chain_of(chain, who, 0).anchor(),
        address: None,
    };
    let mut stream = SeededRandomness::labelled(&chain.0.0, &format!("registration of {who}"));
    let registration = Registration::sign_seeded(chain, &applicant, &mut stream);
    Report::Registration(Box::new(registration.expect("good keys sign")))
}

fn rotate(chain: ChainId, (who, number): (usize, u32), counter: usize, people: &People) -> Report {
    let key = people.consensus_key(who, counter);
    let new = NewKeys {
        number,
        counter: counter as u64,
        consensus: Some(&key),
        transport: None,
        anchor: Some(chain_of(chain, who, counter).anchor()),
    };
    let name = format!("rotation {counter} of {who}");
    let mut stream = SeededRandomness::labelled(&chain.0.0, &name);
    let rotation = KeyRotation::sign_seeded(chain, &new, &people.recovery_key(who), &mut stream);
    Report::Rotation(Box::new(rotation.expect("good keys sign")))
}
