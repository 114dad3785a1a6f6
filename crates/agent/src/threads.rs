//! Follows requests from one thread of a process to another.

use hadal_bpf::{Bpf, ThreadCalls};

use crate::hash::Map;
use crate::strays::Judged;

/// Watches the calls of processes with several threads.
#[derive(Default)]
pub(crate) struct ThreadFollower {
    is_wanted: bool,
    /// Processes not met by the kernel programs yet.
    new: Vec<u32>,
    /// Processes whose calls are counted.
    judged: Map<u32, Judged>,
}

impl ThreadFollower {
    /// Follows nothing if that is not wanted.
    pub(crate) fn new(is_wanted: bool) -> Self {
        Self { is_wanted, ..Self::default() }
    }

    /// The threads of this process may hand requests to each other.
    pub(crate) fn look_at(&mut self, pid: u32) {
        if self.is_wanted {
            self.new.push(pid);
        }
    }

    /// This process is gone.
    pub(crate) fn forget(&mut self, pid: u32) {
        self.new.retain(|new| *new != pid);
        self.judged.remove(&pid);
    }

    /// Lets calls be counted, and threads be followed where calls belong to no request.
    pub(crate) fn follow(&mut self, bpf: &mut Bpf) {
        for pid in self.new.drain(..) {
            self.judged.insert(pid, Judged::default());
            if let Err(error) = bpf.count_threads(pid) {
                tracing::warn!(pid, "{error}");
            }
        }
        if self.judged.is_empty() {
            return;
        }
        for calls in bpf.thread_calls() {
            if self.is_missing_requests(calls) && hadal_host::threads(calls.pid) > 1 {
                self.judged.remove(&calls.pid);
                match bpf.follow_threads(calls.pid, hadal_host::python_locks(calls.pid).unwrap_or_default()) {
                    Ok(()) => tracing::debug!(calls.pid, "follows requests from one thread to another"),
                    Err(error) => tracing::warn!(calls.pid, "{error}"),
                }
            }
        }
    }

    /// Whether of the calls since it was last judged so many belonged to no request.
    fn is_missing_requests(&mut self, ThreadCalls { pid, calls, strays }: ThreadCalls) -> bool {
        self.judged.get_mut(&pid).is_some_and(|judged| judged.are_lost(calls, strays))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_followed_where_requests_get_lost() {
        let mut follower = ThreadFollower::new(true);
        follower.judged.insert(7, Judged::default());
        let mut is_missing = |calls, strays| follower.is_missing_requests(ThreadCalls { pid: 7, calls, strays });
        assert!(!is_missing(19, 19));
        assert!(!is_missing(1000, 20), "two of a hundred");
        assert!(!is_missing(1019, 39), "too few since");
        assert!(is_missing(1020, 40));
    }
}
