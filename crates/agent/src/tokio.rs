//! Follows requests from one task of tokio to another.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use hadal_bpf::{Bpf, TokioCalls, TokioLayout, TokioPlaces};
use hadal_host::Tokio;

use crate::hash::Map;
use crate::strays::Judged;

/// Programs that wait to be looked at; more than these are left out.
const WAITING: usize = 256;
/// A process whose calls are watched.
struct Watched {
    places: TokioPlaces,
    judged: Judged,
    has_probes: bool,
}

/// Looks programs up, in a thread of its own, for reading a large program's symbols takes a while.
pub(crate) struct TokioFollower {
    wanted: SyncSender<u32>,
    found: Receiver<(u32, Tokio)>,
    watched: Map<u32, Watched>,
}

impl TokioFollower {
    /// The thread ends with what it was made for.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (wanted, asked) = sync_channel::<u32>(WAITING);
        let (tell, found) = sync_channel(WAITING);
        std::thread::Builder::new().name("tokio-programs".to_owned()).spawn(move || {
            for pid in asked {
                if let Some(tokio) = hadal_host::tokio(pid)
                    && tell.send((pid, tokio)).is_err()
                {
                    return;
                }
            }
        })?;
        Ok(Self { wanted, found, watched: Map::default() })
    }

    /// This process may run tokio.
    pub(crate) fn look_at(&self, pid: u32) {
        if let Err(TrySendError::Full(pid)) = self.wanted.try_send(pid) {
            tracing::debug!(pid, "too many new processes at once: if it runs tokio its tasks are not told apart");
        }
    }

    /// This process is gone.
    pub(crate) fn forget(&mut self, pid: u32) {
        self.watched.remove(&pid);
    }

    /// Tells the kernel what was found meanwhile, and puts probes where calls belong to no request.
    pub(crate) fn follow(&mut self, bpf: &mut Bpf) {
        for (pid, tokio) in self.found.try_iter() {
            let Tokio { task, last_task, waker, wakes, spawns } = tokio;
            match bpf.set_tokio(pid, TokioLayout { task, last_task, waker }) {
                Ok(()) => tracing::debug!(pid, "tells tasks of tokio apart"),
                Err(error) => tracing::warn!(pid, "{error}"),
            }
            let places = TokioPlaces { wakes, spawns };
            self.watched.insert(pid, Watched { places, judged: Judged::default(), has_probes: false });
        }
        if self.watched.is_empty() {
            return;
        }
        for calls in bpf.tokio_calls() {
            self.judge(bpf, calls);
        }
    }

    fn judge(&mut self, bpf: &mut Bpf, calls: TokioCalls) {
        let TokioCalls { pid, calls, strays, has_failed } = calls;
        let Some(process) = self.watched.get_mut(&pid) else { return };
        if has_failed {
            tracing::debug!(pid, "tasks of tokio are not where they were thought to be");
            bpf.leave_tokio(pid);
            self.watched.remove(&pid);
        } else if !process.has_probes && process.is_missing_requests(calls, strays) {
            process.has_probes = true;
            match bpf.follow_tokio(pid, &process.places) {
                Ok(()) => tracing::debug!(pid, "follows requests from one task of tokio to another"),
                Err(error) => tracing::warn!(pid, "{error}"),
            }
        }
    }
}

impl Watched {
    /// Whether of the calls since it was last judged so many belonged to no request.
    fn is_missing_requests(&mut self, calls: u32, strays: u32) -> bool {
        self.judged.are_lost(calls, strays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_for_where_requests_get_lost() {
        let mut process = Watched { places: TokioPlaces::default(), judged: Judged::default(), has_probes: false };
        assert!(!process.is_missing_requests(19, 19));
        assert!(!process.is_missing_requests(1000, 20), "two of a hundred");
        assert!(!process.is_missing_requests(1019, 39), "too few since");
        assert!(process.is_missing_requests(1020, 40));
    }
}
