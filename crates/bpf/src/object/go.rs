//! What is known of Go programs, for the kernel programs.

use std::os::unix::fs::MetadataExt;

use hadal_abi as abi;
use libbpf_rs::{MapCore, MapFlags, UprobeOpts};

use super::{Bpf, Error, is_loaded, kernel};

/// Where a Go program keeps the numbers of goroutines: offsets in its g structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoLayout {
    /// Of the goroutine's number.
    pub goid: u32,
    /// Of the number of the goroutine that made it; 0 if there is none.
    pub parent_goid: u32,
    /// Of the index of the next element to be sent, in the structure of a channel.
    pub channel_sendx: u32,
}

/// Where requests are handed from one goroutine to another in the file of a Go program: offsets behind the starts of
/// functions, `None` of those that are not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GoPlaces {
    /// `net/http.(*persistConn).roundTrip`
    pub round_trip: Option<u64>,
    /// `net/http.persistConnWriter.Write`
    pub write: Option<u64>,
    /// `runtime.send`
    pub send: Option<u64>,
    /// `runtime.recv`
    pub recv: Option<u64>,
    /// `runtime.chansend`
    pub chansend: Option<u64>,
    /// `runtime.chanrecv`
    pub chanrecv: Option<u64>,
}

/// How far requests are followed in a Go program. Each probe costs about a microsecond whenever it is passed, so those on
/// channels are left out where nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GoReach {
    /// Over pooled connections.
    Transports,
    /// To goroutines that wait for others at a channel.
    Waiting,
    /// Through the buffers of channels.
    Buffers,
}

impl GoPlaces {
    fn probes(&self) -> [(GoReach, &'static str, Option<u64>); 6] {
        [
            (GoReach::Transports, "go_round_trip", self.round_trip),
            (GoReach::Transports, "go_write", self.write),
            (GoReach::Waiting, "go_send", self.send),
            (GoReach::Waiting, "go_recv", self.recv),
            (GoReach::Buffers, "go_chansend", self.chansend),
            (GoReach::Buffers, "go_chanrecv", self.chanrecv),
        ]
    }
}

/// Programs with probes at the same time; of more, the calls of the newest stand alone.
pub(super) const MAX_PROBED: usize = 64;

impl Bpf {
    /// From now on events of this process carry the numbers of goroutines.
    pub fn set_go(&mut self, pid: u32, layout: GoLayout) -> Result<(), Error> {
        let value = abi::GoLayout {
            goid: layout.goid,
            parent_goid: layout.parent_goid,
            channel_sendx: layout.channel_sendx,
            calls: 0,
            strays: 0,
            reserved: 0,
        };
        let updated = self.go.update(&pid.to_ne_bytes(), abi::bytes(&value), MapFlags::ANY);
        updated.map_err(kernel("remember a Go process"))?;
        self.set_runtime(pid, abi::RUNTIME_GO)
    }

    /// Puts probes on the file of a running Go program, for all processes that execute it: those of this reach which are
    /// not there yet.
    pub fn follow_go(&mut self, pid: u32, places: &GoPlaces, reach: GoReach) -> Result<(), Error> {
        let path = format!("/proc/{pid}/exe");
        let Ok(file) = std::fs::metadata(&path) else { return Ok(()) };
        let key = (file.dev(), file.ino());
        if !self.probes.contains_key(&key) && self.probes.len() >= MAX_PROBED {
            return Ok(());
        }
        let probes = self.probes.entry(key).or_default();
        for (own_reach, name, place) in places.probes() {
            if own_reach > reach || probes.iter().any(|(attached, _)| *attached == name) {
                continue;
            }
            let program = self.object.progs_mut().find(|program| program.name() == name && is_loaded(program));
            let (Some(program), Some(place)) = (program, place.and_then(|place| usize::try_from(place).ok())) else {
                continue;
            };
            let link = program.attach_uprobe_with_opts(-1, &path, place, UprobeOpts::default());
            probes.push((name, link.map_err(kernel(format!("put a probe on {path}")))?));
        }
        Ok(())
    }

    /// Calls that Go processes made, and how many of them for no request that was known to be worked on, since
    /// [`Bpf::set_go`].
    pub fn go_calls(&self) -> Vec<(u32, u32, u32)> {
        let calls = self.go.keys().filter_map(|key| {
            let value = self.go.lookup(&key, MapFlags::ANY).ok().flatten()?;
            let layout: abi::GoLayout = abi::read(&value)?;
            Some((u32::from_ne_bytes(key.try_into().ok()?), layout.calls, layout.strays))
        });
        calls.collect()
    }
}
