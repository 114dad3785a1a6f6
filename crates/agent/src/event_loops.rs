//! Finds the threads that run a loop of libuv, for the kernel programs.

use hadal_bpf::{Bpf, LoopLayout};
use hadal_host::Found;

/// How often a process is looked at: a busy one is rarely seen waiting.
const LOOKS: u32 = 6000;
/// How often it is looked at whenever events are read, so that little is missed; later every so many times.
const HASTY_LOOKS: u32 = 200;
const SELDOM: u32 = 10;
/// How often it may be seen waiting in something else.
const OTHER_LOOKS: u32 = 100;
/// Processes that are looked at at the same time; more are left out.
const WAITING: usize = 256;

/// A process that is looked at: how often it was its turn, and how often it was seen in something else.
struct Waiting {
    pid: u32,
    turns: u32,
    others: u32,
}

/// Processes whose loop is looked for.
pub(crate) struct EventLoops {
    is_wanted: bool,
    waiting: Vec<Waiting>,
}

impl EventLoops {
    /// Looks for nothing if that is not wanted.
    pub(crate) fn new(is_wanted: bool) -> Self {
        Self { is_wanted, waiting: Vec::new() }
    }

    /// This process may run a loop.
    pub(crate) fn look_at(&mut self, pid: u32) {
        if self.is_wanted && self.waiting.len() < WAITING {
            self.waiting.push(Waiting { pid, turns: 0, others: 0 });
        }
    }

    /// This process is gone.
    pub(crate) fn forget(&mut self, pid: u32) {
        self.waiting.retain(|waiting| waiting.pid != pid);
    }

    /// Looks at the processes, and tells the kernel programs what was found.
    pub(crate) fn follow(&mut self, bpf: &mut Bpf) {
        let found = self.look(hadal_host::event_loop);
        for (pid, layout) in found {
            match bpf.set_loop(pid, layout) {
                Ok(()) => tracing::debug!(pid, "tells what callbacks of an event loop send"),
                Err(error) => tracing::debug!(pid, "{error}"),
            }
        }
    }

    /// What `look_at` finds; who was found, is gone or was looked at often enough is not looked at again.
    fn look(&mut self, look_at: impl Fn(u32) -> Option<Found>) -> Vec<(u32, LoopLayout)> {
        let mut all = Vec::new();
        self.waiting.retain_mut(|waiting| {
            waiting.turns += 1;
            if waiting.turns > HASTY_LOOKS && !waiting.turns.is_multiple_of(SELDOM) {
                return true;
            }
            match look_at(waiting.pid) {
                Some(Found::Loop(found)) => {
                    all.push((waiting.pid, layout(found)));
                    return false;
                }
                Some(Found::Other) => waiting.others += 1,
                Some(Found::Busy) => {}
                None => return false,
            }
            waiting.turns < LOOKS * SELDOM && waiting.others < OTHER_LOOKS
        });
        all
    }
}

fn layout(found: hadal_host::EventLoop) -> LoopLayout {
    let hadal_host::EventLoop { events, callback, poll, poll_return } = found;
    LoopLayout { events, callback, poll, poll_return }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOP: hadal_host::EventLoop = hadal_host::EventLoop { events: 1, callback: 2, poll: 3, poll_return: 4 };

    /// How often a process is looked at that is always seen so, of so many turns.
    fn looks(turns: u32, seen: Option<Found>) -> u32 {
        let mut loops = EventLoops::new(true);
        loops.look_at(7);
        let count = std::cell::Cell::new(0);
        for _ in 0..turns {
            loops.look(|_| {
                count.set(count.get() + 1);
                seen
            });
        }
        count.get()
    }

    #[test]
    fn a_process_is_looked_at_until_it_is_known() {
        assert_eq!(looks(1000, Some(Found::Loop(LOOP))), 1);
        assert_eq!(looks(1000, None), 1);
        assert_eq!(looks(1000, Some(Found::Other)), OTHER_LOOKS);
        assert_eq!(looks(1000, Some(Found::Busy)), HASTY_LOOKS + (1000 - HASTY_LOOKS) / SELDOM);
    }

    #[test]
    fn what_is_not_wanted_is_not_looked_at() {
        let mut loops = EventLoops::new(false);
        loops.look_at(7);
        assert_eq!(loops.look(|_| Some(Found::Loop(LOOP))), []);
        let mut loops = EventLoops::new(true);
        loops.look_at(7);
        loops.look_at(8);
        loops.forget(7);
        assert_eq!(loops.look(|_| Some(Found::Loop(LOOP))), [(8, layout(LOOP))]);
    }
}
