//! The socket directory: every TCP socket of this host, and so both ends of each connection inside it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use hadal_abi as abi;
use hadal_bpf::Policy;
use hadal_flow::{Connection, Role, Settings, Transport};

/// How long a closed socket is remembered, in microseconds: its peer's last events may still be under way.
const LINGER_US: u64 = 3_000_000;

/// What a socket did since the last second ended. It is counted then and not at once, because the other end often makes
/// itself known a little later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) egress_bytes: u64,
    pub(crate) ingress_bytes: u64,
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    pub(crate) connect_us: u64,
    pub(crate) retransmits: u64,
    pub(crate) rtt_sum: u64,
    pub(crate) rtt_count: u64,
}

/// One socket.
pub(crate) struct Socket {
    pub(crate) netns: u32,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Process that last used it, 0 if not known yet.
    pub(crate) pid: u32,
    /// Entity of that process.
    pub(crate) entity: Option<u64>,
    /// Entity of the other end, once it is a process.
    pub(crate) peer: Option<u64>,
    pub(crate) connection: Connection,
    /// What the kernel was told.
    pub(crate) policy: Policy,
    /// Not to be recorded.
    pub(crate) ignored: bool,
    pub(crate) met_us: u64,
    pub(crate) closed_us: Option<u64>,
    pub(crate) traffic: Traffic,
    /// Figures of the last event.
    pub(crate) min_rtt_us: u32,
    pub(crate) retransmits: u32,
    /// Retransmissions when the running request began.
    pub(crate) retransmits_before: u32,
    /// Direction of the last event.
    pub(crate) last_egress: Option<bool>,
}

impl Socket {
    /// Role of this end, as far as it is known.
    pub(crate) fn role(&self) -> Option<Role> {
        self.connection.role()
    }
}

/// Address and port of one side, in the kernel's form.
fn address(bytes: [u8; 16], port: u16) -> SocketAddr {
    SocketAddr::new(Ipv6Addr::from(bytes).to_canonical(), port)
}

/// All sockets.
pub(crate) struct Sockets {
    by_cookie: HashMap<u64, Socket>,
    /// (network namespace, local, remote) → cookie.
    by_tuple: HashMap<(u32, SocketAddr, SocketAddr), u64>,
    /// (local, remote) → cookie, in any network namespace; without loopback, which each namespace has.
    by_addresses: HashMap<(SocketAddr, SocketAddr), u64>,
    /// (network namespace, port) → process that listens.
    listeners: HashMap<(u32, u16), u32>,
    limit: usize,
}

/// What became of a socket event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// A socket of a connection, known by its cookie from now on.
    Connection,
    /// A listening socket.
    Listener,
    /// The table is full.
    Full,
}

impl Sockets {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            by_cookie: HashMap::new(),
            by_tuple: HashMap::new(),
            by_addresses: HashMap::new(),
            listeners: HashMap::new(),
            limit,
        }
    }

    /// Takes a socket's identity, from its first event or from the list of older sockets.
    pub(crate) fn meet(&mut self, event: &abi::SocketEvent, settings: &Arc<Settings>, now_us: u64) -> Met {
        let local = address(event.local_address, event.local_port);
        let remote = address(event.remote_address, event.remote_port);
        if event.role == abi::ROLE_LISTENER {
            self.listeners.insert((event.netns, event.local_port), event.header.pid);
            return Met::Listener;
        }
        if self.by_cookie.len() >= self.limit && !self.by_cookie.contains_key(&event.cookie) {
            return Met::Full;
        }
        let role = match event.role {
            abi::ROLE_CLIENT => Some(Role::Client),
            abi::ROLE_SERVER => Some(Role::Server),
            _ => self.role_by_listeners(event.netns, local, remote),
        };
        self.by_tuple.insert((event.netns, local, remote), event.cookie);
        if !local.ip().is_loopback() {
            self.by_addresses.insert((local, remote), event.cookie);
        }
        let known = self.by_cookie.remove(&event.cookie);
        let pid = if event.header.pid != 0 { event.header.pid } else { known.as_ref().map_or(0, |known| known.pid) };
        let known_traffic = known.as_ref().map_or_else(Traffic::default, |known| known.traffic);
        let connection = known.map(|known| known.connection).unwrap_or_else(|| {
            let mut connection = Connection::new(role, Transport::Stream, Arc::clone(settings));
            if event.from_start != 0 {
                connection.start_at(true, event.send_seq);
                connection.start_at(false, event.receive_seq);
            }
            connection
        });
        self.by_cookie.insert(
            event.cookie,
            Socket {
                netns: event.netns,
                local,
                remote,
                pid,
                entity: None,
                peer: None,
                connection,
                policy: Policy::Prefix,
                ignored: u32::from(event.policy) == abi::POLICY_IGNORE,
                met_us: now_us,
                closed_us: None,
                traffic: known_traffic,
                min_rtt_us: 0,
                retransmits: 0,
                retransmits_before: 0,
                last_egress: None,
            },
        );
        Met::Connection
    }

    /// The side whose port is listened on is the server.
    fn role_by_listeners(&self, netns: u32, local: SocketAddr, remote: SocketAddr) -> Option<Role> {
        if self.listeners.contains_key(&(netns, local.port())) {
            return Some(Role::Server);
        }
        if remote.ip().is_loopback() && self.listeners.contains_key(&(netns, remote.port())) {
            return Some(Role::Client);
        }
        None
    }

    pub(crate) fn get_mut(&mut self, cookie: u64) -> Option<&mut Socket> {
        self.by_cookie.get_mut(&cookie)
    }

    pub(crate) fn get(&self, cookie: u64) -> Option<&Socket> {
        self.by_cookie.get(&cookie)
    }

    /// Cookie of the other end, if it is on this host: in the same network namespace, or in another one under the same
    /// addresses (veth without translation).
    pub(crate) fn peer_of(&self, socket: &Socket) -> Option<u64> {
        let here = self.by_tuple.get(&(socket.netns, socket.remote, socket.local));
        here.or_else(|| self.by_addresses.get(&(socket.remote, socket.local))).copied()
    }

    /// Process that listens where this client's connection goes, on this host.
    pub(crate) fn listener_of_remote(&self, socket: &Socket) -> Option<u32> {
        let is_here = socket.remote.ip().is_loopback() || socket.remote.ip() == socket.local.ip();
        is_here.then(|| self.listeners.get(&(socket.netns, socket.remote.port())).copied()).flatten()
    }

    /// Process that listens on this server socket's port.
    pub(crate) fn listener_of_local(&self, socket: &Socket) -> Option<u32> {
        self.listeners.get(&(socket.netns, socket.local.port())).copied()
    }

    /// The socket is gone; it is remembered for a while.
    pub(crate) fn close(&mut self, cookie: u64, now_us: u64) {
        if let Some(socket) = self.by_cookie.get_mut(&cookie) {
            socket.closed_us = Some(now_us);
        }
    }

    /// Forgets sockets that were closed a while ago.
    pub(crate) fn expire(&mut self, now_us: u64) {
        let (by_tuple, by_addresses) = (&mut self.by_tuple, &mut self.by_addresses);
        self.by_cookie.retain(|cookie, socket| {
            let keep = socket.closed_us.is_none_or(|closed| closed + LINGER_US > now_us);
            let tuple = (socket.netns, socket.local, socket.remote);
            if !keep && by_tuple.get(&tuple) == Some(cookie) {
                by_tuple.remove(&tuple);
            }
            let addresses = (socket.local, socket.remote);
            if !keep && by_addresses.get(&addresses) == Some(cookie) {
                by_addresses.remove(&addresses);
            }
            keep
        });
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Socket)> {
        self.by_cookie.iter().map(|(&cookie, socket)| (cookie, socket))
    }
}

/// The 16 bytes of an address as stored: IPv4 is mapped.
pub(crate) fn stored(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
