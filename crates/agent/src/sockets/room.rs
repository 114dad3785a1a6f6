//! What is forgotten, when its time has come or when there is no room.

use std::hash::Hash;

use super::{LINGER_US, PEER_IDLE_US, Socket, Sockets};
use crate::hash::Map;

/// Part of a full table that is forgotten at once, since to find what is missed least takes a look at all.
const SHARE: usize = 16;

/// A map of less capacity is never made smaller.
const SMALL: usize = 1024;

impl Sockets {
    /// Whether there is no room for another socket.
    pub(crate) fn is_full(&self) -> bool {
        self.by_cookie.len() >= self.limit
    }

    /// Keys of the sockets that are missed least: first those closed longest ago, then peers of unconnected sockets that
    /// have been silent longest. With them, whether they are few, so that there is no use in asking again soon.
    pub(crate) fn dispensable(&self) -> (Vec<u64>, bool) {
        let rank = |socket: &Socket| match socket.closed_us {
            Some(closed_us) => Some((false, closed_us)),
            None => socket.parent.map(|_| (true, socket.used_us)),
        };
        let ranked = self.by_cookie.iter().filter_map(|(&key, socket)| Some((rank(socket)?, key)));
        let mut ranked: Vec<_> = ranked.collect();
        let count = self.limit / SHARE + 1;
        if ranked.len() > count {
            ranked.select_nth_unstable(count);
            ranked.truncate(count);
        }
        let are_few = ranked.len() * SHARE < count;
        (ranked.into_iter().map(|(_, key)| key).collect(), are_few)
    }

    /// Keys of the sockets whose connections hold bytes: those that hold most first, and of them those silent longest.
    pub(crate) fn by_held(&self) -> Vec<u64> {
        let holding = self.by_cookie.iter().filter(|(_, socket)| socket.held > 0);
        let mut keys: Vec<_> = holding.map(|(&key, socket)| (usize::MAX - socket.held, socket.used_us, key)).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, _, key)| key).collect()
    }

    /// Forgets sockets that were closed a while ago, and peers that have been silent; gives the bytes that they held.
    pub(crate) fn expire(&mut self, now_us: u64) -> usize {
        let is_over = |socket: &Socket| match socket.closed_us {
            Some(closed_us) => closed_us + LINGER_US <= now_us,
            None => socket.parent.is_some() && socket.used_us + PEER_IDLE_US <= now_us,
        };
        let over = self.by_cookie.iter().filter(|(_, socket)| is_over(socket));
        let over: Vec<_> = over.map(|(&key, _)| key).collect();
        let held = over.into_iter().map(|key| self.forget(key)).sum();
        self.listeners.expire(now_us);
        shrink(&mut self.by_cookie);
        shrink(&mut self.by_tuple);
        shrink(&mut self.by_addresses);
        shrink(&mut self.pairs);
        shrink(&mut self.children);
        held
    }

    /// Forgets a socket; gives the bytes that it held.
    pub(crate) fn forget(&mut self, key: u64) -> usize {
        let Some(socket) = self.by_cookie.remove(&key) else { return 0 };
        self.forget_place(key, &socket);
        // The other end may never have been met, and then nothing else would end its entry.
        if let Some(other) = self.pairs.remove(&key)
            && !self.by_cookie.contains_key(&other)
        {
            self.pairs.remove(&other);
        }
        self.children.remove(&key);
        if let Some(siblings) = socket.parent.and_then(|parent| self.children.get_mut(&parent)) {
            siblings.remove(&key);
        }
        socket.held
    }

    /// Its addresses do not lead to it any more.
    pub(super) fn forget_place(&mut self, key: u64, socket: &Socket) {
        let tuple = ((socket.netns, socket.transport), socket.local, socket.remote);
        if self.by_tuple.get(&tuple) == Some(&key) {
            self.by_tuple.remove(&tuple);
        }
        let addresses = (socket.transport, socket.local, socket.remote);
        if self.by_addresses.get(&addresses) == Some(&key) {
            self.by_addresses.remove(&addresses);
        }
    }
}

/// Gives memory back after a rush.
fn shrink<K: Eq + Hash, V>(map: &mut Map<K, V>) {
    if map.capacity() > SMALL && map.capacity() / 4 > map.len() {
        map.shrink_to(map.len() * 2);
    }
}
