//! What comes in from peers, without a network.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use qcn_types::{Height, encode};
use tokio::sync::Semaphore;

use super::*;
use crate::transport::{Class, WaitingPlace};

/// What waits for the core counts as what its peer has waiting, so one noisy peer takes no room of
/// another, and nothing of either is dropped.
///
/// Given a noisy peer and a quiet one, each with frames for all that it may have waiting.
/// When all of it has come in and the core takes nothing,
/// then neither has room for more, and gets it as the core takes its messages.
#[tokio::test]
async fn messages_keep_their_peers_places_until_the_core_takes_them() {
    const NOISY: ValidatorIndex = ValidatorIndex(1);
    const QUIET: ValidatorIndex = ValidatorIndex(2);
    let shares = [(NOISY, 10_000_usize), (QUIET, 2)];
    let shares = shares.map(|(peer, frames)| (peer, frames, Arc::new(Semaphore::new(frames))));
    let (sender, received) = mpsc::channel(20_000);
    for (from, frames, share) in &shares {
        for height in 0..*frames as u64 {
            let frame = Bytes::from(encode(&Message::SyncRequest { above: Height(height) }));
            let place = WaitingPlace::new(share.clone().try_acquire_owned().unwrap());
            sender.try_send(Received { from: *from, class: Class::Sync, frame, place }).unwrap();
        }
    }
    drop(sender);
    let (post, inbox) = inbox();
    take_in_frames(received, post, |from| panic!("{from} was refused")).await;
    for (_, frames, share) in &shares {
        assert_eq!(share.available_permits(), 0, "all {frames} wait for the core");
    }

    let mut taken = [0; 3];
    while let Some(Happening::Message { from, place, .. }) = inbox.next(None) {
        drop(place);
        taken[from.position()] += 1;
        let (_, _, share) = &shares[from.position() - 1];
        assert_eq!(share.available_permits(), taken[from.position()]);
    }
    assert_eq!(taken, [0, 10_000, 2]);
}

/// A frame that is no message is its sender's fault, and takes no room afterwards.
#[tokio::test]
async fn what_does_not_decode_is_refused_and_takes_no_room() {
    let share = Arc::new(Semaphore::new(1));
    let (sender, received) = mpsc::channel(1);
    let place = WaitingPlace::new(share.clone().try_acquire_owned().unwrap());
    let (from, frame) = (ValidatorIndex(3), Bytes::from_static(&[0xff; 9]));
    sender.try_send(Received { from, class: Class::Blocks, frame, place }).unwrap();
    drop(sender);
    let (post, inbox) = inbox();
    let refused = AtomicUsize::new(0);
    take_in_frames(received, post, |_| {
        refused.fetch_add(1, Ordering::Relaxed);
    })
    .await;
    assert_eq!((refused.into_inner(), share.available_permits()), (1, 1));
    assert!(matches!(inbox.next(None), Some(Happening::Stop)));
}

#[test]
fn a_stop_that_takes_long_says_why() {
    let mut status = NodeStatus::default();
    assert!(still_stopping(&status).contains("the log and the archive"));
    status.waiting_for = Some("the disk is full".to_owned());
    assert!(still_stopping(&status).contains("the disk is full"));
}
