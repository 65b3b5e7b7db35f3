//! One seat of the validator: a core with its machine, log, history and view.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use qcn_crypto::{Digest, SigningKey};
use qcn_ledger::{GenesisAccount, Territory};
use qcn_shard::{Closed, Opening, Record, Shard, ShardConfig, Start};
use qcn_types::{CommitteeKeys, Epoch, ShardId, ValidatorIndex};
use tokio::sync::mpsc;

use super::archive_writer::ArchiveWriter;
use super::core::{Core, Parts};
use super::envelope::Station;
use super::epochs::{Teller, Told};
use super::folders::{archive_folder, log_folder};
use super::history::History;
use super::inbox::{Happening, Inbox, Post, inbox};
use super::machine::{Machine, Meddler};
use super::seats::{Mesh, Seats};
use super::stage::Hosted as OnStage;
use super::submissions::{SubmissionCheck, take_in_submissions};
use super::{NodeError, archive_folder as folders, core};
use crate::api::{Hosted, Metrics};
use crate::archive::{Archive, Retention};
use crate::config::NodeConfig;
use crate::defects::{Defects, NeededTasks, reason};
use crate::genesis::{Genesis, GenesisShard};
use crate::storage::{BlockLog, LogWriter, Opened, StorageError, StoreIdentity};
use crate::transport::Transport;
use crate::view::{NodeStatus, Submission, View};

/// How often a stop that takes long says what it waits for.
const STOP_NOTICE: Duration = Duration::from_secs(2);

/// What an instance is of, and where it keeps what it must not lose.
pub(super) struct Place {
    pub(super) seats: Seats,
    /// The own seat.
    pub(super) own: ValidatorIndex,
    pub(super) keys: CommitteeKeys,
    pub(super) territory: Territory,
    /// For the draw of leaders.
    pub(super) seed: Digest,
    /// The balances at genesis, in the first epoch.
    pub(super) accounts: Arc<[GenesisAccount]>,
    /// What the epoch begins with, if it is not the first of a shard of accounts.
    pub(super) opening: Option<Opening>,
    /// Where its log lies.
    pub(super) log: PathBuf,
}

impl Place {
    /// A shard in the only epoch of a network without epochs.
    pub(super) fn of_genesis(
        genesis: &Genesis,
        data: &Path,
        shard: &GenesisShard,
        keys: &CommitteeKeys,
        own: ValidatorIndex,
    ) -> Self {
        let layout = Arc::clone(genesis.layout());
        Self {
            seats: Seats::of(shard),
            own,
            keys: keys.clone(),
            territory: Territory::new(layout, shard.id).expect("the shard is one of the layout's"),
            seed: genesis.seed(),
            accounts: Arc::clone(&shard.accounts),
            opening: None,
            log: log_folder(genesis, data, Station { shard: shard.id, epoch: Epoch(0) }),
        }
    }

    pub(super) fn identity(&self) -> Result<StoreIdentity, StorageError> {
        StoreIdentity::of(&self.keys, self.own).ok_or(StorageError::WrongKeys { own: self.own })
    }
}

/// What stays of a shard from epoch to epoch in this node.
#[derive(Clone)]
pub(super) struct Keeping {
    pub(super) archive: Archive,
    pub(super) metrics: Metrics,
    /// Those of the node.
    pub(super) defects: Defects,
}

impl Keeping {
    /// Opens the history of a shard.
    pub(super) fn open(
        genesis: &Genesis,
        config: &NodeConfig,
        shard: ShardId,
        node_metrics: &Metrics,
        defects: Defects,
    ) -> Result<Self, NodeError> {
        let archive = folders::open(
            &archive_folder(genesis, &config.data, shard),
            genesis.chain(),
            Retention { keep_checkpoints: config.storage.keep_checkpoints },
        )?;
        let is_only = genesis.shards().len() == 1 && genesis.beacon().is_none();
        let metrics = if is_only { node_metrics.clone() } else { Metrics::of_shard(shard) };
        Ok(Self { archive, metrics, defects })
    }
}

/// An instance whose disks are open and which does not run yet.
pub(super) struct Prepared {
    seats: Seats,
    own: ValidatorIndex,
    keys: CommitteeKeys,
    view: View,
    keeping: Keeping,
    machine: Shard,
    history: History,
    log: LogWriter,
    post: Post,
    inbox: Inbox,
    submissions: mpsc::Receiver<Submission>,
}

impl Prepared {
    /// Opens the log, and brings the machine up to where it ends. Whoever follows the epochs is
    /// told of what ends one.
    pub(super) fn open(
        genesis: &Genesis,
        place: Place,
        keeping: Keeping,
        told: Option<mpsc::UnboundedSender<Told>>,
    ) -> Result<Self, NodeError> {
        let members = place.seats.members().to_vec();
        let (view, submissions) = View::seated(place.keys.clone(), place.own, members);
        let (post, inbox) = inbox();
        let opened = open_log(&place)?;
        let station = place.seats.station();
        let needs_opening = station.epoch > Epoch(0) && place.opening.is_none();
        if needs_opening && !ends_an_epoch(&opened.start) {
            return Err(NodeError::NoOpening(station.shard));
        }
        let archive = keeping.archive.at_epoch(station.epoch);
        let (metrics, defects) = (keeping.metrics.clone(), keeping.defects.clone());
        let writer = ArchiveWriter::spawn(archive, metrics, defects)?;
        let teller = told.map(|told| Teller { station, told });
        let mut history = History::new(writer, view.clone(), keeping.metrics.clone(), teller);
        if let Start::Restarted(records) | Start::Suspect(records) = &opened.start {
            records.iter().for_each(|record| history.keep(record));
        }
        let (seats, own, keys) = (place.seats.clone(), place.own, place.keys.clone());
        let machine = Shard::new(core::now(), shard_config(genesis, place)?, opened.start)?;
        history.begin(&machine);
        let log = {
            let post = post.clone();
            LogWriter::spawn(opened.log, move |event| post.put(Happening::Log(event)))
        };
        Ok(Self {
            seats,
            own,
            keys,
            view,
            keeping,
            machine,
            history,
            log,
            post,
            inbox,
            submissions,
        })
    }

    /// The end of the epoch, if its log has it.
    pub(super) fn end(&self) -> Option<Closed> {
        self.machine.closed()
    }

    /// What the API shows of it.
    pub(super) fn hosted(&self) -> Hosted {
        Hosted {
            view: self.view.clone(),
            archive: self.keeping.archive.at_epoch(self.seats.station().epoch),
            metrics: self.keeping.metrics.clone(),
        }
    }

    /// Runs it.
    pub(super) fn start(
        self,
        transport: &Transport,
        signing: SigningKey,
        meddler: Option<Box<dyn Meddler>>,
    ) -> Result<Instance, NodeError> {
        let mut tasks = NeededTasks::new(self.keeping.defects.clone());
        let check = SubmissionCheck { keys: self.keys.clone(), post: self.post.clone() };
        tasks.spawn("the intake", take_in_submissions(self.submissions, check));
        let core = Core::new(Parts {
            machine: Machine::new(self.machine, meddler),
            keys: self.keys.clone(),
            signing,
            log: self.log,
            mesh: Mesh::new(transport.clone(), self.seats.clone()),
            view: self.view.clone(),
            history: self.history,
            metrics: self.keeping.metrics.clone(),
            post: self.post.clone(),
        });
        let name = format!("core-{}-{}", self.seats.shard(), self.own);
        let core = std::thread::Builder::new().name(name).spawn({
            let (view, inbox) = (self.view.clone(), self.inbox);
            move || watched(&view, || core.run(&inbox))
        })?;
        Ok(Instance {
            seats: self.seats,
            keys: self.keys,
            view: self.view,
            keeping: self.keeping,
            post: self.post,
            core,
            tasks,
        })
    }
}

/// A running instance.
pub(super) struct Instance {
    seats: Seats,
    keys: CommitteeKeys,
    view: View,
    keeping: Keeping,
    post: Post,
    core: JoinHandle<()>,
    tasks: NeededTasks,
}

impl Instance {
    pub(super) const fn seats(&self) -> &Seats {
        &self.seats
    }

    pub(super) const fn keys(&self) -> &CommitteeKeys {
        &self.keys
    }

    pub(super) const fn keeping(&self) -> &Keeping {
        &self.keeping
    }

    pub(super) const fn post(&self) -> &Post {
        &self.post
    }

    /// What frames and relayers need of it.
    pub(super) fn on_stage(&self) -> OnStage {
        let (seats, post, view) = (self.seats.clone(), self.post.clone(), self.view.clone());
        OnStage { seats, post, view }
    }

    /// Runs something for as long as it runs; `part` names it.
    pub(super) fn spawn(
        &mut self,
        part: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(part, task);
    }

    pub(super) fn tell_to_stop(&self) {
        self.post.put(Happening::Stop);
    }

    /// Waits until its log is closed.
    pub(super) async fn join(mut self) {
        self.tasks.shutdown().await;
        let core = self.core;
        let mut joining = tokio::task::spawn_blocking(move || core.join().is_ok());
        let joined = loop {
            match tokio::time::timeout(STOP_NOTICE, &mut joining).await {
                Ok(joined) => break joined,
                Err(_) => tracing::warn!("{}", still_stopping(&self.view.status())),
            }
        };
        if !matches!(joined, Ok(true)) {
            tracing::error!("the core's thread panicked");
        }
    }
}

/// What a stop that takes long waits for.
pub(super) fn still_stopping(status: &NodeStatus) -> String {
    let waits_for =
        status.waiting_for.as_deref().unwrap_or("the log and the archive to be written");
    format!(
        "still stopping, waits for this: {waits_for}; killing it now loses nothing that is final"
    )
}

/// Runs the core. A defect that ends its thread must not leave a node that looks well.
pub(super) fn watched(view: &View, run: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        let reason = reason("the core", &*panic);
        tracing::error!("stopped: {reason}");
        view.set_status(NodeStatus { stopped: Some(reason), ..view.status() });
    }
}

/// Whether what is in a log ends with the certified end of the epoch.
fn ends_an_epoch(start: &Start) -> bool {
    let (Start::Restarted(records) | Start::Suspect(records)) = start else { return false };
    let is_end =
        |record: &Record| matches!(record, Record::Snapshot { package, .. } if package.is_last());
    records.iter().any(is_end)
}

fn open_log(place: &Place) -> Result<Opened, NodeError> {
    let identity = place.identity()?;
    let opened = BlockLog::open(&place.log, &identity, &place.keys, &place.territory, place.own)?;
    tracing::info!("{}", opened.report);
    Ok(opened)
}

fn shard_config(genesis: &Genesis, place: Place) -> Result<ShardConfig, NodeError> {
    let mut nonce = [0; 8];
    aws_lc_rs::rand::fill(&mut nonce)
        .map_err(|_| std::io::Error::other("no entropy for the recovery nonce"))?;
    Ok(ShardConfig {
        territory: place.territory,
        keys: place.keys,
        own: place.own,
        seed: place.seed,
        consensus: genesis.consensus(),
        accounts: place.accounts,
        opening: place.opening,
        snapshot_interval: genesis.snapshot_interval(),
        nonce: u64::from_le_bytes(nonce),
        replays_events: true,
    })
}

#[cfg(test)]
mod tests;
