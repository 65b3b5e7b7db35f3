//! Checking what clients hand in, beside the core and beside what validators send.

use std::sync::{Arc, OnceLock};

use qcn_crypto::Scheme;
use qcn_types::{CommitteeKeys, Transaction, Verified};
use rayon::prelude::*;
use tokio::sync::mpsc;

use super::inbox::{Checked, Happening, Post};
use crate::view::{Submission, SubmitError};

/// The most client submissions whose signatures are checked at once, for each instance.
const MAX_CHECKED_AT_ONCE: usize = 64;

/// So many signatures of schemes that are quick to check are checked where they arrive: handing them
/// to another thread takes longer.
const FEW: usize = 4;

pub(super) struct SubmissionCheck {
    pub(super) keys: CommitteeKeys,
    pub(super) post: Post,
}

/// Has the signatures of submissions checked, a bounded number of submissions at a time.
pub(super) async fn take_in_submissions(
    mut waiting: mpsc::Receiver<Submission>,
    check: SubmissionCheck,
) {
    let check = Arc::new(check);
    let places = Arc::new(tokio::sync::Semaphore::new(MAX_CHECKED_AT_ONCE));
    while let Some(Submission { transactions, reply }) = waiting.recv().await {
        if transactions.len() <= FEW && transactions.iter().all(is_quick) {
            let checked = transactions.into_iter().map(|one| check.check(one)).collect();
            check.post.put(Happening::Submitted(Checked { transactions: checked, reply }));
            continue;
        }
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let check = Arc::clone(&check);
        spawn_for_clients(move || {
            let checked = transactions.into_par_iter().map(|one| check.check(one)).collect();
            check.post.put(Happening::Submitted(Checked { transactions: checked, reply }));
            drop(place);
        });
    }
}

/// Whether a signature takes some ten microseconds to check, and not a large part of a millisecond.
pub(super) fn is_quick(transaction: &Transaction) -> bool {
    transaction.key.scheme() != Scheme::SlhDsaSha2_128s
}

/// Does work for clients beside that for validators: on threads of its own, half as many, so that
/// blocks never wait behind what anybody may hand in.
fn spawn_for_clients(work: impl FnOnce() + Send + 'static) {
    static POOL: OnceLock<Option<rayon::ThreadPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(1, |all| (all.get() / 2).max(1));
        let named = |at| format!("clients-{at}");
        rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(named).build().ok()
    });
    match pool {
        Some(pool) => pool.spawn(work),
        // The system gives no more threads: then they share.
        None => rayon::spawn(work),
    }
}

impl SubmissionCheck {
    fn check(&self, transaction: Transaction) -> Result<Verified<Transaction>, SubmitError> {
        if let Some(scheme) = self.keys.disallowed_scheme(&transaction) {
            return Err(SubmitError::SchemeNotAllowed(scheme));
        }
        self.keys.verify_transaction(transaction).map_err(|_| SubmitError::WrongSignature)
    }
}
