//! What is refused because it cannot come about.
//!
//! The genesis says who the validators are. Which shards there are changes with every epoch, so it
//! takes a node that runs to say; without one a vote is cast and a warning given.

use anyhow::{bail, ensure};
use qcn_node::genesis::Genesis;
use qcn_node::votes::{Vote, Votes};
use serde::Deserialize;

use super::Voter;
use crate::client::{Client, NodeUrl};

/// What is used of the answer of `/v1/beacon`.
#[derive(Debug, Deserialize)]
struct Beacon {
    layout: Vec<Place>,
    register: Vec<Registered>,
    parameters: Parameters,
}

#[derive(Debug, Deserialize)]
struct Place {
    /// The bits that its addresses begin with, and a star.
    prefix: String,
    shard: u32,
}

#[derive(Debug, Deserialize)]
struct Registered {
    number: u32,
}

#[derive(Debug, Deserialize)]
struct Parameters {
    shards_max: usize,
}

/// Refuses a vote that cannot come about, as far as that can be known. Gives a warning if some of
/// it could not be checked.
pub(super) fn vote(vote: &Vote, voters: &[Voter]) -> anyhow::Result<Option<String>> {
    for voter in voters {
        if let Vote::Weight { validator, .. } = vote {
            against_genesis(*validator, &voter.genesis)?;
        }
    }
    let present = voters.iter().find_map(present);
    if let Some(beacon) = &present {
        against_present(vote, beacon)?;
    }
    for voter in voters {
        beside_others(vote, voter, present.as_ref())?;
    }
    let (Vote::Split { shard } | Vote::Merge { shard }) = vote else { return Ok(None) };
    Ok(present.is_none().then(|| {
        let asked: Vec<String> = voters.iter().map(|voter| voter.api.to_string()).collect();
        format!(
            "whether there is a shard {shard} could not be checked, as no node of this network \
             answers at {}; see `qcn vote show` and /v1/beacon once one runs",
            asked.join(", ")
        )
    }))
}

fn against_genesis(validator: u32, genesis: &Genesis) -> anyhow::Result<()> {
    let validators = genesis.validators();
    let is_there = usize::try_from(validator).is_ok_and(|number| number < validators.len());
    let last = validators.len().saturating_sub(1);
    ensure!(
        is_there,
        "--validator {validator}: there is no such validator; the genesis of {} has the numbers 0 \
         to {last}, which `qcn genesis show` lists",
        genesis.name()
    );
    Ok(())
}

/// What a node of this network says of its beacon, if it answers.
fn present(voter: &Voter) -> Option<Beacon> {
    let url: NodeUrl = voter.api.parse().ok()?;
    let client = Client::new(url);
    let beacon = client.get("/v1/beacon").ok()?;
    // Another network may listen there by now.
    let text = client.get_text("/v1/genesis").ok()?;
    let genesis = Genesis::parse(&text, "the genesis of the node").ok()?;
    (genesis.chain() == voter.genesis.chain()).then_some(beacon)
}

fn against_present(vote: &Vote, beacon: &Beacon) -> anyhow::Result<()> {
    match vote {
        Vote::Weight { validator, .. } => {
            let mut numbers = beacon.register.iter().map(|registered| registered.number);
            ensure!(
                numbers.any(|number| number == *validator),
                "--validator {validator}: it was removed from the register and cannot come back"
            );
        }
        Vote::Split { shard } => {
            beacon.prefix(*shard)?;
            let (shards, most) = (beacon.layout.len(), beacon.parameters.shards_max);
            ensure!(
                shards < most,
                "--shard {shard}: the network has {shards} shards, and its genesis allows {most}; \
                 merge others first"
            );
        }
        Vote::Merge { shard } => {
            if beacon.sibling(*shard).is_some() {
                return Ok(());
            }
            match other_half(beacon.prefix(*shard)?) {
                None => bail!(
                    "--shard {shard}: it has all addresses, so there is nothing to merge it with"
                ),
                Some(half) => bail!(
                    "--shard {shard}: its other half, {half}, is split, and only halves are \
                     merged; merge the shards of {half} first"
                ),
            }
        }
    }
    Ok(())
}

/// A shard takes part in one change at a time, so a node does not vote for two.
fn beside_others(vote: &Vote, voter: &Voter, present: Option<&Beacon>) -> anyhow::Result<()> {
    let touched = touched(vote, present);
    let cast = Votes::read(&voter.data)?.votes;
    for other in cast.iter().map(|cast| &cast.vote) {
        let (name, shard) = match (vote, other) {
            (Vote::Merge { .. }, Vote::Split { shard }) => ("split", shard),
            (Vote::Split { .. }, Vote::Merge { shard }) => ("merge", shard),
            _ => continue,
        };
        if self::touched(other, present).iter().any(|one| touched.contains(one)) {
            let file = voter.config_file.display();
            bail!(
                "{file} votes to {name} shard {shard} already, and a shard is split or merged, not \
                 both; withdraw the other vote first: `qcn vote withdraw --{name} {shard} --config \
                 {file}`"
            );
        }
    }
    Ok(())
}

/// The shards that a change needs.
fn touched(vote: &Vote, present: Option<&Beacon>) -> Vec<u32> {
    match vote {
        Vote::Split { shard } => vec![*shard],
        Vote::Merge { shard } => {
            let sibling = present.and_then(|beacon| beacon.sibling(*shard));
            [*shard].into_iter().chain(sibling).collect()
        }
        Vote::Weight { .. } => Vec::new(),
    }
}

impl Beacon {
    fn prefix(&self, shard: u32) -> anyhow::Result<&str> {
        if let Some(place) = self.layout.iter().find(|place| place.shard == shard) {
            return Ok(&place.prefix);
        }
        let present: Vec<String> = self.layout.iter().map(|it| it.shard.to_string()).collect();
        bail!(
            "--shard {shard}: there is no such shard in this epoch; the network has {}",
            present.join(", ")
        )
    }

    /// The shard that has the other half.
    fn sibling(&self, shard: u32) -> Option<u32> {
        let half = other_half(self.prefix(shard).ok()?)?;
        self.layout.iter().find(|place| place.prefix == half).map(|place| place.shard)
    }
}

/// The prefix that differs from this one in the last bit; none of that of all addresses.
fn other_half(prefix: &str) -> Option<String> {
    let bits = prefix.strip_suffix('*')?;
    let other = match bits.chars().last()? {
        '0' => '1',
        _ => '0',
    };
    Some(format!("{}{other}*", &bits[..bits.len() - 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shard 0 has the lower half, shards 1 and 2 the quarters of the upper one.
    fn three_shards() -> Beacon {
        let text = r#"{"layout":[{"prefix":"0*","shard":0},{"prefix":"10*","shard":1},
            {"prefix":"11*","shard":2}],"register":[{"number":0}],"parameters":{"shards_max":4}}"#;
        serde_json::from_str(text).unwrap()
    }

    fn refusal(vote: Vote, beacon: &Beacon) -> String {
        against_present(&vote, beacon).unwrap_err().to_string()
    }

    #[test]
    fn what_the_present_layout_rules_out_is_refused() {
        let mut beacon = three_shards();
        assert!(against_present(&Vote::Split { shard: 0 }, &beacon).is_ok());
        assert!(against_present(&Vote::Merge { shard: 2 }, &beacon).is_ok());
        let said = refusal(Vote::Split { shard: 7 }, &beacon);
        assert!(said.contains("no such shard") && said.ends_with("has 0, 1, 2"), "{said}");
        let said = refusal(Vote::Merge { shard: 0 }, &beacon);
        assert!(said.contains("its other half, 1*, is split"), "{said}");
        assert!(refusal(Vote::Weight { validator: 3, weight: 1 }, &beacon).contains("removed"));
        beacon.parameters.shards_max = 3;
        assert!(refusal(Vote::Split { shard: 0 }, &beacon).contains("its genesis allows 3"));
        beacon.layout = vec![Place { prefix: "*".to_owned(), shard: 0 }];
        assert!(refusal(Vote::Merge { shard: 0 }, &beacon).contains("nothing to merge it with"));
    }

    #[test]
    fn a_merge_needs_both_halves() {
        let beacon = three_shards();
        assert_eq!(touched(&Vote::Merge { shard: 2 }, Some(&beacon)), [2, 1]);
        assert_eq!(touched(&Vote::Merge { shard: 2 }, None), [2]);
        assert_eq!(other_half("*"), None);
    }
}
