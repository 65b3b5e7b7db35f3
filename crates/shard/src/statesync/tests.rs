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

fn package(ledger: &Ledger, chunks: u32) -> Arc<SyncPackage> {
    let checkpoint =
        Checkpoint { height: OFFERED, state_root: ledger.state_root(), ..Checkpoint::default() };
    let schedule = (Bounded::<u16, MAX_MEMBERS>::default(), AuthorSet::EMPTY);
    Arc::new(SyncPackage {
        certificate: Certificate { checkpoint, attestations: Bounded::default() },
        commits: Bounded::default(),
        schedule: decode(&encode(&schedule)).unwrap(),
        chunks,
        plan: Bounded::default(),
    })
}

/// Validator 0 of four, which was just offered a state.
struct Downloader {
    ledger: Ledger,
    sync: StateSync,
    now: Time,
    /// What it asked for and was not answered.
    asked: Vec<(u16, u32)>,
    /// How often it asked for an offer.
    offers_wanted: usize,
    done: bool,
}

impl Downloader {
    fn new() -> Self {
        let ledger = ledger();
        let chunks = ledger.chunk_count();
        assert!(chunks as usize > MAX_CHUNKS_IN_FLIGHT, "{chunks}");
        Self::offered(ledger, chunks)
    }

    fn offered(ledger: Ledger, chunks: u32) -> Self {
        let mut sync = StateSync::new(peer(0), 4, CHAIN, Territory::whole(qcn_types::ShardId(0)));
        let now = Time::from_ms(1_000);
        assert_eq!(sync.start(now, Height(1)).len(), PEERS_ASKED);
        let package = package(&ledger, chunks);
        assert!(sync.wants(&package, Height(1)));
        let requests = sync.begin(now, peer(1), package);
        let mut downloader =
            Self { ledger, sync, now, asked: Vec::new(), offers_wanted: 0, done: false };
        downloader.note(requests);
        downloader
    }

    fn note(&mut self, requests: Requests) {
        for (to, message) in requests {
            match message {
                Message::ChunkRequest { height, index } => {
                    assert_eq!(height, OFFERED);
                    self.asked.push((to.0, index));
                }
                Message::SyncRequest { above: Height(1) } => self.offers_wanted += 1,
                other => panic!("{other:?}"),
            }
        }
    }

    /// A peer sends the chunk of one index as that of another; says whether that is called a lie.
    fn sends(&mut self, from: u16, index: u32, content: u32) -> bool {
        let chunk = self.ledger.chunk(content).unwrap();
        match self.sync.chunk(self.now, peer(from), OFFERED, &chunk, index, Height(1)) {
            ChunkResult::More(requests) => {
                self.note(requests);
                false
            }
            ChunkResult::Lie(requests) => {
                self.note(requests);
                true
            }
            ChunkResult::Complete(_, ledger) => {
                assert_eq!(ledger.state_root(), self.ledger.state_root());
                self.done = true;
                false
            }
        }
    }

    fn is_gone_at(&mut self, from: u16) {
        let requests = self.sync.gone(self.now, peer(from), OFFERED, Height(1));
        self.note(requests);
    }

    fn tick(&mut self) {
        let requests = self.sync.tick(self.now, Height(1));
        self.note(requests);
    }

    /// These peers answer what they were asked until there is nothing left.
    fn are_served_by(&mut self, peers: &[u16]) {
        while let Some(at) = self.asked.iter().position(|(to, _)| peers.contains(to)) {
            let (from, index) = self.asked.remove(at);
            if index < self.ledger.chunk_count() {
                assert!(!self.sends(from, index, index));
            }
        }
    }
}

#[test]
fn a_state_is_fetched_from_all_peers() {
    let mut downloader = Downloader::new();
    assert_eq!(downloader.asked.len(), MAX_CHUNKS_IN_FLIGHT);
    let asked: BTreeSet<u16> = downloader.asked.iter().map(|(to, _)| *to).collect();
    assert_eq!(asked, BTreeSet::from([1, 2, 3]));
    downloader.are_served_by(&[1, 2, 3]);
    assert!(downloader.done);
}

/// Who was not asked for a chunk can neither complete it, nor call the state gone, nor put off that
/// others are asked.
///
/// Given a download from peers 1 and 2, of which 3 was asked for something as well.
/// When 3 sends valid chunks under the numbers of others and again and again, and says that the
/// state is gone,
/// then it is called a liar for the chunk that it was asked for, and the others' answers still
/// complete the state.
#[test]
fn who_was_not_asked_stops_no_download() {
    let mut downloader = Downloader::new();
    let of_third = |asked: &[(u16, u32)]| asked.iter().find(|(to, _)| *to == 3).copied();
    let (_, index) = of_third(&downloader.asked).unwrap();
    let chunks = downloader.ledger.chunk_count();
    for other in (0..chunks).filter(|other| *other != index) {
        let is_its_own = downloader.asked.contains(&(3, other));
        if !is_its_own {
            assert!(!downloader.sends(3, other, index), "nobody asked it for {other}");
        }
    }
    assert!(!downloader.sends(3, index, index), "this one it was asked for");
    downloader.asked.retain(|asked| *asked != (3, index));
    let (_, next) = of_third(&downloader.asked).unwrap();
    assert!(downloader.sends(3, next, index), "which is there already");
    downloader.is_gone_at(3);
    assert_eq!(downloader.offers_wanted, 0);
    downloader.are_served_by(&[1, 2]);
    // What 3 had been asked for before goes to the others in time.
    downloader.now = downloader.now.plus_us(PATIENCE_US);
    downloader.tick();
    downloader.are_served_by(&[1, 2]);
    assert!(downloader.done);
}

/// Duplicates do not put off that silent peers' chunks are asked from others.
#[test]
fn a_duplicate_is_no_progress() {
    let mut downloader = Downloader::new();
    let (from, index) = downloader.asked.remove(0);
    assert!(!downloader.sends(from, index, index));
    let deadline = downloader.sync.deadline();
    for _ in 0..5 {
        downloader.now = downloader.now.plus_us(PATIENCE_US / 8);
        assert!(!downloader.sends(from, index, index));
    }
    assert_eq!(downloader.sync.deadline(), deadline);
}

/// A state that some peers do not keep any more comes from the others; one that nobody keeps is
/// given up for another.
#[test]
fn only_a_state_that_all_have_dropped_is_given_up() {
    let mut downloader = Downloader::new();
    downloader.is_gone_at(2);
    downloader.asked.retain(|(to, _)| *to != 2);
    downloader.is_gone_at(3);
    downloader.asked.retain(|(to, _)| *to != 3);
    assert_eq!(downloader.offers_wanted, 0);
    assert!(downloader.asked.iter().all(|(to, _)| *to == 1));
    let mut given_up = Downloader::new();
    (1..=3).for_each(|from| given_up.is_gone_at(from));
    assert_eq!(given_up.offers_wanted, PEERS_ASKED);
    downloader.are_served_by(&[1]);
    assert!(downloader.done);
}

/// An offer that names too few chunks costs no time.
#[test]
fn an_offer_of_too_few_chunks_is_given_up_at_once() {
    let ledger = ledger();
    let chunks = ledger.chunk_count();
    let mut downloader = Downloader::offered(ledger, chunks - 1);
    downloader.are_served_by(&[1, 2, 3]);
    assert!(!downloader.done);
    assert_eq!(downloader.offers_wanted, PEERS_ASKED);
    // Else it could offer the same again before others have answered, for ever.
    assert!(downloader.sync.is_liar(peer(1)));
    assert!(!downloader.sync.is_liar(peer(2)));
}
