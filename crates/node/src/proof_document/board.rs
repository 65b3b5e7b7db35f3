//! The announcements that a node knows, ready for its documents.

use std::sync::{Arc, PoisonError, RwLock};

use qcn_crypto::to_hex;
use qcn_types::{Announcement, Epoch, EpochPlan, encode};

/// The announcements of all epochs from the second one (epoch 1) on, as documents have them. Clones
/// show the same.
#[derive(Clone, Debug, Default)]
pub struct AnnouncementBoard(Arc<RwLock<Vec<Announced>>>);

#[derive(Debug)]
struct Announced {
    text: String,
    plan: Arc<EpochPlan>,
    /// The committed time of the beacon's final checkpoint before it.
    time_ms: u64,
}

impl AnnouncementBoard {
    /// For the runtime: the beacon has announced an epoch. Says whether it was the next one: what
    /// is here already, or has a gap before it, changes nothing.
    pub fn add(&self, announcement: &Announcement) -> bool {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_next = announcement.plan.epoch.0 == all.len() as u64 + 1;
        if is_next {
            let plan = Arc::new(announcement.plan.clone());
            let time_ms = announcement.certificate.checkpoint.time_ms;
            all.push(Announced { text: to_hex(&encode(announcement)), plan, time_ms });
        }
        is_next
    }

    /// What leads from the genesis to the committees of an epoch, as far as it is known.
    #[must_use]
    pub fn up_to(&self, epoch: Epoch) -> Vec<String> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let count = usize::try_from(epoch.0).unwrap_or(usize::MAX).min(all.len());
        all[..count].iter().map(|announced| announced.text.clone()).collect()
    }

    /// The plan of an epoch that was announced.
    #[must_use]
    pub fn plan(&self, epoch: Epoch) -> Option<Arc<EpochPlan>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let place = usize::try_from(epoch.0.checked_sub(1)?).ok()?;
        all.get(place).map(|announced| Arc::clone(&announced.plan))
    }

    /// Up to `limit` plans below an epoch that are wanted, the newest first, each with the committed
    /// time at which it was announced, in milliseconds.
    #[must_use]
    pub fn newest_below(
        &self,
        epoch: Epoch,
        limit: usize,
        is_wanted: impl Fn(&EpochPlan) -> bool,
    ) -> Vec<(Arc<EpochPlan>, u64)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let below = all.iter().rev().skip_while(|announced| announced.plan.epoch >= epoch);
        let wanted = below.filter(|announced| is_wanted(&announced.plan)).take(limit);
        wanted.map(|announced| (Arc::clone(&announced.plan), announced.time_ms)).collect()
    }
}
