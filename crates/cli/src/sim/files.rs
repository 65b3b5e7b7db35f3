//! Reading scenarios and writing results.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use qcn_sim::report;
use qcn_sim::result::RunResult;
use qcn_sim::scenario::{BUILTIN, Scenario, builtin};

use crate::output::unreadable;

/// The longest scenario file or result that is read, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The scenario of a file, or one that comes with it.
pub fn scenario(place: &str) -> anyhow::Result<Scenario> {
    let path = Path::new(place);
    if path.is_file() {
        return Ok(Scenario::parse(place, &text(path)?)?);
    }
    if path.is_dir() {
        bail!("`{place}` is a folder; give a scenario file in it, or see `qcn sim list` for names");
    }
    match builtin(place) {
        Some(known) => Ok(Scenario::parse(known.name, known.text)?),
        None => {
            let names: Vec<&str> = BUILTIN.iter().map(|known| known.name).collect();
            bail!(
                "there is no file `{place}`, and no scenario of that name; give a file or one of {}",
                names.join(", ")
            )
        }
    }
}

/// A file's text.
pub fn text(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if size > FILE_BYTES_MAX {
        bail!("{shown} has {size} bytes; a file may have at most {FILE_BYTES_MAX}");
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|_| anyhow!("{shown} is not UTF-8 text; save it as UTF-8"))
}

/// Writes a file, and the folder that it lies in.
pub fn write(path: &Path, contents: &str) -> anyhow::Result<()> {
    let shown = path.display();
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    std::fs::write(path, contents).with_context(|| format!("cannot write {shown}"))
}

/// What stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// Whether a result is to be printed instead of written to a file.
pub fn is_standard_output(path: Option<&Path>) -> bool {
    path == Some(Path::new(STANDARD_OUTPUT))
}

/// Where a result goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Destinations {
    /// The JSON file.
    pub json: Option<PathBuf>,
    /// The HTML page.
    pub html: Option<PathBuf>,
}

impl Destinations {
    /// Writes the result where it is wanted; says where.
    pub fn write(&self, result: &RunResult) -> anyhow::Result<Vec<String>> {
        let mut written = Vec::new();
        if let Some(path) = &self.json {
            write(path, &report::json(result)?)?;
            written.push(path.display().to_string());
        }
        if let Some(path) = &self.html {
            write(path, &report::html(result)?)?;
            written.push(path.display().to_string());
        }
        Ok(written)
    }
}
