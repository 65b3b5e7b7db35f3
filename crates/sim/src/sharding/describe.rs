//! What a network of shards is, in words.

use super::{BadRelayer, MembershipEvent, RandomShards};

impl RandomShards {
    /// What it is and what goes wrong in it. What ends faults is not told: it is the same in all.
    #[must_use]
    pub fn describe(&self) -> String {
        let network = &self.builder;
        let mut words = vec![format!(
            "{} shards of {}, signed with {}, {}/s, {} permille across, for {} ms",
            network.shards,
            network.validators,
            network.key_ring.scheme(),
            1_000_000 / network.rate.interval_us.max(1),
            network.rate.cross_permille,
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
            bad => format!("relayers from {from} to {to}: {bad:?}"),
        }));
        words.extend(network.beacon.iter().map(|options| format!("{options:?}")));
        words.extend(network.adversaries.iter().map(|(shard, validator, adversary)| {
            match network.beacon {
                Some(_) => format!("validator {validator} is a {adversary}"),
                None => format!("shard {shard}: validator {validator} is a {adversary}"),
            }
        }));
        let faults = network.faults.iter().filter(|(.., fault)| !fault.ends_others());
        words.extend(faults.map(|(shard, at, fault)| {
            format!("shard {shard} at {} ms: {}", at / 1_000, fault.describe())
        }));
        words.extend(network.epochs.iter().map(|(at, reshardings)| {
            format!("an epoch ends at {} ms, {reshardings:?}", at / 1_000)
        }));
        words.extend(
            network
                .votes
                .iter()
                .map(|(at, resharding)| format!("a vote at {} ms for {resharding:?}", at / 1_000)),
        );
        words.extend(network.membership.iter().map(MembershipEvent::describe));
        if network.later_faults_until > 0 {
            let until = network.later_faults_until / 1_000;
            words.push(format!("faults of its own in every shard that opens before {until} ms"));
        }
        words.join("; ")
    }
}
