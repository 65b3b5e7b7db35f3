//! `qcn vote`: what operators decide together about their network.

mod check;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use qcn_node::config::NodeConfig;
use qcn_node::devnet::Devnet;
use qcn_node::genesis::Genesis;
use qcn_node::votes::{MAX_VOTES, Vote, Votes};
use serde_json::json;

use crate::output::{print, print_line};

pub const EXAMPLES: &str = "\
A vote is written into the data folder of a node, which casts it in the beacon, in every epoch, until
it has come about or is too old. It takes more than two thirds of the weight, so the operators of
other nodes have to vote the same. What is decided holds from the next epoch on.

What cannot come about is refused: a validator that the genesis does not name, and, if a node of
those named answers, a shard that there is not or a merge without the other half.

Examples:
  qcn vote split --shard 0 --config v0/node.toml
  qcn vote merge --shard 0 --devnet devnet        # all validators of a devnet
  qcn vote weight --validator 3 --weight 500 --devnet devnet
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

#[derive(Debug, Args)]
pub struct WeightArgs {
    /// The number of the validator in the register: its place in the genesis.
    #[arg(long, value_name = "N")]
    validator: u32,
    /// Its voting power; 0 removes it.
    #[arg(long, value_name = "WEIGHT")]
    weight: u64,
    #[command(flatten)]
    cast: CastArgs,
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
    /// The shard that is not to be split.
    #[arg(long, value_name = "SHARD", required_unless_present_any = ["merge", "weight"])]
    split: Option<u32>,
    /// The shard that is not to be merged.
    #[arg(long, value_name = "SHARD", conflicts_with = "split")]
    merge: Option<u32>,
    /// The validator whose weight stays.
    #[arg(long, value_name = "VALIDATOR", conflicts_with_all = ["split", "merge"])]
    weight: Option<u32>,
    #[command(flatten)]
    whose: WhoseArgs,
    /// Print the votes as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(command: &VoteCommand) -> anyhow::Result<ExitCode> {
    match command {
        VoteCommand::Split(args) => cast(Vote::Split { shard: args.shard }, &args.cast),
        VoteCommand::Merge(args) => cast(Vote::Merge { shard: args.shard }, &args.cast),
        VoteCommand::Weight(args) => {
            cast(Vote::Weight { validator: args.validator, weight: args.weight }, &args.cast)
        }
        VoteCommand::Show(args) => show(&nodes(&args.whose)?, args.json),
        VoteCommand::Withdraw(args) => withdraw(args),
    }
}

/// A node whose votes are looked at or changed.
struct Voter {
    config_file: PathBuf,
    data: PathBuf,
    genesis: Genesis,
    /// Where its API is from this machine.
    api: String,
}

fn cast(vote: Vote, args: &CastArgs) -> anyhow::Result<ExitCode> {
    if !(args.hours > 0.0 && args.hours <= MAX_HOURS) {
        bail!("--hours {}: give more than 0 and at most {MAX_HOURS}", args.hours);
    }
    let lasts = Duration::from_secs_f64(args.hours * 3_600.0);
    let voters = nodes(&args.whose)?;
    let warning = check::vote(&vote, &voters)?;
    let mut all = Vec::with_capacity(voters.len());
    for voter in &voters {
        let mut votes = Votes::read(&voter.data)?;
        if !votes.cast(vote, lasts) {
            bail!(
                "{} votes for {MAX_VOTES} things already: withdraw some of them first",
                voter.config_file.display()
            );
        }
        all.push(votes);
    }
    for (votes, voter) in all.iter().zip(&voters) {
        votes.write(&voter.data)?;
    }
    if let Some(warning) = warning {
        crate::note(&format!("warning: {warning}"));
    }
    show(&voters, args.json)
}

fn withdraw(args: &WithdrawArgs) -> anyhow::Result<ExitCode> {
    let split = args.split.map(|shard| Vote::Split { shard });
    let merge = args.merge.map(|shard| Vote::Merge { shard });
    let weight = args.weight.map(|validator| Vote::Weight { validator, weight: 0 });
    let vote = split.or(merge).or(weight).context("say what is not voted for any more")?;
    let voters = nodes(&args.whose)?;
    for voter in &voters {
        let mut votes = Votes::read(&voter.data)?;
        if !votes.withdraw(&vote) {
            bail!("{} does not vote for this", voter.config_file.display());
        }
        votes.write(&voter.data)?;
    }
    show(&voters, args.json)
}

fn show(voters: &[Voter], as_json: bool) -> anyhow::Result<ExitCode> {
    let mut all = Vec::new();
    for voter in voters {
        let votes = Votes::read(&voter.data)?.votes;
        if as_json {
            all.push(json!({ "config": voter.config_file, "votes": votes }));
            continue;
        }
        print_line(&format!("{}:", voter.config_file.display()))?;
        if votes.is_empty() {
            print_line("  votes for nothing")?;
        }
        for cast in votes {
            let what = match cast.vote {
                Vote::Split { shard } => format!("split shard {shard}"),
                Vote::Merge { shard } => format!("merge shard {shard} with its other half"),
                Vote::Weight { validator, weight: 0 } => format!("remove validator {validator}"),
                Vote::Weight { validator, weight } => {
                    format!("give validator {validator} weight {weight}")
                }
            };
            print_line(&format!("  {what}"))?;
        }
    }
    if as_json {
        print(&format!("{}\n", serde_json::to_string(&all)?))?;
    }
    Ok(ExitCode::SUCCESS)
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
    Ok(Voter { config_file: config_file.to_owned(), data: config.data, genesis, api })
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
