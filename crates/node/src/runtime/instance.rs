//! One seat of the validator: a core with its machine, log, history and view.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use qcn_crypto::SigningKey;
use qcn_ledger::Territory;
use qcn_shard::{Shard, ShardConfig, Start};
use qcn_types::{CommitteeKeys, ShardId, ValidatorIndex};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::archive_writer::ArchiveWriter;
use super::core::{Core, Parts};
use super::history::History;
use super::inbox::{Happening, Inbox, Post, inbox};
use super::machine::{Machine, Meddler};
use super::seats::{Mesh, Seats};
use super::submissions::{SubmissionCheck, take_in_submissions};
use super::{NodeError, archive_folder as folders, core, store_identity};
use crate::api::{Hosted, Metrics};
use crate::archive::{Archive, Retention};
use crate::config::NodeConfig;
use crate::genesis::{Genesis, GenesisShard};
use crate::storage::{BlockLog, LogWriter, Opened};
use crate::transport::Transport;
use crate::view::{NodeStatus, Submission, View};

/// How often a stop that takes long says what it waits for.
const STOP_NOTICE: Duration = Duration::from_secs(2);

/// Where the block log of a shard is in a data folder.
#[must_use]
pub fn log_folder(genesis: &Genesis, data: &Path, shard: ShardId) -> PathBuf {
    instance_folder(genesis, data, shard).join("log")
}

/// Where the history of a shard is in a data folder.
#[must_use]
pub fn archive_folder(genesis: &Genesis, data: &Path, shard: ShardId) -> PathBuf {
    instance_folder(genesis, data, shard).join("archive")
}

/// The only shard has the data folder for itself; of several each has a folder in it.
fn instance_folder(genesis: &Genesis, data: &Path, shard: ShardId) -> PathBuf {
    if genesis.shards().len() == 1 { data.to_owned() } else { data.join(format!("shard-{shard}")) }
}

/// An instance whose disks are open and which does not run yet.
pub(super) struct Prepared {
    seats: Seats,
    own: ValidatorIndex,
    keys: CommitteeKeys,
    view: View,
    archive: Archive,
    metrics: Metrics,
    machine: Shard,
    history: History,
    log: LogWriter,
    post: Post,
    inbox: Inbox,
    submissions: mpsc::Receiver<Submission>,
}

impl Prepared {
    /// Opens the log and the history, and brings the machine up to where the log ends.
    pub(super) fn open(
        genesis: &Genesis,
        config: &NodeConfig,
        shard: &GenesisShard,
        keys: &CommitteeKeys,
        own: ValidatorIndex,
        node_metrics: &Metrics,
    ) -> Result<Self, NodeError> {
        let (view, submissions) = View::seated(keys.clone(), own, shard.seats.clone());
        let (post, inbox) = inbox();
        let opened = open_log(genesis, config, keys, own)?;
        let archive = folders::open(
            &archive_folder(genesis, &config.data, shard.id),
            genesis.chain(),
            Retention { keep_checkpoints: config.storage.keep_checkpoints },
        )?;
        let is_one_of_several = genesis.shards().len() > 1;
        let metrics =
            if is_one_of_several { Metrics::of_shard(shard.id) } else { node_metrics.clone() };
        let writer = ArchiveWriter::spawn(archive.clone(), metrics.clone())?;
        let mut history = History::new(writer, view.clone(), metrics.clone());
        if let Start::Restarted(records) | Start::Suspect(records) = &opened.start {
            records.iter().for_each(|record| history.keep(record));
        }
        let machine = Shard::new(
            core::now(),
            shard_config(genesis, shard, keys.clone(), own)?,
            opened.start,
        )?;
        history.begin(&machine);
        let log = {
            let post = post.clone();
            LogWriter::spawn(opened.log, move |event| post.put(Happening::Log(event)))
        };
        let (seats, keys) = (Seats::of(shard), keys.clone());
        Ok(Self {
            seats,
            own,
            keys,
            view,
            archive,
            metrics,
            machine,
            history,
            log,
            post,
            inbox,
            submissions,
        })
    }

    /// What the API shows of it.
    pub(super) fn hosted(&self) -> Hosted {
        Hosted {
            view: self.view.clone(),
            archive: self.archive.clone(),
            metrics: self.metrics.clone(),
        }
    }

    /// Runs it.
    pub(super) fn start(
        self,
        transport: &Transport,
        signing: SigningKey,
        meddler: Option<Box<dyn Meddler>>,
        tasks: &mut JoinSet<()>,
    ) -> Result<Instance, NodeError> {
        let check = SubmissionCheck { keys: self.keys.clone(), post: self.post.clone() };
        tasks.spawn(take_in_submissions(self.submissions, check));
        let core = Core::new(Parts {
            machine: Machine::new(self.machine, meddler),
            keys: self.keys,
            signing,
            log: self.log,
            mesh: Mesh::new(transport.clone(), self.seats.clone()),
            view: self.view.clone(),
            history: self.history,
            metrics: self.metrics.clone(),
            post: self.post.clone(),
        });
        let name = format!("core-{}-{}", self.seats.shard(), self.own);
        let core = std::thread::Builder::new().name(name).spawn({
            let (view, inbox) = (self.view.clone(), self.inbox);
            move || watched(&view, || core.run(&inbox))
        })?;
        Ok(Instance {
            seats: self.seats,
            view: self.view,
            archive: self.archive,
            metrics: self.metrics,
            post: self.post,
            core,
        })
    }
}

/// A running instance.
pub(super) struct Instance {
    seats: Seats,
    view: View,
    archive: Archive,
    metrics: Metrics,
    post: Post,
    core: JoinHandle<()>,
}

impl Instance {
    pub(super) const fn seats(&self) -> &Seats {
        &self.seats
    }

    pub(super) const fn view(&self) -> &View {
        &self.view
    }

    pub(super) const fn archive(&self) -> &Archive {
        &self.archive
    }

    pub(super) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) const fn post(&self) -> &Post {
        &self.post
    }

    pub(super) fn tell_to_stop(&self) {
        self.post.put(Happening::Stop);
    }

    /// Waits until its log is closed.
    pub(super) async fn join(self) {
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
        let what = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        let reason = format!("a defect ended the core ({what}): please report it with the log");
        tracing::error!("stopped: {reason}");
        view.set_status(NodeStatus { stopped: Some(reason), ..view.status() });
    }
}

fn open_log(
    genesis: &Genesis,
    config: &NodeConfig,
    keys: &CommitteeKeys,
    own: ValidatorIndex,
) -> Result<Opened, NodeError> {
    let identity = store_identity(keys, own)?;
    let shard = keys.committee().shard();
    let folder = log_folder(genesis, &config.data, shard);
    let opened = BlockLog::open(&folder, &identity, keys, &territory(genesis, shard), own)?;
    tracing::info!("{}", opened.report);
    Ok(opened)
}

fn territory(genesis: &Genesis, shard: ShardId) -> Territory {
    let layout = Arc::clone(genesis.layout());
    Territory::new(layout, shard).expect("the shard is one of the layout's")
}

fn shard_config(
    genesis: &Genesis,
    shard: &GenesisShard,
    keys: CommitteeKeys,
    own: ValidatorIndex,
) -> Result<ShardConfig, NodeError> {
    let mut nonce = [0; 8];
    aws_lc_rs::rand::fill(&mut nonce)
        .map_err(|_| std::io::Error::other("no entropy for the recovery nonce"))?;
    Ok(ShardConfig {
        territory: territory(genesis, shard.id),
        keys,
        own,
        seed: genesis.seed(),
        consensus: genesis.consensus(),
        accounts: Arc::clone(&shard.accounts),
        opening: None,
        snapshot_interval: genesis.snapshot_interval(),
        nonce: u64::from_le_bytes(nonce),
        replays_events: true,
    })
}

#[cfg(test)]
mod tests;
