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

/// Programs with probes at the same time; of more, the calls of the newest stand alone.
const MAX_PROBED: usize = 64;

impl Bpf {
    /// From now on events of this process carry the numbers of goroutines.
    pub fn set_go(&mut self, pid: u32, layout: GoLayout) -> Result<(), Error> {
        let value = abi::GoLayout {
            goid: layout.goid,
            parent_goid: layout.parent_goid,
            channel_sendx: layout.channel_sendx,
            reserved: 0,
        };
        let updated = self.go.update(&pid.to_ne_bytes(), abi::bytes(&value), MapFlags::ANY);
        updated.map_err(kernel("remember a Go process"))?;
        // Zero means that there are none.
        self.controls_now.go_generation = self.controls_now.go_generation.wrapping_add(1).max(1);
        self.write_controls()
    }

    /// Puts probes on the file of a running Go program, for all processes that execute it. Once for each file.
    pub fn follow_go(&mut self, pid: u32, places: GoPlaces) -> Result<(), Error> {
        let path = format!("/proc/{pid}/exe");
        let Ok(file) = std::fs::metadata(&path) else { return Ok(()) };
        let key = (file.dev(), file.ino());
        if self.probes.contains_key(&key) || self.probes.len() >= MAX_PROBED {
            return Ok(());
        }
        let mut links = Vec::new();
        let places = [
            ("go_round_trip", places.round_trip),
            ("go_write", places.write),
            ("go_send", places.send),
            ("go_recv", places.recv),
            ("go_chansend", places.chansend),
            ("go_chanrecv", places.chanrecv),
        ];
        for (name, place) in places {
            let program = self.object.progs_mut().find(|program| program.name() == name && is_loaded(program));
            let (Some(program), Some(place)) = (program, place.and_then(|place| usize::try_from(place).ok())) else {
                continue;
            };
            let link = program.attach_uprobe_with_opts(-1, &path, place, UprobeOpts::default());
            links.push(link.map_err(kernel(format!("put a probe on {path}")))?);
        }
        self.probes.insert(key, links);
        Ok(())
    }
}
