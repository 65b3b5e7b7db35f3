//! The values of a scenario file that are neither numbers nor plain words.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::adversary::Adversary;
use crate::disk::DiskFault;
use crate::fault::{CrashMoment, OutputKind};

/// One validator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// By its place in the committee, from 0.
    Index(usize),
    /// By its name.
    Name(String),
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Index(index) => serializer.serialize_u64(*index as u64),
            Self::Name(name) => serializer.serialize_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TargetVisitor;
        impl Visitor<'_> for TargetVisitor {
            type Value = Target;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a validator's name or its index from 0")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Target, E> {
                Ok(Target::Name(name.to_owned()))
            }
            fn visit_u64<E: de::Error>(self, index: u64) -> Result<Target, E> {
                usize::try_from(index)
                    .map(Target::Index)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(index), &self))
            }
            fn visit_i64<E: de::Error>(self, index: i64) -> Result<Target, E> {
                usize::try_from(index)
                    .map(Target::Index)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(index), &self))
            }
        }
        deserializer.deserialize_any(TargetVisitor)
    }
}

/// A part of the committee's weight.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Share {
    /// As much as may be faulty and is not yet.
    Faulty,
    /// This share of the whole, between 0 and 1.
    Of(f64),
}

/// How the largest faulty weight is written.
const FAULTY: &str = "f";

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Faulty => serializer.serialize_str(FAULTY),
            Self::Of(share) => serializer.serialize_f64(*share),
        }
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShareVisitor;
        impl Visitor<'_> for ShareVisitor {
            type Value = Share;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a share of the weight between 0 and 1, or \"f\"")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Share, E> {
                if word == FAULTY {
                    return Ok(Share::Faulty);
                }
                Err(E::invalid_value(de::Unexpected::Str(word), &self))
            }
            fn visit_f64<E: de::Error>(self, share: f64) -> Result<Share, E> {
                if (0.0..=1.0).contains(&share) {
                    return Ok(Share::Of(share));
                }
                Err(E::invalid_value(de::Unexpected::Float(share), &self))
            }
            fn visit_i64<E: de::Error>(self, share: i64) -> Result<Share, E> {
                self.visit_f64(share as f64)
            }
        }
        deserializer.deserialize_any(ShareVisitor)
    }
}

/// To which validators clients go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipients {
    /// To each as often as its weight says.
    #[default]
    Weighted,
    /// To all equally often.
    Uniform,
}

/// What an adversary does, by the adversary's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Behaviour(pub Adversary);

impl Serialize for Behaviour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for Behaviour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BehaviourVisitor;
        impl Visitor<'_> for BehaviourVisitor {
            type Value = Behaviour;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let names = Adversary::ALL.map(|adversary| format!("`{adversary}`"));
                write!(formatter, "one of {}", names.join(", "))
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Behaviour, E> {
                let known = Adversary::named(word).map(Behaviour);
                let expected: &dyn de::Expected = &self;
                known.ok_or_else(|| {
                    E::custom(format_args!("unknown variant `{word}`, expected {expected}"))
                })
            }
        }
        deserializer.deserialize_str(BehaviourVisitor)
    }
}

/// What a crash does to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// Everything written survives.
    #[default]
    Nothing,
    /// What was not durable is lost.
    LoseUnsynced,
    /// The last record is torn.
    TornTail,
    /// A bit has flipped.
    BitFlip,
    /// Everything is gone.
    Wipe,
    /// Some of what the disk had called durable is lost.
    LoseSynced,
}

impl From<Damage> for DiskFault {
    fn from(damage: Damage) -> Self {
        match damage {
            Damage::Nothing => Self::Nothing,
            Damage::LoseUnsynced => Self::LoseUnsynced,
            Damage::TornTail => Self::TornTail,
            Damage::BitFlip => Self::BitFlip,
            Damage::Wipe => Self::Wipe,
            Damage::LoseSynced => Self::LoseSynced,
        }
    }
}

/// At which step of its work a validator crashes: `now`, `before-sign`, `after-broadcast`,
/// `before-output-12`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CrashAt(pub CrashMoment);

/// The names of the kinds of outputs, as in `before-sign`.
const OUTPUTS: [(&str, OutputKind); 8] = [
    ("verify", OutputKind::Verify),
    ("sign", OutputKind::Sign),
    ("persist", OutputKind::Persist),
    ("persist-barrier", OutputKind::PersistBarrier),
    ("send", OutputKind::Send),
    ("broadcast", OutputKind::Broadcast),
    ("execute", OutputKind::Execute),
    ("other", OutputKind::Other),
];

impl fmt::Display for CrashAt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |kind: OutputKind| {
            OUTPUTS.iter().find(|(_, other)| *other == kind).map_or("other", |(name, _)| name)
        };
        match self.0 {
            CrashMoment::Now => formatter.write_str("now"),
            CrashMoment::Before(kind) => write!(formatter, "before-{}", name(kind)),
            CrashMoment::After(kind) => write!(formatter, "after-{}", name(kind)),
            CrashMoment::BeforeOutput(number) => write!(formatter, "before-output-{number}"),
        }
    }
}

/// The moment that a word names.
fn crash_moment(word: &str) -> Option<CrashMoment> {
    let kind = |name: &str| OUTPUTS.iter().find(|(other, _)| *other == name).map(|(_, kind)| *kind);
    if word == "now" {
        return Some(CrashMoment::Now);
    }
    if let Some(number) = word.strip_prefix("before-output-") {
        return number.parse().ok().map(CrashMoment::BeforeOutput);
    }
    match word.split_once('-')? {
        ("before", name) => kind(name).map(CrashMoment::Before),
        ("after", name) => kind(name).map(CrashMoment::After),
        _ => None,
    }
}

impl Serialize for CrashAt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CrashAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MomentVisitor;
        impl Visitor<'_> for MomentVisitor {
            type Value = CrashAt;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(
                    "\"now\", \"before-output-\" and a number, or \"before-\" or \"after-\" and \
                     one of verify, sign, persist, persist-barrier, send, broadcast, execute, other",
                )
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<CrashAt, E> {
                crash_moment(word)
                    .map(CrashAt)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(word), &self))
            }
        }
        deserializer.deserialize_any(MomentVisitor)
    }
}
