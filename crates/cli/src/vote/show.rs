//! What nodes vote for.

use std::path::Path;
use std::process::ExitCode;

use qcn_node::membership::RegistrationFile;
use qcn_node::votes::{Vote, Votes};
use serde_json::json;

use super::Voter;
use crate::output::{harmless, print, print_line};

pub(super) fn show(voters: &[Voter], as_json: bool) -> anyhow::Result<ExitCode> {
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
            print_line(&format!("  {}", words(&cast.vote, &voter.data)))?;
        }
    }
    if as_json {
        print(&format!("{}\n", serde_json::to_string(&all)?))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn words(vote: &Vote, data: &Path) -> String {
    match vote {
        Vote::Split { shard } => format!("split shard {shard}"),
        Vote::Merge { shard } => format!("merge shard {shard} with its other half"),
        Vote::Weight { validator, weight: 0 } => format!("remove validator {validator}"),
        Vote::Weight { validator, weight } => {
            format!("give validator {validator} weight {weight}")
        }
        Vote::Admit { registration, weight, .. } => {
            let kept = RegistrationFile::kept(data, registration);
            let name = kept.map_or_else(
                |_| "somebody whose registration is missing here".to_owned(),
                |kept| harmless(&String::from_utf8_lossy(&kept.name)),
            );
            format!("admit {name} with weight {weight}, by registration {registration}")
        }
        Vote::Rotate { validator, counter, .. } => {
            format!("hand in rotation {counter} of the keys of validator {validator}")
        }
        Vote::Leave => "leave at the end of the epoch".to_owned(),
    }
}
