//! From the capture thread to the uploader, without ever waiting: traced programs must not feel that the server is slow.

use hadal_link::client::Outgoing;
use tokio::sync::mpsc;

/// Sends messages, and keeps those that must not be lost until there is room.
pub(crate) struct Outbox {
    queue: mpsc::Sender<Outgoing>,
    /// Facts of entities: without them rows would show numbers for names. Bounded by the number of entities.
    late: Vec<Outgoing>,
}

impl Outbox {
    pub(crate) fn new(queue: mpsc::Sender<Outgoing>) -> Self {
        Self { queue, late: Vec::new() }
    }

    /// Hands over what there is room for; gives the rows that were dropped.
    pub(crate) fn send(&mut self, messages: Vec<Outgoing>) -> u64 {
        let mut dropped = 0;
        let late = std::mem::take(&mut self.late);
        for message in late.into_iter().chain(messages) {
            match self.queue.try_send(message) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
                Err(mpsc::error::TrySendError::Full(Outgoing::Batch(_, batch))) => dropped += batch.num_rows() as u64,
                Err(mpsc::error::TrySendError::Full(facts @ Outgoing::Facts(_))) => self.late.push(facts),
                // The next one is as good.
                Err(mpsc::error::TrySendError::Full(Outgoing::Status(_))) => {}
            }
        }
        dropped
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
