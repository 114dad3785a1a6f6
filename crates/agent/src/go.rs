//! Where Go programs hand requests over. Reading a large program's table of functions takes a while, so another thread does.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use hadal_bpf::{Bpf, GoPlaces};

/// Programs that wait to be looked at; more than these are left out.
const WAITING: usize = 256;

/// Looks programs up, and puts probes on them.
pub(crate) struct GoFinder {
    wanted: SyncSender<u32>,
    found: Receiver<(u32, GoPlaces)>,
}

impl GoFinder {
    /// The thread ends with what it was made for.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (wanted, asked) = sync_channel::<u32>(WAITING);
        let (tell, found) = sync_channel(WAITING);
        std::thread::Builder::new().name("go-programs".to_owned()).spawn(move || {
            for pid in asked {
                if let Some(places) = places(pid)
                    && tell.send((pid, places)).is_err()
                {
                    return;
                }
            }
        })?;
        Ok(Self { wanted, found })
    }

    /// This process runs Go.
    pub(crate) fn look_at(&self, pid: u32) {
        if let Err(TrySendError::Full(pid)) = self.wanted.try_send(pid) {
            tracing::debug!(pid, "too many Go programs at once: calls over its pooled connections stand alone");
        }
    }

    /// Puts probes on what was found meanwhile.
    pub(crate) fn attach(&self, bpf: &mut Bpf) {
        for (pid, places) in self.found.try_iter() {
            match bpf.follow_go(pid, places) {
                Ok(()) => tracing::debug!(pid, ?places, "follows requests through a Go program"),
                Err(error) => tracing::warn!(pid, "{error}"),
            }
        }
    }
}

fn places(pid: u32) -> Option<GoPlaces> {
    const NAMES: [&str; 6] = [
        "net/http.(*persistConn).roundTrip",
        "net/http.persistConnWriter.Write",
        "runtime.send",
        "runtime.recv",
        "runtime.chansend",
        "runtime.chanrecv",
    ];
    let found: [Option<u64>; 6] = hadal_host::go_functions(pid, &NAMES)?.try_into().ok()?;
    let [round_trip, write, send, recv, chansend, chanrecv] = found;
    Some(GoPlaces { round_trip, write, send, recv, chansend, chanrecv })
}
