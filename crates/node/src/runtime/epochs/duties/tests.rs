use std::time::Duration;

use qcn_crypto::hash_chain_link;
use qcn_types::{Bounded, Payload, Registration, ValidatorIndex};

use super::*;
use crate::membership::{NewValidator, NewValidatorKeys};
use crate::testing::TestFolder;
use crate::testing::members::{GENESIS, NAMES, keys, recovery};

const DAY: Duration = Duration::from_secs(86_400);

/// Validator `own` of a network at genesis, whose operator votes for something.
struct Scene {
    folder: TestFolder,
    duties: Duties,
    known: Known,
}

impl Scene {
    fn new(own: u32) -> Self {
        let folder = TestFolder::new();
        let key = keys(NAMES[own as usize]).consensus;
        let duties = Duties::new(vec![key], folder.path().to_owned());
        let state = GENESIS.beacon().unwrap().ledger.beacon().unwrap();
        Self { folder, duties, known: Known::from_state(state, own) }
    }

    fn vote(&self, vote: Vote) {
        let mut votes = Votes::read(self.folder.path()).unwrap();
        assert!(votes.cast(vote, DAY));
        votes.write(self.folder.path()).unwrap();
    }

    fn votes(&self) -> Vec<Vote> {
        let votes = Votes::read(self.folder.path()).unwrap().votes;
        votes.iter().map(|cast| cast.vote).collect()
    }

    /// What is reported in so many rounds of duties, without what it reveals.
    fn rounds(&mut self, rounds: usize) -> Vec<Report> {
        let mut all = Vec::new();
        for _ in 0..rounds {
            self.duties.tick();
            all.extend(self.duties.reports(&self.known));
        }
        all.retain(|report| !matches!(report, Report::Reveal(_)));
        all
    }

    /// The same, each as the beacon of the genesis would take it.
    fn taken(&mut self, rounds: usize) -> Vec<Report> {
        let reports = self.rounds(rounds);
        let own = ValidatorIndex(self.known.own as u16);
        for report in &reports {
            report.check(GENESIS.chain()).unwrap();
            GENESIS.beacon().unwrap().ledger.admit_report(own, report).unwrap();
        }
        reports
    }
}

/// Somebody who wants to be admitted, and the vote for it.
fn newcomer() -> (RegistrationFile, Vote) {
    let keys = keys("frank");
    let new = NewValidator { name: "frank", weight: 700, keys: &keys, address: None };
    let file = RegistrationFile::sign(&GENESIS, &new).unwrap();
    let (registration, consensus_key) = (file.digest(), keys.consensus.public_key().digest());
    (file, Vote::Admit { registration, weight: 600, consensus_key })
}

/// Alice's next consensus key, and what hands it in.
fn rotation() -> (RotationFile, Vote) {
    let next = keys("next").consensus;
    let new = NewValidatorKeys {
        number: 0,
        counter: 1,
        name: "alice",
        consensus: Some(&next),
        transport: None,
    };
    let file = RotationFile::sign(&GENESIS, &new, &recovery()).unwrap();
    let rotation = file.digest();
    (file, Vote::Rotate { validator: 0, counter: 1, rotation })
}

fn registrations(reports: &[Report]) -> Vec<&Registration> {
    let mut all = Vec::new();
    for report in reports {
        if let Report::Registration(registration) = report {
            all.push(&**registration);
        }
    }
    all
}

/// Given an operator that votes to admit somebody, and keeps the registration.
/// When the beacon has heard nothing, then its validator approves in every round, and hands the
/// registration in when it is its turn. When the beacon has both, it says nothing more; once the
/// register has the newcomer's key, the vote is gone.
#[test]
fn a_newcomer_is_handed_in_and_approved_until_it_is_admitted() {
    let mut scene = Scene::new(1);
    let (file, vote) = newcomer();
    file.keep(scene.folder.path()).unwrap();
    scene.vote(vote);
    let registration = file.digest();
    let approval = Report::Approval { registration, weight: Weight(600) };

    let reports = scene.taken(2 * NAMES.len());
    let approvals = reports.iter().filter(|report| **report == approval).count();
    assert_eq!(approvals, 2 * NAMES.len());
    assert_eq!(registrations(&reports), [file.registration(); 2], "each member in its turn");

    scene.known.candidates.insert(registration);
    assert_eq!(registrations(&scene.rounds(NAMES.len())), [] as [&Registration; 0]);
    scene.known.votes.insert(Subject::Admission(registration), Weight(700));
    assert_eq!(scene.rounds(1), [approval], "it has said another weight so far");
    scene.known.votes.insert(Subject::Admission(registration), Weight(600));
    assert_eq!(scene.rounds(NAMES.len()), []);

    assert_eq!(scene.votes(), [vote]);
    let consensus_key = keys("frank").consensus.public_key().digest();
    scene.known.register.insert(5, Registered { consensus_key, rotations: 0 });
    scene.known.votes.clear();
    assert_eq!((scene.rounds(1), scene.votes()), (vec![], vec![]));
}

/// Given a vote whose document is missing in the data folder.
/// Then the vote counts all the same, and the document is handed in once it is there.
#[test]
fn a_vote_counts_without_its_document() {
    let mut scene = Scene::new(1);
    let (file, vote) = newcomer();
    scene.vote(vote);
    let reports = scene.taken(NAMES.len());
    assert_eq!((reports.len(), registrations(&reports).len()), (NAMES.len(), 0));
    file.keep(scene.folder.path()).unwrap();
    assert_eq!(registrations(&scene.taken(NAMES.len())).len(), 1);
}

/// Given the new keys of alice in the hands of bob's operator.
/// When the register counts no rotation of hers, they are handed in; when it counts one, never
/// again. Those of the rotation after that wait until it is their turn.
#[test]
fn new_keys_are_handed_in_until_the_register_counts_them() {
    let mut scene = Scene::new(1);
    let (file, vote) = rotation();
    file.keep(scene.folder.path()).unwrap();
    let Vote::Rotate { validator, rotation, .. } = vote else { panic!("{vote:?}") };
    scene.vote(Vote::Rotate { validator, counter: 2, rotation });
    assert_eq!(scene.rounds(NAMES.len()), []);

    scene.vote(vote);
    let reports = scene.taken(NAMES.len());
    assert_eq!(reports, [Report::Rotation(Box::new(file.rotation().clone()))]);
    scene.known.register.get_mut(&0).unwrap().rotations = 1;
    assert_eq!((scene.rounds(NAMES.len()), scene.votes()), (vec![], vec![]));
}

#[test]
fn leaving_is_said_until_the_beacon_has_heard_it() {
    let mut scene = Scene::new(3);
    scene.vote(Vote::Leave);
    assert_eq!(scene.taken(1), [Report::Leave]);
    scene.known.standing.as_mut().unwrap().is_leaving = true;
    assert_eq!((scene.rounds(1), scene.votes()), (vec![], vec![Vote::Leave]));
    scene.known.register.remove(&3);
    assert_eq!((scene.rounds(1), scene.votes()), (vec![], vec![]));
}

/// Given a node with the present and the next consensus key of its validator.
/// Then it reveals of the chain of whichever key the register has, and with neither nothing.
#[test]
fn the_chain_of_the_registered_key_is_revealed() {
    let mut scene = Scene::new(0);
    let present = scene.known.standing.as_ref().unwrap().anchor;
    let next = rotation().0.rotation().body.anchor.unwrap();
    let both = ["alice", "next"].map(|name| keys(name).consensus).to_vec();
    let reveals = |scene: &mut Scene, keys: &[SigningKey], anchor| {
        scene.duties.reveals = OwnReveals::new(keys.to_vec());
        scene.known.standing.as_mut().unwrap().anchor = anchor;
        let reports = scene.duties.reports(&scene.known);
        reports.into_iter().find_map(|report| match report {
            Report::Reveal(value) => Some(hash_chain_link(&value)),
            _ => None,
        })
    };
    assert_eq!(reveals(&mut scene, &both, present), Some(present));
    assert_eq!(reveals(&mut scene, &both, next), Some(next));
    assert_eq!(reveals(&mut scene, &both[..1], next), None);
}

/// Given five members of the beacon, of which four vote to admit somebody, one has alice's new
/// keys, and one wants to leave.
/// When the beacon executes what they report, then the next epoch has the newcomer with the weight
/// that was voted for, alice's new key and chain, and the leaver no more; and all votes are gone.
#[test]
fn what_is_reported_makes_the_next_epoch() {
    let mut ledger = GENESIS.beacon().unwrap().ledger.clone();
    let mut scenes: Vec<Scene> = (0..5).map(Scene::new).collect();
    let ((file, admit), (rotation, rotate)) = (newcomer(), rotation());
    for scene in &scenes[..4] {
        file.keep(scene.folder.path()).unwrap();
        scene.vote(admit);
    }
    rotation.keep(scenes[1].folder.path()).unwrap();
    scenes[1].vote(rotate);
    scenes[4].vote(Vote::Leave);
    let execute = |ledger: &mut qcn_ledger::Ledger, scenes: &mut [Scene], time_ms| {
        let said: Vec<(ValidatorIndex, Payload)> = scenes
            .iter_mut()
            .map(|scene| {
                scene.duties.tick();
                let reports = Bounded::truncated(scene.duties.reports(&scene.known));
                let own = ValidatorIndex(scene.known.own as u16);
                (own, Payload { reports, ..Payload::default() })
            })
            .collect();
        ledger.execute_commit(said.iter().map(|(author, payload)| (*author, payload)), time_ms);
        let state = ledger.beacon().unwrap();
        for scene in scenes {
            scene.known = Known::from_state(state, scene.known.own);
        }
        said.iter().map(|(_, payload)| payload.reports.len()).sum::<usize>()
    };
    assert!(execute(&mut ledger, &mut scenes, 1) > 0);
    for time_ms in 2..6 {
        execute(&mut ledger, &mut scenes, time_ms);
    }
    assert_eq!(execute(&mut ledger, &mut scenes, 6), 0, "everything is said");
    assert_eq!(scenes[1].votes(), [admit], "the rotation was taken");

    let checkpoint = |shard| {
        let checkpoint = qcn_types::Checkpoint { shard, ..Default::default() };
        let attestations = Bounded::default();
        Report::Checkpoint(qcn_types::Certificate { checkpoint, attestations })
    };
    let reports = Bounded::truncated([ShardId(0), ShardId(1)].map(checkpoint).to_vec());
    let payload = Payload { reports, ..Payload::default() };
    ledger.execute_commit([(ValidatorIndex(0), &payload)], 60_001);
    let state = ledger.beacon().unwrap();
    assert_eq!(state.plan().epoch, Epoch(1));
    let register: Vec<(u32, u64)> = state.register().map(|it| (it.number, it.weight.0)).collect();
    assert_eq!(register, [(0, 1_000), (1, 1_000), (2, 1_000), (3, 1_000), (5, 600)]);
    let alice = &state.validator(0).unwrap().identity;
    assert_eq!(Some(&alice.consensus), rotation.rotation().body.consensus.as_ref());
    assert_eq!(Some(alice.anchor), rotation.rotation().body.anchor);
    // The leaver sees the plan, and no register after it.
    scenes.iter_mut().for_each(|scene| scene.duties.planned(state.plan()));
    assert_eq!((scenes[3].votes(), scenes[4].votes()), (vec![admit], vec![]));
    for scene in &mut scenes {
        scene.known = Known::from_state(state, scene.known.own);
        assert_eq!((scene.rounds(1), scene.votes()), (vec![], vec![]));
    }
}

/// A key that takes over and that the node does not have is missed once; with it nothing is.
#[test]
fn the_next_key_is_missed_where_it_is_not_configured() {
    let mut scene = Scene::new(0);
    let next = keys("next").consensus;
    let digest = next.public_key().digest();
    scene.known.standing.as_mut().unwrap().next_key = Some(digest);
    scene.rounds(1);
    assert_eq!(scene.duties.missing_key, Some(digest));
    scene.duties.reveals = OwnReveals::new(vec![keys("alice").consensus, next]);
    scene.rounds(1);
    assert_eq!(scene.duties.missing_key, None);
}
