//! `qcn dag`: what the commit rule decides for a DAG, and what the DAG looks like.

mod compact;
mod decide;
mod document;
mod draw;
mod graph;

use std::fs::File;
use std::io::{self, Read, Write as _, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

pub use decide::{Decisions, SlotOutcome, decide};
pub use draw::draw;
pub use graph::Graph;

use crate::output::unreadable;

/// Longest document that is read.
const MAX_DOCUMENT_BYTES: u64 = 256 << 20;

const FORMAT: &str = "\
The document is a JSON object:
  {\"committee\": [{\"name\": \"A\", \"weight\": 1}, ...],
   \"leaders\": {\"1\": \"A\", \"2\": [\"B\", \"C\"], ...},
   \"blocks\": [{\"id\": \"A1\", \"author\": \"A\", \"round\": 1,
               \"parents\": [\"A0\", \"B0\", ...]}, ...]}
The committee's order breaks ties; weights are from 1 on and add up to less than 2^64.
A round has one leader, several in the order of their slots, or none if it is left out.
Blocks come in any order. Round 0 is implied: its blocks are named after their authors, as
A0. A parent is of a lower round, and a block names at most one of each author. Two blocks
of one author in one round are an equivocation, and have different ids.
Parents need not carry a quorum: such a block is decided about by the same rule, although
no validator would accept it.";

const DECIDE_EXAMPLES: &str = "\
Prints {\"decisions\": [...], \"sequence\": [...]}: for each leader slot in order whether it is
to commit, to skip or undecided, by which rule, and with which block; then the blocks of
the longest decided prefix in their final order.

If more than f of the weight is faulty, two blocks of a slot can both be committable: then
the lower id is taken, and a slot that can be both committed and skipped is committed.

Examples:
  qcn dag decide scenarios/dags/indirect.json
  qcn dag decide - < dag.json | jq .sequence";

const DRAW_EXAMPLES: &str = "\
Rounds are columns and authors are rows. Parents lie to the left of their children; a weak
link, to a round below the one before, is dashed. Leaders and the votes for them have the
colour of what was decided. Blocks of one slot stand together in a frame.

Examples:
  qcn dag draw scenarios/dags/equivocation.json --out equivocation.svg
  qcn dag draw dag.json --decisions > dag.svg";

/// Inspect the commit rule.
#[derive(Debug, Subcommand)]
pub enum DagCommand {
    /// Print what the commit rule decides for a DAG, and why.
    #[command(after_help = format!("{DECIDE_EXAMPLES}\n\n{FORMAT}"))]
    Decide(DecideArgs),
    /// Draw a DAG as SVG.
    #[command(after_help = format!("{DRAW_EXAMPLES}\n\n{FORMAT}"))]
    Draw(DrawArgs),
}

/// Which DAG to decide.
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// The document, or - for standard input.
    file: PathBuf,
}

/// Which DAG to draw, and how.
#[derive(Debug, Args)]
pub struct DrawArgs {
    /// The document, or - for standard input.
    file: PathBuf,
    /// Write to this file instead of standard output.
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
    /// Also write each decision, and each block's place in the sequence.
    #[arg(long)]
    decisions: bool,
}

/// Runs a command. An error is bad input or a failing file, for exit code 2.
pub fn run(command: DagCommand) -> anyhow::Result<ExitCode> {
    match command {
        DagCommand::Decide(args) => {
            let graph = read(&args.file)?;
            let text = decide(&graph).to_json(&graph);
            print(&text)?;
        }
        DagCommand::Draw(args) => {
            let graph = read(&args.file)?;
            let picture = draw(&graph, args.decisions).with_context(|| name_of(&args.file))?;
            match &args.out {
                Some(path) => std::fs::write(path, picture)
                    .with_context(|| format!("cannot write {}", path.display()))?,
                None => print(&picture)?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<Graph> {
    let name = name_of(path);
    let bytes = match is_standard_input(path) {
        true => read_bytes(stdin().lock()).with_context(|| format!("cannot read {name}")),
        false => File::open(path).and_then(read_bytes).map_err(|error| unreadable(path, &error)),
    }?;
    if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
        bail!("cannot read {name}: it is longer than {MAX_DOCUMENT_BYTES} bytes; leave rounds out");
    }
    Graph::parse(&bytes).with_context(|| name)
}

fn read_bytes(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn name_of(path: &Path) -> String {
    let name = || path.display().to_string();
    if is_standard_input(path) { "standard input".to_owned() } else { name() }
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn print(text: &str) -> anyhow::Result<()> {
    stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}
