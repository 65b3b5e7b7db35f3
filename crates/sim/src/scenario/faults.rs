//! From the faults of a file to those of the engine.

use super::amount::{MBIT_MAX, MS_MAX, bits_per_second, micros, per_million, within};
use super::choice::Chooser;
use super::error::{Path, Problem};
use super::format::{Fault as Written, FaultKind};
use super::plan::PlannedFault;
use crate::fault::Fault;

/// How many times longer or shorter latencies may become.
const FACTORS: std::ops::RangeInclusive<f64> = 0.01..=1000.0;
/// The most packets that may be lost, in percent.
const LOSS_PERCENT_MAX: f64 = 90.0;

/// Whom a kind of fault concerns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// It names nobody.
    Nobody,
    /// `validators` or `weight`.
    Some,
    /// `validators` or `weight`, or else everybody.
    SomeOrAll,
    /// `groups` or `cut_weight`.
    Groups,
    /// `from` and `to`.
    OneWay,
}

/// Which fields a kind of fault takes besides `at_ms` and `kind`.
struct Shape {
    who: Who,
    needed: &'static [&'static str],
    possible: &'static [&'static str],
}

const fn shape(kind: FaultKind) -> Shape {
    use FaultKind as K;
    let (who, needed, possible): (Who, &[&str], &[&str]) = match kind {
        K::Partition => (Who::Groups, &[], &[]),
        K::OneWay => (Who::OneWay, &[], &[]),
        K::Isolate | K::Restart => (Who::Some, &[], &[]),
        K::Flapping => (Who::Groups, &["period_ms", "for_ms"], &[]),
        K::Heal => (Who::Nobody, &[], &[]),
        K::Crash => (Who::Some, &[], &["restart_after_ms", "moment", "disk"]),
        K::Pause => (Who::Some, &["for_ms"], &[]),
        K::Churn => (Who::SomeOrAll, &["period_ms", "down_ms", "for_ms"], &["disk"]),
        K::ClockJump => (Who::Some, &["by_ms"], &[]),
        K::Latency => (Who::SomeOrAll, &["factor", "for_ms"], &[]),
        K::Bandwidth => (Who::SomeOrAll, &["mbit_per_s", "for_ms"], &[]),
        K::Loss => (Who::Nobody, &["percent", "for_ms"], &[]),
        K::SlowDisk => (Who::SomeOrAll, &["sync_ms", "for_ms"], &[]),
    };
    Shape { who, needed, possible }
}

/// Every optional field and whether it is given.
fn given(fault: &Written) -> [(&'static str, bool); 17] {
    [
        ("validators", fault.validators.is_some()),
        ("weight", fault.weight.is_some()),
        ("groups", fault.groups.is_some()),
        ("cut_weight", fault.cut_weight.is_some()),
        ("from", fault.from.is_some()),
        ("to", fault.to.is_some()),
        ("for_ms", fault.for_ms.is_some()),
        ("period_ms", fault.period_ms.is_some()),
        ("down_ms", fault.down_ms.is_some()),
        ("restart_after_ms", fault.restart_after_ms.is_some()),
        ("moment", fault.moment.is_some()),
        ("disk", fault.disk.is_some()),
        ("by_ms", fault.by_ms.is_some()),
        ("factor", fault.factor.is_some()),
        ("mbit_per_s", fault.mbit_per_s.is_some()),
        ("percent", fault.percent.is_some()),
        ("sync_ms", fault.sync_ms.is_some()),
    ]
}

/// Resolves one entry; validators that share a fault get one each.
pub fn resolve(
    index: usize,
    written: &Written,
    end_us: u64,
    chooser: &Chooser<'_>,
) -> Result<Vec<PlannedFault>, Problem> {
    let path = || Path::of("fault").item(index);
    check_shape(&path(), written)?;
    let at_us = written.at_ms.saturating_mul(1_000);
    if at_us >= end_us {
        return Err(Problem::new(
            path().key("at_ms"),
            format!("the fault begins at {} ms, after the end of the run", written.at_ms),
            format!("give less than {} ms, or a longer run", end_us / 1_000),
        ));
    }
    let faults = engine_faults(&path, written, chooser, index)?;
    Ok(faults.into_iter().map(|fault| PlannedFault { at_us, fault }).collect())
}

/// Whether all that the kind needs is there, and nothing that it does not know.
fn check_shape(path: &Path, written: &Written) -> Result<(), Problem> {
    let Shape { who, needed, possible } = shape(written.kind);
    let given = given(written);
    let is_given = |key: &str| given.iter().any(|(other, is)| *other == key && *is);
    let whom: &[&str] = match who {
        Who::Nobody => &[],
        Who::Some | Who::SomeOrAll => &["validators", "weight"],
        Who::Groups => &["groups", "cut_weight"],
        Who::OneWay => &["from", "to"],
    };
    let kind = kind_name(written.kind);
    for (key, _) in given.iter().filter(|(_, is)| *is) {
        if ![whom, needed, possible].concat().contains(key) {
            let fields = [whom, needed, possible].concat();
            let remedy = if fields.is_empty() {
                "remove it: nothing but `at_ms` belongs there".to_owned()
            } else {
                format!("remove it; what belongs there: `{}`", fields.join("`, `"))
            };
            let what = format!("`{key}` does not belong to a fault of kind `{kind}`");
            return Err(Problem::new(path.clone().key(key), what, remedy));
        }
    }
    if let Some(missing) = needed.iter().find(|key| !is_given(key)) {
        let what = format!("a fault of kind `{kind}` needs `{missing}`");
        return Err(Problem::new(path.clone(), what, format!("add `{missing} = ...`")));
    }
    let count = whom.iter().filter(|key| is_given(key)).count();
    let wanted = match who {
        Who::Nobody | Who::SomeOrAll => 0..=1,
        Who::Some | Who::Groups => 1..=1,
        Who::OneWay => 2..=2,
    };
    if !wanted.contains(&count) {
        let names = whom.join(if who == Who::OneWay { "` and `" } else { "` or `" });
        let what = format!("a fault of kind `{kind}` does not say whom it concerns");
        let what = if count == 0 || who == Who::OneWay { what } else { format!("{what} clearly") };
        return Err(Problem::new(path.clone(), what, format!("give `{names}`")));
    }
    Ok(())
}

/// The kind as it is written in a file.
fn kind_name(kind: FaultKind) -> String {
    let mut name = String::new();
    for letter in format!("{kind:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// A duration that is not zero, in microseconds.
fn duration(path: Path, ms: Option<u64>) -> Result<u64, Problem> {
    micros(path, ms.unwrap_or_default() as f64, 1.0..=MS_MAX)
}

fn engine_faults(
    path: &dyn Fn() -> Path,
    written: &Written,
    chooser: &Chooser<'_>,
    index: usize,
) -> Result<Vec<Fault>, Problem> {
    let members = |everybody: bool| chooser.members(&path(), written, index, everybody);
    let each = |make: &dyn Fn(usize) -> Fault| -> Result<Vec<Fault>, Problem> {
        Ok(members(true)?.into_iter().map(make).collect())
    };
    let lasting = || duration(path().key("for_ms"), written.for_ms);
    let disk = written.disk.unwrap_or_default().into();
    Ok(match written.kind {
        FaultKind::Partition => {
            vec![Fault::Partition { groups: chooser.groups(&path(), written, index)? }]
        }
        FaultKind::OneWay => vec![Fault::OneWay {
            from: chooser
                .named(&path().key("from"), written.from.as_deref().unwrap_or_default())?,
            to: chooser.named(&path().key("to"), written.to.as_deref().unwrap_or_default())?,
        }],
        FaultKind::Isolate => each(&|validator| Fault::Isolate { validator })?,
        FaultKind::Flapping => vec![Fault::Flapping {
            groups: chooser.groups(&path(), written, index)?,
            period_us: duration(path().key("period_ms"), written.period_ms)?,
            duration_us: lasting()?,
        }],
        FaultKind::Heal => vec![Fault::Heal],
        FaultKind::Crash => {
            let back = written.restart_after_ms;
            let back = back.map(|ms| duration(path().key("restart_after_ms"), Some(ms)));
            let restart_after_us = back.transpose()?;
            let moment = written.moment.unwrap_or_default().0;
            each(&|validator| Fault::Crash { validator, moment, disk, restart_after_us })?
        }
        FaultKind::Restart => each(&|validator| Fault::Restart { validator })?,
        FaultKind::Pause => {
            let duration_us = lasting()?;
            each(&|validator| Fault::Pause { validator, duration_us })?
        }
        FaultKind::Churn => vec![Fault::Churn {
            validators: members(true)?,
            period_us: duration(path().key("period_ms"), written.period_ms)?,
            down_us: duration(path().key("down_ms"), written.down_ms)?,
            duration_us: lasting()?,
            disk,
        }],
        FaultKind::ClockJump => {
            let by_ms = written.by_ms.unwrap_or_default();
            within(path().key("by_ms"), by_ms as f64, -MS_MAX..=MS_MAX)?;
            each(&|validator| Fault::ClockJump { validator, by_us: by_ms * 1_000 })?
        }
        FaultKind::Latency => {
            let factor = within(path().key("factor"), written.factor.unwrap_or(1.0), FACTORS)?;
            vec![Fault::LatencySpike {
                validators: members(false)?,
                permille: (factor * 1_000.0).round() as u32,
                duration_us: lasting()?,
            }]
        }
        FaultKind::Bandwidth => vec![Fault::BandwidthCut {
            validators: members(false)?,
            bits_per_second: bits_per_second(
                path().key("mbit_per_s"),
                written.mbit_per_s.unwrap_or(MBIT_MAX),
            )?,
            duration_us: lasting()?,
        }],
        FaultKind::Loss => vec![Fault::LossBurst {
            per_million: per_million(
                path().key("percent"),
                written.percent.unwrap_or_default(),
                LOSS_PERCENT_MAX,
            )?,
            duration_us: lasting()?,
        }],
        FaultKind::SlowDisk => {
            let sync_us =
                micros(path().key("sync_ms"), written.sync_ms.unwrap_or_default(), 0.0..=MS_MAX)?;
            let duration_us = lasting()?;
            each(&|validator| Fault::SlowDisk { validator, sync_us, duration_us })?
        }
    })
}
