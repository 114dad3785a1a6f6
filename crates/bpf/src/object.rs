//! One loaded object with its attached programs.

mod event_loop;
mod go;
mod python;
mod threads;
mod tokio;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use hadal_abi as abi;
use libbpf_rs::{AsRawLibbpf, Link, MapCore, MapFlags, MapHandle, Object, ObjectBuilder, RingBufferBuilder};

use crate::doctor::{Capability, feature_capabilities, level_capability};
use crate::level::{Feature, Kernel, Level};

pub use event_loop::LoopLayout;
pub use go::{GoLayout, GoPlaces, GoReach};
pub use threads::ThreadCalls;
pub use tokio::{TokioCalls, TokioLayout, TokioPlaces};

/// The compiled programs; aligned because libbpf reads ELF structs in place.
#[repr(align(16))]
struct Aligned<T: ?Sized>(T);
static LEVEL_A: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/level_a.bpf.o")));
static LEVEL_B: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/level_b.bpf.o")));
static LEVEL_C: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/level_c.bpf.o")));

/// Why the programs are not running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No capability to load programs.
    #[error("no right to load eBPF programs: run as root, or grant CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE")]
    Permission,
    /// The kernel has no type information.
    #[error("the kernel has no BTF (/sys/kernel/btf/vmlinux): use a kernel built with CONFIG_DEBUG_INFO_BTF")]
    NoBtf,
    /// The kernel has not what a level needs.
    #[error("level {level}: this kernel has no {target}")]
    NoHook {
        /// The level.
        level: Level,
        /// What is missing.
        target: String,
    },
    /// No level works; what was tried is in the text.
    #[error("no socket calls can be seen on this kernel: {0}")]
    NoLevel(String),
    /// The kernel refused something.
    #[error("cannot {action}: {source}; `hadal doctor` tells what this kernel lacks")]
    Kernel {
        /// What was being done.
        action: String,
        /// The kernel's answer.
        source: libbpf_rs::Error,
    },
    /// Reading the list of sockets failed.
    #[error("cannot list the sockets older than the agent: {0}")]
    List(std::io::Error),
}

fn kernel(action: impl Into<String>) -> impl FnOnce(libbpf_rs::Error) -> Error {
    let action = action.into();
    move |source| Error::Kernel { action, source }
}

/// Limits and choices set before load.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Size of the ring buffer in bytes; a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// Longest payload prefix per socket call in bytes, at most `hadal_abi::MAX_PAYLOAD`.
    pub payload_bytes: u32,
    /// The level to use; the best that works if not given.
    pub level: Option<Level>,
    /// Exact order of sends that several threads make on one socket, at the price of one more program per send.
    pub ordered_sends: bool,
    /// Follow requests from one goroutine of a Go program to another.
    pub go_hand_over: bool,
    /// Follow requests from one task of tokio to another.
    pub tokio_hand_over: bool,
    /// Follow requests from one thread of a process to another.
    pub thread_hand_over: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ring_bytes: 8 << 20,
            payload_bytes: 1024,
            level: None,
            ordered_sends: false,
            go_hand_over: true,
            tokio_hand_over: true,
            thread_hand_over: true,
        }
    }
}

/// What user space wants of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Every call, with the usual prefix of the payload.
    Prefix,
    /// The usual prefix of what follows a change of direction, lengths of the rest.
    Flips,
    /// Every call, with up to `hadal_abi::MAX_PAYLOAD` bytes.
    Whole,
    /// As `Prefix`, and its identity once more: it was lost on the way.
    Announce,
    /// Bytes only, added up. Final.
    Count,
    /// Nothing. Final.
    Ignore,
}

/// Running totals of the kernel side since load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Socket calls that moved bytes.
    pub calls: u64,
    /// Of these, recorded with payload.
    pub payloads: u64,
    /// Data events lost because the ring was full.
    pub ring_full_data: u64,
    /// Other events lost because the ring was full.
    pub ring_full_other: u64,
    /// Calls of sockets whose identity was lost because the ring was full.
    pub unannounced: u64,
    /// Payloads that could not be read.
    pub user_copy_failed: u64,
    /// Sockets or threads without state.
    pub map_full: u64,
    /// Calls of ignored sockets.
    pub ignored: u64,
    /// Calls that were only added up.
    pub counted: u64,
    /// Calls whose order is not sure.
    pub overlaps: u64,
    /// Calls whose payload was cut under pressure.
    pub payload_shed: u64,
    /// Calls of unimportant sockets left out under pressure.
    pub socket_shed: u64,
    /// Calls of new sockets left out under pressure.
    pub shed: u64,
    /// Messages and vectors beyond what the level walks.
    pub vector_cut: u64,
    /// Runs of programs that did not take place because one ran already.
    pub recursion: u64,
}

/// What may change while the programs run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shedding {
    /// Longest payload of a call, in bytes; no limit of its own if `None`.
    pub payload_bytes: Option<u32>,
    /// Nothing of sockets that are only counted, nor of Unix sockets.
    pub unimportant: bool,
    /// Nothing of sockets not met yet.
    pub new_sockets: bool,
}

/// The loaded and attached programs. Dropping it detaches them.
pub struct Bpf {
    // Links first: programs detach before their maps go.
    _links: Vec<Link>,
    /// Probes in programs, by device and inode of the file.
    probes: HashMap<(u64, u64), Vec<(&'static str, Link)>>,
    /// What sees threads wake each other, where requests are followed through them.
    wakes: Option<Link>,
    list: Link,
    events: MapHandle,
    counters: MapHandle,
    policies: MapHandle,
    ignored: MapHandle,
    go: MapHandle,
    runtimes: MapHandle,
    python: MapHandle,
    tokio: MapHandle,
    threads: MapHandle,
    loops: MapHandle,
    controls: MapHandle,
    controls_now: abi::Controls,
    programs: Vec<u32>,
    level: Level,
    capabilities: Vec<Capability>,
    object: Object,
}

const LIST_PROGRAM: &str = "list_sockets";

impl Bpf {
    /// Loads and attaches the programs of the level asked for, or of the best one that works.
    pub fn load(config: Config) -> Result<Self, Error> {
        if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            return Err(Error::NoBtf);
        }
        quiet_libbpf();
        let levels = match config.level {
            Some(Level::D) => return Err(Error::NoLevel("level D was asked for".to_owned())),
            Some(level) => vec![level],
            None => vec![Level::A, Level::B, Level::C],
        };
        let running = Kernel::running();
        let mut refused = Vec::new();
        for level in levels {
            match Self::load_level(level, config, &running) {
                Ok(mut bpf) => {
                    bpf.capabilities.insert(0, level_capability(level, config.level, &refused));
                    return Ok(bpf);
                }
                Err(Error::Kernel { source, .. }) if is_permission(&source) && !may_load() => {
                    return Err(Error::Permission);
                }
                Err(error) => refused.push(error.to_string()),
            }
        }
        Err(Error::NoLevel(refused.join("; ")))
    }

    /// All features, and if that does not work those that do.
    fn load_level(level: Level, config: Config, running: &Kernel) -> Result<Self, Error> {
        let wanted = |feature: &Feature| match feature {
            Feature::OrderedSends => config.ordered_sends,
            Feature::GoHandOver => config.go_hand_over,
            Feature::TokioHandOver => config.tokio_hand_over,
            Feature::ThreadHandOver => config.thread_hand_over,
            Feature::Uring | Feature::Datagrams => true,
        };
        let wanted: Vec<_> = Feature::ALL.into_iter().filter(wanted).collect();
        match Self::load_with(level, config, running, &wanted) {
            Err(Error::Kernel { .. }) => {}
            loaded_or_hopeless => return loaded_or_hopeless,
        }
        Self::load_with(level, config, running, &[])?;
        let works = |feature: &Feature| Self::load_with(level, config, running, &[*feature]).is_ok();
        let working: Vec<_> = wanted.into_iter().filter(works).collect();
        Self::load_with(level, config, running, &working)
    }

    fn load_with(level: Level, config: Config, running: &Kernel, features: &[Feature]) -> Result<Self, Error> {
        let (object, missing) = load_object(level, config, running, features)?;
        let mut links = Vec::new();
        let mut list = None;
        let mut programs = Vec::new();
        let mut absent: Vec<(Feature, String)> = missing;
        let cgroup = cgroup_root().and_then(|path| File::open(path).ok());
        for program in object.progs_mut().filter(|program| is_loaded(program) && !is_attached_later(program)) {
            let name = program.name().to_string_lossy().into_owned();
            let in_cgroup = program.section().to_string_lossy().contains("cgroup/");
            let link = match (in_cgroup, &cgroup) {
                (true, Some(cgroup)) => program.attach_cgroup(cgroup.as_raw_fd()),
                (true, None) => Err(libbpf_rs::Error::from_raw_os_error(libc::ENOENT)),
                (false, _) => program.attach(),
            };
            programs.extend(program_id(&program));
            match (link, Feature::of(&name)) {
                (Ok(link), _) if name == LIST_PROGRAM => list = Some(link),
                (Ok(link), _) => links.push(link),
                (Err(error), Some(feature)) => absent.push((feature, format!("attaching {name}: {error}"))),
                (Err(error), None) => return Err(kernel(format!("attach {name}"))(error)),
            }
        }
        let map = |name: &str| {
            let found = object.maps().find(|map| map.name() == name);
            found
                .ok_or_else(|| libbpf_rs::Error::from_raw_os_error(libc::ENOENT))
                .and_then(|map| MapHandle::try_from(&map))
                .map_err(kernel(format!("open the map {name}")))
        };
        Ok(Self {
            events: map("events")?,
            counters: map("counters")?,
            policies: map("policies")?,
            ignored: map("ignored_processes")?,
            go: map("go_processes")?,
            runtimes: map("runtimes")?,
            python: map("python_processes")?,
            tokio: map("tokio_processes")?,
            threads: map("threaded_processes")?,
            loops: map("loops")?,
            controls: map(".data.controls")?,
            controls_now: abi::Controls { shed_payload: 0, shed_unimportant: 0, shed_new: 0, runtime_generation: 0 },
            programs,
            level,
            capabilities: feature_capabilities(level, config, &absent),
            list: list.ok_or(Error::NoBtf)?,
            _links: links,
            probes: HashMap::new(),
            wakes: None,
            object,
        })
    }

    /// The level in use.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The level and what else works here, in words.
    pub fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }

    /// A reader of events; `handle` gets each record. One reader at a time.
    pub fn reader<'a>(&self, handle: impl FnMut(&[u8]) + 'a) -> Result<Reader<'a>, Error> {
        let mut handle = handle;
        let mut builder = RingBufferBuilder::new();
        let added = builder.add(&self.events, move |record| {
            handle(record);
            0
        });
        added.map_err(kernel("read the ring buffer"))?;
        builder.build().map(Reader).map_err(kernel("read the ring buffer"))
    }

    /// Sockets that exist now, as events with the owning process.
    pub fn list_sockets(&self) -> Result<Vec<abi::SocketEvent>, Error> {
        let mut iterator = libbpf_rs::Iter::new(&self.list).map_err(kernel("list sockets"))?;
        let mut bytes = Vec::new();
        iterator.read_to_end(&mut bytes).map_err(Error::List)?;
        Ok(bytes.chunks_exact(size_of::<abi::SocketEvent>()).filter_map(abi::read).collect())
    }

    /// Totals since load.
    pub fn counters(&self) -> Counters {
        // One value per CPU, each an array of all counters.
        let values = self.counters.lookup_percpu(&0u32.to_ne_bytes(), MapFlags::ANY).ok().flatten().unwrap_or_default();
        let total = |counter: u32| {
            let at = counter as usize * 8;
            values.iter().filter_map(|value| Some(u64::from_ne_bytes(value.get(at..at + 8)?.try_into().ok()?))).sum()
        };
        Counters {
            calls: total(abi::COUNTER_CALLS),
            payloads: total(abi::COUNTER_PAYLOADS),
            ring_full_data: total(abi::COUNTER_RING_FULL_DATA),
            ring_full_other: total(abi::COUNTER_RING_FULL_OTHER),
            unannounced: total(abi::COUNTER_UNANNOUNCED),
            user_copy_failed: total(abi::COUNTER_USER_COPY_FAILED),
            map_full: total(abi::COUNTER_MAP_FULL),
            ignored: total(abi::COUNTER_IGNORED),
            counted: total(abi::COUNTER_COUNTED),
            overlaps: total(abi::COUNTER_OVERLAPS),
            payload_shed: total(abi::COUNTER_PAYLOAD_SHED),
            socket_shed: total(abi::COUNTER_SOCKET_SHED),
            shed: total(abi::COUNTER_SHED),
            vector_cut: total(abi::COUNTER_VECTOR_CUT),
            recursion: self.programs.iter().map(|&id| recursion_misses(id)).sum(),
        }
    }

    /// Tells the kernel what is wanted of a socket; it takes effect at the next change of direction.
    pub fn set_policy(&self, cookie: u64, policy: Policy) -> Result<(), Error> {
        let value = match policy {
            Policy::Prefix => abi::POLICY_PREFIX,
            Policy::Flips => abi::POLICY_FLIPS,
            Policy::Whole => abi::POLICY_WHOLE,
            Policy::Announce => abi::POLICY_ANNOUNCE,
            Policy::Count => abi::POLICY_COUNT,
            Policy::Ignore => abi::POLICY_IGNORE,
        };
        let slot = (cookie as u32) & (abi::POLICY_SLOTS - 1);
        let decision = abi::Decision { cookie, policy: value, reserved: 0 };
        let updated = self.policies.update(&slot.to_ne_bytes(), abi::bytes(&decision), MapFlags::ANY);
        updated.map_err(kernel("set the policy of a socket"))
    }

    /// Sockets that this process opens from now on are not recorded.
    pub fn ignore_process(&self, pid: u32) -> Result<(), Error> {
        let updated = self.ignored.update(&pid.to_ne_bytes(), &1u32.to_ne_bytes(), MapFlags::ANY);
        updated.map_err(kernel("ignore a process"))
    }

    /// Takes back what was said of a process, for a process id that may be used again.
    pub fn forget_process(&self, pid: u32) {
        // Not being there is what was wanted.
        let _ = self.ignored.delete(&pid.to_ne_bytes());
        let _ = self.go.delete(&pid.to_ne_bytes());
        let _ = self.runtimes.delete(&pid.to_ne_bytes());
        let _ = self.python.delete(&pid.to_ne_bytes());
        let _ = self.tokio.delete(&pid.to_ne_bytes());
        let _ = self.threads.delete(&pid.to_ne_bytes());
        let _ = self.loops.delete(&pid.to_ne_bytes());
    }

    /// What runs the code of a process, once the rest about it is known.
    fn set_runtime(&mut self, pid: u32, runtime: u32) -> Result<(), Error> {
        let updated = self.runtimes.update(&pid.to_ne_bytes(), &runtime.to_ne_bytes(), MapFlags::ANY);
        updated.map_err(kernel("remember what runs a process"))?;
        self.next_generation()
    }

    /// What is known of processes has changed.
    fn next_generation(&mut self) -> Result<(), Error> {
        // Zero means that there are none.
        self.controls_now.runtime_generation = self.controls_now.runtime_generation.wrapping_add(1).max(1);
        self.write_controls()
    }

    /// What is left out under pressure, from now on.
    pub fn shed(&mut self, shedding: Shedding) -> Result<(), Error> {
        self.controls_now.shed_payload = shedding.payload_bytes.unwrap_or_default();
        self.controls_now.shed_unimportant = u32::from(shedding.unimportant);
        self.controls_now.shed_new = u32::from(shedding.new_sockets);
        self.write_controls()
    }

    fn write_controls(&self) -> Result<(), Error> {
        let updated = self.controls.update(&0u32.to_ne_bytes(), abi::bytes(&self.controls_now), MapFlags::ANY);
        updated.map_err(kernel("change what is recorded"))
    }
}

/// Reads the ring buffer.
pub struct Reader<'a>(libbpf_rs::RingBuffer<'a>);

impl Reader<'_> {
    /// Handles records that are there, at most so many; how many there were. It never waits.
    pub fn consume(&self, most: usize) -> usize {
        // The callback never fails, so neither does this.
        usize::try_from(self.0.consume_raw_n(most)).unwrap_or_default()
    }
}

/// The object, and the features that this kernel has no hook for.
fn load_object(
    level: Level,
    config: Config,
    running: &Kernel,
    features: &[Feature],
) -> Result<(Object, Vec<(Feature, String)>), Error> {
    let bytes = match level {
        Level::A => &LEVEL_A.0,
        Level::B => &LEVEL_B.0,
        Level::C | Level::D => &LEVEL_C.0,
    };
    let mut builder = ObjectBuilder::default();
    let mut open = builder.open_memory(bytes).map_err(kernel("read the embedded kernel programs"))?;
    let mut absent = Vec::new();
    for mut program in open.progs_mut() {
        let section = program.section().to_string_lossy().into_owned();
        let name = program.name().to_string_lossy().into_owned();
        let there = running.has_target(&section);
        match Feature::of(&name) {
            Some(feature) => {
                program.set_autoload(there && features.contains(&feature));
                if !there {
                    absent.push((feature, format!("this kernel has no {name}")));
                } else if !features.contains(&feature) {
                    absent.push((feature, "it does not load here".to_owned()));
                }
            }
            // Before kernel 6.5 only.
            None if name.ends_with("_sendpage") => program.set_autoload(there),
            None if there => program.set_autoload(true),
            None => return Err(Error::NoHook { level, target: name }),
        }
    }
    let has_uring = !absent.iter().any(|(feature, _)| *feature == Feature::Uring) && level != Level::C;
    let settings = abi::Settings {
        payload_limit: config.payload_bytes.min(abi::MAX_PAYLOAD),
        uring_payload: u32::from(has_uring),
    };
    for mut map in open.maps_mut() {
        if map.name() == "events" {
            map.set_max_entries(config.ring_bytes).map_err(kernel("size the ring buffer"))?;
        } else if map.name().to_string_lossy().ends_with(".rodata")
            && let Some(data) = map.initial_value_mut()
        {
            // `settings` is the only constant, so it is the start of the section.
            data[..size_of::<abi::Settings>()].copy_from_slice(abi::bytes(&settings));
        }
    }
    let object = open.load().map_err(kernel(format!("load the kernel programs of level {level}")))?;
    Ok((object, absent))
}

fn is_loaded(program: &libbpf_rs::ProgramMut<'_>) -> bool {
    // SAFETY: the program lives as long as its object, which the caller holds.
    unsafe { libbpf_sys::bpf_program__fd(program.as_libbpf_object().as_ptr()) >= 0 }
}

/// Programs of this kind are attached once there is something to attach them to.
fn is_attached_later(program: &libbpf_rs::ProgramMut<'_>) -> bool {
    program.section() == "uprobe" || Feature::of(&program.name().to_string_lossy()) == Some(Feature::ThreadHandOver)
}

fn program_id(program: &libbpf_rs::ProgramMut<'_>) -> Option<u32> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut length = size_of::<libbpf_sys::bpf_prog_info>() as u32;
    // SAFETY: the program is loaded, and the kernel writes at most `length` bytes to `info`.
    let outcome = unsafe {
        let descriptor = libbpf_sys::bpf_program__fd(program.as_libbpf_object().as_ptr());
        libbpf_sys::bpf_prog_get_info_by_fd(descriptor, &raw mut info, &raw mut length)
    };
    (outcome == 0).then_some(info.id)
}

/// How often a program did not run because another one ran on the CPU; 0 if it is gone.
fn recursion_misses(id: u32) -> u64 {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut length = size_of::<libbpf_sys::bpf_prog_info>() as u32;
    // SAFETY: the descriptor is ours until it is closed below, and the kernel writes at most `length` bytes to `info`.
    unsafe {
        let descriptor = libbpf_sys::bpf_prog_get_fd_by_id(id);
        if descriptor < 0 {
            return 0;
        }
        let outcome = libbpf_sys::bpf_prog_get_info_by_fd(descriptor, &raw mut info, &raw mut length);
        libc::close(descriptor);
        if outcome == 0 { info.recursion_misses } else { 0 }
    }
}

/// Where the second hierarchy of control groups is mounted.
fn cgroup_root() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mut words = mounts.lines().map(|line| line.split(' '));
    words.find_map(|mut words| {
        let path = words.nth(1)?;
        (words.next()? == "cgroup2").then(|| PathBuf::from(path))
    })
}

fn is_permission(error: &libbpf_rs::Error) -> bool {
    error.kind() == libbpf_rs::ErrorKind::PermissionDenied
}

/// Whether this process may use bpf(2) at all; a refused program can also be a kernel that lacks its hook.
fn may_load() -> bool {
    libbpf_rs::MapHandle::create(
        libbpf_rs::MapType::Array,
        Some("hadal_probe"),
        4,
        4,
        1,
        &libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _,
            ..Default::default()
        },
    )
    .is_ok()
}

/// libbpf writes the verifier's log to stderr; our own errors say what matters. `HADAL_LIBBPF_LOG` lets it, for reports.
fn quiet_libbpf() {
    if std::env::var_os("HADAL_LIBBPF_LOG").is_none() {
        libbpf_rs::set_print(Some((libbpf_rs::PrintLevel::Debug, |_, _| {})));
    }
}
