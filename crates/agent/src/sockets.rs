//! The socket directory: every socket of this host, and so both ends of each connection inside it.
//!
//! An unconnected UDP socket talks with many: each peer makes a socket of its own here, under a key made of the socket's
//! cookie and the peer's address.

mod listeners;
mod room;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use hadal_abi as abi;
use hadal_bpf::Policy;
use hadal_flow::{Connection, Role, Settings, Transport};

use crate::hash::{Map, Set};
use crate::pipeline::Handed;
use listeners::Listeners;

/// How long a closed socket is remembered, in microseconds: its peer's last events may still be under way.
const LINGER_US: u64 = 3_000_000;
/// After so many peers that are not understood, an unconnected socket's payload is not looked at any more.
const UNKNOWN_PEERS: u8 = 4;
/// How long a peer of an unconnected socket is remembered after its last datagram, in microseconds.
const PEER_IDLE_US: u64 = 60_000_000;

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
    /// `hadal_abi::TRANSPORT_*`.
    pub(crate) transport: u32,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Process that last used it, 0 if not known yet.
    pub(crate) pid: u32,
    /// Process at the other end, of a Unix socket only.
    pub(crate) peer_pid: u32,
    /// What this end seems to be while no message told: who spoke first.
    hint: Option<Role>,
    /// Whether the unconnected socket knows that this peer is understood or not.
    judged: bool,
    /// Peers of this unconnected socket that are not understood; `None` once one is.
    unknown_peers: Option<u8>,
    /// The unconnected socket that this one stands for a peer of.
    parent: Option<u64>,
    /// Time of the last event.
    used_us: u64,
    /// Entity of that process.
    pub(crate) entity: Option<u64>,
    /// Entity of the other end, once it is a process.
    pub(crate) peer: Option<u64>,
    pub(crate) connection: Connection,
    /// Key of the other end, if it was found on this host.
    pub(crate) peer_key: Option<u64>,
    /// Bytes that it holds, when it was last looked at.
    pub(crate) held: usize,
    /// It is in the list of those where something waits.
    pub(crate) is_listed: bool,
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
    /// First byte of the last call that sent.
    pub(crate) last_sent: u32,
    /// Of one that is shared by several tasks: whose messages it sends.
    pub(crate) handed: Option<Box<Handed>>,
}

impl Socket {
    fn new(
        (netns, transport): Space,
        (local, remote): (SocketAddr, SocketAddr),
        pid: u32,
        role: Option<Role>,
        settings: &Arc<Settings>,
        now_us: u64,
    ) -> Self {
        Self {
            netns,
            transport,
            local,
            remote,
            pid,
            peer_pid: 0,
            hint: None,
            judged: false,
            unknown_peers: Some(0),
            parent: None,
            used_us: now_us,
            entity: None,
            peer: None,
            connection: Connection::new(role, kind_of(transport), Arc::clone(settings)),
            peer_key: None,
            held: 0,
            is_listed: false,
            policy: Policy::Prefix,
            ignored: false,
            met_us: now_us,
            closed_us: None,
            traffic: Traffic::default(),
            min_rtt_us: 0,
            retransmits: 0,
            last_sent: 0,
            handed: None,
            retransmits_before: 0,
            last_egress: None,
        }
    }

    /// The socket in the kernel.
    pub(crate) fn cookie(&self, key: u64) -> u64 {
        self.parent.unwrap_or(key)
    }

    /// Role of this end, as far as it is known.
    pub(crate) fn role(&self) -> Option<Role> {
        self.connection.role().or(self.hint)
    }

    /// Bytes moved at this time. Whoever speaks first in datagrams is the client, as a rule; a message knows better.
    pub(crate) fn used(&mut self, egress: bool, now_us: u64) {
        self.used_us = now_us;
        if self.transport == abi::TRANSPORT_UDP && self.hint.is_none() {
            self.hint = Some(if egress { Role::Client } else { Role::Server });
        }
    }

    /// Whether it is an end of a Unix socket.
    pub(crate) fn is_unix(&self) -> bool {
        is_unix(self.transport)
    }
}

/// Address and port of one side, in the kernel's form.
fn address(bytes: [u8; 16], port: u16) -> SocketAddr {
    SocketAddr::new(Ipv6Addr::from(bytes).to_canonical(), port)
}

fn is_unix(transport: u32) -> bool {
    transport == abi::TRANSPORT_UNIX_STREAM || transport == abi::TRANSPORT_UNIX_DATAGRAM
}

fn kind_of(transport: u32) -> Transport {
    match transport {
        abi::TRANSPORT_UDP | abi::TRANSPORT_UNIX_DATAGRAM => Transport::Datagram,
        _ => Transport::Stream,
    }
}

/// Key of the socket that stands for a peer of an unconnected one.
fn peer_key(cookie: u64, peer: SocketAddr) -> u64 {
    let mut hasher = DefaultHasher::new();
    (cookie, peer).hash(&mut hasher);
    hasher.finish()
}

/// A transport's number space of ports, in a network namespace.
type Space = (u32, u32);

/// All sockets.
pub(crate) struct Sockets {
    /// Boxed, for a map has more places than entries.
    by_cookie: Map<u64, Box<Socket>>,
    /// Local and remote end → cookie.
    by_tuple: Map<(Space, SocketAddr, SocketAddr), u64>,
    /// Transport, local and remote end → cookie, in any network namespace; without loopback, which each namespace has.
    by_addresses: Map<(u32, SocketAddr, SocketAddr), u64>,
    listeners: Listeners,
    /// Unix sockets: cookie → cookie of the other end.
    pairs: Map<u64, u64>,
    /// Unconnected sockets: cookie → keys of their peers.
    children: Map<u64, Set<u64>>,
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
            by_cookie: Map::default(),
            by_tuple: Map::default(),
            by_addresses: Map::default(),
            listeners: Listeners::default(),
            pairs: Map::default(),
            children: Map::default(),
            limit,
        }
    }

    /// Takes a socket's identity, from its first event or from the list of older sockets.
    pub(crate) fn meet(&mut self, event: &abi::SocketEvent, settings: &Arc<Settings>, now_us: u64) -> Met {
        let local = address(event.local_address, event.local_port);
        let remote = address(event.remote_address, event.remote_port);
        let space = (event.netns, event.transport);
        let is_open = event.transport == abi::TRANSPORT_UDP && event.remote_port == 0;
        let listens = event.role == abi::ROLE_LISTENER || (is_open && event.local_port != 0);
        let (place, pid) = ((space, event.local_port), event.header.pid);
        if listens && !self.listeners.insert(event.cookie, place, pid, now_us, self.limit) {
            return Met::Full;
        }
        if event.role == abi::ROLE_LISTENER {
            return Met::Listener;
        }
        if self.is_full() && !self.by_cookie.contains_key(&event.cookie) {
            return Met::Full;
        }
        let role = match event.role {
            abi::ROLE_CLIENT => Some(Role::Client),
            abi::ROLE_SERVER => Some(Role::Server),
            _ if event.transport == abi::TRANSPORT_TCP => self.role_by_listeners(space, local, remote),
            _ => None,
        };
        if event.peer_cookie != 0 {
            self.pairs.insert(event.cookie, event.peer_cookie);
            self.pairs.insert(event.peer_cookie, event.cookie);
        }
        let known = self.by_cookie.remove(&event.cookie);
        if let Some(known) = &known {
            self.forget_place(event.cookie, known);
        }
        let pid = if event.header.pid != 0 { event.header.pid } else { known.as_ref().map_or(0, |known| known.pid) };
        let mut socket = Socket {
            traffic: known.as_ref().map_or_else(Traffic::default, |known| known.traffic),
            // Of one end that became known by its place.
            peer_pid: event.peer_pid,
            ignored: u32::from(event.policy) == abi::POLICY_IGNORE,
            ..Socket::new(space, (local, remote), pid, role, settings, now_us)
        };
        match known {
            Some(known) => {
                (socket.connection, socket.held, socket.is_listed) = (known.connection, known.held, known.is_listed);
            }
            None if event.from_start != 0 => {
                socket.connection.start_at(true, event.send_seq);
                socket.connection.start_at(false, event.receive_seq);
            }
            None => {}
        }
        self.insert(event.cookie, socket);
        Met::Connection
    }

    /// The socket that stands for a peer of an unconnected one; `None` if that one is not known, or the table is full.
    pub(crate) fn peer_socket(
        &mut self,
        cookie: u64,
        peer: ([u8; 16], u16),
        settings: &Arc<Settings>,
        now_us: u64,
    ) -> Option<u64> {
        let remote = address(peer.0, peer.1);
        let key = peer_key(cookie, remote);
        if self.by_cookie.contains_key(&key) {
            return Some(key);
        }
        let parent = self.by_cookie.get(&cookie)?;
        let space = (parent.netns, parent.transport);
        let child = Socket {
            parent: Some(cookie),
            ignored: parent.ignored,
            ..Socket::new(space, (parent.local, remote), parent.pid, None, settings, now_us)
        };
        if self.is_full() {
            return None;
        }
        self.children.entry(cookie).or_default().insert(key);
        self.insert(key, child);
        Some(key)
    }

    fn insert(&mut self, cookie: u64, socket: Socket) {
        if !socket.is_unix() {
            let space = (socket.netns, socket.transport);
            self.by_tuple.insert((space, socket.local, socket.remote), cookie);
            if !socket.local.ip().is_loopback() {
                self.by_addresses.insert((socket.transport, socket.local, socket.remote), cookie);
            }
        }
        self.by_cookie.insert(cookie, Box::new(socket));
    }

    /// The side whose port is listened on is the server.
    fn role_by_listeners(&self, space: Space, local: SocketAddr, remote: SocketAddr) -> Option<Role> {
        if self.listeners.pid(&(space, local.port())).is_some() {
            return Some(Role::Server);
        }
        if remote.ip().is_loopback() && self.listeners.pid(&(space, remote.port())).is_some() {
            return Some(Role::Client);
        }
        None
    }

    /// Notes whether a peer of an unconnected socket is understood. True once several are not and none is: then nothing is to
    /// be learned from the socket's payload.
    pub(crate) fn judge_peer(&mut self, cookie: u64, key: u64, is_known: bool, is_unknown: bool) -> bool {
        let Some(peer) = self.by_cookie.get_mut(&key) else { return false };
        if peer.judged || !(is_known || is_unknown) {
            return false;
        }
        peer.judged = true;
        let Some(parent) = self.by_cookie.get_mut(&cookie) else { return false };
        if is_known {
            parent.unknown_peers = None;
            return false;
        }
        parent.unknown_peers = parent.unknown_peers.map(|count| count.saturating_add(1));
        parent.unknown_peers == Some(UNKNOWN_PEERS)
    }

    /// Keys of the peers of an unconnected socket.
    pub(crate) fn children_of(&self, cookie: u64) -> Vec<u64> {
        self.children.get(&cookie).map(|children| children.iter().copied().collect()).unwrap_or_default()
    }

    pub(crate) fn get_mut(&mut self, cookie: u64) -> Option<&mut Socket> {
        self.by_cookie.get_mut(&cookie).map(Box::as_mut)
    }

    pub(crate) fn get(&self, cookie: u64) -> Option<&Socket> {
        self.by_cookie.get(&cookie).map(Box::as_ref)
    }

    /// Cookie of the other end, if it is on this host: in the same network namespace, or in another one under the same
    /// addresses (veth without translation).
    pub(crate) fn peer_of(&self, socket: &Socket, cookie: u64) -> Option<u64> {
        if socket.is_unix() {
            return self.pairs.get(&cookie).copied();
        }
        let here = self.by_tuple.get(&((socket.netns, socket.transport), socket.remote, socket.local));
        here.or_else(|| self.by_addresses.get(&(socket.transport, socket.remote, socket.local))).copied()
    }

    /// Process that listens where this client's connection goes, on this host.
    pub(crate) fn listener_of_remote(&self, socket: &Socket) -> Option<u32> {
        let is_here = socket.remote.ip().is_loopback() || socket.remote.ip() == socket.local.ip();
        let key = ((socket.netns, socket.transport), socket.remote.port());
        is_here.then(|| self.listeners.pid(&key)).flatten()
    }

    /// Process that listens on this server socket's port.
    pub(crate) fn listener_of_local(&self, socket: &Socket) -> Option<u32> {
        self.listeners.pid(&((socket.netns, socket.transport), socket.local.port()))
    }

    /// Sockets whose end no event tells: those of datagrams and of Unix.
    pub(crate) fn has_silent_ends(&self) -> bool {
        self.by_cookie.values().any(|socket| socket.transport != abi::TRANSPORT_TCP && socket.closed_us.is_none())
    }

    /// The socket is gone; it is remembered for a while.
    pub(crate) fn close(&mut self, cookie: u64, now_us: u64) {
        if let Some(socket) = self.by_cookie.get_mut(&cookie) {
            socket.closed_us = Some(now_us);
        }
    }

    /// A listening or unconnected socket is gone.
    pub(crate) fn close_listener(&mut self, cookie: u64, now_us: u64) {
        self.listeners.close(cookie, now_us);
    }

    /// Listeners met before `until_us` that are not alive any more have closed unseen.
    pub(crate) fn reconcile_listeners(&mut self, alive: &Set<u64>, until_us: u64, now_us: u64) {
        self.listeners.reconcile(alive, until_us, now_us);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Socket)> {
        self.by_cookie.iter().map(|(&cookie, socket)| (cookie, socket.as_ref()))
    }
}

/// The 16 bytes of an address as stored: IPv4 is mapped.
pub(crate) fn stored(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
