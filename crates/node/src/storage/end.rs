//! The end of an epoch in which a validator had no seat, and which it has fetched to open the next
//! one: a snapshot alone in a folder.

use std::path::Path;
use std::sync::Arc;

use qcn_ledger::Territory;
use qcn_shard::{Closed, SyncPackage};
use qcn_types::{CommitteeKeys, Round, ValidatorIndex};

use super::disk::{Disk, RealDisk, WHOLE};
use super::error::failed;
use super::snapshot::{self, Snapshot};
use super::{StorageError, StoreIdentity};

/// Makes the end of an epoch durable.
///
/// # Errors
/// [`StorageError::InUse`]; the disk's.
pub fn keep_end(folder: &Path, keys: &CommitteeKeys, closed: &Closed) -> Result<(), StorageError> {
    let package = SyncPackage::last(closed.certificate.clone(), closed.plan.as_ref().clone());
    let snapshot = Snapshot {
        package: Arc::new(package),
        ledger: Box::new(closed.ledger.clone()),
        floor: Round::GENESIS,
    };
    snapshot::write(&RealDisk::lock(folder)?, identity(keys)?, &snapshot, || false).map(|_| ())
}

/// The end of an epoch that was kept, if it is there and intact.
///
/// # Errors
/// [`StorageError::InUse`]; the disk's. Damage is no error: it can be fetched again.
pub fn read_end(
    folder: &Path,
    keys: &CommitteeKeys,
    territory: &Territory,
) -> Result<Option<Closed>, StorageError> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let disk = RealDisk::lock(folder)?;
    let names = disk.list().map_err(failed(&disk, "", "list the folder"))?;
    for name in names.iter().filter(|name| snapshot::height_of(name).is_some()) {
        let bytes = disk.read(name, WHOLE).map_err(failed(&disk, name, "read"))?;
        match snapshot::read(&bytes, &identity(keys)?, keys, territory) {
            Ok(Snapshot { package, ledger, .. }) => {
                let (certificate, ledger) = (package.certificate.clone(), *ledger);
                let plan = package.plan.first().cloned().map(Arc::new);
                return Ok(plan.map(|plan| Closed { certificate, plan, ledger }));
            }
            Err(reason) => tracing::warn!("{name} is of no use: {reason}"),
        }
    }
    Ok(None)
}

/// It is nobody's store: it goes by the first member's name.
fn identity(keys: &CommitteeKeys) -> Result<StoreIdentity, StorageError> {
    let first = ValidatorIndex(0);
    StoreIdentity::of(keys, first).ok_or(StorageError::WrongKeys { own: first })
}

#[cfg(test)]
mod tests {
    use qcn_shard::Record;
    use qcn_types::Height;

    use super::super::testing::{KEYS, TERRITORY, last_snapshot, ledger};
    use super::*;
    use crate::testing::TestFolder;

    /// What was kept is there again, and what is damaged is as if it were not.
    #[test]
    fn an_end_outlasts_a_restart_and_no_damage() {
        let folder = TestFolder::new();
        let end = folder.path().join("end");
        assert!(read_end(&end, &KEYS, &TERRITORY).unwrap().is_none());
        let Record::Snapshot { package, ledger, .. } = last_snapshot(7, 0, &ledger(3_000)) else {
            panic!("it is a snapshot")
        };
        let plan = Arc::new(package.plan.first().unwrap().clone());
        let closed = Closed { certificate: package.certificate.clone(), plan, ledger: *ledger };
        keep_end(&end, &KEYS, &closed).unwrap();
        let kept = read_end(&end, &KEYS, &TERRITORY).unwrap().unwrap();
        assert_eq!(kept.certificate, closed.certificate);
        assert_eq!(kept.plan, closed.plan);
        assert_eq!(kept.ledger.state_root(), closed.ledger.state_root());
        let file = end.join(snapshot::file_name(Height(7)));
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert!(read_end(&end, &KEYS, &TERRITORY).unwrap().is_none());
    }
}
