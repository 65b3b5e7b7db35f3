//! What comes in from peers, without a network.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use qcn_types::{Bounded, Epoch, Height, LaneHead, ShardId};
use tokio::sync::Semaphore;

use super::super::envelope::testing::{lane, station};
use super::super::inbox::{Inbox, inbox};
use super::super::stage::Hosted;
use super::*;
use crate::transport::Class;
use crate::view::View;

/// A node with a seat in shard 0 of two, with validators 0 to 3 and 0 to 2, and what it refuses.
fn router() -> (Router, Inbox, Arc<AtomicUsize>) {
    router_told(None)
}

/// The same where somebody follows the epochs.
fn router_told(told: Option<mpsc::UnboundedSender<Told>>) -> (Router, Inbox, Arc<AtomicUsize>) {
    let (post, inbox) = inbox();
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    let stage = Stage::default();
    let seats = Seats::all(ShardId(0), 4);
    let (view, _) = View::new(crate::testing::HISTORY.keys.clone(), ValidatorIndex(0));
    stage.seat(seats.clone());
    stage.seat(Seats::all(ShardId(1), 3));
    stage.host(Hosted { seats, post, view });
    let router = Router {
        refuse: Box::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        }),
        send: Arc::new(|_, _| {}),
        own: ValidatorIndex(0),
        stage,
        answers: Arc::default(),
        told,
        epoch_asks: Mutex::default(),
        guest_asks: Mutex::default(),
    };
    (router, inbox, refused)
}

const fn sync_request(above: u64) -> Message {
    Message::SyncRequest { above: Height(above) }
}

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
            let frame = Bytes::from(Envelope::of_shard(station(0), &sync_request(height)));
            let place = WaitingPlace::new(share.clone().try_acquire_owned().unwrap());
            sender.try_send(Received { from: *from, class: Class::Sync, frame, place }).unwrap();
        }
    }
    drop(sender);
    let (router, inbox, refused) = router();
    router.run(received).await;
    assert_eq!(refused.load(Ordering::Relaxed), 0);
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
    let (router, inbox, refused) = router();
    router.run(received).await;
    assert_eq!((refused.load(Ordering::Relaxed), share.available_permits()), (1, 1));
    assert!(matches!(inbox.next(None), Some(Happening::Stop)));
}

/// Only members of a shard are heard about it, and only those of the destination may ask for what
/// is on a lane: not more often than they may.
#[tokio::test]
async fn frames_go_to_the_shard_they_are_for_and_strangers_are_refused() {
    let (router, inbox, _) = router();
    let share = Arc::new(Semaphore::new(100));
    let place = || WaitingPlace::new(share.clone().try_acquire_owned().unwrap());
    let of_shard = |shard| Envelope::Shard(station(shard), sync_request(1));
    let take = |from, envelope| router.take(ValidatorIndex(from), envelope, place());
    assert_eq!(take(3, of_shard(0)), Ok(()));
    assert_eq!(take(4, of_shard(0)), Err(Misdirected::NoSeat));
    assert_eq!(take(1, of_shard(1)), Err(Misdirected::NotHosted));

    let ask = |from, to| {
        let lane = lane(from, to);
        let expected = Expected { applied: LaneHead::default(), acknowledged: LaneHead::default() };
        Envelope::Relay(RelayMessage::Ask { lane, number: 1, expected, carries: true })
    };
    assert_eq!(take(2, ask(0, 1)), Ok(()));
    assert_eq!(take(3, ask(0, 1)), Err(Misdirected::NoSeat), "it has none in the destination");
    assert_eq!(take(2, ask(0, 2)), Err(Misdirected::NotHosted), "there is no such shard");
    assert_eq!(take(2, ask(0, 0)), Err(Misdirected::NoSeat));
    assert_eq!(take(2, ask(1, 0)), Err(Misdirected::NotHosted));
    let taken = (1..50).filter(|_| take(2, ask(0, 1)).is_ok()).count();
    assert!(taken < 30, "{taken} questions in a moment");
    assert_eq!(take(2, ask(0, 1)), Err(Misdirected::TooOften));

    let answer = RelayMessage::Answer { lane: lane(1, 0), number: 1, found: Found::default() };
    assert_eq!(take(2, Envelope::Relay(answer)), Err(Misdirected::NeverAsked));
    let first = inbox.next(None).expect("it waits");
    assert!(matches!(first, Happening::Message { from: ValidatorIndex(3), .. }), "{first:?}");
    assert!(
        matches!(inbox.next(None), Some(Happening::Fetch { lane, .. }) if lane.peer == ShardId(1))
    );
}

/// Who is in another epoch is late, or this node is: nobody is to blame, and what can be asked is
/// asked.
#[tokio::test]
async fn epochs_that_are_not_known_are_asked_for_and_blame_nobody() {
    let (told, mut hears) = mpsc::unbounded_channel();
    let (router, inbox, _) = router_told(Some(told));
    let share = Arc::new(Semaphore::new(1_000));
    let place = || WaitingPlace::new(share.clone().try_acquire_owned().unwrap());
    let take = |from, envelope| router.take(ValidatorIndex(from), envelope, place());
    let later = Station { epoch: Epoch(7), ..station(0) };
    for _ in 0..100 {
        assert_eq!(take(3, Envelope::Shard(later, sync_request(1))), Ok(()));
    }
    let mut heard = 0;
    while let Ok(told) = hears.try_recv() {
        assert!(matches!(told, Told::Ahead { who: ValidatorIndex(3), epoch: Epoch(7) }));
        heard += 1;
    }
    assert!((1..10).contains(&heard), "{heard} of a hundred frames are heard of");

    // A guest asks for the state, and for nothing else; it is no member.
    let guest = |message| take(9, Envelope::Guest(station(0), message));
    assert_eq!(guest(sync_request(3)), Ok(()));
    assert_eq!(guest(Message::ChunkGone { height: Height(1) }), Err(Misdirected::NoGuest));
    let Some(Happening::Message { from, .. }) = inbox.next(None) else { panic!("it waits") };
    assert_eq!(from, Seats::guest(ValidatorIndex(9)));
    let to_guest = Envelope::ToGuest(station(0), sync_request(1));
    assert_eq!(take(9, to_guest), Err(Misdirected::NoSeat), "only members have answers");

    let announced = || Envelope::Epochs(Bounded::default());
    assert_eq!(take(1, announced()), Err(Misdirected::NeverAsked));
    router.stage.asks(ValidatorIndex(1));
    assert_eq!(take(2, announced()), Err(Misdirected::NeverAsked));
    assert_eq!(take(1, announced()), Ok(()));
    assert_eq!(take(1, announced()), Err(Misdirected::NeverAsked), "one answer to a question");
    let asks = (0..20).filter(|_| take(2, Envelope::AskEpochs(Epoch(0))).is_ok()).count();
    assert!((1..8).contains(&asks), "{asks} questions in a moment");
}
