//! `cargo xtask fix`: what programs can repair by themselves.

use anyhow::Result;

use crate::cargo::{PROFILE, cargo, succeeds};

/// Lets clippy fix what it can, then formats.
pub fn run() -> Result<bool> {
    let clippy = [
        "clippy",
        "--fix",
        "--allow-dirty",
        "--allow-staged",
        "--workspace",
        "--all-targets",
        "--profile",
        PROFILE,
    ];
    let linted = succeeds(cargo(&clippy))?;
    let formatted = succeeds(cargo(&["fmt", "--all"]))?;
    let fuzz = ["fmt", "--manifest-path", "fuzz/Cargo.toml"];
    Ok(linted && formatted && succeeds(cargo(&fuzz))?)
}
