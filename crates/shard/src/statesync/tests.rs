use qcn_ledger::GenesisAccount;
use qcn_types::{
    Address, Amount, AuthorSet, Bounded, Certificate, Checkpoint, MAX_MEMBERS, decode, encode,
};

use super::*;

const CHAIN: ChainId = ChainId(Digest([7; 32]));
const OFFERED: Height = Height(40);

#[test]
fn an_index_follows_another_whatever_they_are() {
    assert!(follows(0, 1) && follows(u64::MAX - 1, u64::MAX));
    for (before, index) in [(0, 0), (1, 0), (0, 2), (u64::MAX, 0), (u64::MAX, u64::MAX)] {
        assert!(!follows(before, index), "{before} {index}");
    }
}

fn peer(index: u16) -> ValidatorIndex {
    ValidatorIndex(index)
}

/// A state of more chunks than are asked for at once.
fn ledger() -> Ledger {
    let account = |number: u32| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
        GenesisAccount { address: Address(Digest(bytes)), balance: Amount(1) }
    };
    Ledger::genesis(CHAIN, &(0..20_000).map(account).collect::<Vec<_>>()).unwrap()
}

fn package(ledger: &Ledger) -> Arc<SyncPackage> {
    let checkpoint =
        Checkpoint { height: OFFERED, state_root: ledger.state_root(), ..Checkpoint::default() };
    let schedule = (Bounded::<u16, MAX_MEMBERS>::default(), AuthorSet::EMPTY);
    Arc::new(SyncPackage {
        certificate: Certificate { checkpoint, attestations: Bounded::default() },
        commits: Bounded::default(),
        schedule: decode(&encode(&schedule)).unwrap(),
        plan: Bounded::default(),
    })
}

/// Validator 0 of four, which was just offered a state.
struct Downloader {
    ledger: Ledger,
    sync: StateSync,
    now: Time,
    /// What it asked for and was not answered.
    asked: Vec<(u16, StateRegion)>,
    /// How often it asked for an offer.
    offers_wanted: usize,
    chunks_fetched: usize,
    done: bool,
}

impl Downloader {
    fn new() -> Self {
        let ledger = ledger();
        assert!(ledger.chunk_count() as usize > MAX_CHUNKS_IN_FLIGHT);
        Self::offered(ledger, None)
    }

    fn offered(ledger: Ledger, own: Option<&Ledger>) -> Self {
        let mut sync = StateSync::new(peer(0), 4, CHAIN, Territory::whole(qcn_types::ShardId(0)));
        let now = Time::from_ms(1_000);
        assert_eq!(sync.start(now, Height(1)).len(), PEERS_ASKED);
        let package = package(&ledger);
        assert!(sync.wants(&package, Height(1)));
        let progress = sync.begin(now, package, own, Height(1));
        let (asked, offers_wanted, chunks_fetched, done) = (Vec::new(), 0, 0, false);
        let mut downloader = Self { ledger, sync, now, asked, offers_wanted, chunks_fetched, done };
        downloader.goes_on(progress);
        downloader
    }

    /// A download of which several peers were asked for something: the first chunk has come.
    fn under_way() -> Self {
        let mut downloader = Self::new();
        let (from, region) = downloader.asked.remove(0);
        assert!(!downloader.answers(from, region));
        downloader
    }

    fn note(&mut self, requests: Requests) {
        for (to, message) in requests {
            match message {
                Message::ChunkRequest { height, region } => {
                    assert_eq!(height, OFFERED);
                    self.asked.push((to.0, region));
                }
                Message::SyncRequest { above: Height(1) } => self.offers_wanted += 1,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Notes what it says; says whether it calls somebody a liar.
    fn goes_on(&mut self, progress: Progress) -> bool {
        let mut calls_a_liar = false;
        for output in progress.outputs {
            match output {
                Output::Send { to, message } => self.note(vec![(to, message)]),
                Output::Event(Event::LyingSyncer(_)) => calls_a_liar = true,
                other => panic!("{other:?}"),
            }
        }
        if let Some((_, ledger)) = progress.done {
            assert_eq!(ledger.state_root(), self.ledger.state_root());
            self.done = true;
        }
        calls_a_liar
    }

    /// A peer sends the chunk of a region as that of another; says whether that is called a lie.
    fn sends(&mut self, from: u16, region: StateRegion, content: StateRegion) -> bool {
        let chunk = Arc::new(self.ledger.chunk_in(&content).unwrap());
        let answer = Message::Chunk { height: OFFERED, region, chunk };
        self.chunks_fetched += 1;
        let progress = self.sync.answered(self.now, peer(from), &answer, Height(1));
        self.goes_on(progress)
    }

    fn answers(&mut self, from: u16, region: StateRegion) -> bool {
        self.sends(from, region, region)
    }

    fn is_gone_at(&mut self, from: u16) {
        let answer = Message::ChunkGone { height: OFFERED };
        let progress = self.sync.answered(self.now, peer(from), &answer, Height(1));
        self.goes_on(progress);
    }

    fn tick(&mut self) {
        let requests = self.sync.tick(self.now, Height(1));
        self.note(requests);
    }

    /// These peers answer what they were asked until there is nothing left.
    fn are_served_by(&mut self, peers: &[u16]) {
        while let Some(at) = self.asked.iter().position(|(to, _)| peers.contains(to)) {
            let (from, region) = self.asked.remove(at);
            assert!(!self.answers(from, region));
        }
    }

    fn asked_of(&self, peer: u16) -> Option<StateRegion> {
        self.asked.iter().find(|(to, _)| *to == peer).map(|(_, region)| *region)
    }
}

/// From the root alone: one peer is asked for the first chunk, and all for what lies beside it.
#[test]
fn a_state_is_fetched_from_all_peers() {
    let mut downloader = Downloader::new();
    assert_eq!(downloader.asked.len(), 1);
    let mut asked = BTreeSet::new();
    while !downloader.asked.is_empty() {
        let (from, region) = downloader.asked.remove(0);
        asked.insert(from);
        assert!(!downloader.answers(from, region));
        assert!(downloader.asked.len() <= MAX_CHUNKS_IN_FLIGHT);
    }
    assert_eq!(asked, BTreeSet::from([1, 2, 3]));
    assert!(downloader.done);
    assert_eq!(downloader.chunks_fetched, downloader.ledger.chunk_count() as usize);
}

/// Whoever has the state already asks nobody for anything.
#[test]
fn a_state_that_is_at_hand_is_not_fetched() {
    let downloader = Downloader::offered(ledger(), Some(&ledger()));
    assert!(downloader.done && downloader.asked.is_empty());
    assert_eq!(downloader.sync.deadline(), None);
}

/// What has come of a state that all have dropped is not fetched again with the next.
#[test]
fn what_came_of_a_dropped_state_is_kept() {
    let mut downloader = Downloader::new();
    let all = downloader.ledger.chunk_count() as usize;
    while downloader.chunks_fetched < all / 2 {
        let (from, region) = downloader.asked.remove(0);
        downloader.answers(from, region);
    }
    downloader.tick();
    (1..=3).for_each(|from| downloader.is_gone_at(from));
    assert_eq!(downloader.offers_wanted, PEERS_ASKED);
    downloader.asked.clear();
    downloader.chunks_fetched = 0;
    let package = package(&downloader.ledger);
    let progress = downloader.sync.begin(downloader.now, package, None, Height(1));
    downloader.goes_on(progress);
    downloader.are_served_by(&[1, 2, 3]);
    assert!(downloader.done);
    assert!(downloader.chunks_fetched < all * 3 / 4, "{} of {all}", downloader.chunks_fetched);
}

/// Who was not asked for a region can neither complete it, nor call the state gone, nor put off
/// that others are asked.
///
/// Given a download from peers 1 and 2, of which 3 was asked for something as well.
/// When 3 sends valid chunks under the names of other regions and again and again, and says that
/// the state is gone,
/// then it is called a liar for the region that it was asked for, and the others' answers still
/// complete the state.
#[test]
fn who_was_not_asked_stops_no_download() {
    let mut downloader = Downloader::under_way();
    let region = downloader.asked_of(3).unwrap();
    let others: Vec<StateRegion> =
        downloader.asked.iter().filter(|(to, _)| *to != 3).map(|(_, region)| *region).collect();
    for other in others {
        assert!(!downloader.sends(3, other, region), "nobody asked it for {other:?}");
    }
    assert!(!downloader.answers(3, region), "this one it was asked for");
    downloader.asked.retain(|asked| *asked != (3, region));
    let next = downloader.asked_of(3).unwrap();
    assert!(downloader.sends(3, next, region), "which lies elsewhere");
    downloader.is_gone_at(3);
    assert_eq!(downloader.offers_wanted, 0);
    downloader.are_served_by(&[1, 2]);
    // What 3 had been asked for before goes to the others in time.
    downloader.now = downloader.now.plus_us(PATIENCE_US);
    downloader.tick();
    downloader.are_served_by(&[1, 2]);
    assert!(downloader.done);
}

/// Duplicates do not put off that silent peers' regions are asked from others.
#[test]
fn a_duplicate_is_no_progress() {
    let mut downloader = Downloader::under_way();
    let (from, region) = downloader.asked.remove(0);
    assert!(!downloader.answers(from, region));
    let deadline = downloader.sync.deadline();
    for _ in 0..5 {
        downloader.now = downloader.now.plus_us(PATIENCE_US / 8);
        assert!(!downloader.answers(from, region));
    }
    assert_eq!(downloader.sync.deadline(), deadline);
}

/// A state that some peers do not keep any more comes from the others; one that nobody keeps is
/// given up for another.
#[test]
fn only_a_state_that_all_have_dropped_is_given_up() {
    let mut downloader = Downloader::under_way();
    downloader.is_gone_at(2);
    downloader.asked.retain(|(to, _)| *to != 2);
    downloader.is_gone_at(3);
    downloader.asked.retain(|(to, _)| *to != 3);
    assert_eq!(downloader.offers_wanted, 0);
    assert!(downloader.asked.iter().all(|(to, _)| *to == 1));
    let mut given_up = Downloader::under_way();
    (1..=3).for_each(|from| given_up.is_gone_at(from));
    assert_eq!(given_up.offers_wanted, PEERS_ASKED);
    downloader.are_served_by(&[1]);
    assert!(downloader.done);
}
