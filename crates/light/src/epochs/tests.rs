use qcn_crypto::Digest;
use qcn_types::{
    Bounded, Certificate, CertificateError, Checkpoint, Height, Layout, PlannedCommittee,
    PlannedValidator, Resharding, Weight,
};

use super::*;
use crate::testing::{CHAIN, author, certificate_by, digest, public_key};
use crate::verify_certificate;

const OTHER_CHAIN: ChainId = ChainId(Digest([8; 32]));

/// A network whose validators have the keys of their numbers.
struct Network {
    plans: Vec<EpochPlan>,
    announcements: Vec<Announcement>,
}

impl Network {
    /// Epoch 0: validators 0 to 3 serve shards 0 and 1.
    fn new() -> Self {
        let plan = EpochPlan {
            epoch: Epoch(0),
            seed: digest("seed"),
            layout: Layout::even(2).unwrap(),
            reshardings: Bounded::default(),
            heirs: Bounded::default(),
            validators: validators(&[0, 1, 2, 3]),
            committees: Bounded::default(),
        };
        Self { plans: vec![with_committees(plan)], announcements: Vec::new() }
    }

    /// The next epoch, with these validators and changes of the layout, as the beacon certifies it.
    fn announce(&mut self, numbers: &[u32], reshardings: &[Resharding]) {
        let before = self.last();
        let (layout, heirs) = before.reshard(reshardings).unwrap();
        let plan = EpochPlan {
            epoch: Epoch(before.epoch.0 + 1),
            seed: digest("another seed"),
            layout,
            reshardings: Bounded::truncated(reshardings.to_vec()),
            heirs: Bounded::truncated(heirs),
            validators: validators(numbers),
            committees: Bounded::default(),
        };
        let plan = with_committees(plan);
        let announcement = announcement(CHAIN, before, before.epoch, plan.clone());
        self.announcements.push(announcement);
        self.plans.push(plan);
    }

    fn last(&self) -> &EpochPlan {
        self.plans.last().unwrap()
    }

    /// Validators come and go, shard 0 splits off shard 2, and is merged with it again.
    fn of_four_epochs() -> Self {
        let [s0, s2] = [0, 2].map(ShardId);
        let mut network = Self::new();
        network.announce(&[1, 2, 3, 4], &[]);
        network.announce(&[2, 3, 4, 5], &[Resharding::Split { shard: s0, new: s2 }]);
        network.announce(&[3, 4, 5, 6], &[Resharding::Merge { into: s0, closed: s2 }]);
        network
    }

    fn chain(&self) -> EpochChain {
        EpochChain::new(CHAIN, Arc::new(self.plans[0].clone())).unwrap()
    }

    fn followed(&self) -> EpochChain {
        let mut chain = self.chain();
        for announcement in &self.announcements {
            chain.follow(announcement).unwrap();
        }
        chain
    }

    /// A checkpoint of a shard, certified by everybody who serves it in an epoch.
    fn certified(&self, shard: u32, epoch: u64) -> Certificate {
        let checkpoint = Checkpoint {
            shard: ShardId(shard),
            epoch: Epoch(epoch),
            height: Height(5),
            ..Checkpoint::default()
        };
        certificate_by(CHAIN, &signers(&self.plans[epoch as usize]), checkpoint)
    }
}

fn validators(numbers: &[u32]) -> Bounded<PlannedValidator, 512> {
    let validator = |number: &u32| PlannedValidator {
        number: *number,
        key: public_key(*number as usize),
        weight: Weight(1),
    };
    Bounded::truncated(numbers.iter().map(validator).collect())
}

/// Everybody serves everywhere.
fn with_committees(plan: EpochPlan) -> EpochPlan {
    let seats: Vec<u16> = (0..plan.validators.len() as u16).collect();
    let committee =
        |shard: ShardId| PlannedCommittee { shard, seats: Bounded::truncated(seats.clone()) };
    let committees = plan.layout.shards().iter().map(|(_, shard)| committee(*shard)).collect();
    EpochPlan { committees: Bounded::truncated(committees), ..plan }
}

/// The members of all committees of a plan, and the keys that they have.
fn signers(plan: &EpochPlan) -> Vec<(u16, usize)> {
    (0..).zip(plan.validators.iter().map(|validator| validator.number as usize)).collect()
}

/// What the validators of `before` say at the end of `epoch`.
fn announcement(chain: ChainId, before: &EpochPlan, epoch: Epoch, plan: EpochPlan) -> Announcement {
    let last = Checkpoint {
        shard: BEACON,
        epoch,
        height: Height(10 * (epoch.0 + 1)),
        next_epoch: plan.digest(),
        ..Checkpoint::default()
    };
    Announcement { certificate: certificate_by(chain, &signers(before), last), plan }
}

/// Given epochs in which validators come and go, and a shard splits and merges,
/// when the announcements are followed from the plan of the genesis,
/// then what the committees of every epoch certify is valid with the keys that come out, and with
/// those of no other epoch.
#[test]
fn committees_of_all_epochs_follow_from_the_first() {
    let network = Network::of_four_epochs();
    let chain = network.followed();
    assert_eq!((chain.newest(), chain.followed()), (Epoch(3), 3));
    for (shard, epoch) in [(0, 0), (1, 0), (0, 1), (1, 2), (2, 2), (0, 3), (BEACON.0, 3)] {
        let certificate = network.certified(shard, epoch);
        let keys = chain.keys(ShardId(shard), Epoch(epoch)).unwrap();
        assert_eq!(verify_certificate(&certificate, &keys), Ok(()), "shard {shard}, {epoch}");
        let other = chain.keys(ShardId(0), Epoch((epoch + 1) % 4)).unwrap();
        let refused = verify_certificate(&certificate, &other);
        assert_eq!(refused, Err(CertificateError::ForeignCheckpoint));
    }
    let known: Vec<_> = chain.committees().map(|(shard, epoch)| (shard.0, epoch.0)).collect();
    assert_eq!(known[..4], [(BEACON.0, 3), (0, 3), (1, 3), (BEACON.0, 2)]);
    assert_eq!(known.len(), 3 + 3 + 4 + 3);
}

#[test]
fn heirs_act_for_the_shards_that_they_absorbed() {
    let chain = Network::of_four_epochs().followed();
    let [s0, s1, s2] = [0, 1, 2].map(ShardId);
    let acts = |shard, epoch| chain.keys(shard, Epoch(epoch)).unwrap().acts_for(s2);
    assert!(acts(s2, 2) && acts(s0, 3));
    assert!(!acts(s0, 2) && !acts(s1, 3));
    for epoch in [1, 3] {
        let refused = chain.keys(s2, Epoch(epoch)).unwrap_err();
        let error = PlanError::NoCommittee(s2);
        assert_eq!(refused, EpochError::Plan { epoch: Epoch(epoch), error });
    }
}

#[test]
fn an_epoch_that_is_not_announced_is_not_known() {
    let network = Network::of_four_epochs();
    let chain = network.chain();
    assert!(chain.keys(ShardId(0), Epoch(0)).is_ok());
    let refused = chain.keys(ShardId(0), Epoch(1)).unwrap_err();
    assert_eq!(refused, EpochError::NotAnnounced { epoch: Epoch(1), newest: Epoch(0) });
    assert!(refused.to_string().contains("add the beacon's announcements"), "{refused}");
    // Whoever trusts a later plan needs fewer announcements, and knows nothing of before.
    let mut later = EpochChain::new(CHAIN, Arc::new(network.plans[2].clone())).unwrap();
    later.follow(&network.announcements[2]).unwrap();
    assert!(later.keys(ShardId(0), Epoch(3)).is_ok());
    let refused = later.keys(ShardId(0), Epoch(1)).unwrap_err();
    assert_eq!(refused, EpochError::TooOld { epoch: Epoch(1), first: Epoch(2) });
}

#[test]
fn announcements_are_followed_one_by_one() {
    let network = Network::of_four_epochs();
    let [first, second, third] = &network.announcements[..] else { panic!() };
    let mut chain = network.chain();
    let skipped = |expected: u64, given: u64| {
        let (expected, given) = (Epoch(expected), Epoch(given));
        Err(EpochError::Skipped { expected, given })
    };
    assert_eq!(chain.follow(second), skipped(1, 2));
    chain.follow(first).unwrap();
    assert_eq!(chain.follow(third), skipped(2, 3));
    assert_eq!(chain.follow(first), Err(EpochError::Repeated(Epoch(1))));
    chain.follow(second).unwrap();
    assert_eq!((chain.newest(), chain.followed()), (Epoch(2), 2));
}

/// Announcements that the beacon of the epoch before did not certify.
#[test]
fn what_the_beacon_did_not_announce_is_refused() {
    let network = Network::of_four_epochs();
    let [zeroth, first, second, _] = &network.plans[..] else { panic!() };
    let of = |chain, before, epoch, plan: &EpochPlan| {
        announcement(chain, before, Epoch(epoch), plan.clone())
    };
    let wrong_signature = |at: u16| CertificateError::WrongSignature { author: author(at) };
    let other_plan = EpochPlan { seed: digest("mine"), ..first.clone() };
    let swapped = Announcement { plan: other_plan, ..network.announcements[0].clone() };
    let mut alone = network.announcements[0].clone();
    alone.certificate.attestations = Bounded::truncated(alone.certificate.attestations[..2].into());
    let mut of_a_shard = network.announcements[0].clone();
    of_a_shard.certificate.checkpoint.shard = ShardId(0);
    let cases: [(&str, Announcement, AnnouncementError); 6] = [
        ("another chain", of(OTHER_CHAIN, zeroth, 0, first), wrong_signature(0).into()),
        ("a later committee", of(CHAIN, second, 0, first), wrong_signature(0).into()),
        ("a later epoch", of(CHAIN, second, 2, first), AnnouncementError::OtherEpoch),
        ("a plan that is not named", swapped, AnnouncementError::OtherPlan),
        ("no quorum", alone, CertificateError::NoQuorum { weight: 2, quorum: 3 }.into()),
        ("a shard", of_a_shard, AnnouncementError::OtherEpoch),
    ];
    for (what, announcement, error) in cases {
        let mut chain = network.chain();
        let expected = EpochError::Announcement { epoch: Epoch(1), error };
        assert_eq!(chain.follow(&announcement), Err(expected), "{what}");
        assert_eq!(chain.newest(), Epoch(0), "{what}");
    }
    // The committee of the first epoch has no say once others serve.
    let mut chain = network.chain();
    chain.follow(&network.announcements[0]).unwrap();
    let error = wrong_signature(0).into();
    let expected = EpochError::Announcement { epoch: Epoch(2), error };
    assert_eq!(chain.follow(&of(CHAIN, zeroth, 1, second)), Err(expected));
}

#[test]
fn a_plan_that_nobody_can_serve_is_refused() {
    let mut network = Network::new();
    network.announce(&[0, 1, 2], &[]);
    let mut plan = network.plans[1].clone();
    plan.validators = Bounded::default();
    let nobody = announcement(CHAIN, &network.plans[0], Epoch(0), plan);
    let mut chain = network.chain();
    assert!(matches!(chain.follow(&nobody), Err(EpochError::Plan { .. })));
    assert!(chain.follow(&network.announcements[0]).is_ok(), "it was left as it was");
}
