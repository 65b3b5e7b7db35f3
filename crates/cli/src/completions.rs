//! `qcn completions`: scripts that let a shell complete commands.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

pub const EXAMPLES: &str = "\
Examples:
  qcn completions bash > ~/.local/share/bash-completion/completions/qcn
  qcn completions zsh > ~/.zfunc/_qcn
  qcn completions fish > ~/.config/fish/completions/qcn.fish";

/// For which shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "qcn", &mut script);
    crate::output::print(&String::from_utf8(script)?)?;
    Ok(ExitCode::SUCCESS)
}
