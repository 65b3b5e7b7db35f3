//! Documents that people write and hand on: how they are read, written and refused.
//!
//! **Invariants**
//! - no file is read beyond its bound, and none is overwritten without being told to;
//! - a file is there whole or not at all: it is written beside its place, synced, and renamed;
//! - whatever is wrong with a document is said with the file, the place in it and the remedy.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The longest `host:port`, in bytes: a name of the DNS has at most 253.
const MAX_ENDPOINT_BYTES: usize = 260;

/// The longest name of a host, in bytes: a name of the DNS, and a point behind it.
const MAX_HOST_NAME_BYTES: usize = 254;

/// How much of a refused word is repeated in the message, in characters.
const MAX_QUOTED_CHARS: usize = 48;

/// What is wrong with a document, where, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}: {}{what}; {remedy}", self.shown_place())]
pub struct DocumentError {
    /// The file, or what stands for it.
    pub file: String,
    /// The place in it, such as `validators[2].weight` or `line 3, column 7`; empty for the whole.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl DocumentError {
    pub(crate) fn new(
        file: &str,
        place: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { file: file.into(), place: place.into(), what: what.into(), remedy: remedy.into() }
    }

    fn shown_place(&self) -> String {
        if self.place.is_empty() { String::new() } else { format!("{}: ", self.place) }
    }
}

/// A problem of a document before it is known which file it came from.
#[derive(Debug)]
pub struct Problem {
    place: String,
    what: String,
    remedy: String,
}

impl Problem {
    pub(crate) fn new(
        place: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { place: place.into(), what: what.into(), remedy: remedy.into() }
    }

    /// The same problem where `from` is called `to`.
    pub(crate) fn moved(mut self, from: &str, to: &str) -> Self {
        self.place = self.place.replacen(from, to, 1);
        self
    }

    pub(crate) fn in_file(self, file: &str) -> DocumentError {
        DocumentError { file: file.into(), place: self.place, what: self.what, remedy: self.remedy }
    }
}

/// Whether a file that is there may be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overwrite {
    /// What is there stays.
    Refuse,
    /// The user said so.
    Replace,
}

/// Who may read a file that is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Readers {
    /// Everyone whom the process's mask allows.
    Everyone,
    /// The owner only: mode 0600.
    Owner,
}

/// Reads a text file of at most `bytes_max` bytes.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> Result<String, DocumentError> {
    let name = path.display().to_string();
    let failed = |error: io::Error| {
        DocumentError::new(
            &name,
            "",
            format!("cannot read the file: {error}"),
            "check the path and its permissions",
        )
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        let what = format!("the file is longer than {bytes_max} bytes");
        return Err(DocumentError::new(&name, "", what, "give a file that qcn wrote"));
    }
    String::from_utf8(bytes)
        .map_err(|_| DocumentError::new(&name, "", "the file is not UTF-8", "save it as UTF-8"))
}

/// Reads a JSON document whose member `format` must be `format`.
///
/// The format is looked at first: of a document of another version, nothing else is complained
/// about.
pub(crate) fn parse_json<T: DeserializeOwned>(
    text: &str,
    file: &str,
    format: &str,
) -> Result<T, DocumentError> {
    #[derive(Deserialize)]
    struct Probe {
        format: Option<serde_json::Value>,
    }
    let probe: Probe = from_json(text).map_err(|problem| problem.in_file(file))?;
    match probe.format {
        Some(serde_json::Value::String(found)) if found == format => {}
        Some(other) => {
            let what = format!("the format is {}, not \"{format}\"", quoted(&other.to_string()));
            let remedy = format!("give a document of format \"{format}\"");
            return Err(DocumentError::new(file, "format", what, remedy));
        }
        None => {
            let remedy = format!("add \"format\": \"{format}\" if it is such a document");
            return Err(DocumentError::new(file, "format", "the document has no format", remedy));
        }
    }
    from_json(text).map_err(|problem| problem.in_file(file))
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let document = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        shape_problem(&path, &error)
    })?;
    reader.end().map_err(|error| shape_problem(".", &error))?;
    Ok(document)
}

/// What serde says, with its position taken out of the sentence.
fn shape_problem(path: &str, error: &serde_json::Error) -> Problem {
    let position = format!("line {}, column {}", error.line(), error.column());
    let said = error.to_string();
    let tail = format!(" at {}", position.replace(',', ""));
    let what = said.strip_suffix(&tail).unwrap_or(&said).to_owned();
    // A question mark stands for a member whose name was not read.
    let path = path.trim_end_matches('?').trim_end_matches('.');
    let place = if path.is_empty() { position } else { format!("{path} ({position})") };
    let remedy = remedy_of_shape(&what);
    Problem::new(place, what, remedy)
}

/// What to do about what serde complains about.
pub(crate) fn remedy_of_shape(what: &str) -> &'static str {
    if what.starts_with("unknown field") {
        "leave it out, or correct its spelling"
    } else if what.starts_with("missing field") {
        "add it"
    } else if what.starts_with("duplicate") {
        "keep one of them"
    } else if what.contains("is no key of a client") {
        "give the key digest that `qcn key show` prints of the client's transport key"
    } else {
        "correct it"
    }
}

/// A word of a document, cut to a length that fits a message.
pub(crate) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_QUOTED_CHARS).collect();
    if short.len() < text.len() {
        short.push_str("..");
    }
    short.escape_debug().to_string().replace("\\\"", "\"")
}

/// Checks a `host:port` that may be dialled; IPv6 addresses stand in brackets.
pub(crate) fn check_endpoint(place: &str, endpoint: &str) -> Result<(), Problem> {
    const REMEDY: &str = "write host:port, such as validator.example:7400 or [2001:db8::1]:7400";
    let wrong = |what: String| Problem::new(place, what, REMEDY);
    if endpoint.len() > MAX_ENDPOINT_BYTES {
        return Err(wrong(format!("the address is longer than {MAX_ENDPOINT_BYTES} bytes")));
    }
    let Some((host, port)) = endpoint.rsplit_once(':') else {
        return Err(wrong(format!("{endpoint:?} names no port")));
    };
    if port.is_empty() || !port.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong(format!("{port:?} is no port")));
    }
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(wrong(format!("{port} is no port from 1 to 65535")));
    }
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_ipv6 = bracketed.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    if is_host_name(host) || is_ipv6 { Ok(()) } else { Err(wrong(format!("{host:?} is no host"))) }
}

/// Checks a name without a port.
pub(crate) fn check_host_name(place: &str, name: &str) -> Result<(), Problem> {
    if is_host_name(name) && name.len() <= MAX_HOST_NAME_BYTES {
        return Ok(());
    }
    let remedy = "write a name without a port, such as node.example";
    Err(Problem::new(place, format!("{name:?} is no name of a host"), remedy))
}

fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

/// Writes a file whole or not at all, and makes the folder that it lies in.
///
/// A file that may not be replaced is claimed first, by an empty one that must be new: so of two
/// who write at once, one fails.
pub(crate) fn write_file(
    path: &Path,
    contents: &[u8],
    readers: Readers,
    overwrite: Overwrite,
) -> Result<(), DocumentError> {
    let name = path.display().to_string();
    let failed = |error: io::Error| {
        let (what, remedy) = if error.kind() == io::ErrorKind::AlreadyExists {
            ("the file exists already".to_owned(), "name a new file, or remove this one first")
        } else {
            (format!("cannot write the file: {error}"), "check the folder and its free space")
        };
        DocumentError::new(&name, "", what, remedy)
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let claimed = overwrite == Overwrite::Refuse;
    if claimed {
        create(path, readers).map_err(failed)?;
    }
    let written =
        write_beside(path, contents, readers).and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() && claimed {
        // Nobody misses an empty file.
        let _ = fs::remove_file(path);
    }
    written.map_err(failed)
}

fn write_beside(path: &Path, contents: &[u8], readers: Readers) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    // Left behind by a process of the same number that was killed.
    let _ = fs::remove_file(&beside);
    let outcome = create(&beside, readers)
        .and_then(|mut file| file.write_all(contents).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if outcome.is_err() {
        let _ = fs::remove_file(&beside);
    }
    outcome
}

fn create(path: &Path, readers: Readers) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if readers == Readers::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests;
