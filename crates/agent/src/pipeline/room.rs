//! Keeps the table of sockets and the bytes in hand of all connections inside their limits.

use hadal_flow::Origin;
use hadal_model::LossCause;

use super::Pipeline;

/// How long a full table is left as it is after there was little to forget, in microseconds.
const RETRY_US: u64 = 100_000;

impl Pipeline {
    /// If the table of sockets is full, forgets some that are missed least. What they did is counted before; those that
    /// wait for a response are counted as lost.
    pub(super) fn make_room(&mut self, now_us: u64) {
        if !self.sockets.is_full() || now_us < self.no_room_until_us {
            return;
        }
        let (dispensable, are_few) = self.sockets.dispensable();
        if are_few {
            self.no_room_until_us = now_us + RETRY_US;
        }
        for key in dispensable {
            self.forget(key, now_us);
        }
    }

    fn forget(&mut self, key: u64, now_us: u64) {
        if self.sockets.get(key).is_some_and(|socket| socket.connection.is_waiting()) {
            self.count_loss(LossCause::ConnectionTableFull, 1);
        }
        self.close_at(key, Origin { time_us: now_us, ..Origin::default() });
        self.count_connection(key, (now_us / 1_000_000) as u32);
        self.held_bytes -= self.sockets.forget(key);
    }

    /// Notes what a connection holds now, and whether something waits there.
    pub(super) fn follow(&mut self, key: u64) {
        let Some(socket) = self.sockets.get_mut(key) else { return };
        let held = socket.connection.held_bytes();
        self.held_bytes = self.held_bytes - socket.held + held;
        socket.held = held;
        if !socket.is_listed && socket.connection.is_waiting() {
            socket.is_listed = true;
            self.waiting.push(key);
        }
    }

    /// The connections where something may wait, each once; [`Pipeline::follow`] takes them up again.
    pub(super) fn take_waiting(&mut self) -> Vec<u64> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|&key| {
            let socket = self.sockets.get_mut(key);
            socket.is_some_and(|socket| std::mem::take(&mut socket.is_listed) && socket.connection.is_waiting())
        });
        waiting
    }

    /// If all connections together hold too many bytes, those that hold most give them up, until half of the room is free.
    pub(super) fn bound_held(&mut self) {
        if self.held_bytes <= self.max_buffered_bytes {
            return;
        }
        for key in self.sockets.by_held() {
            if self.held_bytes <= self.max_buffered_bytes / 2 {
                return;
            }
            if let Some(socket) = self.sockets.get_mut(key) {
                socket.connection.shed(&mut self.output);
            }
            self.follow(key);
            self.drain(key);
        }
    }
}
