//! The document as it is written, before anything in it is looked up.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The whole document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The members in order.
    pub committee: Vec<Object<MemberEntry>>,
    /// The leaders by round.
    pub leaders: Leaders,
    /// The blocks in any order.
    pub blocks: Vec<Object<BlockEntry>>,
}

/// A member of the committee.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberEntry {
    /// Its name, by which everything else refers to it.
    pub name: String,
    /// Its voting power.
    pub weight: u64,
}

/// A block.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockEntry {
    /// Its name, by which children refer to it.
    pub id: String,
    /// Its author's name.
    pub author: String,
    /// Its round.
    pub round: u64,
    /// The ids of its parents.
    pub parents: Vec<String>,
}

/// The leaders in the order of the document: the key, and the names.
#[derive(Debug)]
pub struct Leaders(pub Vec<(String, Vec<String>)>);

/// Reads a document.
///
/// # Errors
/// What is not JSON, or not of the right type, and where.
pub fn parse(bytes: &[u8]) -> anyhow::Result<Document> {
    let document: Object<Document> = serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        let (line, column) = (error.line(), error.column());
        let place = format!(" at line {line} column {column}");
        let problem = text.strip_suffix(&place).unwrap_or(&text);
        let problem = problem.replace("expected u64", "expected a whole number below 2^64");
        anyhow::anyhow!(
            "line {line}, column {column}: {problem}; `qcn dag decide --help` shows the format"
        )
    })?;
    Ok(document.0)
}

/// A JSON object. Serde reads a struct from an array as well, and so would let
/// `["A", 1]` pass for a member.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

impl<'de> Deserialize<'de> for Leaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LeadersVisitor)
    }
}

struct LeadersVisitor;

impl<'de> Visitor<'de> for LeadersVisitor {
    type Value = Leaders;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object from rounds to leaders")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut seen = BTreeSet::new();
        let mut leaders = Vec::new();
        while let Some(round) = map.next_key::<String>()? {
            if !seen.insert(round.clone()) {
                return Err(A::Error::custom(format!(
                    "round {round:?} of `leaders` is given twice; name all its leaders in one list"
                )));
            }
            let Names(names) = map.next_value()?;
            leaders.push((round, names));
        }
        Ok(Leaders(leaders))
    }
}

/// One name, or a list of names.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a leader's name or a list of names")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Names, E> {
        Ok(Names(vec![name.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
        }
        Ok(Names(names))
    }
}
