//! `qcn sim`: run scenarios, look for scenarios that break something, run them again.

mod files;
mod fuzz;
mod host;
mod list;
mod replay;
mod rule;
mod run;
mod sharded;
mod sweep;

use std::process::ExitCode;

use clap::Subcommand;

const RUN_EXAMPLES: &str = "\
Prints the conditions, what was measured and every broken invariant, and writes the result as
JSON and as a standalone HTML page with plots: to out/NAME.json and out/NAME.html, unless
--json, --html or --no-files say otherwise. Scenarios of several shards have no page yet. The
same seed gives the same result on every machine, apart from the part `host`.

Exit code: 0 if every invariant held, 1 if one was broken, 2 for bad input.

Examples:
  qcn sim run wan
  qcn sim run shards                      1 to 16 shards, one after the other
  qcn sim run epochs                      one network of shards whose committees change
  qcn sim run scenarios/partition.toml --seed 7 --html split.html
  qcn sim run scale --json - --quiet | jq .finality_ms";

const FUZZ_EXAMPLES: &str = "\
Each seed is one scenario: a committee of 1 to 20, weights, links, crashes, cuts, damaged disks
and adversaries up to f of the weight. First anything goes wrong and safety must hold; then all
is calm and every honest validator must move on. At the first broken invariant it stops, makes
the scenario as small as it can, and prints the command that replays it.

Exit code: 0 if every invariant held, 1 if one was broken, 2 for bad input.

Examples:
  qcn sim fuzz --seeds 0..10000
  qcn sim fuzz --minutes 30 --jobs 4
  qcn sim fuzz --seeds 42..43
  qcn sim fuzz --shards --minutes 10      networks of shards with transfers between them";

const LIST_EXAMPLES: &str = "\
Examples:
  qcn sim list
  qcn sim list wan > my-network.toml      a complete file to start from
  qcn sim list --json";

const REPLAY_EXAMPLES: &str = "\
FILE is a result (JSON) of `qcn sim run` or `qcn sim fuzz`, or the scenario (TOML) that the
fuzzer wrote beside it. The run is the same if its trace hash and its violations are.

Exit code: 0 if the run is the same and every invariant held, 1 if not, 2 for bad input.

Examples:
  qcn sim replay out/wan.json
  qcn sim replay out/wan.json --json - | jq .trace_hash
  qcn sim replay out/fuzz/fuzz-42.toml";

/// Run the protocol in virtual time.
#[derive(Debug, Subcommand)]
pub enum SimCommand {
    /// Run a scenario and report what it showed.
    #[command(after_help = RUN_EXAMPLES)]
    Run(run::RunArgs),
    /// Look for random scenarios that break an invariant.
    #[command(after_help = FUZZ_EXAMPLES)]
    Fuzz(fuzz::FuzzArgs),
    /// List the scenarios that come with it, or print one.
    #[command(after_help = LIST_EXAMPLES)]
    List(list::ListArgs),
    /// Run a recorded scenario again, and compare.
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(replay::ReplayArgs),
}

/// Exit code of a run that broke an invariant, or is not the recorded one.
const EXIT_BROKEN: u8 = 1;

/// Runs a command. An error is bad input or a failing file, for exit code 2.
pub fn run(command: SimCommand) -> anyhow::Result<ExitCode> {
    match command {
        SimCommand::Run(args) => run::run(&args),
        SimCommand::Fuzz(args) => fuzz::run(&args),
        SimCommand::List(args) => list::run(&args),
        SimCommand::Replay(args) => replay::run(&args),
    }
}

/// The exit code that says whether everything was in order.
fn exit_code(in_order: bool) -> ExitCode {
    if in_order { ExitCode::SUCCESS } else { ExitCode::from(EXIT_BROKEN) }
}

/// Writes to standard output.
fn print(text: &str) -> anyhow::Result<()> {
    use anyhow::Context as _;
    use std::io::Write as _;
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}
