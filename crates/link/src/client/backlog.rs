//! Batches of one table that the server has not acknowledged.

use std::collections::VecDeque;

use arrow_array::RecordBatch;

use super::Config;

/// Rows and their memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl Size {
    pub(super) fn of(batch: &RecordBatch) -> Self {
        Self { rows: batch.num_rows(), bytes: batch.get_array_memory_size() }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
    }

    pub(super) fn subtract(&mut self, other: Self) {
        self.rows -= other.rows;
        self.bytes -= other.bytes;
    }

    pub(super) fn exceeds(&self, config: &Config) -> bool {
        self.rows > config.max_unacknowledged_rows || self.bytes > config.max_unacknowledged_bytes
    }
}

struct Pending {
    seq: u64,
    rows: u64,
    /// It was given to the open connection.
    sent: bool,
    /// `None` if there was no room for it after it was sent.
    batch: Option<RecordBatch>,
}

impl Pending {
    fn size(&self) -> Size {
        self.batch.as_ref().map(Size::of).unwrap_or_default()
    }
}

/// Numbers batches and keeps them.
#[derive(Default)]
pub(super) struct Backlog {
    last_seq: u64,
    pending: VecDeque<Pending>,
}

impl Backlog {
    pub(super) fn push(&mut self, batch: RecordBatch) {
        self.last_seq += 1;
        let rows = batch.num_rows() as u64;
        self.pending.push_back(Pending { seq: self.last_seq, rows, sent: false, batch: Some(batch) });
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.pending.iter().map(|pending| pending.size().bytes).sum()
    }

    /// Number and rows of a batch that is to be sent; from now on it counts as sent.
    pub(super) fn send(&mut self, index: usize) -> Option<(u64, &RecordBatch)> {
        let pending = self.pending.get_mut(index).filter(|pending| !pending.sent)?;
        pending.sent = true;
        Some((pending.seq, pending.batch.as_ref()?))
    }

    /// Keeps the oldest batch no longer: the room this makes, and the rows that are lost. Of one that is on its way they
    /// are only lost if the connection ends before it arrives.
    pub(super) fn let_go(&mut self) -> Option<(Size, u64)> {
        let at = self.pending.iter().position(|pending| pending.batch.is_some())?;
        let pending = self.pending.get_mut(at)?;
        let size = pending.size();
        if pending.sent {
            pending.batch = None;
            return Some((size, 0));
        }
        let rows = pending.rows;
        self.pending.remove(at);
        Some((size, rows))
    }

    /// The server has all batches up to this one.
    pub(super) fn acknowledge(&mut self, seq: u64) -> Size {
        let mut done = Size::default();
        let acknowledged = self.pending.partition_point(|pending| pending.seq <= seq);
        self.pending.drain(..acknowledged).for_each(|pending| done.add(pending.size()));
        done
    }

    /// The server does not want the oldest batch: the room this makes, and its rows.
    pub(super) fn refuse(&mut self) -> (Size, u64) {
        self.pending.pop_front().map(|pending| (pending.size(), pending.rows)).unwrap_or_default()
    }

    /// All has to be sent again: gives the rows of what is not there any more.
    pub(super) fn connection_ended(&mut self) -> u64 {
        let mut lost = 0;
        self.pending.retain_mut(|pending| {
            pending.sent = false;
            if pending.batch.is_none() {
                lost += pending.rows;
            }
            pending.batch.is_some()
        });
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, UInt64Array};
    use std::sync::Arc;

    fn batch(rows: u64) -> RecordBatch {
        let column: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..rows));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    fn backlog(rows: impl IntoIterator<Item = u64>) -> Backlog {
        let mut backlog = Backlog::default();
        rows.into_iter().for_each(|rows| backlog.push(batch(rows)));
        backlog
    }

    #[test]
    fn what_is_on_its_way_is_lost_only_if_the_connection_ends() {
        let mut backlog = backlog([3, 4, 5]);
        for index in [0, 1] {
            assert!(backlog.send(index).is_some() && backlog.send(index).is_none());
        }
        let let_go: Vec<_> = std::iter::from_fn(|| backlog.let_go()).map(|(size, lost)| (size.rows, lost)).collect();
        assert_eq!(let_go, [(3, 0), (4, 0), (5, 5)]);
        assert_eq!(backlog.acknowledge(1), Size::default());
        assert_eq!((backlog.connection_ended(), backlog.len()), (4, 0));
    }

    #[test]
    fn all_that_is_kept_is_sent_again() {
        let mut backlog = backlog([3, 4]);
        assert!(backlog.send(0).is_some() && backlog.send(1).is_some());
        assert_eq!(backlog.connection_ended(), 0);
        assert_eq!(backlog.send(0).map(|(seq, batch)| (seq, batch.num_rows())), Some((1, 3)));
        let (size, rows) = backlog.refuse();
        assert_eq!((size.rows, rows), (3, 3));
        assert_eq!(backlog.acknowledge(2).rows, 4);
    }
}
