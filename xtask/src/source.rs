//! Rules over the text of the sources.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::cargo::root;

/// Where Rust sources lie.
const SOURCE_FOLDERS: [&str; 4] = ["crates", "xtask", "benches", "fuzz"];

/// A longer file holds a second idea that wants a file of its own.
const MAX_FILE_LINES: usize = 600;

/// Files that may be longer, how long, and why.
const LONG_FILES: &[(&str, usize, &str)] = &[(
    "crates/consensus/src/machine.rs",
    960,
    "wires all parts; an auditor follows a block in one file",
)];

/// Text that may not be in any source, and why. Split, so that this file has none of it.
const FORBIDDEN: [(&str, &str); 4] = [
    (concat!("to", "do!("), "unfinished code: finish it or open an issue"),
    (concat!("unimple", "mented!("), "unfinished code: finish it or open an issue"),
    (concat!("thread::", "sleep"), "a test that sleeps is slow or flaky: use virtual time"),
    (concat!("#[ign", "ore]"), "a test that does not run proves nothing"),
];

/// An ignored test is a generator, or the exhaustive form of one that runs; its reason says which
/// file it writes, or how long it takes. A measurement is an example or a benchmark instead.
const IGNORE_WITH_REASON: &str = concat!("#[ign", "ore = \"");
const TIMES: [&str; 2] = ["minute", "hour"];

/// A source file, named from the root of the repository.
pub struct Source {
    name: String,
    text: String,
}

/// All Rust sources of the repository.
pub fn all() -> Result<Vec<Source>> {
    let root = root();
    let mut sources = Vec::new();
    for folder in SOURCE_FOLDERS {
        collect(&root, &root.join(folder), &mut sources)?;
    }
    sources.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(sources)
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with("corpus") {
                collect(root, &path, sources)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            let text =
                fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            sources.push(Source { name, text });
        }
    }
    Ok(())
}

/// Files that are too long, and exceptions that are not needed any more.
pub fn overlong_files(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for Source { name, text } in sources {
        let lines = text.lines().count();
        let exception = LONG_FILES.iter().find(|(file, ..)| file == name);
        let limit = exception.map_or(MAX_FILE_LINES, |(_, limit, _)| *limit);
        if lines > limit {
            findings.push(format!("{name}: {lines} lines, the limit is {limit}"));
        }
        if exception.is_some() && lines <= MAX_FILE_LINES {
            findings.push(format!("{name}: {lines} lines need no exception any more"));
        }
    }
    findings
}

/// Exceptions for files that are gone.
pub fn stale_exceptions(sources: &[Source]) -> Vec<String> {
    let gone = LONG_FILES.iter().filter(|(file, ..)| !sources.iter().any(|s| s.name == *file));
    gone.map(|(file, ..)| format!("{file}: an exception for no file")).collect()
}

/// Unfinished code, ignored tests, sleeping tests.
pub fn forbidden_text(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for Source { name, text } in sources {
        for (number, line) in text.lines().enumerate() {
            let place = format!("{name}:{}", number + 1);
            for (forbidden, why) in FORBIDDEN {
                if line.contains(forbidden) {
                    findings.push(format!("{place}: `{forbidden}`: {why}"));
                }
            }
            if let Some((_, reason)) = line.split_once(IGNORE_WITH_REASON)
                && !may_be_ignored(reason)
            {
                findings.push(format!(
                    "{place}: the reason to ignore it is neither a file that it writes nor how long it takes"
                ));
            }
        }
    }
    findings
}

fn may_be_ignored(reason: &str) -> bool {
    let reason = reason.split('"').next().unwrap_or(reason);
    let takes_long = |rest: &str| TIMES.iter().any(|time| rest.contains(time));
    reason.strip_prefix("writes ").is_some_and(is_file_name)
        || reason.strip_prefix("takes ").is_some_and(takes_long)
}

/// One word with an extension.
fn is_file_name(text: &str) -> bool {
    let (Some(name), Some(extension)) =
        (Path::new(text).file_stem(), Path::new(text).extension().and_then(|it| it.to_str()))
    else {
        return false;
    };
    !name.is_empty() && extension.chars().all(char::is_alphanumeric) && !text.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: String) -> [Source; 1] {
        [Source { name: "crates/a/src/lib.rs".into(), text }]
    }

    #[test]
    fn a_file_may_have_600_lines_and_no_more() {
        assert!(overlong_files(&source("\n".repeat(600))).is_empty());
        assert_eq!(overlong_files(&source("\n".repeat(601))).len(), 1);
    }

    #[test]
    fn forbidden_text_is_found_with_its_line() {
        for (forbidden, _) in FORBIDDEN {
            let found = forbidden_text(&source(format!("\n  {forbidden}\n")));
            assert!(found[0].starts_with("crates/a/src/lib.rs:2: "), "{found:?}");
        }
        let ignored = |reason: &str| {
            forbidden_text(&source(format!("{IGNORE_WITH_REASON}{reason}\")]"))).len()
        };
        assert_eq!(ignored("flaky"), 1);
        assert_eq!(ignored("takes another moment"), 1);
        assert_eq!(ignored("takes 20 minutes"), 0);
        assert_eq!(ignored("writes data/table.csv"), 0);
        for dodge in ["writes how fast it is", "writes until it is killed", "writes a.csv, maybe"] {
            assert_eq!(ignored(dodge), 1, "{dodge}");
        }
    }
}
