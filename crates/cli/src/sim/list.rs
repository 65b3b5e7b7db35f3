//! `qcn sim list`: the scenarios that come with it.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use qcn_sim::scenario::{BUILTIN, Builtin, Scenario, builtin};

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print this scenario's file.
    name: Option<String>,
    /// Print names and descriptions as JSON.
    #[arg(long, conflicts_with = "name")]
    json: bool,
}

pub fn run(args: &ListArgs) -> anyhow::Result<ExitCode> {
    match &args.name {
        Some(name) => match builtin(name) {
            Some(known) => super::print(known.text)?,
            None => bail!("no scenario is called `{name}`; `qcn sim list` names them all"),
        },
        None if args.json => {
            let list = BUILTIN.iter().map(|known| {
                let description = description(known)?;
                Ok(serde_json::json!({ "name": known.name, "description": description }))
            });
            let list: Vec<_> = list.collect::<anyhow::Result<_>>()?;
            super::print(&(serde_json::to_string_pretty(&list)? + "\n"))?;
        }
        None => {
            let width = BUILTIN.iter().map(|known| known.name.len()).max().unwrap_or(0);
            for known in &BUILTIN {
                super::print(&format!("{:<width$}  {}\n", known.name, description(known)?))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn description(known: &Builtin) -> anyhow::Result<String> {
    Ok(Scenario::parse(known.name, known.text)?.description)
}
