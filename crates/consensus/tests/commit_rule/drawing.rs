//! DAGs drawn as text.
//!
//! A row is a round: `2 | A B-A C=BCD D'=A'BC+D0`. A block is named by its author, with a prime
//! for each further block of the slot, and by its parents:
//!
//! | drawn | parents |
//! |---|---|
//! | `B` | the first block of everybody in the round below |
//! | `B-AC` | the same, but A's and C's |
//! | `B=A'C` | exactly these blocks of the round below |
//! | `B+A3` | besides, the block A3 of some lower round |
//!
//! The block `A'` of round 2 has the id `A2'`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A committee, its leaders and its blocks, by name only.
#[derive(Clone, Debug, Default)]
pub struct Drawing {
    /// Names and weights.
    pub committee: Vec<(String, u64)>,
    /// The leaders of each round, in the order of their slots.
    pub leaders: BTreeMap<u64, Vec<String>>,
    /// The blocks; parents come before children.
    pub blocks: Vec<Block>,
}

/// A block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its name.
    pub id: String,
    /// The name of its author.
    pub author: String,
    /// Its round, above 0.
    pub round: u64,
    /// The names of its parents.
    pub parents: Vec<String>,
}

impl Drawing {
    /// Reads a committee (`A B*3 C`), leaders (`1:A 4:BC`) and rows of blocks.
    pub fn parse(committee: &str, leaders: &str, rows: &str) -> Self {
        let mut drawing = Self::default();
        for member in committee.split_whitespace() {
            let (name, weight) = member.split_once('*').unwrap_or((member, "1"));
            drawing.committee.push((name.to_owned(), weight.parse().expect("a weight")));
        }
        for slot in leaders.split_whitespace() {
            let (round, names) = slot.split_once(':').expect("round:leaders");
            let names = names.chars().map(String::from).collect();
            drawing.leaders.insert(round.parse().expect("a round"), names);
        }
        for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
            let (round, blocks) = row.split_once('|').expect("round | blocks");
            let round = round.trim().parse().expect("a round");
            // Blocks of one row do not see each other.
            let blocks: Vec<Block> =
                blocks.split_whitespace().map(|text| drawing.read_block(round, text)).collect();
            drawing.blocks.extend(blocks);
        }
        drawing
    }

    /// The blocks of an author in a round.
    pub fn in_slot(&self, round: u64, author: &str) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| block.round == round && block.author == author)
    }

    /// The document that `qcn dag decide` reads.
    pub fn to_json(&self) -> String {
        let join = |items: Vec<String>| items.join(",");
        let committee = self.committee.iter();
        let committee =
            committee.map(|(name, weight)| format!(r#"{{"name":"{name}","weight":{weight}}}"#));
        let names = |names: &[String]| {
            let quoted = names.iter().map(|name| format!(r#""{name}""#)).collect();
            format!("[{}]", join(quoted))
        };
        let leaders = self.leaders.iter();
        let leaders = leaders.map(|(round, leaders)| format!(r#""{round}":{}"#, names(leaders)));
        let blocks = self.blocks.iter().map(|block| {
            let Block { id, author, round, parents } = block;
            let parents = names(parents);
            format!(r#"{{"id":"{id}","author":"{author}","round":{round},"parents":{parents}}}"#)
        });
        format!(
            r#"{{"committee":[{}],"leaders":{{{}}},"blocks":[{}]}}"#,
            join(committee.collect()),
            join(leaders.collect()),
            join(blocks.collect()),
        )
    }

    fn read_block(&self, round: u64, text: &str) -> Block {
        let mut parts = text.split('+');
        let own = parts.next().expect("a block");
        let split = own.find(['-', '=']).unwrap_or(own.len());
        let (block, parents) = own.split_at(split);
        let (author, primes) = block.split_at(1);
        let names: Vec<(&str, &str)> = tokens(parents.get(1..).unwrap_or(""));
        let mut parent_ids: Vec<String> = if parents.starts_with('=') {
            names.iter().map(|(name, primes)| id(name, round - 1, primes)).collect()
        } else {
            let left_out = |name: &str| names.iter().any(|(left_out, _)| *left_out == name);
            let members = self.committee.iter().map(|(name, _)| name.as_str());
            let below = members.filter(|name| !left_out(name));
            below.filter_map(|name| self.first_of(round - 1, name)).collect()
        };
        parent_ids.extend(parts.map(str::to_owned));
        Block {
            id: id(author, round, primes),
            author: author.to_owned(),
            round,
            parents: parent_ids,
        }
    }

    fn first_of(&self, round: u64, author: &str) -> Option<String> {
        if round == 0 {
            return Some(id(author, 0, ""));
        }
        self.in_slot(round, author).next().map(|block| block.id.clone())
    }
}

fn id(author: &str, round: u64, primes: &str) -> String {
    format!("{author}{round}{primes}")
}

/// Splits `AB'C` into names and their primes.
fn tokens(text: &str) -> Vec<(&str, &str)> {
    let starts = text.char_indices().filter(|(_, letter)| *letter != '\'').map(|(at, _)| at);
    let starts: Vec<usize> = starts.chain([text.len()]).collect();
    starts.windows(2).map(|pair| text[pair[0]..pair[1]].split_at(1)).collect()
}

/// What is decided for a DAG.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// All leader slots in order.
    pub decisions: Vec<Decision>,
    /// The blocks of the longest decided prefix, in order.
    pub sequence: Vec<String>,
}

/// What is decided for a leader slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// The round.
    pub round: u64,
    /// The name of the leader.
    pub leader: String,
    /// What and how; nothing if it is undecided.
    pub made: Option<(Outcome, Rule)>,
}

/// What becomes of a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// This block is committed.
    Commit(String),
    /// None is.
    Skip,
}

/// How a slot is decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// By the two rounds above.
    Direct,
    /// Through an anchor.
    Indirect,
}

impl Answer {
    /// As text: `1A=A1` is committed directly, `1A~A1` through an anchor, `1A=-` and `1A~-` are
    /// skipped alike, `1A?` is undecided.
    pub fn decisions_text(&self) -> String {
        let mut text = String::new();
        for Decision { round, leader, made } in &self.decisions {
            let space = if text.is_empty() { "" } else { " " };
            let (rule, outcome) = match made {
                None => ("?", ""),
                Some((outcome, rule)) => (
                    if *rule == Rule::Direct { "=" } else { "~" },
                    if let Outcome::Commit(block) = outcome { block } else { "-" },
                ),
            };
            let _ = write!(text, "{space}{round}{leader}{rule}{outcome}");
        }
        text
    }

    /// The outcomes without how they came about: that depends on when one looks.
    pub fn outcomes(&self) -> Vec<Option<&Outcome>> {
        self.decisions.iter().map(|decision| decision.made.as_ref().map(|(what, _)| what)).collect()
    }
}
