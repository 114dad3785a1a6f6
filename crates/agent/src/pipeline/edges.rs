//! Who is at both ends of a connection.

use hadal_bpf::Policy;
use hadal_flow::Role;
use hadal_model::ObservationPoint;
use hadal_tag::process_entity;

use super::{Decision, Pipeline};
use crate::metrics::Edge;

impl Pipeline {
    /// The edge a socket is an end of; `None` while its role is not known, or if either end is not recorded.
    pub(super) fn edge_of(&mut self, cookie: u64) -> Option<Edge> {
        let socket = self.sockets.get(cookie)?;
        // Of Unix sockets only those that speak a known protocol: the rest is the host's own murmur.
        if socket.ignored || (socket.is_unix() && socket.connection.protocol().is_none()) {
            return None;
        }
        let is_client = socket.role()? == Role::Client;
        let server_port = if is_client { socket.remote.port() } else { socket.local.port() };
        let (own, peer) = (socket.entity, socket.peer);
        let own = own.or_else(|| self.own_entity(cookie, is_client))?;
        let peer = peer.or_else(|| self.peer_entity(cookie, is_client))?;
        let (client, server, point) = if is_client {
            (own, peer, ObservationPoint::ClientProcess)
        } else {
            (peer, own, ObservationPoint::ServerProcess)
        };
        Some(Edge { client, server, point, server_port })
    }

    fn own_entity(&mut self, cookie: u64, is_client: bool) -> Option<u64> {
        let socket = self.sockets.get(cookie)?;
        let listener = if is_client { None } else { self.sockets.listener_of_local(socket) };
        let pid = if socket.pid != 0 { socket.pid } else { listener? };
        let (local, is_unix) = (socket.local.ip(), socket.is_unix());
        let entity = match self.process_entity(pid) {
            Some(entity) => entity,
            None if is_unix => return None,
            None => self.address_entity(local, !is_client),
        };
        self.sockets.get_mut(cookie)?.entity = Some(entity);
        Some(entity)
    }

    /// The other end: a process of this host if there is one, else what its address stands for.
    fn peer_entity(&mut self, cookie: u64, peer_is_server: bool) -> Option<u64> {
        let socket = self.sockets.get(cookie)?;
        let (remote, is_unix, unix_peer) = (socket.remote.ip(), socket.is_unix(), socket.peer_pid);
        let kernel_cookie = socket.cookie(cookie);
        let listener = if peer_is_server { self.sockets.listener_of_remote(socket) } else { None };
        let peer =
            self.sockets.peer_of(socket, cookie).and_then(|peer| self.sockets.get(peer).map(|found| (peer, found)));
        let found_pid = peer.as_ref().map_or(0, |(_, found)| found.pid);
        // Known from when its process was alive, which it may not be any more.
        let found_entity = peer.as_ref().and_then(|(_, found)| found.entity);
        let named = if unix_peer != 0 { Some(unix_peer) } else { listener };
        let pid = if found_pid != 0 { Some(found_pid) } else { named };
        if peer.is_some_and(|(_, found)| found.ignored) || pid.is_some_and(|pid| self.ignored.contains(&pid)) {
            self.sockets.get_mut(cookie)?.ignored = true;
            // An unconnected socket has other peers too.
            if kernel_cookie == cookie {
                self.decisions.push(Decision::Socket(cookie, Policy::Ignore));
            }
            return None;
        }
        let Some(entity) = found_entity.or_else(|| pid.and_then(|pid| self.process_entity(pid))) else {
            return (!is_unix).then(|| self.address_entity(remote, peer_is_server));
        };
        // A listener's process may hand the connection to another one; only the connection's own user is final.
        if found_pid != 0 || found_entity.is_some() {
            self.sockets.get_mut(cookie)?.peer = Some(entity);
        }
        Some(entity)
    }

    /// Process at the other end, 0 if that is not on this host.
    pub(super) fn peer_pid(&mut self, cookie: u64) -> u32 {
        let Some(socket) = self.sockets.get(cookie) else { return 0 };
        if let Some(peer) = socket.peer_key.and_then(|peer| self.sockets.get(peer)) {
            return peer.pid;
        }
        let found = self.sockets.peer_of(socket, cookie);
        let pid = found.and_then(|peer| self.sockets.get(peer)).map_or(0, |peer| peer.pid);
        if let Some(socket) = self.sockets.get_mut(cookie) {
            socket.peer_key = found;
        }
        pid
    }

    /// Coroutines are told apart from when the kernel knows what runs the code of a process.
    pub(super) fn meet_process(&mut self, pid: u32) {
        if !self.processes.meet(pid) {
            return;
        }
        let decision = self.source.go_layout(pid).map_or(Decision::Met(pid), |layout| Decision::Go(pid, layout));
        self.decisions.push(decision);
    }

    fn process_entity(&mut self, pid: u32) -> Option<u64> {
        let facts = self.processes.facts(pid, &*self.source)?;
        self.meet_process(pid);
        Some(self.entities.intern(process_entity(&self.agent, &self.host, &facts)))
    }

    fn address_entity(&mut self, address: std::net::IpAddr, is_server: bool) -> u64 {
        let entity = self.addresses.entity(&self.agent, address, is_server);
        self.entities.intern(entity)
    }
}
