//! How long a shard of many accounts pauses while it splits, in four nodes of one process.
//!
//! `cargo run --release -p qcn-node --example split_pause -- 1000000` prints, for a new committee and
//! for the split, the wall time from when the first node sees the end of the old epoch certified to
//! when the first node sees a checkpoint of the new epoch certified, for each shard that opens.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use qcn_crypto::{Domain, Scheme, hash};
use qcn_node::devnet::{Devnet, DevnetPlan, read_node};
use qcn_node::genesis::{EpochsContent, Genesis, NamedAccount, ShardsContent};
use qcn_node::runtime::{Node, initialise};
use qcn_node::votes::{Vote, Votes};
use qcn_types::{Address, BEACON, Epoch, ShardId};

/// How often the nodes are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> Result<()> {
    let accounts: usize = match std::env::args().nth(1) {
        Some(count) => count.parse().context("the number of accounts")?,
        None => 100_000,
    };
    let folder = std::env::temp_dir().join(format!("qcn-split-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(&folder, accounts));
    let removed = std::fs::remove_dir_all(&folder);
    measured?;
    Ok(removed?)
}

async fn measure(folder: &Path, accounts: usize) -> Result<()> {
    let epochs =
        EpochsContent { epoch_ms: 15_000, shards_max: 4, split_above: 1_000_000, merge_below: 0 };
    let plan = DevnetPlan {
        weights: vec![1_000; 4],
        accounts: 1,
        account_scheme: Scheme::Falcon512,
        balance: 1_000,
        first_port: 27_000,
        shards: Some(ShardsContent { count: 1, seats: 4, epochs: Some(epochs) }),
    };
    let devnet = Devnet::create(folder, &plan, |_, _| {})?;
    let mut content = devnet.genesis().content().clone();
    content.accounts.extend((0..accounts).map(|number| NamedAccount {
        address: Address(hash(Domain::Address, &number.to_le_bytes())),
        balance: 1,
        name: None,
    }));
    // It is too long for a file.
    let genesis = Genesis::new(content)?;
    let mut nodes = Vec::new();
    let mut folders = Vec::new();
    for file in devnet.config_files() {
        let (_, config, keys) = read_node(&file)?;
        std::fs::remove_dir_all(&config.data)?;
        initialise(&genesis, &config, &keys)?;
        nodes.push(Node::start(&genesis, &config, keys).await?);
        folders.push(config.data);
    }
    println!("{accounts} accounts, 4 validators in one process, epochs of 15 s");
    pauses(&nodes, Epoch(1), &[ShardId(0)]).await?;
    for data in &folders {
        let mut votes = Votes::read(data)?;
        votes.cast(Vote::Split { shard: 0 }, Duration::from_secs(600));
        votes.write(data)?;
    }
    pauses(&nodes, Epoch(2), &[ShardId(0), ShardId(1)]).await?;
    for node in nodes {
        node.stop().await;
    }
    Ok(())
}

/// Waits until shards are certified in an epoch, and prints for how long each has paused.
async fn pauses(nodes: &[Node], epoch: Epoch, shards: &[ShardId]) -> Result<()> {
    let begun = Instant::now();
    // When the newest certified height of the epoch before was first seen, at any node.
    let mut last: Option<(u64, Instant)> = None;
    let mut first: BTreeMap<ShardId, Instant> = BTreeMap::new();
    while first.len() < shards.len() {
        ensure!(begun.elapsed() < PATIENCE, "epoch {epoch} does not open");
        for view in nodes.iter().flat_map(Node::views).filter(|view| view.shard() != BEACON) {
            let certified = view.certified().map(|it| it.certificate.checkpoint.height.0);
            let Some(height) = certified else { continue };
            let now = Instant::now();
            if view.keys().committee().epoch() == epoch {
                first.entry(view.shard()).or_insert(now);
            } else if last.is_none_or(|(known, _)| height > known) {
                last = Some((height, now));
            }
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    let (_, closed) = last.context("the epoch before was not seen")?;
    for (shard, opened) in first {
        let pause = opened.saturating_duration_since(closed);
        println!("epoch {epoch}: shard {shard} paused for {} ms", pause.as_millis());
    }
    Ok(())
}
