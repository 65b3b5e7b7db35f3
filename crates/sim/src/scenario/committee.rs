//! Who takes part, and the latency of every link.

use std::collections::BTreeMap;
use std::sync::Arc;

use qcn_types::Committee;

use super::amount::{MS_MAX, POWERS, micros, within};
use super::error::{Path, Problem};
use super::format::{LatencyKind, Member, Network, Preset};
use super::plan::PlannedMember;
use crate::geography::{AWS_SOURCE, Latencies, SUI_SOURCE, aws, sui_validators};
use crate::network::LatencyModel;

/// The weight of a validator of power 1 that gives none.
const WEIGHT_PER_POWER: f64 = 1000.0;
/// The latency of every link if nothing else is said.
pub const UNIFORM_MS: f64 = 50.0;
/// The longest name of a validator, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// From so many members on no member may weigh more than f.
const CAPPED_FROM: usize = 4;

/// The committee and its links, resolved.
#[derive(Debug)]
pub struct Resolved {
    pub members: Vec<PlannedMember>,
    /// One-way latencies, row by row.
    pub one_way_us: Arc<[u32]>,
    pub weights_source: String,
    pub latency_source: String,
}

pub fn resolve(network: &Network, seed: u64) -> Result<Resolved, Problem> {
    let (mut members, mut weights_source) = members(network)?;
    check_members(network, &members)?;
    if cap(&mut members) {
        weights_source += "; lowered until none is above f";
    }
    let (one_way_us, latency_source) = links(network, &mut members, seed)?;
    Ok(Resolved { members, one_way_us, weights_source, latency_source })
}

fn network_path() -> Path {
    Path::of("network")
}

/// The members from whichever of the three ways is used.
fn members(network: &Network) -> Result<(Vec<PlannedMember>, String), Problem> {
    match (network.preset, network.count, &network.validators) {
        (Some(Preset::Sui106), None, None) => {
            refuse_weights(network, "the preset brings its weights")?;
            Ok((sui(network)?, SUI_SOURCE.to_owned()))
        }
        (None, Some(count), None) => counted(network, count),
        (None, None, Some(list)) => {
            refuse_weights(network, "with `validators` each names its own")?;
            let members = list.iter().map(|one| listed(one, network)).collect();
            Ok((members, "given one by one".to_owned()))
        }
        (None, None, None) => Err(Problem::new(
            network_path(),
            "the network has no validators",
            "give `preset = \"sui-106\"`, `count = 10` or a list of `validators`",
        )),
        (preset, _, _) => {
            let extra =
                if preset.is_some() && network.count.is_none() { "validators" } else { "count" };
            Err(Problem::new(
                network_path().key(extra),
                "the validators are given more than once",
                "keep one of `preset`, `count` and `validators`",
            ))
        }
    }
}

fn refuse_weights(network: &Network, why: &str) -> Result<(), Problem> {
    for (key, given) in [
        ("weights", network.weights.is_some()),
        ("powers", network.powers.is_some() && network.validators.is_some()),
    ] {
        if given {
            let what = format!("`{key}` belongs to `count`");
            return Err(Problem::new(network_path().key(key), what, format!("remove it: {why}")));
        }
    }
    Ok(())
}

fn sui(network: &Network) -> Result<Vec<PlannedMember>, Problem> {
    let powers = powers(network, sui_validators().len())?;
    Ok(sui_validators()
        .iter()
        .zip(powers)
        .map(|(place, power_permille)| PlannedMember {
            name: place.name.clone(),
            region: place.region.clone(),
            weight: place.weight,
            power_permille,
        })
        .collect())
}

fn counted(network: &Network, count: usize) -> Result<(Vec<PlannedMember>, String), Problem> {
    if count == 0 || count > qcn_types::MAX_MEMBERS {
        return Err(Problem::new(
            network_path().key("count"),
            format!("{count} validators cannot form a committee"),
            format!("give 1 to {}", qcn_types::MAX_MEMBERS),
        ));
    }
    let powers = powers(network, count)?;
    let (weights, source) = match &network.weights {
        Some(weights) => {
            check_length("weights", weights.len(), count)?;
            (weights.clone(), "given")
        }
        None if network.powers.is_some() => (powers.clone(), "1000 per unit of processing power"),
        None => (powers.clone(), "equal"),
    };
    let members = (0..count)
        .map(|index| PlannedMember {
            name: format!("v{index}"),
            region: String::new(),
            weight: weights[index],
            power_permille: powers[index],
        })
        .collect();
    Ok((members, source.to_owned()))
}

/// Processing powers in thousandths, which are the default weights as well.
fn powers(network: &Network, count: usize) -> Result<Vec<u64>, Problem> {
    let Some(powers) = &network.powers else {
        return Ok(vec![WEIGHT_PER_POWER as u64; count]);
    };
    check_length("powers", powers.len(), count)?;
    let path = |index| network_path().key("powers").item(index);
    (0..).zip(powers).map(|(index, &power)| permille(path(index), power)).collect()
}

fn permille(path: Path, power: f64) -> Result<u64, Problem> {
    Ok((within(path, power, POWERS)? * WEIGHT_PER_POWER).round() as u64)
}

fn check_length(key: &'static str, length: usize, count: usize) -> Result<(), Problem> {
    if length == count {
        return Ok(());
    }
    Err(Problem::new(
        network_path().key(key),
        format!("{length} {key} for {count} validators"),
        format!("give {count}, one for each, or leave `{key}` out"),
    ))
}

fn listed(one: &Member, _network: &Network) -> PlannedMember {
    // Powers are checked with everything else, in `check_members`.
    let power_permille = (one.power * WEIGHT_PER_POWER).round() as u64;
    PlannedMember {
        name: one.name.clone(),
        region: one.region.clone().unwrap_or_default(),
        weight: one.weight.unwrap_or(power_permille),
        power_permille,
    }
}

/// Names differ, powers make sense, weights are above zero and their sum fits.
fn check_members(network: &Network, members: &[PlannedMember]) -> Result<(), Problem> {
    let list = |index: usize, key| match network.validators {
        Some(_) => network_path().key("validators").item(index).key(key),
        None => network_path().key("weights").item(index),
    };
    if members.is_empty() || members.len() > qcn_types::MAX_MEMBERS {
        return Err(Problem::new(
            network_path().key("validators"),
            format!("{} validators cannot form a committee", members.len()),
            format!("give 1 to {}", qcn_types::MAX_MEMBERS),
        ));
    }
    for (index, one) in (0..).zip(network.validators.iter().flatten()) {
        within(list(index, "power"), one.power, POWERS)?;
    }
    let mut names = BTreeMap::new();
    let mut total = 0_u64;
    for (index, member) in members.iter().enumerate() {
        if member.name.is_empty() || member.name.len() > NAME_BYTES_MAX {
            let remedy = format!("give 1 to {NAME_BYTES_MAX} bytes");
            return Err(Problem::new(list(index, "name"), "the name has a wrong length", remedy));
        }
        if let Some(other) = names.insert(&member.name, index) {
            return Err(Problem::new(
                list(index, "name"),
                format!("validators {other} and {index} are both called `{}`", member.name),
                "give every validator its own name",
            ));
        }
        if member.weight == 0 {
            return Err(Problem::new(
                list(index, "weight"),
                format!("`{}` has weight 0", member.name),
                "leave it out or give it a weight above zero",
            ));
        }
        total = total
            .checked_add(member.weight)
            .filter(|total| *total <= Committee::MAX_TOTAL)
            .ok_or_else(|| {
                Problem::new(
                    list(index, "weight"),
                    format!("the weights add up to more than {}", Committee::MAX_TOTAL),
                    "scale all of them down; only their ratios matter",
                )
            })?;
    }
    Ok(())
}

/// Lowers the members' weights as formation does; says whether any was lowered.
fn cap(members: &mut [PlannedMember]) -> bool {
    let asked: Vec<u64> = members.iter().map(|member| member.weight).collect();
    let mut given = asked.clone();
    cap_weights(&mut given);
    for (member, weight) in members.iter_mut().zip(&given) {
        member.weight = *weight;
    }
    asked != given
}

/// Lowers weights until none is above f, as the formation of a committee does.
pub fn cap_weights(weights: &mut [u64]) {
    while weights.len() >= CAPPED_FROM {
        let total: u64 = weights.iter().sum();
        let fault = ((total - 1) / 3).max(1);
        if weights.iter().all(|weight| *weight <= fault) {
            return;
        }
        for weight in weights.iter_mut() {
            *weight = (*weight).min(fault);
        }
    }
}

/// One-way latencies row by row, and where they come from.
fn links(
    network: &Network,
    members: &mut [PlannedMember],
    seed: u64,
) -> Result<(Arc<[u32]>, String), Problem> {
    refuse_fields(network)?;
    let model = match network.latency {
        LatencyKind::Uniform => {
            let ms = network.uniform_ms.unwrap_or(UNIFORM_MS);
            let latency = latency_us(network_path().key("uniform_ms"), ms)?;
            let source = format!("{ms} ms one way on every link");
            return Ok((vec![latency; members.len() * members.len()].into(), source));
        }
        LatencyKind::Between => between(network)?,
        LatencyKind::Aws => {
            return Ok((by_region(network, members, aws())?, AWS_SOURCE.to_owned()));
        }
        LatencyKind::Matrix => {
            let matrix = given_matrix(network)?;
            return Ok((by_region(network, members, &matrix)?, "a given matrix".to_owned()));
        }
    };
    let LatencyModel::Between { low, high } = model else {
        return Err(Problem::new(network_path(), "no latencies", "give `latency`"));
    };
    let source = format!(
        "drawn for every link between {} and {} ms",
        f64::from(low) / 1e3,
        f64::from(high) / 1e3
    );
    let matrix = model.matrix(members.len(), seed).unwrap_or_default();
    Ok((matrix, source))
}

/// Fields that say nothing under the chosen kind of latency.
fn refuse_fields(network: &Network) -> Result<(), Problem> {
    use LatencyKind::{Aws, Between, Matrix, Uniform};
    let regional = [Aws, Matrix];
    let fields: [(&'static str, bool, &[LatencyKind], &str); 4] = [
        ("uniform_ms", network.uniform_ms.is_some(), &[Uniform], "uniform"),
        ("between_ms", network.between_ms.is_some(), &[Between], "between"),
        ("matrix_ms", network.matrix_ms.is_some(), &[Matrix], "matrix"),
        ("regions", network.regions.is_some(), &regional, "aws"),
    ];
    for (key, given, kinds, kind) in fields {
        if given && !kinds.contains(&network.latency) {
            return Err(Problem::new(
                network_path().key(key),
                format!("`{key}` means nothing with this kind of latency"),
                format!("remove it, or set `latency = \"{kind}\"`"),
            ));
        }
    }
    for (index, one) in (0..).zip(network.validators.iter().flatten()) {
        if one.region.is_some() && !regional.contains(&network.latency) {
            return Err(Problem::new(
                network_path().key("validators").item(index).key("region"),
                "a region means nothing without latencies between regions",
                "remove it, or set `latency = \"aws\"`",
            ));
        }
    }
    Ok(())
}

fn latency_us(path: Path, ms: f64) -> Result<u32, Problem> {
    Ok(micros(path, ms, 0.0..=MS_MAX)? as u32)
}

fn between(network: &Network) -> Result<LatencyModel, Problem> {
    let path = || network_path().key("between_ms");
    let Some([low, high]) = network.between_ms else {
        let remedy = "give `between_ms = [5, 80]`";
        return Err(Problem::new(network_path(), "`latency = \"between\"` needs bounds", remedy));
    };
    let low = latency_us(path().item(0), low)?;
    let high = latency_us(path().item(1), high)?;
    if low > high {
        return Err(Problem::new(path(), "the least is above the most", "swap them"));
    }
    Ok(LatencyModel::Between { low, high })
}

/// The matrix of the file as latencies between named regions.
fn given_matrix(network: &Network) -> Result<Latencies, Problem> {
    let path = || network_path().key("matrix_ms");
    let Some(rows) = &network.matrix_ms else {
        let remedy = "give `matrix_ms = [[1, 40], [40, 1]]`";
        return Err(Problem::new(network_path(), "`latency = \"matrix\"` needs its rows", remedy));
    };
    if rows.is_empty() {
        return Err(Problem::new(path(), "the matrix is empty", "give at least one row"));
    }
    let regions = match &network.regions {
        Some(regions) => regions.clone(),
        None => (0..rows.len()).map(|index| format!("r{index}")).collect(),
    };
    if regions.len() != rows.len() {
        return Err(Problem::new(
            network_path().key("regions"),
            format!("{} regions for {} rows", regions.len(), rows.len()),
            "give one name for each row",
        ));
    }
    let mut one_way_us = Vec::new();
    for (from, row) in rows.iter().enumerate() {
        if row.len() != rows.len() {
            return Err(Problem::new(
                path().item(from),
                format!("row {from} has {} columns, but there are {} rows", row.len(), rows.len()),
                "make the matrix square",
            ));
        }
        let delays = (0..).zip(row).map(|(to, &ms)| latency_us(path().item(from).item(to), ms));
        one_way_us.push(delays.map(|delay| delay.map(u64::from)).collect::<Result<_, _>>()?);
    }
    Ok(Latencies { regions, one_way_us })
}

/// Gives every member a region, and every pair of members the latency between their regions.
fn by_region(
    network: &Network,
    members: &mut [PlannedMember],
    latencies: &Latencies,
) -> Result<Arc<[u32]>, Problem> {
    let dealt = match (&network.regions, network.preset) {
        (Some(_), Some(_)) => {
            return Err(Problem::new(
                network_path().key("regions"),
                "the preset brings its regions",
                "remove `regions`, or use `count` instead of the preset",
            ));
        }
        (Some(regions), None) if regions.is_empty() => {
            let remedy = "name at least one, or leave `regions` out";
            return Err(Problem::new(network_path().key("regions"), "no regions", remedy));
        }
        (Some(regions), None) => regions.clone(),
        (None, _) => latencies.regions.clone(),
    };
    for (index, region) in (0..).zip(network.regions.iter().flatten()) {
        known(latencies, region, network_path().key("regions").item(index))?;
    }
    let mut places = Vec::with_capacity(members.len());
    let mut next = dealt.iter().cycle();
    for (index, member) in members.iter_mut().enumerate() {
        if member.region.is_empty() {
            member.region = next.next().cloned().unwrap_or_default();
        }
        let path = network_path().key("validators").item(index).key("region");
        places.push(known(latencies, &member.region, path)?);
    }
    let pairs = places.iter().flat_map(|&from| places.iter().map(move |&to| (from, to)));
    Ok(pairs.map(|(from, to)| latencies.one_way_us[from][to] as u32).collect())
}

fn known(latencies: &Latencies, region: &str, path: Path) -> Result<usize, Problem> {
    latencies.index(region).ok_or_else(|| {
        Problem::new(
            path,
            format!("there is no region `{region}`"),
            format!("use one of {}", latencies.regions.join(", ")),
        )
    })
}
