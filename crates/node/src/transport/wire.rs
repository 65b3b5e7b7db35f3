//! What travels on a connection: streams with a class, frames with a length, control messages.
//!
//! Each side opens three unidirectional streams that live as long as the connection: control
//! first, then one per [`Class`]. A stream begins with one byte that says which it is; then
//! frames follow, each with its length in four bytes, big-endian, before it.

use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use qcn_types::{Bounded, MAX_MEMBERS, ValidatorIndex, decode, encode};
use quinn::{Connection, RecvStream, SendStream, WriteError};
use tokio::time::timeout;

use super::Class;
use super::limits::MIN_FRAME_BYTES_PER_SECOND;
use super::records::PeerRecord;

/// The most records in one message.
pub(super) const MAX_RECORDS_PER_MESSAGE: usize = 32;

/// The largest control message, in bytes: [`MAX_RECORDS_PER_MESSAGE`] records fit.
pub(super) const MAX_CONTROL_BYTES: usize = 128 * 1024;

/// Streams that a peer may open: control and one per class.
pub(super) const MAX_STREAMS: u32 = 3;

/// What is read from a stream at once, in bytes.
const READ_BYTES: usize = 32 * 1024;

/// What is set aside for a frame before it has arrived, in bytes.
const FRAME_ROOM: usize = 1024 * 1024;

/// Streams live as long as the connection.
const ENDED: &str = "a stream that ended";

/// Frames are handed to a stream in batches of about this many bytes.
pub(super) const BATCH_BYTES: usize = 256 * 1024;

/// Which stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamKind {
    Control,
    Frames(Class),
}

impl StreamKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Frames(Class::Blocks) => 1,
            Self::Frames(Class::Sync) => 2,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Control),
            1 => Some(Self::Frames(Class::Blocks)),
            2 => Some(Self::Frames(Class::Sync)),
            _ => None,
        }
    }

    /// Small and urgent goes before large and patient.
    const fn priority(self) -> i32 {
        match self {
            Self::Control => 2,
            Self::Frames(Class::Blocks) => 1,
            Self::Frames(Class::Sync) => 0,
        }
    }
}

/// What two transports say to each other.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum Control {
    /// The first message of the higher index: the connection could be used.
    Hello {
        /// Names this run of the process.
        incarnation: u64,
        /// The connection to the other that it lost last; 0 for none.
        lost: u64,
        /// Where it can be reached.
        record: Option<PeerRecord>,
    },
    /// The first message of the lower index, which decides: this is the connection to use.
    Welcome {
        /// Names the connection; never 0.
        connection: u64,
        /// Where it can be reached.
        record: Option<PeerRecord>,
    },
    /// The sequences of the records that the sender knows; what is newer is to be sent to it.
    Known(Bounded<(ValidatorIndex, u64), MAX_MEMBERS>),
    /// Records that the receiver may lack.
    Records(Bounded<PeerRecord, MAX_RECORDS_PER_MESSAGE>),
}

/// Why a connection ends, as the other side is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum CloseCode {
    Stopping = 0,
    Duplicate = 1,
    Replaced = 2,
    NotConfirmed = 3,
    FrameTooLong = 4,
    FrameTooSlow = 5,
    Violation = 6,
    TooMany = 7,
    NotAValidator = 8,
}

impl CloseCode {
    pub(super) fn close(self, connection: &Connection) {
        connection.close((self as u32).into(), b"");
    }
}

/// What a peer did wrong on a stream, or that the connection is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("a frame of {bytes} bytes where at most {limit} are allowed")]
    TooLong { bytes: usize, limit: usize },
    #[error("a frame that arrives too slowly")]
    TooSlow,
    #[error("{0}")]
    Violation(&'static str),
    #[error("the connection is gone")]
    Gone,
}

/// Opens a stream and says which it is.
pub(super) async fn open(connection: &Connection, kind: StreamKind) -> Result<SendStream, Fault> {
    let mut stream = connection.open_uni().await.map_err(|_| Fault::Gone)?;
    // It fails only for a stream that is closed, and then writing says so.
    let _ = stream.set_priority(kind.priority());
    stream.write_all(&[kind.byte()]).await.map_err(|_| Fault::Gone)?;
    Ok(stream)
}

/// Writes frames, each behind its length. The caller has checked that they are not too long.
pub(super) async fn write_frames(
    stream: &mut SendStream,
    frames: Vec<Bytes>,
) -> Result<(), WriteError> {
    let mut chunks = Vec::with_capacity(frames.len() * 2);
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        chunks.push(Bytes::copy_from_slice(&length.to_be_bytes()));
        chunks.push(frame);
    }
    stream.write_all_chunks(&mut chunks).await
}

/// Writes one control message.
pub(super) async fn write_control(stream: &mut SendStream, message: &Control) -> Result<(), Fault> {
    let frame = Bytes::from(encode(message));
    write_frames(stream, vec![frame]).await.map_err(|_| Fault::Gone)
}

/// Takes a peer's stream apart into frames.
pub(super) struct FrameReader {
    stream: RecvStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    slack: Duration,
}

impl FrameReader {
    /// Reads which stream it is. A frame may take `slack` besides the time its length allows.
    pub(super) async fn accept(
        stream: RecvStream,
        slack: Duration,
    ) -> Result<(StreamKind, Self), Fault> {
        let buffer = vec![0; READ_BYTES].into_boxed_slice();
        let mut reader = Self { stream, buffer, start: 0, end: 0, slack };
        timeout(slack, reader.fill()).await.map_err(|_| Fault::TooSlow)??;
        let byte = reader.buffer[0];
        reader.start = 1;
        let kind = StreamKind::from_byte(byte).ok_or(Fault::Violation("an unknown stream"))?;
        Ok((kind, reader))
    }

    /// The next frame. Waiting for one to begin takes as long as it takes.
    pub(super) async fn frame(&mut self, limit: usize) -> Result<Bytes, Fault> {
        if self.start == self.end {
            self.fill().await?;
        }
        let (slack, mut header) = (self.slack, [0; 4]);
        timeout(slack, self.read_exact(&mut header)).await.map_err(|_| Fault::TooSlow)??;
        let bytes = u32::from_be_bytes(header) as usize;
        if bytes > limit {
            return Err(Fault::TooLong { bytes, limit });
        }
        let allowed = slack + Duration::from_secs((bytes / MIN_FRAME_BYTES_PER_SECOND) as u64);
        timeout(allowed, self.body(bytes)).await.map_err(|_| Fault::TooSlow)?
    }

    /// The next control message.
    pub(super) async fn control(&mut self) -> Result<Control, Fault> {
        let frame = self.frame(MAX_CONTROL_BYTES).await?;
        decode(&frame).map_err(|_| Fault::Violation("not a control message"))
    }

    /// The length is a peer's claim: beyond [`FRAME_ROOM`], room grows with what really arrives.
    async fn body(&mut self, bytes: usize) -> Result<Bytes, Fault> {
        let mut frame = Vec::with_capacity(bytes.min(FRAME_ROOM));
        let buffered = bytes.min(self.end - self.start);
        frame.extend_from_slice(&self.buffer[self.start..self.start + buffered]);
        self.start += buffered;
        while bytes - frame.len() >= READ_BYTES {
            let chunk = self.stream.read_chunk(bytes - frame.len(), true).await;
            let chunk = chunk.map_err(|_| Fault::Gone)?;
            frame.extend_from_slice(&chunk.ok_or(Fault::Violation(ENDED))?.bytes);
        }
        let rest = frame.len();
        frame.resize(bytes, 0);
        self.read_exact(&mut frame[rest..]).await?;
        Ok(frame.into())
    }

    /// Reads what is short, through the buffer.
    async fn read_exact(&mut self, mut target: &mut [u8]) -> Result<(), Fault> {
        while !target.is_empty() {
            if self.start == self.end {
                self.fill().await?;
            }
            let count = target.len().min(self.end - self.start);
            target[..count].copy_from_slice(&self.buffer[self.start..self.start + count]);
            self.start += count;
            target = &mut target[count..];
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), Fault> {
        let read = self.stream.read(&mut self.buffer).await.map_err(|_| Fault::Gone)?;
        self.end = read.ok_or(Fault::Violation(ENDED))?;
        self.start = 0;
        Ok(())
    }
}
