//! From the capture thread to the uploader, without ever waiting: traced programs must not feel that the server is slow.

use std::collections::VecDeque;

use hadal_link::client::Outgoing;
use tokio::sync::mpsc;

/// Most bytes of rows on their way to the uploader, for one that is slow.
const MAX_BYTES: usize = 32 << 20;

/// Sends messages, and keeps those that must not be lost until there is room.
pub(crate) struct Outbox {
    queue: mpsc::Sender<Outgoing>,
    /// Facts of entities: without them rows would show numbers for names. Bounded by the number of entities.
    late: Vec<Outgoing>,
    /// Memory of the messages in the queue, oldest first, and of all of them.
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Outbox {
    pub(crate) fn new(queue: mpsc::Sender<Outgoing>) -> Self {
        Self { queue, late: Vec::new(), sizes: VecDeque::new(), bytes: 0 }
    }

    /// Hands over what there is room for; gives the rows that were dropped.
    pub(crate) fn send(&mut self, messages: Vec<Outgoing>) -> u64 {
        let mut dropped = 0;
        let late = std::mem::take(&mut self.late);
        for message in late.into_iter().chain(messages) {
            let size = size_of_rows(&message);
            if size > 0 && self.queued_bytes() + size > MAX_BYTES && self.bytes > 0 {
                dropped += rows_of(&message);
                continue;
            }
            match self.queue.try_send(message) {
                Ok(()) => {
                    self.sizes.push_back(size);
                    self.bytes += size;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => {}
                Err(mpsc::error::TrySendError::Full(batch @ Outgoing::Batch(..))) => dropped += rows_of(&batch),
                Err(mpsc::error::TrySendError::Full(facts @ Outgoing::Facts(_))) => self.late.push(facts),
                // The next one is as good.
                Err(mpsc::error::TrySendError::Full(Outgoing::Status(_))) => {}
            }
        }
        dropped
    }

    /// Messages leave the queue in the order in which they came.
    fn queued_bytes(&mut self) -> usize {
        let queued = self.queue.max_capacity() - self.queue.capacity();
        let sent = self.sizes.len().saturating_sub(queued);
        self.bytes -= self.sizes.drain(..sent).sum::<usize>();
        self.bytes
    }
}

fn size_of_rows(message: &Outgoing) -> usize {
    match message {
        Outgoing::Batch(_, batch) => batch.get_array_memory_size(),
        Outgoing::Facts(_) | Outgoing::Status(_) => 0,
    }
}

fn rows_of(message: &Outgoing) -> u64 {
    match message {
        Outgoing::Batch(_, batch) => batch.num_rows() as u64,
        Outgoing::Facts(_) | Outgoing::Status(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hadal_link::control::EntityFacts;
    use hadal_model::{LossCause, catalog};

    fn facts(key: u64) -> Outgoing {
        Outgoing::Facts(vec![EntityFacts { key, ..EntityFacts::default() }])
    }

    fn losses() -> Outgoing {
        let batch = crate::rows::loss(1, &[(LossCause::RingFull, 3), (LossCause::MapFull, 1)]).unwrap();
        Outgoing::Batch(&catalog::LOSS, batch)
    }

    #[test]
    fn rows_in_the_queue_have_a_limit_in_bytes() {
        let (sender, mut queue) = mpsc::channel(100_000);
        let mut outbox = Outbox::new(sender);
        let size = size_of_rows(&losses());
        let fit = MAX_BYTES / size;
        assert_eq!(outbox.send((0..fit + 3).map(|_| losses()).collect()), 3 * 2);
        assert!(queue.try_recv().is_ok() && queue.try_recv().is_ok());
        assert_eq!(outbox.send(vec![losses(), losses(), losses()]), 2);
        while queue.try_recv().is_ok() {}
        assert_eq!(outbox.queued_bytes(), 0);
    }

    #[test]
    fn facts_wait_for_room_and_dropped_rows_are_counted() {
        let (sender, mut queue) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        assert_eq!(outbox.send(vec![losses(), facts(1), losses(), facts(2)]), 2);
        assert!(matches!(queue.try_recv(), Ok(Outgoing::Batch(..))));
        let mut keys = Vec::new();
        for _ in 0..2 {
            assert_eq!(outbox.send(vec![]), 0);
            let Ok(Outgoing::Facts(facts)) = queue.try_recv() else { panic!("no facts") };
            keys.extend(facts.iter().map(|facts| facts.key));
        }
        assert_eq!(keys, [1, 2]);
        outbox.send(vec![]);
        assert!(queue.try_recv().is_err());
    }
}
