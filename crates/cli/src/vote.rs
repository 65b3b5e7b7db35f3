//! `qcn vote`: what operators decide together about their network.

mod check;
mod show;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use qcn_crypto::Digest;
use qcn_node::config::NodeConfig;
use qcn_node::devnet::Devnet;
use qcn_node::genesis::Genesis;
use qcn_node::membership::{RegistrationFile, RotationFile};
use qcn_node::votes::{MAX_VOTES, Vote, Votes};
use qcn_types::{Committee, Registration, RotationBody};

use show::show;

pub const EXAMPLES: &str = "\
A vote is written into the data folder of a node, which casts it in the beacon, in every epoch, until
it has come about or is too old. It takes more than two thirds of the weight, so the operators of
other nodes have to vote the same. What is decided holds from the next epoch on.

To admit somebody all have to vote for the same registration with the same weight. New keys
(rotate) and leaving are no matter of votes: what the node hands in is enough.

If a node of those named answers, what cannot come about is refused: a validator or a shard that there
is not, a merge without the other half, a registration of who is a validator already, a rotation that
is not the next one.

Examples:
  qcn vote split --shard 0 --config v0/node.toml
  qcn vote merge --shard 0 --devnet devnet        # all validators of a devnet
  qcn vote weight --validator 3 --weight 500 --devnet devnet
  qcn vote admit eve.registration.json --config v0/node.toml
  qcn vote rotate eve.rotation.json --config v0/node.toml
  qcn vote leave --config v0/node.toml
  qcn vote show --config v0/node.toml --json
  qcn vote withdraw --split 0 --config v0/node.toml";

/// How long a vote is cast, unless told.
const USUAL_HOURS: f64 = 24.0;

/// The longest that a vote may be cast, in hours: a year.
const MAX_HOURS: f64 = 366.0 * 24.0;

#[derive(Debug, Subcommand)]
pub enum VoteCommand {
    /// Split a shard into two halves.
    Split(ShardArgs),
    /// Merge a shard with its other half.
    Merge(ShardArgs),
    /// Give a validator another weight, or remove it.
    Weight(WeightArgs),
    /// Admit somebody who has registered.
    Admit(AdmitArgs),
    /// Hand in new keys of a validator, which its recovery key has signed.
    Rotate(RotateArgs),
    /// Leave the network at the end of the epoch; that cannot be taken back.
    Leave(LeaveArgs),
    /// Show what nodes vote for.
    Show(ShowArgs),
    /// Vote for something no more.
    Withdraw(WithdrawArgs),
}

/// Whose votes.
#[derive(Debug, Args)]
#[group(id = "whose", required = true, multiple = false)]
pub struct WhoseArgs {
    /// The configuration of the node; may be given again for another one.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// All validators of the devnet in this folder.
    #[arg(long, value_name = "DIR")]
    devnet: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ShardArgs {
    /// The number of the shard.
    #[arg(long, value_name = "N")]
    shard: u32,
    #[command(flatten)]
    cast: CastArgs,
}

fn parse_number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is no number of a validator; `qcn query beacon` has them, with the names")
    })
}

#[derive(Debug, Args)]
pub struct WeightArgs {
    /// The number of the validator in the register; those of the genesis have their places in it.
    #[arg(long, value_name = "N", value_parser = parse_number)]
    validator: u32,
    /// Its voting power; 0 removes it.
    #[arg(long, value_name = "WEIGHT")]
    weight: u64,
    #[command(flatten)]
    cast: CastArgs,
}

#[derive(Debug, Args)]
pub struct AdmitArgs {
    /// A registration that `qcn validator register` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its voting power, if it is not to be what it asks for.
    #[arg(long, value_name = "WEIGHT")]
    weight: Option<u64>,
    #[command(flatten)]
    cast: CastArgs,
}

#[derive(Debug, Args)]
pub struct RotateArgs {
    /// A rotation that `qcn validator rotate` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    cast: CastArgs,
}

#[derive(Debug, Args)]
pub struct LeaveArgs {
    /// The configuration of the node whose validator leaves.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// For how many hours it is told to the beacon, until it has happened.
    #[arg(long, value_name = "H", default_value_t = USUAL_HOURS)]
    hours: f64,
    /// Print the votes as JSON.
    #[arg(long)]
    json: bool,
}

/// How a vote is cast.
#[derive(Debug, Args)]
struct CastArgs {
    #[command(flatten)]
    whose: WhoseArgs,
    /// For how many hours.
    #[arg(long, value_name = "H", default_value_t = USUAL_HOURS)]
    hours: f64,
    /// Print the votes as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    whose: WhoseArgs,
    /// Print the votes as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct WithdrawArgs {
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    whose: WhoseArgs,
    /// Print the votes as JSON.
    #[arg(long)]
    json: bool,
}

/// What is not voted for any more.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false)]
struct WhatArgs {
    /// The shard that is not to be split.
    #[arg(long, value_name = "SHARD")]
    split: Option<u32>,
    /// The shard that is not to be merged.
    #[arg(long, value_name = "SHARD")]
    merge: Option<u32>,
    /// The validator whose weight stays.
    #[arg(long, value_name = "VALIDATOR", value_parser = parse_number)]
    weight: Option<u32>,
    /// The digest of the registration that is not to be admitted.
    #[arg(long, value_name = "REGISTRATION")]
    admit: Option<Digest>,
    /// The validator whose new keys are not handed in.
    #[arg(long, value_name = "VALIDATOR", value_parser = parse_number)]
    rotate: Option<u32>,
    /// The own validator stays, if the beacon has not been told yet.
    #[arg(long)]
    leave: bool,
}

impl WhatArgs {
    fn vote(&self) -> Option<Vote> {
        // What else they say does not matter here.
        let admit =
            |registration| Vote::Admit { registration, weight: 0, consensus_key: Digest::ZERO };
        let rotate = |validator| Vote::Rotate { validator, counter: 0, rotation: Digest::ZERO };
        let split = self.split.map(|shard| Vote::Split { shard });
        split
            .or_else(|| self.merge.map(|shard| Vote::Merge { shard }))
            .or_else(|| self.weight.map(|validator| Vote::Weight { validator, weight: 0 }))
            .or_else(|| self.admit.map(admit))
            .or_else(|| self.rotate.map(rotate))
            .or_else(|| self.leave.then_some(Vote::Leave))
    }
}

pub fn run(command: &VoteCommand) -> anyhow::Result<ExitCode> {
    match command {
        VoteCommand::Split(args) => of_shard(Vote::Split { shard: args.shard }, args),
        VoteCommand::Merge(args) => of_shard(Vote::Merge { shard: args.shard }, args),
        VoteCommand::Weight(args) => {
            let WeightArgs { validator, weight, .. } = *args;
            ensure_weight(weight)?;
            let vote = Vote::Weight { validator, weight };
            cast(&Ballot { vote, document: None }, &nodes(&args.cast.whose)?, &args.cast.terms())
        }
        VoteCommand::Admit(args) => admit(args),
        VoteCommand::Rotate(args) => rotate(args),
        VoteCommand::Leave(args) => {
            let ballot = Ballot { vote: Vote::Leave, document: None };
            let terms = Terms { hours: args.hours, json: args.json };
            cast(&ballot, &[voter(&args.config)?], &terms)
        }
        VoteCommand::Show(args) => show(&nodes(&args.whose)?, args.json),
        VoteCommand::Withdraw(args) => withdraw(args),
    }
}

/// A node whose votes are looked at or changed.
struct Voter {
    config_file: PathBuf,
    /// The files of its consensus keys: the present one, and that of a rotation.
    key_files: Vec<PathBuf>,
    data: PathBuf,
    genesis: Genesis,
    /// Where its API is from this machine.
    api: String,
}

/// A vote, with what goes with it.
struct Ballot {
    vote: Vote,
    document: Option<Document>,
}

/// What a node hands in for a vote.
enum Document {
    Registration(Box<RegistrationFile>),
    Rotation(Box<RotationFile>),
}

impl Ballot {
    fn registration(&self) -> Option<&Registration> {
        match &self.document {
            Some(Document::Registration(file)) => Some(file.registration()),
            _ => None,
        }
    }

    fn rotation(&self) -> Option<&RotationBody> {
        match &self.document {
            Some(Document::Rotation(file)) => Some(&file.rotation().body),
            _ => None,
        }
    }

    fn keep(&self, voter: &Voter) -> anyhow::Result<()> {
        match &self.document {
            Some(Document::Registration(file)) => Ok(file.keep(&voter.data)?),
            Some(Document::Rotation(file)) => Ok(file.keep(&voter.data)?),
            None => Ok(()),
        }
    }
}

/// For how long a vote is cast, and how that is said.
struct Terms {
    hours: f64,
    json: bool,
}

impl CastArgs {
    const fn terms(&self) -> Terms {
        Terms { hours: self.hours, json: self.json }
    }
}

fn of_shard(vote: Vote, args: &ShardArgs) -> anyhow::Result<ExitCode> {
    cast(&Ballot { vote, document: None }, &nodes(&args.cast.whose)?, &args.cast.terms())
}

fn admit(args: &AdmitArgs) -> anyhow::Result<ExitCode> {
    let voters = nodes(&args.cast.whose)?;
    // Each by the genesis of its node: they may not be of one network.
    let files = voters.iter().map(|voter| RegistrationFile::read(&args.file, &voter.genesis));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let file = files.into_iter().next().context("name a node")?;
    let weight = args.weight.unwrap_or(file.registration().weight.0);
    ensure!(weight > 0, "--weight 0: whoever is admitted weighs something; give at least 1");
    ensure_weight(weight)?;
    let vote = Vote::Admit {
        registration: file.digest(),
        weight,
        consensus_key: file.registration().consensus.key.digest(),
    };
    let document = Some(Document::Registration(Box::new(file)));
    cast(&Ballot { vote, document }, &voters, &args.cast.terms())
}

fn rotate(args: &RotateArgs) -> anyhow::Result<ExitCode> {
    let voters = nodes(&args.cast.whose)?;
    let files = voters.iter().map(|voter| RotationFile::read(&args.file, &voter.genesis));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let file = files.into_iter().next().context("name a node")?;
    let body = &file.rotation().body;
    let (validator, counter) = (body.number, body.counter);
    let vote = Vote::Rotate { validator, counter, rotation: file.digest() };
    let document = Some(Document::Rotation(Box::new(file)));
    cast(&Ballot { vote, document }, &voters, &args.cast.terms())
}

fn ensure_weight(weight: u64) -> anyhow::Result<()> {
    let most = Committee::MAX_TOTAL;
    ensure!(weight <= most, "--weight {weight}: no committee can have it; give at most {most}");
    Ok(())
}

fn cast(ballot: &Ballot, voters: &[Voter], terms: &Terms) -> anyhow::Result<ExitCode> {
    let hours = terms.hours;
    if !(hours > 0.0 && hours <= MAX_HOURS) {
        bail!("--hours {hours}: give more than 0 and at most {MAX_HOURS}");
    }
    let lasts = Duration::from_secs_f64(hours * 3_600.0);
    let warnings = check::ballot(ballot, voters)?;
    let mut all = Vec::with_capacity(voters.len());
    for voter in voters {
        let mut votes = Votes::read(&voter.data)?;
        if !votes.cast(ballot.vote, lasts) {
            bail!(
                "{} votes for {MAX_VOTES} things already: withdraw some of them first",
                voter.config_file.display()
            );
        }
        all.push(votes);
    }
    for (votes, voter) in all.iter().zip(voters) {
        // First, so that the node finds what it votes for.
        ballot.keep(voter)?;
        votes.write(&voter.data)?;
    }
    for warning in warnings {
        crate::note(&format!("warning: {warning}"));
    }
    show(voters, terms.json)
}

fn withdraw(args: &WithdrawArgs) -> anyhow::Result<ExitCode> {
    let vote = args.what.vote().context("say what is not voted for any more")?;
    let voters = nodes(&args.whose)?;
    for voter in &voters {
        let mut votes = Votes::read(&voter.data)?;
        if !votes.withdraw(&vote) {
            bail!("{} does not vote for this", voter.config_file.display());
        }
        votes.write(&voter.data)?;
    }
    if vote == Vote::Leave {
        crate::note(
            "if the beacon has been told already the validator leaves all the same: see `leaving` \
             in /v1/beacon",
        );
    }
    show(&voters, args.json)
}

fn nodes(args: &WhoseArgs) -> anyhow::Result<Vec<Voter>> {
    let files: Vec<PathBuf> = match &args.devnet {
        Some(folder) => {
            let devnet = Devnet::open(folder)?;
            let missing = || format!("{} holds no devnet", folder.display());
            devnet.with_context(missing)?.config_files().collect()
        }
        None => args.config.clone(),
    };
    files.into_iter().map(|file| voter(&file)).collect()
}

fn voter(config_file: &Path) -> anyhow::Result<Voter> {
    let config = NodeConfig::read(config_file)?;
    let genesis = Genesis::read(&config.genesis)?;
    if genesis.beacon().is_none() {
        bail!(
            "{}: there are no epochs in this network, so nothing can be voted for: its genesis \
             has no section shards.epochs",
            config.genesis.display()
        );
    }
    let api = format!("http://{}", reached_at(config.api.listen));
    let NodeConfig { consensus_key, next_consensus_key, data, .. } = config;
    let key_files = std::iter::once(consensus_key).chain(next_consensus_key).collect();
    Ok(Voter { config_file: config_file.to_owned(), key_files, data, genesis, api })
}

/// Where this machine reaches what listens at an address.
fn reached_at(listen: SocketAddr) -> SocketAddr {
    let host = match listen.ip() {
        IpAddr::V4(host) if host.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(host) if host.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host => host,
    };
    SocketAddr::new(host, listen.port())
}
