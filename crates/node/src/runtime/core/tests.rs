//! The core with a log and a transport of its own, driven by hand.

use qcn_consensus::Config;
use qcn_crypto::{Digest, Scheme};
use qcn_ledger::Territory;
use qcn_shard::{Message, Shard, ShardConfig, Start};
use qcn_types::{Bounded, Evidence, Height, Round, ShardId};
use tokio::runtime::Runtime;
use tokio::sync::broadcast::Receiver;

use super::super::archive_writer::ArchiveWriter;
use super::super::inbox::inbox;
use super::super::seats::Seats;
use super::*;
use crate::archive::{Archive, Retention};
use crate::defects::Defects;
use crate::storage::{BlockLog, StoreIdentity};
use crate::testing::{
    CHAIN, HISTORY, TestFolder, bare_body, equivocation, sign_block, validator_key,
};
use crate::transport::{Count, KnownValidator, Limits, Transport, TransportConfig, WaitingPlace};
use crate::view::Notice;

const OWN: ValidatorIndex = ValidatorIndex(0);

/// A core of the first of four validators, whose log reports to nobody.
struct Bench {
    core: Core,
    archive: Archive,
    notices: Receiver<Notice>,
    inbox: Inbox,
    _runtime: Runtime,
    _folder: TestFolder,
}

impl Bench {
    fn new() -> Self {
        let folder = TestFolder::new();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let keys = HISTORY.keys.clone();
        let identity = StoreIdentity::of(&keys, OWN).unwrap();
        let log = folder.path().join("log");
        let territory = Territory::whole(keys.committee().shard());
        BlockLog::initialise(&log, &identity).unwrap();
        let opened = BlockLog::open(&log, &identity, &keys, &territory, OWN).unwrap();
        let archive = Archive::open(&folder.path().join("archive"), Retention::ALL).unwrap();
        let (view, _submissions) = View::new(keys.clone(), OWN);
        let metrics = Metrics::new();
        let writer =
            ArchiveWriter::spawn(archive.clone(), metrics.clone(), Defects::default()).unwrap();
        let shard = Shard::new(
            now(),
            ShardConfig {
                keys: keys.clone(),
                territory,
                own: OWN,
                seed: Digest([9; 32]),
                consensus: Config::default(),
                accounts: Arc::from([]),
                opening: None,
                snapshot_interval: 1,
                nonce: 5,
                replays_events: true,
            },
            Start::Fresh,
        );
        let (transport, _) = runtime.block_on(Transport::start(transport_config())).unwrap();
        let (post, inbox) = inbox();
        let notices = view.subscribe();
        let core = Core::new(Parts {
            machine: Machine::new(shard.unwrap(), None),
            keys,
            signing: validator_key(OWN.0),
            log: LogWriter::spawn(opened.log, |_| {}),
            mesh: Mesh::new(transport, Seats::all(ShardId(0), 4)),
            history: History::new(writer, view.clone(), metrics.clone(), None),
            view,
            metrics,
            post,
        });
        Self { core, archive, notices, inbox, _runtime: runtime, _folder: folder }
    }

    /// Has it sign its first block, up to where the log is to say that the block is durable.
    fn propose(&mut self) -> Ticket {
        self.core.drain();
        self.core.hand_in(Input::Tick);
        while let Some(input) = self.core.follow_up.pop_front() {
            self.core.hand_in(input);
        }
        let (ticket, _) = self.core.barrier.expect("the block is to be durable");
        ticket
    }

    fn told(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.notices.try_recv().ok()).collect()
    }
}

fn transport_config() -> TransportConfig {
    let key = |seed: u8| SigningKey::from_seed(Scheme::MlDsa65, &[seed; 32]).unwrap();
    let validators = (0..4_u8).map(|index| KnownValidator {
        index: ValidatorIndex(index.into()),
        name: format!("validator-{index}"),
        key: key(index).public_key().clone(),
        address: None,
    });
    TransportConfig {
        chain: CHAIN,
        own: OWN,
        key: key(0),
        listen: "127.0.0.1:0".parse().unwrap(),
        advertise: None,
        validators: validators.collect(),
        seeds: Vec::new(),
        clients: None,
        limits: Limits::default(),
        defects: Defects::default(),
    }
}

/// What is told to clients waits for the disk as what is sent to validators does.
///
/// Given a validator that signs its first block, and a log that does not say that it is durable.
/// When the block has entered the DAG,
/// then no subscriber and no archive has heard of it; and once it is durable, both have.
#[test]
fn an_own_block_is_told_to_nobody_before_it_is_durable() {
    let mut bench = Bench::new();
    let ticket = bench.propose();
    let own = bench.core.parts.machine.shard().consensus().dag().layer(Round(1)).unwrap();
    let own = own.first(OWN).expect("it has proposed").reference;
    assert!(bench.told().is_empty(), "subscribers know a block that no disk has");

    bench.core.log_says(LogEvent::Durable(ticket));
    let told = bench.told();
    let is_own = |notice: &Notice| matches!(notice, Notice::Block { block, .. } if *block == own);
    assert!(told.iter().any(is_own), "{told:?}");
    let Bench { core, archive, .. } = bench;
    core.parts.history.close();
    assert!(archive.block(&own.digest).unwrap().is_some());
}

/// What waits for the disk when the log fails is never told.
#[test]
fn a_failed_log_keeps_the_own_block_untold() {
    let mut bench = Bench::new();
    let ticket = bench.propose();
    bench.core.log_says(LogEvent::Failed(crate::storage::StorageError::Stopped));
    bench.core.log_says(LogEvent::Durable(ticket));
    assert!(bench.told().is_empty());
    assert!(bench.core.parts.view.status().stopped.is_some());
}

/// Messages that are dropped while the disk lags are counted, and none is once it has caught up.
///
/// Given a validator whose first block is not durable, and as many outputs waiting for that as
/// may. When peers' messages come, then each is dropped and counted; and once the block is durable,
/// the next is not.
#[test]
fn messages_that_are_dropped_for_the_disk_are_counted() {
    let mut bench = Bench::new();
    let share = Arc::new(tokio::sync::Semaphore::new(1));
    let message = || Happening::Message {
        from: ValidatorIndex(1),
        message: Message::SyncRequest { above: Height(0) },
        place: WaitingPlace::new(share.clone().try_acquire_owned().expect("it is given back")),
    };
    let ticket = bench.propose();
    bench.core.happen(message());
    while bench.core.held.len() < MAX_HELD_OUTPUTS {
        bench.core.held.push_back(Held::Output(Output::Wake(Time(0))));
    }
    let dropped =
        |bench: &Bench| bench.core.parts.mesh.transport().counters().get(Count::MessageDropped);
    assert_eq!(dropped(&bench), 0);
    for _ in 0..3 {
        bench.core.happen(message());
    }
    assert_eq!((dropped(&bench), bench.core.held.len()), (3, MAX_HELD_OUTPUTS));

    bench.core.log_says(LogEvent::Durable(ticket));
    bench.core.happen(message());
    assert_eq!((dropped(&bench), share.available_permits()), (3, 1));
}

/// A clock that is set back stops the node with a word instead of silencing it for as long.
#[test]
fn a_clock_that_goes_back_stops_the_node_with_a_reason() {
    let mut bench = Bench::new();
    bench.core.watch_clock();
    assert_eq!(bench.core.stopped, None);
    bench.core.latest = now().plus_ms(1_000);
    bench.core.watch_clock();
    assert_eq!(bench.core.stopped, None, "a second is no step");
    bench.core.latest = now().plus_ms(3_600_000);
    bench.core.watch_clock();
    let reason = bench.core.stopped.clone().expect("it stops");
    assert!(reason.contains("set back by 3600"), "{reason}");
    assert_eq!(bench.core.parts.view.status().stopped, Some(reason));
}

/// A core that ends by a defect does not leave a node that looks well.
#[test]
fn a_core_that_panics_is_seen_to_have_stopped() {
    let bench = Bench::new();
    let view = bench.core.parts.view.clone();
    let broken = || -> () { panic!("height {}", Height(7)) };
    super::super::instance::watched(&view, broken);
    let reason = view.status().stopped.expect("it has stopped");
    assert!(reason.contains("height 7") && reason.contains("report"), "{reason}");
    drop(bench.inbox);
}

/// A block may carry accusations against anybody; only what proves a fault is kept, and of each
/// accused once.
#[test]
fn accusations_that_prove_nothing_are_not_archived() {
    let mut bench = Bench::new();
    let once = sign_block(2, bare_body(2, 1));
    let proof = equivocation(3);
    let mut carrier = bare_body(1, 3);
    let said = vec![Evidence::equivocation(&once, &once), proof.clone(), proof.clone()];
    carrier.payload.evidence = Bounded::truncated(said);
    let carrier = HISTORY.keys.verify_block(sign_block(1, carrier)).unwrap();
    assert_eq!(bench.core.parts.history.proven_in(std::slice::from_ref(&carrier)), [proof]);
    assert!(bench.core.parts.history.proven_in(&[carrier]).is_empty(), "it is known");
}
