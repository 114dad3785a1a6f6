//! Who listens at which port, or has an unconnected socket there.

use super::{LINGER_US, Space};
use crate::hash::{Map, Set};

struct Listener {
    cookie: u64,
    pid: u32,
    met_us: u64,
    closed_us: Option<u64>,
}

/// Listening sockets. One that has closed is remembered for a while, as any socket is.
#[derive(Default)]
pub(super) struct Listeners {
    /// The newest last: several sockets may share a port.
    by_port: Map<(Space, u16), Vec<Listener>>,
    by_cookie: Map<u64, (Space, u16)>,
}

impl Listeners {
    /// Takes a listener; false if there are `limit` of them.
    pub(super) fn insert(&mut self, cookie: u64, place: (Space, u16), pid: u32, now_us: u64, limit: usize) -> bool {
        if self.by_cookie.len() >= limit && !self.by_cookie.contains_key(&cookie) {
            return false;
        }
        if let Some(before) = self.by_cookie.insert(cookie, place) {
            self.remove_at(before, cookie);
        }
        let listener = Listener { cookie, pid, met_us: now_us, closed_us: None };
        self.by_port.entry(place).or_default().push(listener);
        true
    }

    /// Process of the newest listener of this port.
    pub(super) fn pid(&self, place: &(Space, u16)) -> Option<u32> {
        let there = self.by_port.get(place)?;
        let open = there.iter().rev().find(|listener| listener.closed_us.is_none());
        open.or_else(|| there.last()).map(|listener| listener.pid)
    }

    /// The socket is gone; it is remembered for a while.
    pub(super) fn close(&mut self, cookie: u64, now_us: u64) {
        let Some(there) = self.by_cookie.get(&cookie).and_then(|place| self.by_port.get_mut(place)) else { return };
        for listener in there.iter_mut().filter(|listener| listener.cookie == cookie) {
            listener.closed_us.get_or_insert(now_us);
        }
    }

    /// Closes those met before `until_us` that are not alive any more.
    pub(super) fn reconcile(&mut self, alive: &Set<u64>, until_us: u64, now_us: u64) {
        for listener in self.by_port.values_mut().flatten() {
            if listener.met_us < until_us && !alive.contains(&listener.cookie) {
                listener.closed_us.get_or_insert(now_us);
            }
        }
    }

    /// Forgets those that were closed a while ago.
    pub(super) fn expire(&mut self, now_us: u64) {
        let Self { by_port, by_cookie } = self;
        by_port.retain(|_, there| {
            there.retain(|listener| {
                let keep = listener.closed_us.is_none_or(|closed| closed + LINGER_US > now_us);
                if !keep {
                    by_cookie.remove(&listener.cookie);
                }
                keep
            });
            !there.is_empty()
        });
    }

    fn remove_at(&mut self, place: (Space, u16), cookie: u64) {
        if let Some(there) = self.by_port.get_mut(&place) {
            there.retain(|listener| listener.cookie != cookie);
            if there.is_empty() {
                self.by_port.remove(&place);
            }
        }
    }
}
