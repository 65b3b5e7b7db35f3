//! `qcn query`: what a node knows, as tables for people or as the node's own JSON.

mod seatless;
mod tables;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use qcn_crypto::Digest;
use qcn_types::Address;
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
    let asking = Asking { client: args.asking.node.client()?, json: args.asking.json };
    match &args.question {
        Question::Status => asking.show_status(),
        Question::Validators => asking.show("/v1/validators", tables::validators),
        Question::Peers => asking.show("/v1/peers", tables::peers),
        Question::Checkpoint { height } => {
            asking.show(&format!("/v1/checkpoints/{height}"), tables::checkpoint)
        }
        Question::Block { digest } => asking.show(&format!("/v1/blocks/{digest}"), tables::block),
        Question::Transaction { id } => {
            asking.show(&format!("/v1/transactions/{id}"), tables::transaction)
        }
        Question::Account { address } => {
            asking.show(&format!("/v1/accounts/{address}"), tables::account)
        }
        Question::Proof(Proof::Account { address, out }) => {
            asking.prove(&format!("/v1/accounts/{address}/proof"), out.out.as_deref())
        }
        Question::Proof(Proof::Transaction { id, out }) => {
            asking.prove(&format!("/v1/transactions/{id}/proof"), out.out.as_deref())
        }
        Question::Proof(Proof::Receipt { id, out }) => {
            asking.prove(&format!("/v1/transactions/{id}/receipt-proof"), out.out.as_deref())
        }
        Question::Proof(Proof::Checkpoint { height, out }) => {
            asking.prove(&format!("/v1/checkpoints/{height}/proof"), out.out.as_deref())
        }
        Question::Proof(Proof::Evidence { digest, out }) => {
            asking.prove(&format!("/v1/evidence/{digest}/proof"), out.out.as_deref())
        }
        Question::Evidence => asking.show("/v1/evidence?limit=500", tables::evidence),
        Question::Supply => asking.show("/v1/supply", tables::supply),
        Question::Search { text } => {
            asking.show(&format!("/v1/search?q={}", escaped(text)), tables::search)
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
    json: bool,
}

impl Asking {
    /// Asks, and shows the answer. It is understood even where it is printed as it came.
    fn show<T: DeserializeOwned>(
        &self,
        path: &str,
        table: fn(&T) -> Shown,
    ) -> anyhow::Result<ExitCode> {
        let text = self.client.get_text(path)?;
        self.show_text(path, &text, table)
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
        match self.client.get_text("/v1/status") {
            Err(ClientError::Refused { refusal, .. }) if refusal.code == seatless::CODE => {
                let standing = seatless::Standing::ask(&self.client)?;
                print(&if self.json { standing.json() } else { standing.table() })?;
                Ok(ExitCode::SUCCESS)
            }
            text => self.show_text("/v1/status", &text?, tables::status),
        }
    }

    /// Asks for a proof, shows what it claims, and writes it down.
    fn prove(&self, path: &str, out: Option<&Path>) -> anyhow::Result<ExitCode> {
        let text = self.client.get_text(path)?;
        let document: tables::ProofDocument = self.client.parse(path, &text)?;
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
