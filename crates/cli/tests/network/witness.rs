//! Remembers what honest nodes have said, and holds them to it.

use std::collections::BTreeMap;
use std::time::Instant;

use qcn_node::genesis::Genesis;
use serde_json::Value;

use crate::api::Api;
use crate::network::Network;
use crate::patience::{seconds, until};
use crate::traffic::Sent;

/// How many heights must be certified anew before the network counts as going on.
const HEIGHTS_TO_GO_ON: u64 = 5;
/// The most checkpoints in one answer.
const PAGE: usize = 500;

/// What honest nodes have said so far.
#[derive(Default)]
pub struct Witness {
    /// The digest of each height, and who said so first.
    digests: BTreeMap<u64, (String, usize)>,
    /// The highest height that any node reported as certified.
    pub certified: u64,
    certified_at: Option<Instant>,
    /// The longest time in which that height did not rise.
    pub longest_pause: std::time::Duration,
}

impl Witness {
    /// Reads the newest checkpoints of all that answer, and what they say is certified.
    pub fn look(&mut self, network: &Network) {
        for at in network.honest() {
            self.look_at(network.api(at), at);
        }
        self.note_pause();
    }

    fn note_pause(&mut self) {
        if let Some(since) = self.certified_at {
            self.longest_pause = self.longest_pause.max(since.elapsed());
        }
    }

    fn look_at(&mut self, api: &Api, at: usize) {
        let Some(certified) = api.certified_height() else { return };
        if certified > self.certified {
            // The whole time counts, also that in which nobody looked.
            self.note_pause();
            self.certified = certified;
            self.certified_at = Some(Instant::now());
        }
        let Ok(page) = api.get("/v1/checkpoints?limit=50") else { return };
        self.note(at, &page["checkpoints"]);
    }

    /// Forgets how long nothing was certified until now.
    pub fn start_measuring(&mut self) {
        self.certified_at = Some(Instant::now());
        self.longest_pause = seconds(0);
    }

    /// Waits until heights were certified that nobody had certified before.
    pub fn wait_for_more(&mut self, network: &Network, heights: u64) {
        self.look(network);
        let wanted = self.certified + heights;
        until(&format!("height {wanted} is certified"), seconds(60), || {
            self.look(network);
            (self.certified >= wanted).then_some(())
        });
    }

    /// Two nodes never say different things of one height. Gives the heights.
    fn note(&mut self, at: usize, checkpoints: &Value) -> Vec<u64> {
        let mut heights = Vec::new();
        for checkpoint in checkpoints.as_array().expect("a list") {
            let height = checkpoint["height"].as_u64().unwrap();
            let digest = checkpoint["digest"].as_str().unwrap();
            let (known, first) =
                self.digests.entry(height).or_insert_with(|| (digest.to_owned(), at));
            assert_eq!(known, digest, "height {height}: nodes {first} and {at} differ");
            heights.push(height);
        }
        heights
    }

    /// The network goes on, and everything that was ever said still holds at every node.
    /// `with_history` are the nodes that have executed everything themselves.
    pub fn audit(&mut self, network: &Network, sent: &Sent, with_history: &[usize]) {
        self.wait_for_more(network, HEIGHTS_TO_GO_ON);
        let genesis = Genesis::read(&network.genesis_file()).unwrap();
        let final_height = self.certified;
        for at in network.honest() {
            until(&format!("node {at} reaches height {final_height}"), seconds(60), || {
                (network.api(at).certified_height()? >= final_height).then_some(())
            });
        }
        for at in network.honest() {
            self.audit_history(network, at, final_height, with_history.contains(&at));
            audit_accounts(network.api(at), &genesis, sent);
            for honest in network.honest() {
                assert_not_accused(network.api(at), honest);
            }
            if with_history.contains(&at) {
                audit_finals(network.api(at), sent);
            }
        }
    }

    /// All heights up to the final one agree; none is missing where the node was always there.
    fn audit_history(&mut self, network: &Network, at: usize, up_to: u64, whole: bool) {
        let mut heights = Vec::new();
        let mut before = String::new();
        loop {
            let path = format!("/v1/checkpoints?limit={PAGE}{before}");
            let page = network.api(at).must_get(&path);
            let found = self.note(at, &page["checkpoints"]);
            let Some(lowest) = found.last().copied() else { break };
            heights.extend(found);
            if lowest <= 1 {
                break;
            }
            before = format!("&before={lowest}");
        }
        heights.retain(|height| (1..=up_to).contains(height));
        heights.reverse();
        if whole {
            let missing: Vec<u64> =
                (1..=up_to).filter(|height| heights.binary_search(height).is_err()).collect();
            assert!(missing.is_empty(), "node {at} lost the heights {missing:?} of {up_to}");
        }
    }
}

/// This node neither holds evidence against a validator nor has isolated it.
pub fn assert_not_accused(api: &Api, validator: usize) {
    let evidence = api.must_get("/v1/evidence?limit=500");
    let mut all = evidence["evidence"].as_array().expect("a list").iter();
    let accusation = all.find(|one| one["accused"] == validator);
    assert!(accusation.is_none(), "{} accuses {validator}: {accusation:?}", api.url());
    let validators = api.must_get("/v1/validators");
    let known = &validators["validators"][validator];
    assert_eq!(known["isolated"], false, "{} isolated {validator}", api.url());
}

/// What was reported as final once is final at this node too, at the same height.
fn audit_finals(api: &Api, sent: &Sent) {
    for one in &sent.finals {
        let known = api.must_get(&format!("/v1/transactions/{}", one.id));
        assert_eq!(known["status"], "final", "{} was final: {known}", one.id);
        assert_eq!(known["height"], one.height, "{} was final elsewhere: {known}", one.id);
    }
}

/// Every final transfer was executed once, and no unit was made or lost.
fn audit_accounts(api: &Api, genesis: &Genesis, sent: &Sent) {
    for (at, (address, nonce)) in sent.nonces.iter().enumerate() {
        let account = api.must_get(&format!("/v1/accounts/{address}"));
        assert_eq!(account["nonce"], *nonce, "{}: {account}", api.url());
        let accounts = genesis.shards()[0].accounts.clone();
        let mut accounts = accounts.iter();
        let begun = accounts.find(|one| one.address.0.to_string() == *address).unwrap();
        let balance = begun.balance.0 + sent.received(at) - sent.paid(at);
        assert_eq!(account["balance"], balance.to_string(), "{}: {account}", api.url());
    }
    let supply = api.must_get("/v1/supply");
    let amount = |name: &str| supply[name].as_str().unwrap().parse::<u128>().unwrap();
    let parts = amount("balances") + amount("fees") + amount("in_flight");
    assert_eq!(parts, amount("genesis"), "{}: {supply}", api.url());
}

/// The witness notices that two nodes say different things.
///
/// Given a node that reported a digest for a height.
/// When another node reports another one,
/// then the witness panics.
#[test]
#[should_panic(expected = "height 3: nodes 0 and 2 differ")]
fn differing_digests_are_noticed() {
    let says = |digest: &str| serde_json::json!([{ "height": 3, "digest": digest }]);
    let mut witness = Witness::default();
    witness.note(0, &says("ab"));
    witness.note(1, &says("ab"));
    witness.note(2, &says("cd"));
}
