//! Follows requests from one goroutine of a Go program to another.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use hadal_bpf::{Bpf, GoPlaces, GoReach};

use crate::hash::Map;
use crate::strays::Judged;

/// Programs that wait to be looked at; more than these are left out.
const WAITING: usize = 256;

/// How far the requests of a process are followed, and its calls when that was decided.
struct Followed {
    places: GoPlaces,
    reach: GoReach,
    judged: Option<Judged>,
}

/// Looks programs up, and puts probes on them. Reading a large program's table of functions takes a while, so another
/// thread does.
pub(crate) struct GoFollower {
    wanted: SyncSender<u32>,
    found: Receiver<(u32, GoPlaces)>,
    followed: Map<u32, Followed>,
}

impl GoFollower {
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
        Ok(Self { wanted, found, followed: Map::default() })
    }

    /// This process runs Go.
    pub(crate) fn look_at(&self, pid: u32) {
        if let Err(TrySendError::Full(pid)) = self.wanted.try_send(pid) {
            tracing::debug!(pid, "too many Go programs at once: calls over its pooled connections stand alone");
        }
    }

    /// This process is gone.
    pub(crate) fn forget(&mut self, pid: u32) {
        self.followed.remove(&pid);
    }

    /// Puts probes on what was found meanwhile, and further ones where calls belong to no request.
    pub(crate) fn follow(&mut self, bpf: &mut Bpf) {
        for (pid, places) in self.found.try_iter() {
            attach(bpf, pid, &places, GoReach::Transports);
            self.followed.insert(pid, Followed { places, reach: GoReach::Transports, judged: None });
        }
        if self.followed.values().all(|process| process.reach == GoReach::Buffers) {
            return;
        }
        for (pid, calls, strays) in bpf.go_calls() {
            let Some(process) = self.followed.get_mut(&pid) else { continue };
            let judged = process.judged.get_or_insert(Judged::at(calls, strays));
            let further = match process.reach {
                GoReach::Transports => GoReach::Waiting,
                GoReach::Waiting => GoReach::Buffers,
                GoReach::Buffers => continue,
            };
            if judged.are_lost(calls, strays) {
                process.reach = further;
                attach(bpf, pid, &process.places, further);
            }
        }
    }
}

fn attach(bpf: &mut Bpf, pid: u32, places: &GoPlaces, reach: GoReach) {
    match bpf.follow_go(pid, places, reach) {
        Ok(()) => tracing::debug!(pid, ?reach, "follows requests through a Go program"),
        Err(error) => tracing::warn!(pid, "{error}"),
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
