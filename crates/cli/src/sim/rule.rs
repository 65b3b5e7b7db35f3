//! The hidden switch that breaks a rule on purpose, so that tests see the invariants notice.

use clap::{Args, ValueEnum};
use qcn_consensus::BrokenRule;

#[derive(Debug, Clone, Copy, Args)]
pub struct BreakArgs {
    /// Break a rule of the protocol.
    #[arg(long = "break", value_name = "RULE", hide = true)]
    rule: Option<Rule>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Rule {
    SmallQuorum,
    NoVoteDeduplication,
    NoRoundLog,
}

impl BreakArgs {
    /// The rule to break, if any.
    pub fn rule(self) -> Option<BrokenRule> {
        self.rule.map(|rule| match rule {
            Rule::SmallQuorum => BrokenRule::SmallQuorum,
            Rule::NoVoteDeduplication => BrokenRule::NoVoteDeduplication,
            Rule::NoRoundLog => BrokenRule::NoRoundLog,
        })
    }

    /// The switch as it must be given again.
    pub fn switch(self) -> String {
        let name = self.rule.and_then(|rule| rule.to_possible_value());
        name.map_or_else(String::new, |name| format!(" --break {}", name.get_name()))
    }
}
