//! From the faults of a file to those of the engine.

use super::amount::{MBIT_MAX, MS_MAX, bits_per_second, micros, per_million, within};
use super::choice::Chooser;
use super::error::{Path, Problem};
use super::format::{Fault as Written, FaultKind};
use super::plan::PlannedFault;
use super::words::Target;
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
    let entry = Entry { written, chooser, index };
    let faults = match written.kind {
        FaultKind::Partition
        | FaultKind::OneWay
        | FaultKind::Isolate
        | FaultKind::Flapping
        | FaultKind::Heal => entry.cuts()?,
        FaultKind::Crash | FaultKind::Restart | FaultKind::Pause | FaultKind::Churn => {
            entry.stops()?
        }
        _ => entry.wear()?,
    };
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

/// One entry on its way to the engine.
struct Entry<'a> {
    written: &'a Written,
    chooser: &'a Chooser<'a>,
    index: usize,
}

impl Entry<'_> {
    fn path(&self) -> Path {
        Path::of("fault").item(self.index)
    }

    fn lasting(&self) -> Result<u64, Problem> {
        duration(self.path().key("for_ms"), self.written.for_ms)
    }

    fn period(&self) -> Result<u64, Problem> {
        duration(self.path().key("period_ms"), self.written.period_ms)
    }

    fn members(&self, everybody: bool) -> Result<Vec<usize>, Problem> {
        self.chooser.members(&self.path(), self.written, self.index, everybody)
    }

    fn groups(&self) -> Result<Vec<Vec<usize>>, Problem> {
        self.chooser.groups(&self.path(), self.written, self.index)
    }

    /// The same fault for each of its validators.
    fn each(&self, make: impl Fn(usize) -> Fault) -> Result<Vec<Fault>, Problem> {
        Ok(self.members(true)?.into_iter().map(make).collect())
    }

    /// Links that carry nothing.
    fn cuts(&self) -> Result<Vec<Fault>, Problem> {
        let written = self.written;
        let side = |key, targets: &Option<Vec<Target>>| {
            self.chooser.named(&self.path().key(key), targets.as_deref().unwrap_or_default())
        };
        Ok(match written.kind {
            FaultKind::Partition => vec![Fault::Partition { groups: self.groups()? }],
            FaultKind::OneWay => vec![Fault::OneWay {
                from: side("from", &written.from)?,
                to: side("to", &written.to)?,
            }],
            FaultKind::Isolate => self.each(|validator| Fault::Isolate { validator })?,
            FaultKind::Flapping => vec![Fault::Flapping {
                groups: self.groups()?,
                period_us: self.period()?,
                duration_us: self.lasting()?,
            }],
            _ => vec![Fault::Heal],
        })
    }

    /// Validators that do nothing for a while.
    fn stops(&self) -> Result<Vec<Fault>, Problem> {
        let written = self.written;
        let disk = written.disk.unwrap_or_default().into();
        match written.kind {
            FaultKind::Crash => {
                let back = written.restart_after_ms;
                let back = back.map(|ms| duration(self.path().key("restart_after_ms"), Some(ms)));
                let restart_after_us = back.transpose()?;
                let moment = written.moment.unwrap_or_default().0;
                self.each(|validator| Fault::Crash { validator, moment, disk, restart_after_us })
            }
            FaultKind::Pause => {
                let duration_us = self.lasting()?;
                self.each(|validator| Fault::Pause { validator, duration_us })
            }
            FaultKind::Churn => Ok(vec![Fault::Churn {
                validators: self.members(true)?,
                period_us: self.period()?,
                down_us: duration(self.path().key("down_ms"), written.down_ms)?,
                duration_us: self.lasting()?,
                disk,
            }]),
            _ => self.each(|validator| Fault::Restart { validator }),
        }
    }

    /// Clocks, links and disks that are worse than they should be.
    fn wear(&self) -> Result<Vec<Fault>, Problem> {
        let written = self.written;
        let path = |key| self.path().key(key);
        if written.kind == FaultKind::ClockJump {
            let by_ms = written.by_ms.unwrap_or_default();
            within(path("by_ms"), by_ms as f64, -MS_MAX..=MS_MAX)?;
            return self.each(|validator| Fault::ClockJump { validator, by_us: by_ms * 1_000 });
        }
        let duration_us = self.lasting()?;
        Ok(match written.kind {
            FaultKind::Latency => {
                let factor = within(path("factor"), written.factor.unwrap_or(1.0), FACTORS)?;
                let permille = (factor * 1_000.0).round() as u32;
                let validators = self.members(false)?;
                vec![Fault::LatencySpike { validators, permille, duration_us }]
            }
            FaultKind::Bandwidth => {
                let mbit = written.mbit_per_s.unwrap_or(MBIT_MAX);
                let bits_per_second = bits_per_second(path("mbit_per_s"), mbit)?;
                let validators = self.members(false)?;
                vec![Fault::BandwidthCut { validators, bits_per_second, duration_us }]
            }
            FaultKind::Loss => {
                let percent = written.percent.unwrap_or_default();
                let per_million = per_million(path("percent"), percent, LOSS_PERCENT_MAX)?;
                vec![Fault::LossBurst { per_million, duration_us }]
            }
            _ => {
                let sync_ms = written.sync_ms.unwrap_or_default();
                let sync_us = micros(path("sync_ms"), sync_ms, 0.0..=MS_MAX)?;
                self.each(|validator| Fault::SlowDisk { validator, sync_us, duration_us })?
            }
        })
    }
}
