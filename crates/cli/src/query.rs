//! `qcn query`: what a node knows, as tables for people or as the node's own JSON.

mod network;
mod seatless;
mod tables;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use qcn_crypto::Digest;
use qcn_types::{Address, BEACON};
use serde::de::DeserializeOwned;

use crate::account_key::{parse_address, parse_digest};
use crate::client::{Client, ClientError, NodeArgs};
use crate::output::{harmless, print};

/// Exit code of a transaction that the node does not know, and of a supply that does not add up.
const EXIT_NO: u8 = 1;

pub const EXAMPLES: &str = "\
Exit code: 0 if there is an answer, 1 if the node does not know the transaction or its supply
does not add up, 2 for bad input, for what does not exist, or a node that cannot be reached.

Examples:
  qcn query status
  qcn query checkpoint 120 --json | jq .certificate.authors
  qcn query --shard 1 status                      another shard of the node than its first
  qcn query proof account ADDRESS --out proof.json && qcn light verify proof.json \\
    --genesis genesis.json
  qcn query proof checkpoint certified --out proof.json";

/// What to ask, and whom.
#[derive(Debug, Args)]
pub struct QueryArgs {
    #[command(subcommand)]
    question: Question,
    /// Which node.
    #[command(flatten)]
    asking: AskingArgs,
}

/// Options of every question. They may stand before or after it.
#[derive(Debug, Args)]
struct AskingArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Ask about this shard of the node, or about the `beacon`; without it about its first.
    #[arg(long, value_name = "N", global = true, value_parser = parse_shard)]
    shard: Option<u32>,
    /// Print the node's answer as it came, in JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// Where the node stands.
    Status,
    /// The committee, with each validator's weight and health.
    Validators,
    /// The node's connections.
    Peers,
    /// All shards of the network: who serves them, where they stand, and what is between them.
    Shards,
    /// The beacon: the register of validators, who wants to join, and the votes of this epoch.
    Beacon,
    /// The epochs that the beacon has announced, newest first.
    Epochs {
        /// Only those with another layout than the one before.
        #[arg(long)]
        resharded: bool,
        /// Only epochs below this one.
        #[arg(long, value_name = "EPOCH")]
        before: Option<u64>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 50,
              value_parser = clap::value_parser!(u16).range(1..=500))]
        limit: u16,
    },
    /// Who served in an epoch.
    Committee {
        /// Which epoch.
        epoch: u64,
    },
    /// A checkpoint with its certificate.
    Checkpoint {
        /// A height, `latest`, or `certified`.
        #[arg(value_name = "HEIGHT", default_value = "latest", value_parser = parse_height)]
        height: String,
    },
    /// A block of the DAG.
    Block {
        /// Its digest.
        #[arg(value_parser = parse_digest)]
        digest: Digest,
    },
    /// A transaction and what became of it.
    Transaction {
        /// Its id.
        #[arg(value_parser = parse_digest)]
        id: Digest,
    },
    /// An account's balance and nonce.
    Account {
        /// Its address.
        #[arg(value_parser = parse_address)]
        address: Address,
    },
    /// A proof that anyone can check offline.
    #[command(subcommand)]
    Proof(Proof),
    /// Proven faults of validators.
    Evidence,
    /// Where all units of the currency are.
    Supply,
    /// Whatever a height, a round, a digest, an address or a name leads to.
    Search {
        /// What to look for.
        #[arg(value_name = "Q")]
        text: String,
    },
}

#[derive(Debug, Subcommand)]
enum Proof {
    /// Of an account's balance and nonce, or that there is no such account.
    Account {
        /// Its address.
        #[arg(value_parser = parse_address)]
        address: Address,
        #[command(flatten)]
        out: OutArgs,
    },
    /// Of what became of a transaction.
    Transaction {
        /// Its id.
        #[arg(value_parser = parse_digest)]
        id: Digest,
        #[command(flatten)]
        out: OutArgs,
    },
    /// That a transfer left for another shard, until that has acknowledged it.
    Receipt {
        /// The transaction's id.
        #[arg(value_parser = parse_digest)]
        id: Digest,
        #[command(flatten)]
        out: OutArgs,
    },
    /// That a checkpoint is final.
    Checkpoint {
        /// A height, or `certified` for the newest that has a proof.
        #[arg(value_name = "HEIGHT", value_parser = parse_height)]
        height: String,
        #[command(flatten)]
        out: OutArgs,
    },
    /// That a validator broke a rule.
    Evidence {
        /// Its digest; `qcn query evidence` lists them.
        #[arg(value_parser = parse_digest)]
        digest: Digest,
        #[command(flatten)]
        out: OutArgs,
    },
}

#[derive(Debug, Args)]
struct OutArgs {
    /// Write the proof to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Question {
    /// What it is called, if it is about the node and not about one of its shards.
    const fn about_node(&self) -> Option<&'static str> {
        match self {
            Self::Peers => Some("peers"),
            Self::Shards => Some("shards"),
            Self::Beacon => Some("beacon"),
            Self::Epochs { .. } => Some("epochs"),
            _ => None,
        }
    }
}

fn parse_shard(text: &str) -> Result<u32, String> {
    match text {
        "beacon" => Ok(BEACON.0),
        _ => text.parse().map_err(|_| {
            format!(
                "`{text}` is no shard; give its number, which `qcn query shards` tells, or `beacon`"
            )
        }),
    }
}

fn parse_height(text: &str) -> Result<String, String> {
    match text {
        "latest" | "certified" => Ok(text.to_owned()),
        _ => text
            .parse::<u64>()
            .map(|height| height.to_string())
            .map_err(|_| format!("`{text}` is no height; give a number, `latest` or `certified`")),
    }
}

/// Runs `qcn query`.
pub fn run(args: &QueryArgs) -> anyhow::Result<ExitCode> {
    let AskingArgs { node, shard, json } = &args.asking;
    if let (Some(name), Some(_)) = (args.question.about_node(), shard) {
        anyhow::bail!(
            "--shard: `{name}` is about the node, whichever shards it has; leave it away"
        );
    }
    let asking = Asking { client: node.client()?, shard: *shard, json: *json };
    match &args.question {
        Question::Status => asking.show_status(),
        Question::Validators => asking.show("/validators", tables::validators),
        Question::Peers => asking.show("/peers", tables::peers),
        Question::Shards => asking.show("/shards", network::shards),
        Question::Beacon => asking.show("/beacon", network::beacon),
        Question::Epochs { resharded, before, limit } => {
            let before = before.map(|epoch| format!("&before={epoch}")).unwrap_or_default();
            let table = if *resharded { network::resharded } else { network::epochs };
            asking.show(&format!("/epochs?limit={limit}&resharded={resharded}{before}"), table)
        }
        Question::Committee { epoch } => {
            asking.show(&format!("/committees/{epoch}"), network::committee)
        }
        Question::Checkpoint { height } => {
            asking.show(&format!("/checkpoints/{height}"), tables::checkpoint)
        }
        Question::Block { digest } => asking.show(&format!("/blocks/{digest}"), tables::block),
        Question::Transaction { id } => {
            asking.show(&format!("/transactions/{id}"), tables::transaction)
        }
        Question::Account { address } => {
            asking.show(&format!("/accounts/{address}"), tables::account)
        }
        Question::Proof(proof) => asking.prove(proof),
        Question::Evidence => asking.show("/evidence?limit=500", tables::evidence),
        Question::Supply => asking.show("/supply", tables::supply),
        Question::Search { text } => {
            asking.show(&format!("/search?q={}", escaped(text)), tables::search)
        }
    }
}

impl Proof {
    /// Where the node has it, and where it is to be written.
    fn place(&self) -> (String, &OutArgs) {
        match self {
            Self::Account { address, out } => (format!("/accounts/{address}/proof"), out),
            Self::Transaction { id, out } => (format!("/transactions/{id}/proof"), out),
            Self::Receipt { id, out } => (format!("/transactions/{id}/receipt-proof"), out),
            Self::Checkpoint { height, out } => (format!("/checkpoints/{height}/proof"), out),
            Self::Evidence { digest, out } => (format!("/evidence/{digest}/proof"), out),
        }
    }
}

/// What a table shows, and whether the answer is a yes.
struct Shown {
    text: String,
    is_yes: bool,
}

struct Asking {
    client: Client,
    shard: Option<u32>,
    json: bool,
}

impl Asking {
    /// The path of something of the node or of the shard that is asked about.
    fn path(&self, below: &str) -> String {
        match self.shard {
            None => format!("/v1{below}"),
            Some(shard) => format!("/v1/shards/{shard}{below}"),
        }
    }

    /// Asks, and shows the answer. It is understood even where it is printed as it came.
    fn show<T: DeserializeOwned>(
        &self,
        below: &str,
        table: fn(&T) -> Shown,
    ) -> anyhow::Result<ExitCode> {
        let path = self.path(below);
        let text = self.client.get_text(&path)?;
        self.show_text(&path, &text, table)
    }

    fn show_text<T: DeserializeOwned>(
        &self,
        path: &str,
        text: &str,
        table: fn(&T) -> Shown,
    ) -> anyhow::Result<ExitCode> {
        let answer = self.client.parse(path, text)?;
        let Shown { text: table, is_yes } = table(&answer);
        print(&if self.json { text.trim_end().to_owned() + "\n" } else { table })?;
        Ok(if is_yes { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NO) })
    }

    /// Asks where the node stands. One whose validator has no seat stands somewhere, too.
    fn show_status(&self) -> anyhow::Result<ExitCode> {
        let path = self.path("/status");
        match self.client.get_text(&path) {
            Err(ClientError::Refused { refusal, .. }) if refusal.code == seatless::CODE => {
                let standing = seatless::Standing::ask(&self.client)?;
                print(&if self.json { standing.json() } else { standing.table() })?;
                Ok(ExitCode::SUCCESS)
            }
            text => self.show_text(&path, &text?, tables::status),
        }
    }

    /// Asks for a proof, shows what it claims, and writes it down.
    fn prove(&self, proof: &Proof) -> anyhow::Result<ExitCode> {
        let (below, OutArgs { out }) = proof.place();
        let (path, out) = (self.path(&below), out.as_deref());
        let text = self.client.get_text(&path)?;
        let document: tables::ProofDocument = self.client.parse(&path, &text)?;
        if let Some(file) = out {
            std::fs::write(file, &text)
                .with_context(|| format!("--out: cannot write {}", file.display()))?;
        }
        if self.json {
            print(&(text.trim_end().to_owned() + "\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut shown = tables::proof(&document);
        shown += &match out {
            Some(file) => format!(
                "\nwritten to {file}; check it with `qcn light verify {file} --genesis \
                 genesis.json`\n",
                file = file.display()
            ),
            None => "\nthese are claims until `qcn light verify` has checked the proof; write it \
                     with --out FILE\n"
                .to_owned(),
        };
        print(&shown)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Text as part of an address.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let written = write!(escaped, "%{byte:02X}");
            written.expect("writing into memory");
        }
    }
    escaped
}

/// A value of JSON as a cell.
fn plain(value: &serde_json::Value) -> String {
    harmless(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_part_of_an_address() {
        assert_eq!(escaped("ada-1"), "ada-1");
        assert_eq!(escaped("a b&c=\u{e4}/"), "a%20b%26c%3D%C3%A4%2F");
    }

    #[test]
    fn a_height_is_a_number_or_one_of_two_words() {
        assert_eq!(parse_height("007").as_deref(), Ok("7"));
        assert_eq!(parse_height("certified").as_deref(), Ok("certified"));
        for wrong in ["", "-1", "newest", "1/2"] {
            assert!(parse_height(wrong).is_err(), "{wrong}");
        }
    }
}
