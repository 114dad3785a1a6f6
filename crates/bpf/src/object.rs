//! One loaded object with its attached programs.

use std::io::Read;
use std::path::Path;

use hadal_abi as abi;
use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, Object, ObjectBuilder, ProgramMut, RingBufferBuilder};

/// The compiled programs; aligned because libbpf reads ELF structs in place.
#[repr(align(16))]
struct Aligned<T: ?Sized>(T);
static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/hadal.bpf.o")));

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
    move |source| match source.kind() {
        libbpf_rs::ErrorKind::PermissionDenied => Error::Permission,
        _ => Error::Kernel { action, source },
    }
}

/// Limits set before load.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Size of the ring buffer in bytes; a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// Longest payload prefix per socket call in bytes, at most `hadal_abi::MAX_PAYLOAD`.
    pub payload_bytes: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { ring_bytes: 8 << 20, payload_bytes: 1024 }
    }
}

/// What user space wants of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Every call, with the usual prefix of the payload.
    Prefix,
    /// Every call, with up to `hadal_abi::MAX_PAYLOAD` bytes.
    Whole,
    /// Every call, lengths only.
    NoPayload,
    /// Nothing.
    Ignore,
}

/// Running totals of the kernel side since load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events handed over.
    pub events: u64,
    /// Events lost because the ring was full.
    pub ring_full: u64,
    /// Payloads that could not be read.
    pub user_copy_failed: u64,
    /// Sockets or threads without state.
    pub map_full: u64,
    /// Calls of ignored sockets.
    pub ignored: u64,
}

/// The loaded and attached programs. Dropping it detaches them.
pub struct Bpf {
    // Links first: programs detach before their maps go.
    _links: Vec<Link>,
    list: Link,
    events: MapHandle,
    counters: MapHandle,
    policies: MapHandle,
    ignored: MapHandle,
    _object: Object,
}

const LIST_PROGRAM: &str = "list_sockets";

impl Bpf {
    /// Loads and attaches everything.
    pub fn load(config: Config) -> Result<Self, Error> {
        if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            return Err(Error::NoBtf);
        }
        quiet_libbpf();
        let object = load_object(config)?;
        let mut links = Vec::new();
        let mut list = None;
        for mut program in object.progs_mut() {
            let name = program.name().to_string_lossy().into_owned();
            let link = attach(&mut program, &name)?;
            if name == LIST_PROGRAM {
                list = Some(link);
            } else {
                links.push(link);
            }
        }
        let map = |name: &str| {
            let found = object.maps().find(|map| map.name() == name);
            found
                .ok_or_else(|| libbpf_rs::Error::from_raw_os_error(libc::ENOENT))
                .and_then(|map| MapHandle::try_from(&map))
        };
        let open = |name: &str| map(name).map_err(kernel(format!("open the map {name}")));
        Ok(Self {
            events: open("events")?,
            counters: open("counters")?,
            policies: open("policies")?,
            ignored: open("ignored_processes")?,
            list: list.ok_or(Error::NoBtf)?,
            _links: links,
            _object: object,
        })
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
        let total = |counter: u32| {
            let values = self.counters.lookup_percpu(&counter.to_ne_bytes(), MapFlags::ANY).ok().flatten();
            let values = values.unwrap_or_default();
            values.iter().filter_map(|value| Some(u64::from_ne_bytes(value.get(..8)?.try_into().ok()?))).sum()
        };
        Counters {
            events: total(abi::COUNTER_EVENTS),
            ring_full: total(abi::COUNTER_RING_FULL),
            user_copy_failed: total(abi::COUNTER_USER_COPY_FAILED),
            map_full: total(abi::COUNTER_MAP_FULL),
            ignored: total(abi::COUNTER_IGNORED),
        }
    }

    /// Tells the kernel what is wanted of a socket; it takes effect at the next change of direction.
    pub fn set_policy(&self, cookie: u64, policy: Policy) -> Result<(), Error> {
        let value = match policy {
            Policy::Prefix => abi::POLICY_PREFIX,
            Policy::Whole => abi::POLICY_WHOLE,
            Policy::NoPayload => abi::POLICY_NO_PAYLOAD,
            Policy::Ignore => abi::POLICY_IGNORE,
        };
        let updated = self.policies.update(&cookie.to_ne_bytes(), &value.to_ne_bytes(), MapFlags::ANY);
        updated.map_err(kernel("set the policy of a socket"))
    }

    /// Sockets that this process opens from now on are not recorded.
    pub fn ignore_process(&self, pid: u32) -> Result<(), Error> {
        let updated = self.ignored.update(&pid.to_ne_bytes(), &1u32.to_ne_bytes(), MapFlags::ANY);
        updated.map_err(kernel("ignore a process"))
    }

    /// Takes [`Bpf::ignore_process`] back, for a process id that may be used again.
    pub fn forget_process(&self, pid: u32) {
        // Not being there is what was wanted.
        let _ = self.ignored.delete(&pid.to_ne_bytes());
    }
}

/// Reads the ring buffer.
pub struct Reader<'a>(libbpf_rs::RingBuffer<'a>);

impl Reader<'_> {
    /// Handles all records that are there; returns at once when there are none.
    pub fn consume(&self) {
        // The callback never fails, so neither does this.
        let _ = self.0.consume();
    }
}

fn load_object(config: Config) -> Result<Object, Error> {
    let mut builder = ObjectBuilder::default();
    let mut open = builder.open_memory(&OBJECT.0).map_err(kernel("read the embedded kernel programs"))?;
    for mut map in open.maps_mut() {
        if map.name() == "events" {
            map.set_max_entries(config.ring_bytes).map_err(kernel("size the ring buffer"))?;
        } else if map.name().to_string_lossy().ends_with(".rodata")
            && let Some(data) = map.initial_value_mut()
        {
            // `payload_limit` is the only switch, so it is the start of the section.
            let limit = config.payload_bytes.min(abi::MAX_PAYLOAD);
            data[..4].copy_from_slice(&limit.to_ne_bytes());
        }
    }
    open.load().map_err(kernel("load the kernel programs"))
}

fn attach(program: &mut ProgramMut<'_>, name: &str) -> Result<Link, Error> {
    program.attach().map_err(kernel(format!("attach {name}")))
}

/// libbpf writes the verifier's log to stderr; our own errors say what matters.
fn quiet_libbpf() {
    libbpf_rs::set_print(Some((libbpf_rs::PrintLevel::Debug, |_, _| {})));
}
