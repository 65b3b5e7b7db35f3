//! Who is meant by a name, an index or a share of the weight.

use super::error::{Path, Problem};
use super::format::Fault;
use super::plan::PlannedMember;
use super::words::{Share, Target};
use crate::random::Random;

/// Finds the validators that a scenario file means.
#[derive(Debug)]
pub struct Chooser<'a> {
    pub members: &'a [PlannedMember],
    pub seed: u64,
    /// Who is an adversary already.
    pub taken: Vec<bool>,
}

impl<'a> Chooser<'a> {
    pub fn new(members: &'a [PlannedMember], seed: u64) -> Self {
        Self { members, seed, taken: vec![false; members.len()] }
    }

    pub fn total_weight(&self) -> u64 {
        self.members.iter().map(|member| member.weight).sum()
    }

    /// The largest faulty weight.
    pub fn fault_weight(&self) -> u64 {
        (self.total_weight() - 1) / 3
    }

    /// The weight of the adversaries.
    pub fn taken_weight(&self) -> u64 {
        let taken = self.members.iter().zip(&self.taken).filter(|(_, taken)| **taken);
        taken.map(|(member, _)| member.weight).sum()
    }

    /// The validators of a list, each once.
    pub fn named(&self, path: &Path, targets: &[Target]) -> Result<Vec<usize>, Problem> {
        if targets.is_empty() {
            let remedy = "name at least one, or remove it";
            return Err(Problem::new(path.clone(), "the list of validators is empty", remedy));
        }
        let mut chosen = Vec::new();
        for (place, target) in targets.iter().enumerate() {
            let here = || path.clone().item(place);
            let index = self.find(here(), target)?;
            if chosen.contains(&index) {
                let what = format!("`{}` is named twice", self.members[index].name);
                return Err(Problem::new(here(), what, "name it once"));
            }
            chosen.push(index);
        }
        Ok(chosen)
    }

    fn find(&self, path: Path, target: &Target) -> Result<usize, Problem> {
        let last = self.members.len() - 1;
        match target {
            Target::Index(index) if *index <= last => Ok(*index),
            Target::Index(index) => Err(Problem::new(
                path,
                format!("there is no validator {index}"),
                format!("the last one is {last}"),
            )),
            Target::Name(name) => {
                let place = self.members.iter().position(|member| member.name == *name);
                place.ok_or_else(|| {
                    let (first, last) = (&self.members[0].name, &self.members[last].name);
                    Problem::new(
                        path,
                        format!("there is no validator `{name}`"),
                        format!("the names go from `{first}` to `{last}`; an index works too"),
                    )
                })
            }
        }
    }

    /// Honest validators drawn from the seed whose weight comes as near to the share as it can
    /// without being above it. `label` tells independent draws apart.
    pub fn drawn(&self, path: &Path, share: Share, label: &str) -> Result<Vec<usize>, Problem> {
        let most = match share {
            Share::Faulty => self.fault_weight().saturating_sub(self.taken_weight()),
            Share::Of(share) => (self.total_weight() as f64 * share).floor() as u64,
        };
        let mut order: Vec<usize> = (0..self.members.len()).filter(|&at| !self.taken[at]).collect();
        Random::new(self.seed, label).shuffle(&mut order);
        let mut weight = 0;
        let mut chosen: Vec<usize> = order
            .into_iter()
            .filter(|&at| {
                let fits = weight + self.members[at].weight <= most;
                weight += if fits { self.members[at].weight } else { 0 };
                fits
            })
            .collect();
        if chosen.is_empty() {
            return Err(Problem::new(
                path.clone(),
                format!("no honest validator is as light as {most} of {}", self.total_weight()),
                "give a larger share, or more and lighter validators",
            ));
        }
        chosen.sort_unstable();
        Ok(chosen)
    }

    /// The validators of a fault's `validators` or `weight`; without both everybody, as a list
    /// or, if `everybody` is false, as the empty list that means the same to the engine.
    pub fn members(
        &self,
        path: &Path,
        fault: &Fault,
        index: usize,
        everybody: bool,
    ) -> Result<Vec<usize>, Problem> {
        match (&fault.validators, fault.weight) {
            (Some(targets), _) => self.named(&path.clone().key("validators"), targets),
            (None, Some(share)) => {
                self.drawn(&path.clone().key("weight"), share, &format!("fault {index}"))
            }
            (None, None) if everybody => Ok((0..self.members.len()).collect()),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// The sides of a partition, from `groups` or `cut_weight`.
    pub fn groups(
        &self,
        path: &Path,
        fault: &Fault,
        index: usize,
    ) -> Result<Vec<Vec<usize>>, Problem> {
        if let Some(share) = fault.cut_weight {
            let label = format!("fault {index}");
            let cut = self.drawn(&path.clone().key("cut_weight"), share, &label)?;
            let rest = (0..self.members.len()).filter(|at| !cut.contains(at)).collect();
            return Ok(vec![cut, rest]);
        }
        let path = path.clone().key("groups");
        let written = fault.groups.as_deref().unwrap_or_default();
        if written.is_empty() {
            let remedy = "give at least one group; who is in none is alone";
            return Err(Problem::new(path, "the partition has no groups", remedy));
        }
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (number, targets) in written.iter().enumerate() {
            let here = path.clone().item(number);
            let group = self.named(&here, targets)?;
            let twice = group.iter().find(|at| groups.iter().any(|other| other.contains(at)));
            if let Some(&at) = twice {
                return Err(Problem::new(
                    here,
                    format!("`{}` is in two groups of one partition", self.members[at].name),
                    "put it into one of them",
                ));
            }
            groups.push(group);
        }
        Ok(groups)
    }
}
