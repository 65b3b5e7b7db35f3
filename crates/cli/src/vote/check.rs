//! What is refused because it cannot come about.
//!
//! Who the validators are, and which shards there are, changes with every epoch, so it takes a node
//! that runs to say; without one a vote is cast and a warning given.

use anyhow::{bail, ensure};
use qcn_crypto::PublicKey;
use qcn_node::genesis::Genesis;
use qcn_node::keyfile;
use qcn_node::votes::{Vote, Votes};
use qcn_types::{Registration, RotationBody};
use serde::Deserialize;

use super::{Ballot, Voter};
use crate::client::{Client, NodeUrl};
use crate::output::harmless;

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

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Registered {
    number: u32,
    name: String,
    isolated: bool,
    leaving: bool,
    /// In hexadecimal, as the other keys.
    consensus_key: String,
    transport_key: String,
    recovery_key: Option<String>,
    rotations: u64,
}

#[derive(Debug, Deserialize)]
struct Parameters {
    shards_max: usize,
    #[serde(default)]
    seats: usize,
}

/// Refuses what cannot come about, as far as that can be known. Gives warnings of what could not be
/// checked, or is not as it should be.
pub(super) fn ballot(ballot: &Ballot, voters: &[Voter]) -> anyhow::Result<Vec<String>> {
    let present = voters.iter().find_map(present);
    let mut warnings = match &present {
        Some(beacon) => against_present(ballot, voters, beacon)?,
        None => Vec::new(),
    };
    for voter in voters {
        beside_others(&ballot.vote, voter, present.as_ref())?;
    }
    let open = voters.first().and_then(|voter| needs_a_node(&ballot.vote, &voter.genesis));
    if let Some(open) = open.filter(|_| present.is_none()) {
        let asked: Vec<String> = voters.iter().map(|voter| voter.api.to_string()).collect();
        warnings.push(format!(
            "whether {open} could not be checked, as no node of this network answers at {}; see \
             `qcn vote show` and /v1/beacon once one runs",
            asked.join(", ")
        ));
    }
    Ok(warnings)
}

/// What only a node can say of a vote.
fn needs_a_node(vote: &Vote, genesis: &Genesis) -> Option<String> {
    match vote {
        Vote::Split { shard } | Vote::Merge { shard } => Some(format!("there is a shard {shard}")),
        Vote::Weight { validator, .. } => {
            let founders = 0..u32::try_from(genesis.validators().len()).unwrap_or(u32::MAX);
            (!founders.contains(validator)).then(|| format!("there is a validator {validator}"))
        }
        Vote::Admit { .. } => Some("it is a validator already".to_owned()),
        Vote::Rotate { validator, counter, .. } => {
            Some(format!("rotation {counter} of validator {validator} is the next one"))
        }
        Vote::Leave => Some("the validator is in the register".to_owned()),
    }
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

fn against_present(
    ballot: &Ballot,
    voters: &[Voter],
    beacon: &Beacon,
) -> anyhow::Result<Vec<String>> {
    let genesis = voters.first().map(|voter| &voter.genesis);
    match &ballot.vote {
        Vote::Weight { validator, .. } => {
            beacon.validator(*validator, genesis)?;
        }
        Vote::Split { shard } => split(*shard, beacon)?,
        Vote::Merge { shard } => merge(*shard, beacon)?,
        Vote::Admit { .. } => {
            return ballot.registration().map_or(Ok(Vec::new()), |it| admission(it, beacon));
        }
        Vote::Rotate { .. } => {
            ballot.rotation().map_or(Ok(()), |it| rotation(it, genesis, beacon))?;
        }
        Vote::Leave => {
            let warnings = voters.iter().map(|voter| leaving(voter, beacon));
            return Ok(warnings
                .collect::<anyhow::Result<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect());
        }
    }
    Ok(Vec::new())
}

fn split(shard: u32, beacon: &Beacon) -> anyhow::Result<()> {
    beacon.prefix(shard)?;
    let (shards, most) = (beacon.layout.len(), beacon.parameters.shards_max);
    ensure!(
        shards < most,
        "--shard {shard}: the network has {shards} shards, and its genesis allows {most}; merge \
         others first"
    );
    Ok(())
}

fn merge(shard: u32, beacon: &Beacon) -> anyhow::Result<()> {
    if beacon.sibling(shard).is_some() {
        return Ok(());
    }
    match other_half(beacon.prefix(shard)?) {
        None => {
            bail!("--shard {shard}: it has all addresses, so there is nothing to merge it with")
        }
        Some(half) => bail!(
            "--shard {shard}: its other half, {half}, is split, and only halves are merged; merge \
             the shards of {half} first"
        ),
    }
}

/// Keys serve one validator. A name decides nothing, so two with one are only said.
fn admission(registration: &Registration, beacon: &Beacon) -> anyhow::Result<Vec<String>> {
    if let Some(one) = beacon.with_consensus_key(&registration.consensus.key) {
        bail!(
            "its consensus key is that of validator {}, {}: nobody registers twice",
            one.number,
            harmless(&one.name)
        );
    }
    let transport = registration.transport.key.to_string();
    if let Some(one) = beacon.register.iter().find(|one| one.transport_key == transport) {
        bail!(
            "its transport key is that of validator {}, {}: let its operator make another one and \
             register again",
            one.number,
            harmless(&one.name)
        );
    }
    let name = String::from_utf8_lossy(&registration.name);
    let namesake = beacon.register.iter().find(|one| one.name == name);
    let warning = namesake
        .map(|one| format!("validator {} has the name {} too", one.number, harmless(&one.name)));
    Ok(warning.into_iter().collect())
}

fn rotation(body: &RotationBody, genesis: Option<&Genesis>, beacon: &Beacon) -> anyhow::Result<()> {
    let one = beacon.validator(body.number, genesis)?;
    match &one.recovery_key {
        None => bail!("validator {} has no recovery key, so its keys stay", body.number),
        Some(key) => ensure!(
            *key == body.recovery.to_string(),
            "validator {} has another recovery key than the one that has signed this; give the \
             number of the validator whose key it is",
            body.number
        ),
    }
    let next = one.rotations.saturating_add(1);
    ensure!(
        body.counter == next,
        "it is rotation {} of validator {}, and the next one is {next}; make it again with \
         `qcn validator rotate --counter {next}`",
        body.counter,
        body.number
    );
    let other = body.consensus.as_ref().and_then(|key| beacon.with_consensus_key(key));
    if let Some(other) = other.filter(|other| other.number != body.number) {
        bail!("its consensus key is that of validator {}; make a new one", other.number);
    }
    Ok(())
}

fn leaving(voter: &Voter, beacon: &Beacon) -> anyhow::Result<Option<String>> {
    let mut is_registered = false;
    for file in &voter.key_files {
        is_registered |= beacon.with_consensus_key(keyfile::read(file)?.public_key()).is_some();
    }
    ensure!(
        is_registered,
        "{}: no validator in the register has its consensus key, so there is nothing to leave",
        voter.config_file.display()
    );
    let seated = beacon.register.iter().filter(|one| !one.isolated).count();
    let seats = beacon.parameters.seats;
    Ok((seated <= seats).then(|| {
        format!(
            "a shard has {seats} seats and there are {seated} validators for them: nobody leaves \
             before others have joined"
        )
    }))
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
        Vote::Weight { .. } | Vote::Admit { .. } | Vote::Rotate { .. } | Vote::Leave => Vec::new(),
    }
}

impl Beacon {
    /// Who has a number; the genesis says who had one.
    fn validator(&self, number: u32, genesis: Option<&Genesis>) -> anyhow::Result<&Registered> {
        if let Some(one) = self.register.iter().find(|one| one.number == number) {
            return Ok(one);
        }
        let founders = genesis.map_or(0, |genesis| genesis.validators().len());
        let was_there = usize::try_from(number).is_ok_and(|number| number < founders);
        ensure!(
            !was_there,
            "validator {number} was removed from the register, and its number does not come back; \
             it may register again with `qcn validator register`"
        );
        let present: Vec<String> = self.register.iter().map(|one| one.number.to_string()).collect();
        bail!("there is no such validator {number}; the register has {}", present.join(", "))
    }

    fn with_consensus_key(&self, key: &PublicKey) -> Option<&Registered> {
        let key = key.to_string();
        self.register.iter().find(|one| one.consensus_key == key)
    }

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

    fn checked(vote: Vote, beacon: &Beacon) -> anyhow::Result<Vec<String>> {
        against_present(&Ballot { vote, document: None }, &[], beacon)
    }

    fn refusal(vote: Vote, beacon: &Beacon) -> String {
        checked(vote, beacon).unwrap_err().to_string()
    }

    #[test]
    fn what_the_present_layout_rules_out_is_refused() {
        let mut beacon = three_shards();
        assert!(checked(Vote::Split { shard: 0 }, &beacon).is_ok());
        assert!(checked(Vote::Merge { shard: 2 }, &beacon).is_ok());
        let said = refusal(Vote::Split { shard: 7 }, &beacon);
        assert!(said.contains("no such shard") && said.ends_with("has 0, 1, 2"), "{said}");
        let said = refusal(Vote::Merge { shard: 0 }, &beacon);
        assert!(said.contains("its other half, 1*, is split"), "{said}");
        let said = refusal(Vote::Weight { validator: 3, weight: 1 }, &beacon);
        assert!(said.contains("no such validator 3") && said.ends_with("register has 0"), "{said}");
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
