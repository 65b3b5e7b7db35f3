//! A file system of a few megabytes that one node stores its data on, so that it can be filled.
//!
//! It is in memory and in a mount namespace of the node's own: nobody else sees it, and it goes
//! away with the node's process, however the test ends. The test reaches into it through the
//! process.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Puts what is in a folder onto a file system that is mounted over it, and runs a program there.
const SCRIPT: &str = r#"set -e
folder="$1" size="$2"
shift 2
cd "$folder"
mount -t tmpfs -o "size=$size,mode=700" qcn "$folder"
find . -mindepth 1 -maxdepth 1 -exec mv -t "$folder" {} +
cd /
exec "$@"
"#;

/// An error says why a node cannot have a file system of its own here.
pub fn try_out(folder: &Path) -> Result<(), String> {
    fs::create_dir(folder).unwrap();
    let ran = wrap("true", folder, 1).output();
    let output = ran.map_err(|error| format!("unshare: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// A program that finds a small file system at `folder`, with what is in the folder now.
///
/// Its process becomes the program: what is killed later is the program itself.
pub fn wrap(program: &str, folder: &Path, size_mib: u32) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"]);
    command.arg(folder).arg(format!("{size_mib}m")).arg(program);
    command
}

/// Where others find a folder that only this process sees.
pub fn seen_by(process: u32, folder: &Path) -> PathBuf {
    let root = Path::new("/proc").join(process.to_string()).join("root");
    root.join(folder.strip_prefix("/").unwrap())
}

/// A file that leaves no room beside it until it is removed.
pub struct Ballast {
    file: PathBuf,
    /// How much room there was.
    pub bytes: u64,
}

impl Ballast {
    pub fn fill(folder: &Path) -> Self {
        let file = folder.join("ballast");
        let mut written = File::create_new(&file).unwrap();
        let end = io::copy(&mut io::repeat(0), &mut written).unwrap_err();
        assert_eq!(end.kind(), ErrorKind::StorageFull, "{end}");
        Self { bytes: written.metadata().unwrap().len(), file }
    }

    pub fn remove(self) {
        fs::remove_file(self.file).unwrap();
    }
}
