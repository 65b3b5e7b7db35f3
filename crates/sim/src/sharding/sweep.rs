//! Throughput and latency against the number of shards and the share of transfers that cross.
//!
//! Every committee has as many seats, every seat the same power, and clients of every shard keep
//! so many transfers under way that its processors are the limit. What remains to be seen is
//! whether one shard's throughput depends on how many others there are.

use qcn_consensus::Config;
use qcn_types::Time;
use serde::{Deserialize, Serialize};

use super::relay::Links;
use super::{ShardedBuildError, ShardedNetwork};
use crate::costs;
use crate::keys::KeyRing;
use crate::network::LatencyModel;
use crate::result::Percentiles;

/// What is measured, and how.
#[derive(Clone, PartialEq, Debug)]
pub struct SweepPlan {
    /// The seed of every run.
    pub seed: u64,
    /// Numbers of shards, in order; the first is compared with.
    pub shards: Vec<usize>,
    /// Shares of transfers that cross, in percent.
    pub cross_percents: Vec<u64>,
    /// Seats of each committee.
    pub validators: usize,
    /// The validators' keys.
    pub key_ring: KeyRing,
    /// The power of each seat, in thousandths of the calibrated processor.
    pub power_permille: u64,
    /// Accounts of each shard.
    pub accounts: usize,
    /// Transfers that clients of each shard offer in a second.
    pub offered_per_second: u64,
    /// The same where latencies are to be told.
    pub latency_per_second: u64,
    /// One-way latencies, within shards and between them.
    pub latency: LatencyModel,
    /// Where they come from, for people.
    pub latency_source: String,
    /// The parameters of consensus.
    pub consensus: Config,
    /// Not measured, in microseconds.
    pub warm_up_us: u64,
    /// Measured, in microseconds.
    pub measured_us: u64,
}

/// One run of a sweep.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SweepPoint {
    /// How many shards.
    pub shards: usize,
    /// The share of transfers that cross, in percent.
    pub cross_percent: u64,
    /// Transfers final in a second, in all shards together. One that crosses counts once, when its
    /// receipt is certified at the destination.
    pub final_per_second: f64,
    /// The same for one shard.
    pub per_shard: f64,
    /// That, divided by the single shard's without crossing.
    pub of_single_shard: f64,
    /// What the extra work of receipts leaves of a shard's throughput, by the simulator's costs.
    pub model: f64,
    /// From handing in to the certificate, of transfers within a shard.
    pub within_ms: Percentiles,
    /// From handing in to the execution at the destination, of transfers that cross.
    pub applied_ms: Percentiles,
    /// From handing in to the certificate at the destination.
    pub across_ms: Percentiles,
    /// Receipts in a delivery, on average.
    pub receipts_per_delivery: f64,
    /// Bytes of a delivery for each of its receipts, certificate and proofs included.
    pub bytes_per_receipt: f64,
    /// The busiest seat's processor, in percent.
    pub busiest_percent: f64,
    /// Broken invariants.
    pub violations: Vec<String>,
    /// The hash over everything that has happened.
    pub trace_hash: String,
}

impl SweepPlan {
    /// All runs of the sweep, in order: for each share, all numbers of shards.
    #[must_use]
    pub fn points(&self) -> Vec<(usize, u64)> {
        let shares = self.cross_percents.iter();
        shares.flat_map(|share| self.shards.iter().map(move |shards| (*shards, *share))).collect()
    }

    /// Runs two shards under a small load, half of it across, to tell latencies.
    ///
    /// # Errors
    /// [`ShardedBuildError`] for what cannot be built.
    pub fn run_for_latency(
        &self,
        watch: &mut dyn FnMut(u64, u64),
    ) -> Result<SweepPoint, ShardedBuildError> {
        let calm = Self { offered_per_second: self.latency_per_second, ..self.clone() };
        calm.run(2, 50, None, watch)
    }

    /// Runs one point. `single` is the throughput of the single shard, if it is known.
    ///
    /// # Errors
    /// [`ShardedBuildError`] for what cannot be built.
    pub fn run(
        &self,
        shards: usize,
        cross_percent: u64,
        single: Option<f64>,
        watch: &mut dyn FnMut(u64, u64),
    ) -> Result<SweepPoint, ShardedBuildError> {
        let end = self.warm_up_us + self.measured_us;
        let mut network = ShardedNetwork::new(self.seed)
            .shards(shards)
            .validators(self.validators)
            .key_ring(self.key_ring)
            .accounts(self.accounts)
            .power_permille(self.power_permille)
            .latency(self.latency.clone())
            .config(self.consensus.clone())
            .load(self.offered_per_second, cross_percent * 10, Time(end))
            .build()?;
        let slice = (end / 100).max(1);
        let mut spent_before = 0;
        let mut now = 0;
        while now < end {
            now = (now + slice).min(end);
            network.run_to(Time(now));
            if now <= self.warm_up_us {
                spent_before = network.busiest_ns();
            }
            watch(now, end);
        }
        let busiest_ns = network.busiest_ns().saturating_sub(spent_before);
        Ok(self.point(&mut network, cross_percent, single, busiest_ns))
    }

    fn point(
        &self,
        network: &mut ShardedNetwork,
        cross_percent: u64,
        single: Option<f64>,
        busiest_ns: u64,
    ) -> SweepPoint {
        let (from, until) = (self.warm_up_us, self.warm_up_us + self.measured_us);
        let [within, applied, across] = network.lives(|at| (from..until).contains(&at));
        let seconds = self.measured_us as f64 / 1e6;
        let shards = network.shards.len();
        let final_per_second = (within.len() + across.len()) as f64 / seconds;
        let per_shard = final_per_second / shards as f64;
        let links = &network.links;
        SweepPoint {
            shards,
            cross_percent,
            final_per_second,
            per_shard,
            of_single_shard: per_shard / single.unwrap_or(per_shard).max(f64::MIN_POSITIVE),
            model: self.model(cross_percent, links),
            within_ms: Percentiles::from_micros(within),
            applied_ms: Percentiles::from_micros(applied),
            across_ms: Percentiles::from_micros(across),
            receipts_per_delivery: ratio(links.receipts, links.deliveries),
            bytes_per_receipt: ratio(links.bytes, links.receipts),
            busiest_percent: busiest_ns as f64 / 10.0 / self.measured_us as f64,
            violations: network
                .check_consensus()
                .into_iter()
                .map(|it| format!("{}: {}", it.invariant, it.detail))
                .collect(),
            trace_hash: network.trace_hash().to_string(),
        }
    }

    /// A shard's throughput at a share of crossing transfers, divided by that without any, if its
    /// processors were the only limit: what a transfer costs a validator of its shard, against
    /// what a crossing one costs a validator of the source and one of the destination. Every shard
    /// is both. How many receipts share a batch and a delivery is what was observed.
    fn model(&self, cross_percent: u64, links: &Links) -> f64 {
        let update = costs::STATE_UPDATE_NS as f64;
        let hash = costs::HASH_64_BYTES_NS as f64;
        // The transaction arrives in a block, its bytes are hashed, its key is hashed, and it gets
        // a place in the list of outcomes.
        let arrives = costs::VERIFY_TRANSACTION_NS as f64
            + costs::hash_ns(TRANSACTION_BYTES) as f64
            + 4.0 * hash;
        let within = arrives + 2.0 * update;
        let of_receipt = |of: u64| ratio(of, links.receipts);
        let (batches, deliveries) = (of_receipt(links.batches), of_receipt(links.deliveries));
        // The sender's account, and the receipt's record, its batch's and the lane's, of which the
        // first two are removed later.
        let source = arrives + 3.0 * update + 3.0 * hash + batches * (3.0 * update + 2.0 * hash);
        // The receiver's account and the lane's; what arrives in a block is hashed, its batch is
        // checked then and applied later, and the certificate's signatures are checked.
        let quorum = (2 * self.validators / 3 + 1) as f64;
        let certificate = quorum * costs::verify_block_ns(self.key_ring) as f64;
        let destination = update
            + of_receipt(links.bytes) / 64.0 * hash
            + costs::RECEIPT_NS as f64
            + 2.0 * hash
            + deliveries * (certificate + update);
        let share = cross_percent as f64 / 100.0;
        within / (within * (1.0 - share) + (source + destination) * share)
    }
}

/// What a signed transfer takes in a block: Falcon-512 key, signature and body.
const TRANSACTION_BYTES: u64 = 1_670;

fn ratio(of: u64, to: u64) -> f64 {
    if to == 0 { 0.0 } else { of as f64 / to as f64 }
}
