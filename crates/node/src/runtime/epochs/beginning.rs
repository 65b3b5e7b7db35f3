//! Whether a data folder can have signed in an epoch whose log it does not hold.
//!
//! A validator that has lost its disk must not take the log of an epoch for new: it may have signed
//! there. So each data folder remembers when it was made, and whether the keys had never signed
//! anything at that time. What was announced after that cannot have been served from another folder
//! before, unless two machines run with one key.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::document::{DocumentError, Overwrite, Readers, parse_json, read_text, write_file};

const FORMAT: &str = "qcn-data/1";
const FILE: &str = "began.json";
const MAX_BYTES: u64 = 4_096;

/// By how much clocks of validators may differ, in milliseconds.
const MARGIN_MS: u64 = 60_000;

/// When a data folder was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Beginning {
    format: String,
    /// In milliseconds since the Unix epoch.
    unix_ms: u64,
    /// Whether the keys had never signed anything.
    new_keys: bool,
}

impl Beginning {
    /// What a data folder remembers; of one that remembers nothing, that it begins now.
    pub(in super::super) fn read_or_begin(folder: &Path) -> Result<Self, DocumentError> {
        let file = folder.join(FILE);
        if file.exists() {
            return parse_json(&read_text(&file, MAX_BYTES)?, &file.display().to_string(), FORMAT);
        }
        Self::now(false).written(folder)
    }

    /// Of a network in which no epoch follows another.
    pub(in super::super) fn of_one_epoch() -> Self {
        Self { format: FORMAT.to_owned(), unix_ms: 0, new_keys: false }
    }

    /// Marks a data folder as that of keys that have never signed anything.
    pub(in super::super) fn mark_new(folder: &Path) -> Result<Self, DocumentError> {
        Self::now(true).written(folder)
    }

    /// Whether nobody can have signed with these keys in an epoch that was announced at a time.
    pub(super) const fn is_before(&self, announced_ms: u64) -> bool {
        self.new_keys || announced_ms > self.unix_ms.saturating_add(MARGIN_MS)
    }

    fn now(new_keys: bool) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Self { format: FORMAT.to_owned(), unix_ms, new_keys }
    }

    fn written(self, folder: &Path) -> Result<Self, DocumentError> {
        let text = serde_json::to_string_pretty(&self).expect("numbers and words have a JSON form");
        write_file(&folder.join(FILE), text.as_bytes(), Readers::Everyone, Overwrite::Replace)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestFolder;

    #[test]
    fn a_folder_remembers_since_when_its_keys_may_have_signed() {
        let folder = TestFolder::new();
        let lost = Beginning::read_or_begin(folder.path()).unwrap();
        let began = lost.unix_ms;
        assert!(!lost.is_before(began), "another folder may have had the keys before");
        assert!(!lost.is_before(began + MARGIN_MS), "clocks differ");
        assert!(lost.is_before(began + MARGIN_MS + 1));
        let again = Beginning::read_or_begin(folder.path()).unwrap();
        assert_eq!(again.unix_ms, began, "it is remembered");

        let fresh = TestFolder::new();
        Beginning::mark_new(fresh.path()).unwrap();
        assert!(Beginning::read_or_begin(fresh.path()).unwrap().is_before(0));
        std::fs::write(fresh.path().join(FILE), "{").unwrap();
        assert!(Beginning::read_or_begin(fresh.path()).is_err(), "no guess about what was signed");
    }
}
