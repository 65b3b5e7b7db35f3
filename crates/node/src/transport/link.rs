//! A connection whose handshake has ended: its confirmation, and its life until it ends.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use qcn_types::{Bounded, ValidatorIndex};
use quinn::{Connection, ConnectionError, RecvStream, SendStream};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info};

use super::budget::Budget;
use super::counters::Count;
use super::limits::{MAX_CONTROL_PER_SECOND, MIN_WAITING_BYTES};
use super::peer::{Decision, Peer};
use super::shared::{Shared, lock};
use super::wire::{
    BATCH_BYTES, CloseCode, Control, Fault, FrameReader, MAX_RECORDS_PER_MESSAGE, StreamKind, open,
    write_control, write_frames,
};
use super::{Class, Received, WaitingPlace};

/// A connection that is up.
pub(super) struct Link {
    standing: Standing,
    control_out: SendStream,
    control_in: FrameReader,
}

/// Why a connection did not come up after its handshake.
#[derive(Debug)]
pub(super) enum NotUp {
    /// Another one of the pair stands.
    Duplicate,
    /// Counted already, or the other side's decision.
    Failed,
}

/// Confirms a connection with the peer whose key it was made with.
pub(super) async fn confirm(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    connection: Connection,
) -> Result<Link, NotUp> {
    let Some(_place) = peer.unconfirmed() else {
        shared.counting.one(Count::TooManyOfPeer);
        CloseCode::TooMany.close(&connection);
        return Err(NotUp::Failed);
    };
    let confirmed = confirm_in_time(shared, peer, &connection);
    let (failure, code) = match timeout(shared.limits.handshake_timeout, confirmed).await {
        Ok(Ok(link)) => return Ok(link),
        Ok(Err(Unconfirmed::Duplicate)) => {
            shared.counting.one(Count::Duplicate);
            CloseCode::Duplicate.close(&connection);
            return Err(NotUp::Duplicate);
        }
        Ok(Err(Unconfirmed::Fault(Fault::Gone))) => {
            return Err(gone(shared, &connection));
        }
        Ok(Err(Unconfirmed::Fault(fault))) => {
            debug!(peer = %peer.index, %fault, "a connection was not confirmed");
            (Count::NotConfirmed, CloseCode::NotConfirmed)
        }
        Err(_) => (Count::HandshakeTimeout, CloseCode::NotConfirmed),
    };
    shared.counting.one(failure);
    code.close(&connection);
    Err(NotUp::Failed)
}

fn gone(shared: &Shared, connection: &Connection) -> NotUp {
    let duplicate = u64::from(CloseCode::Duplicate as u32);
    match connection.close_reason() {
        Some(ConnectionError::ApplicationClosed(close))
            if close.error_code.into_inner() == duplicate =>
        {
            NotUp::Duplicate
        }
        // The other end of a client learns of a refused key only after its own handshake.
        reason => {
            let reason = reason_text(reason.as_ref());
            debug!(reason, "a connection ended before it was confirmed");
            shared.counting.one(Count::HandshakeBroken);
            NotUp::Failed
        }
    }
}

enum Unconfirmed {
    Duplicate,
    Fault(Fault),
}

impl From<Fault> for Unconfirmed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

async fn confirm_in_time(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    connection: &Connection,
) -> Result<Link, Unconfirmed> {
    let mut control_out = open(connection, StreamKind::Control).await?;
    let follows = shared.own > peer.index;
    if follows {
        let (incarnation, lost) = (shared.incarnation, peer.lost());
        let hello = Control::Hello { incarnation, lost, record: shared.own_record() };
        write_control(&mut control_out, &hello).await?;
    }
    let stream = connection.accept_uni().await.map_err(|_| Fault::Gone)?;
    let (kind, mut control_in) = FrameReader::accept(stream, shared.limits.frame_timeout).await?;
    if kind != StreamKind::Control {
        return Err(Fault::Violation("another stream before control").into());
    }
    let mut said = control_in.control().await?;
    // Who has not been told its number follows everybody, and others may take it for a higher one.
    // Where both have said hello, the one with the higher incarnation follows.
    let other_decides = |said: &Control| matches!(said, Control::Hello { incarnation, .. } if shared.incarnation > *incarnation);
    if follows && other_decides(&said) {
        said = control_in.control().await?;
    }
    let (standing, record) = match (follows, said) {
        (true, Control::Welcome { connection: id, record }) => {
            peer.follow(id, connection);
            (Standing::new(shared, peer, connection, id), record)
        }
        (_, Control::Hello { incarnation, lost, record }) => {
            let id = shared.random_name();
            match peer.decide(id, incarnation, lost, connection) {
                Decision::Use => {}
                Decision::Duplicate => return Err(Unconfirmed::Duplicate),
            }
            let standing = Standing::new(shared, peer, connection, id);
            let welcome = Control::Welcome { connection: id, record: shared.own_record() };
            write_control(&mut control_out, &welcome).await?;
            (standing, record)
        }
        _ => return Err(Fault::Violation("not the message that confirms").into()),
    };
    if let Some(record) = record {
        shared.learn(record);
    }
    Ok(Link { standing, control_out, control_in })
}

impl Link {
    /// Whose it is.
    pub(super) fn peer_index(&self) -> ValidatorIndex {
        self.standing.peer.index
    }

    /// Uses the connection until it ends.
    pub(super) async fn run(self) {
        let Self { standing, control_out, control_in } = self;
        let Standing { shared, peer, connection, .. } = &standing;
        *lock(&peer.seen_at) = Some(connection.remote_address().to_string());
        if !peer.came_up(standing.id, |up| shared.announce(peer, up)) {
            return;
        }
        // It may have been let in under a name or a key that counts no more by now.
        if !shared.is_current(peer, connection) {
            return CloseCode::NotAValidator.close(connection);
        }
        info!(peer = %peer.index, address = %connection.remote_address(), "connected");

        let mut tasks = JoinSet::new();
        let compared = Arc::new(Compared::default());
        let opened = Arc::new(Opened::default());
        for class in Class::ALL {
            tasks.spawn(write(shared.clone(), peer.clone(), connection.clone(), class));
        }
        tasks.spawn(tell_records(shared.clone(), compared.clone(), control_out));
        tasks.spawn(hear_records(shared.clone(), compared, control_in));
        let fault = loop {
            tokio::select! {
                stream = connection.accept_uni() => {
                    let Ok(stream) = stream else { break Fault::Gone };
                    tasks.spawn(read(shared.clone(), peer.clone(), opened.clone(), stream));
                }
                // No task ends without a fault, unless it panicked.
                ended = tasks.join_next() => {
                    break ended.and_then(Result::ok).unwrap_or(Fault::Gone);
                }
            }
        };
        standing.end(&fault);
    }
}

/// A connection while it is the one to use. However it ends, that is taken note of.
struct Standing {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    connection: Connection,
    id: u64,
}

impl Standing {
    fn new(shared: &Arc<Shared>, peer: &Arc<Peer>, connection: &Connection, id: u64) -> Self {
        let (shared, peer, connection) = (shared.clone(), peer.clone(), connection.clone());
        Self { shared, peer, connection, id }
    }

    fn end(&self, fault: &Fault) {
        let (count, code) = match fault {
            Fault::TooLong { .. } => (Count::FrameTooLong, CloseCode::FrameTooLong),
            Fault::TooSlow => (Count::FrameTooSlow, CloseCode::FrameTooSlow),
            Fault::Violation(_) => (Count::Violation, CloseCode::Violation),
            Fault::Gone => return,
        };
        // A stream also ends when its connection does.
        if self.connection.close_reason().is_none() {
            info!(peer = %self.peer.index, %fault, "closing the connection");
            self.shared.counting.one(count);
            code.close(&self.connection);
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let reason = self.connection.close_reason();
        CloseCode::Stopping.close(&self.connection);
        // Another connection may have taken its place; then the pair is still connected.
        if self.peer.ended(self.id, |up| self.shared.announce(&self.peer, up)) {
            let reason = reason_text(reason.as_ref());
            info!(peer = %self.peer.index, reason, "connection ended");
            // What was asked for on this connection is asked for again on the next.
            let dropped = self.peer.lane(Class::Sync).queue.clear();
            count_dropped(&self.shared, &self.peer, dropped);
        }
    }
}

/// Why a connection ended, for people. Without a reason it stood until now.
fn reason_text(reason: Option<&ConnectionError>) -> String {
    reason.map_or_else(|| "this node closes it".to_owned(), ToString::to_string)
}

/// Counts frames that were not sent.
pub(super) fn count_dropped(shared: &Shared, peer: &Peer, frames: u64) {
    if frames > 0 {
        shared.counting.add(Count::FramesDropped, frames);
        peer.frames_dropped.fetch_add(frames, Ordering::Relaxed);
    }
}

/// Sends the frames of one class.
async fn write(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    connection: Connection,
    class: Class,
) -> Fault {
    let mut stream = match open(&connection, StreamKind::Frames(class)).await {
        Ok(stream) => stream,
        Err(fault) => return fault,
    };
    loop {
        let batch = peer.lane(class).queue.next_batch(BATCH_BYTES).await;
        let frames = batch.len() as u64;
        let bytes: u64 = batch.iter().map(|frame| frame.len() as u64 + 4).sum();
        if write_frames(&mut stream, batch).await.is_err() {
            count_dropped(&shared, &peer, frames);
            return Fault::Gone;
        }
        shared.counting.add(Count::FramesOut, frames);
        shared.counting.add(Count::BytesOut, bytes);
        peer.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Which streams the peer has opened.
#[derive(Default)]
struct Opened([AtomicBool; Class::ALL.len()]);

/// Receives the frames of one class.
async fn read(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    opened: Arc<Opened>,
    stream: RecvStream,
) -> Fault {
    let (kind, reader) = match FrameReader::accept(stream, shared.limits.frame_timeout).await {
        Ok(accepted) => accepted,
        Err(fault) => return fault,
    };
    let StreamKind::Frames(class) = kind else {
        return Fault::Violation("a second control stream");
    };
    if opened.0[class as usize].swap(true, Ordering::AcqRel) {
        return Fault::Violation("a second stream of a class");
    }
    match read_frames(&shared, &peer, class, reader).await {
        Ok(never) => match never {},
        Err(fault) => fault,
    }
}

async fn read_frames(
    shared: &Shared,
    peer: &Peer,
    class: Class,
    mut reader: FrameReader,
) -> Result<Infallible, Fault> {
    let limit = shared.limits.class(class).frame_bytes;
    let runtime = shared.received.upgrade().ok_or(Fault::Gone)?;
    loop {
        let frame = reader.frame(limit).await?;
        let bytes = frame.len() as u64 + 4;
        shared.counting.one(Count::FramesIn);
        shared.counting.add(Count::BytesIn, bytes);
        peer.bytes_in.fetch_add(bytes, Ordering::Relaxed);
        // Whoever is not read from fills its flow control and then its own queue.
        let place = WaitingPlace::new(waiting_place(shared, peer, frame.len()).await?);
        let received = Received { from: peer.index, class, frame, place };
        runtime.send(received).await.map_err(|_| Fault::Gone)?;
        let pause = over_budget(peer, class, bytes);
        if !pause.is_zero() {
            shared.counting.one(Count::Throttled);
            sleep(pause).await;
        }
    }
}

/// Room for a frame among those that wait for the runtime.
async fn waiting_place(
    shared: &Shared,
    peer: &Peer,
    bytes: usize,
) -> Result<OwnedSemaphorePermit, Fault> {
    let cost = bytes.max(MIN_WAITING_BYTES).min(shared.limits.waiting_bytes_per_peer);
    let cost = u32::try_from(cost).unwrap_or(u32::MAX);
    peer.waiting.clone().acquire_many_owned(cost).await.map_err(|_| Fault::Gone)
}

/// How long to pause after a frame.
fn over_budget(peer: &Peer, class: Class, bytes: u64) -> Duration {
    let now = Instant::now();
    let mut budgets = lock(&peer.lane(class).budgets);
    let [of_bytes, of_frames] = &mut *budgets;
    of_bytes.take(now, bytes).max(of_frames.take(now, 1))
}

/// Which records the peer has, as far as is known.
#[derive(Default)]
struct Compared {
    theirs: Mutex<BTreeMap<ValidatorIndex, u64>>,
    changed: Notify,
}

/// Tells the peer which records are known here, and then those that it lacks.
async fn tell_records(
    shared: Arc<Shared>,
    compared: Arc<Compared>,
    mut stream: SendStream,
) -> Fault {
    let mut changes = shared.records_changed.subscribe();
    let mut compare = interval(shared.limits.compare_records);
    compare.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Until the peer has said what it knows, everything would seem to be missing there.
    let mut heard = false;
    loop {
        let sent = tokio::select! {
            // The first tick comes at once.
            _ = compare.tick() => {
                let known = lock(&shared.records).sequences().into_iter().collect();
                write_control(&mut stream, &Control::Known(Bounded::truncated(known))).await
            }
            () = compared.changed.notified() => {
                heard = true;
                send_newer(&shared, &compared, &mut stream).await
            }
            changed = changes.changed(), if heard => match changed {
                Ok(()) => send_newer(&shared, &compared, &mut stream).await,
                Err(_) => Err(Fault::Gone),
            },
        };
        if let Err(fault) = sent {
            return fault;
        }
    }
}

async fn send_newer(
    shared: &Shared,
    compared: &Compared,
    stream: &mut SendStream,
) -> Result<(), Fault> {
    loop {
        let records = {
            let mut theirs = lock(&compared.theirs);
            let records = lock(&shared.records).newer_than(&theirs, MAX_RECORDS_PER_MESSAGE);
            theirs.extend(records.iter().map(|record| (record.validator, record.sequence)));
            records
        };
        if records.is_empty() {
            return Ok(());
        }
        write_control(stream, &Control::Records(Bounded::truncated(records))).await?;
    }
}

/// Records of a peer that no known key has signed, since a while.
#[derive(Default)]
struct Forged {
    since: Option<Instant>,
    count: usize,
}

impl Forged {
    /// Whether one more may be due to keys that were replaced: an honest peer hands on one of each
    /// validator between two comparisons, and one that was on its way.
    fn is_pardoned(&mut self, shared: &Shared, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= shared.limits.compare_records {
            *self = Self { since: Some(now), count: 0 };
        }
        self.count += 1;
        self.count <= 2 * (shared.peers().len() + 1)
    }
}

/// Takes in what the peer knows.
async fn hear_records(
    shared: Arc<Shared>,
    compared: Arc<Compared>,
    mut stream: FrameReader,
) -> Fault {
    let mut messages = Budget::new(MAX_CONTROL_PER_SECOND, Instant::now());
    let mut answers = Budget::new(1, Instant::now());
    let mut forged = Forged::default();
    loop {
        match stream.control().await {
            // Each is answered with all that is missing, so whoever asks too often is not heard.
            Ok(Control::Known(known)) if answers.try_one(Instant::now()) => {
                *lock(&compared.theirs) = known.into_inner().into_iter().collect();
                compared.changed.notify_one();
            }
            Ok(Control::Records(records)) => {
                for record in records.into_inner() {
                    let known = (record.validator, record.sequence);
                    if !shared.learn(record) && !forged.is_pardoned(&shared, Instant::now()) {
                        return Fault::Violation("too many records that are not genuine");
                    }
                    lock(&compared.theirs).insert(known.0, known.1);
                }
            }
            Ok(Control::Known(_)) => {}
            Ok(_) => return Fault::Violation("a second message that confirms"),
            Err(fault) => return fault,
        }
        sleep(messages.take(Instant::now(), 1)).await;
    }
}

#[cfg(test)]
mod tests;
