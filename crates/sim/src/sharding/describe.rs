//! What a network of shards is, in words.

use qcn_types::Resharding;

use super::traffic::Rate;
use super::{BadRelayer, BeaconOptions, MembershipEvent, ShardedPlan};

impl ShardedPlan {
    /// What it is and what goes wrong in it. What ends faults is not told: it is the same in all.
    #[must_use]
    pub fn describe(&self) -> String {
        let network = &self.builder;
        let mut words = vec![format!(
            "{} shards of {}, signed with {}, {} transfers/s each, {}% across, for {} ms",
            network.shards,
            network.validators,
            network.key_ring.scheme(),
            per_second(network.rate),
            network.rate.cross_permille as f64 / 10.0,
            self.until.0 / 1_000,
        )];
        words.extend(network.cuts.iter().map(|([one, other], from, until)| {
            let [from, until] = [from, until].map(|at| at / 1_000);
            format!("shards {one} and {other} are cut off from {from} to {until} ms")
        }));
        words.extend(network.bad_relayers.iter().map(|(from, to, bad)| match bad {
            BadRelayer::Captures => {
                format!("shard {from} is captured and makes money up for shard {to}")
            }
            bad => format!("relayers from shard {from} to {to}: {}", bad.name()),
        }));
        words.extend(network.beacon.iter().map(BeaconOptions::describe));
        words.extend(network.adversaries.iter().map(|(shard, validator, adversary)| {
            match network.beacon {
                Some(_) => format!("validator {validator}: {adversary}"),
                None => format!("validator {validator} of shard {shard}: {adversary}"),
            }
        }));
        let faults = network.faults.iter().filter(|(.., fault)| !fault.ends_others());
        words.extend(faults.map(|(shard, at, fault)| {
            format!("shard {shard} at {} ms: {}", at / 1_000, fault.describe())
        }));
        words.extend(network.epochs.iter().map(|(at, reshardings)| {
            let changes: Vec<String> = reshardings.iter().map(change).collect();
            format!("an epoch ends at {} ms: {}", at / 1_000, changes.join(" and "))
        }));
        words.extend(network.votes.iter().map(|(at, resharding)| {
            format!("a vote at {} ms: {}", at / 1_000, change(resharding))
        }));
        words.extend(network.membership.iter().map(MembershipEvent::describe));
        if network.later_faults_until > 0 {
            let until = network.later_faults_until / 1_000;
            words.push(format!("faults of its own in every shard that opens before {until} ms"));
        }
        words.join("; ")
    }
}

impl BeaconOptions {
    fn describe(&self) -> String {
        let Self { validators, epoch_ms, shards_max, split_above, merge_below } = self;
        let splits = match *split_above {
            u64::MAX => "no splits by load".to_owned(),
            above => format!("splits above {above}/s"),
        };
        format!(
            "a beacon of {validators} validators with epochs of {epoch_ms} ms, at most {shards_max} \
             shards, {splits}, merges below {merge_below}/s"
        )
    }
}

/// How many transfers clients of a shard hand in.
fn per_second(rate: Rate) -> f64 {
    let per_1000_seconds = 1_000_000_000 / rate.interval_us.max(1);
    if rate.until_us == 0 { 0.0 } else { per_1000_seconds as f64 / 1e3 }
}

fn change(resharding: &Resharding) -> String {
    match resharding {
        Resharding::Split { shard, new } => format!("s{shard} splits into s{shard} and s{new}"),
        Resharding::Merge { into, closed } => format!("s{closed} goes into s{into}"),
    }
}
