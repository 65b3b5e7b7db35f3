//! Reading the log back: which frames are intact, and what the damage means.

use std::collections::VecDeque;

use qcn_shard::Record;
use qcn_types::{CommitteeKeys, Round};
use rayon::prelude::*;

use super::disk::{Disk, WHOLE};
use super::error::{StorageError, failed, sync_failed};
use super::frame::{self, Frame};
use super::log::kind;
use super::mark::Mark;
use super::open::{check_identity, check_version};
use super::segment::{self, OpenSegment, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentMeta};
use super::{OpenReport, StoreIdentity, block};

/// What reading needs to know.
#[derive(Debug)]
pub(super) struct LogReader<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) identity: &'a StoreIdentity,
    pub(super) keys: &'a CommitteeKeys,
    /// Blocks at or below are not needed.
    pub(super) floor: Round,
}

/// What was read.
#[derive(Debug)]
pub(super) struct LogState {
    /// The segments to keep.
    pub(super) segments: VecDeque<SegmentMeta>,
    /// The sequence of the next frame.
    pub(super) next_sequence: u64,
    /// The blocks above the floor, in order.
    pub(super) records: Vec<Record>,
    /// Where the log goes on, if a segment is left.
    pub(super) tail: Option<Tail>,
}

/// The end of the last segment that is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    number: u64,
    salt: u64,
    good_bytes: u64,
    /// Whether bytes behind the good ones are to be cut off.
    is_torn: bool,
}

impl Tail {
    /// Opens the segment for writing.
    ///
    /// # Errors
    /// If the disk does.
    pub(super) fn reopen(self, disk: &dyn Disk) -> Result<OpenSegment, StorageError> {
        let name = segment::file_name(self.number);
        let mut file = disk.open(&name).map_err(failed(disk, &name, "open"))?;
        if self.is_torn {
            file.truncate(self.good_bytes).map_err(failed(disk, &name, "cut off a torn tail"))?;
        }
        // A process that died may have left frames that are written and not durable. The
        // machine takes what it was given for durable, so they must be.
        file.sync().map_err(sync_failed(disk, &name))?;
        Ok(OpenSegment { name, file, salt: self.salt, bytes: self.good_bytes })
    }
}

impl LogReader<'_> {
    /// Reads the segments with these numbers, in rising order.
    ///
    /// # Errors
    /// A foreign segment, one of another version, or one that cannot be read at all.
    pub(super) fn read(
        &self,
        numbers: &[u64],
        mark: Option<Mark>,
        report: &mut OpenReport,
    ) -> Result<LogState, StorageError> {
        let mut log = LogState::empty();
        // Without a mark the store is suspect anyhow.
        let first = mark.map_or(numbers.first().copied(), |mark| Some(mark.first_segment));
        let kept: Vec<u64> =
            numbers.iter().copied().filter(|number| Some(*number) >= first).collect();
        let mut durable = mark.map_or(0, |mark| mark.durable);
        for (expected, number) in (first.unwrap_or(1)..).zip(&kept) {
            if *number != expected {
                report.suspicions.push(format!("{} is missing", segment::file_name(expected)));
                break;
            }
            let is_last = kept.last() == Some(number);
            let intact = self.read_segment(*number, is_last, &mut log, &mut durable, report)?;
            if !intact {
                break;
            }
        }
        if log.next_sequence <= durable {
            let last = log.next_sequence - 1;
            report.suspicions.push(format!(
                "the log ends with record {last}, and was durable up to record {durable}"
            ));
        }
        Ok(log)
    }

    /// Reads a segment; says whether all of it was intact.
    fn read_segment(
        &self,
        number: u64,
        is_last: bool,
        log: &mut LogState,
        durable: &mut u64,
        report: &mut OpenReport,
    ) -> Result<bool, StorageError> {
        let name = segment::file_name(number);
        let bytes = self.disk.read(&name, WHOLE).map_err(failed(self.disk, &name, "read"))?;
        let Some(header) = self.header(number, &bytes)? else {
            if !is_last || bytes.len() > SEGMENT_HEADER_BYTES {
                report.suspicions.push(format!("the header of {name} is damaged"));
            } else {
                report.repairs.push(format!("removed {name}, which was never finished"));
            }
            return Ok(false);
        };
        if log.segments.is_empty() {
            log.next_sequence = header.first_sequence;
        } else if header.first_sequence != log.next_sequence {
            let expected = log.next_sequence;
            report.suspicions.push(format!("records from {expected} on are missing before {name}"));
            return Ok(false);
        }
        let frames = &bytes[SEGMENT_HEADER_BYTES..];
        let scan = frame::scan(frames, header.salt, header.first_sequence);
        *durable = (*durable).max(scan.durable);
        report.records += scan.frames.len() as u64;
        log.next_sequence = header.first_sequence + scan.frames.len() as u64;
        let good_bytes = (SEGMENT_HEADER_BYTES + scan.good_bytes) as u64;
        if scan.is_damaged {
            let place = format!("{name} is damaged at byte {good_bytes}");
            if !is_last {
                report.suspicions.push(format!("{place}, and another segment follows"));
            } else if log.next_sequence <= *durable {
                report.suspicions.push(format!("{place}, where it was durable"));
            } else {
                report.torn_bytes = bytes.len() as u64 - good_bytes;
            }
        }
        let highest_round = self.take_blocks(&scan.frames, &name, log, report);
        log.segments.push_back(SegmentMeta { number, highest_round });
        log.tail = Some(Tail { number, salt: header.salt, good_bytes, is_torn: scan.is_damaged });
        Ok(!scan.is_damaged)
    }

    fn header(&self, number: u64, bytes: &[u8]) -> Result<Option<SegmentHeader>, StorageError> {
        let Some(header) = SegmentHeader::read(bytes) else {
            return Ok(None);
        };
        check_version(self.disk, &segment::file_name(number), header.version)?;
        check_identity(self.disk, &header.identity, self.identity)?;
        Ok((header.number == number).then_some(header))
    }

    /// Decodes and verifies the blocks above the floor, on all cores; gives the highest round.
    fn take_blocks(
        &self,
        frames: &[Frame<'_>],
        name: &str,
        log: &mut LogState,
        report: &mut OpenReport,
    ) -> Round {
        let is_block = |frame: &&Frame<'_>| matches!(frame.kind, kind::OWN | kind::ACCEPTED);
        let blocks: Vec<(Round, &Frame<'_>)> = frames
            .iter()
            .filter(is_block)
            .map(|frame| (block::round_of(frame.payload).unwrap_or_default(), frame))
            .collect();
        let highest = blocks.iter().map(|(round, _)| *round).max().unwrap_or_default();
        let records: Vec<(u64, u8, Result<Record, String>)> = blocks
            .par_iter()
            .filter(|(round, _)| *round > self.floor)
            .map(|(_, frame)| (frame.sequence, frame.kind, self.verify(frame)))
            .collect();
        for (sequence, kind, outcome) in records {
            match outcome {
                Ok(record) => log.records.push(record),
                Err(reason) if kind == kind::OWN => {
                    report.suspicions.push(format!("record {sequence} in {name}: {reason}"));
                }
                // Peers have it, if it is needed.
                Err(reason) => {
                    report.repairs.push(format!("left out record {sequence} in {name}: {reason}"));
                }
            }
        }
        highest
    }

    fn verify(&self, frame: &Frame<'_>) -> Result<Record, String> {
        let block = block::read(frame.payload, self.identity).map_err(|error| error.to_string())?;
        let verified = self.keys.verify_block(block).map_err(|error| error.to_string())?;
        if frame.kind == kind::ACCEPTED {
            return Ok(Record::Accepted(verified));
        }
        if verified.reference().author != self.identity.own {
            return Err("it is logged as an own block, and is not".to_owned());
        }
        Ok(Record::Own(verified))
    }
}
