//! Who may depend on whom (DESIGN section 3), and which crates may come in at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::cargo::root;
use crate::licence;

/// The layers, lowest first. A crate depends on lower layers only, also in its tests.
const LAYERS: [&[&str]; 8] = [
    &["qcn-crypto"],
    &["qcn-types"],
    &["qcn-light"],
    &["qcn-consensus", "qcn-ledger"],
    &["qcn-shard"],
    &["qcn-sim"],
    &["qcn-node"],
    &["qcn"],
];

/// Tools may depend on everything, and nothing on them.
const TOOLS: [&str; 3] = ["xtask", "qcn-benches", "qcn-fuzz-targets"];

/// The crates that are pure state machines, and which crates of others they may name.
const PURE: [(&str, &[&str]); 6] = [
    (
        "qcn-crypto",
        &[
            "argon2",
            "aws-lc-rs",
            "blake3",
            "borsh",
            "fips204",
            "fips205",
            "fn-dsa",
            "serde",
            "serde_json",
            "sha2",
            "sha3",
            "thiserror",
            "zeroize",
        ],
    ),
    ("qcn-types", &["borsh", "thiserror"]),
    ("qcn-light", &["borsh", "thiserror"]),
    ("qcn-consensus", &["borsh", "thiserror"]),
    ("qcn-ledger", &["borsh", "thiserror"]),
    ("qcn-shard", &["borsh", "thiserror"]),
];

/// What a pure crate may not reach through any dependency: executors, sockets, threads, clocks.
const IMPURE: [&str; 14] = [
    "async-std",
    "chrono",
    "crossbeam",
    "crossbeam-channel",
    "futures-executor",
    "hyper",
    "mio",
    "quinn",
    "rayon",
    "reqwest",
    "smol",
    "socket2",
    "time",
    "tokio",
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The packages of the workspace and all that they reach.
pub struct Graph {
    packages: BTreeMap<String, Package>,
    members: BTreeSet<String>,
}

struct Package {
    name: String,
    source: Option<String>,
    licence: Option<String>,
    /// Package ids by kind of dependency: `normal`, `dev` or `build`.
    dependencies: Vec<(String, BTreeSet<String>)>,
}

impl Graph {
    /// Reads what `cargo metadata` prints.
    pub fn read(metadata: &Value) -> Result<Self> {
        let mut packages = BTreeMap::new();
        for package in list(metadata, "packages") {
            let text = |key: &str| package[key].as_str().map(str::to_owned);
            let id = text("id").context("a package without an id")?;
            let name = text("name").context("a package without a name")?;
            let (source, licence) = (text("source"), text("license"));
            packages.insert(id, Package { name, source, licence, dependencies: Vec::new() });
        }
        for node in list(&metadata["resolve"], "nodes") {
            let id = node["id"].as_str().context("a node without an id")?;
            let package = packages.get_mut(id).context("a node without a package")?;
            for dependency in list(node, "deps") {
                let to = dependency["pkg"].as_str().context("a dependency without a package")?;
                let kinds = list(dependency, "dep_kinds")
                    .map(|kind| kind["kind"].as_str().unwrap_or("normal").to_owned());
                package.dependencies.push((to.to_owned(), kinds.collect()));
            }
        }
        let members = list(metadata, "workspace_members");
        let members = members.filter_map(|id| id.as_str()).map(str::to_owned).collect();
        Ok(Self { packages, members })
    }

    /// How many packages there are.
    pub fn len(&self) -> usize {
        self.packages.len()
    }

    /// Dependencies that point upwards, and members without a layer.
    pub fn against_the_layers(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for (id, package) in self.packages.iter().filter(|(id, _)| self.members.contains(*id)) {
            let name = package.name.as_str();
            if TOOLS.contains(&name) {
                continue;
            }
            let Some(layer) = layer_of(name) else {
                findings.push(format!("{name} has no layer: give it one in {}", file!()));
                continue;
            };
            // A crate that names itself turns on a feature of its own for its tests.
            for to in self.direct(id, &["normal", "dev", "build"]).filter(|to| *to != id.as_str()) {
                if self.members.contains(to)
                    && layer_of(self.name(to)).is_none_or(|lower| lower >= layer)
                {
                    findings.push(format!("{name} depends on {}, which is above", self.name(to)));
                }
            }
        }
        findings
    }

    /// What pure crates name or reach and may not.
    pub fn impurities(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for (pure, allowed) in PURE {
            let Some((id, _)) = self.packages.iter().find(|(_, package)| package.name == pure)
            else {
                findings.push(format!("{pure} is not in the workspace"));
                continue;
            };
            for to in self.direct(id, &["normal"]).filter(|to| !self.members.contains(*to)) {
                let name = self.name(to);
                if !allowed.contains(&name) {
                    findings.push(format!("{pure} depends on {name}, which is not on its list"));
                }
            }
            for reached in self.reached(id) {
                if IMPURE.contains(&self.name(&reached)) {
                    findings.push(format!("{pure} reaches {}", self.name(&reached)));
                }
            }
        }
        findings
    }

    /// Licences, banned crates and foreign sources, by the rules of `deny.toml`, of the crates
    /// that are `built` here: the lock file also names what a feature would bring in elsewhere.
    pub fn against_the_rules(&self, built: &BTreeSet<String>) -> Result<Vec<String>> {
        let path = root().join("deny.toml");
        let text = fs::read_to_string(&path).context("reading deny.toml")?;
        let rules: toml::Table = text.parse().context("reading deny.toml")?;
        let allowed: Vec<String> = strings(&rules["licenses"]["allow"]).collect();
        let banned: Vec<String> = rules["bans"]["deny"]
            .as_array()
            .context("deny.toml: bans.deny is a list")?
            .iter()
            .filter_map(|ban| ban["crate"].as_str())
            .map(str::to_owned)
            .collect();
        let mut findings = Vec::new();
        let foreign = self.packages.iter().filter(|(id, _)| !self.members.contains(*id));
        for (_, package) in foreign.filter(|(_, package)| built.contains(&package.name)) {
            let name = &package.name;
            let expression = package.licence.as_deref().unwrap_or("");
            if !licence::is_allowed(expression, &allowed) {
                findings.push(format!("{name}: the licence {expression:?} is not allowed"));
            }
            if banned.contains(name) {
                findings.push(format!("{name} is banned"));
            }
            if package.source.as_deref() != Some(CRATES_IO) {
                findings.push(format!("{name} does not come from crates.io"));
            }
        }
        Ok(findings)
    }

    fn name(&self, id: &str) -> &str {
        self.packages.get(id).map_or("", |package| package.name.as_str())
    }

    fn direct<'a>(&'a self, id: &str, kinds: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let dependencies = self.packages.get(id).map(|package| &package.dependencies);
        dependencies
            .into_iter()
            .flatten()
            .filter(|(_, of)| of.iter().any(|kind| kinds.contains(&kind.as_str())))
            .map(|(to, _)| to.as_str())
    }

    fn reached(&self, from: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(id) = open.pop() {
            for to in self.direct(&id, &["normal"]) {
                if reached.insert(to.to_owned()) {
                    open.push(to.to_owned());
                }
            }
        }
        reached
    }
}

fn layer_of(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn strings(value: &toml::Value) -> impl Iterator<Item = String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
