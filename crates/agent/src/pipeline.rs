//! Kernel events become rows. Reads no clock; all times are given.

mod edges;
mod handed;
mod room;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use hadal_abi::{self as abi, Event};
use hadal_bpf::{GoLayout, Policy};
use hadal_flow::{Origin, Output, PayloadNeed, Role, Segment, Session, Settings};
use hadal_link::client::Outgoing;
use hadal_link::control::EntityFacts;
use hadal_model::catalog;
use hadal_model::{LossCause, MessageType, ObservationPoint, Transport};
use hadal_tag::{AddressLimits, Addresses, Entities, Entity, ProcessFacts};

pub(crate) use handed::Handed;

use crate::config::AgentConfig;
use crate::hash::{Map, Set};
use crate::metrics::{ApplicationKey, Edge, Metrics, NetworkKey};
use crate::processes::Processes;
use crate::rows::{self, L7Row, L7Rows};
use crate::sockets::{Met, Socket, Sockets, Traffic, stored};

/// Rows of the log per batch.
const LOG_BATCH: usize = 8192;

const _: () = assert!(hadal_model::CONTEXT_SHARED == abi::CONTEXT_SHARED as u64);
const _: () = assert!(hadal_model::CONTEXT_OWN == abi::CONTEXT_OWN as u64);
const _: () = assert!(hadal_model::CONTEXT_NESTED == abi::CONTEXT_NESTED as u64);
const _: () = assert!(hadal_model::CONTEXT_HANDED == abi::CONTEXT_HANDED as u64);

/// How long a call of io_uring waits for its payload, in microseconds.
const PAYLOAD_WAIT_US: u64 = 50_000;
/// Sockets of other network namespaces that are remembered.
const MAX_ELSEWHERE: usize = 65_536;
/// Sockets that are asked for their identity at once.
const MAX_ASKED: usize = 1024;
/// Calls of io_uring that wait for their payload, on all sockets.
const MAX_HELD: usize = 4096;

/// Age from which a socket must be in a list of all sockets, in microseconds.
const RECONCILE_AGE_US: u64 = 2_000_000;

/// Where facts about processes come from.
pub trait ProcessSource {
    /// Facts about a process that runs now.
    fn facts(&self, pid: u32) -> Option<ProcessFacts>;

    /// A path with its links resolved, so that a program has one name whichever way it was called.
    fn resolve(&self, path: &str) -> String;

    /// Where a running program keeps the numbers of goroutines; `None` if it is not Go.
    fn go_layout(&self, pid: u32) -> Option<GoLayout>;
}

/// What the pipeline wants the kernel to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Policy of a socket, by cookie.
    Socket(u64, Policy),
    /// Do not record this process.
    IgnoreProcess(u32),
    /// The process is gone.
    ForgetProcess(u32),
    /// The process runs Go, and keeps the numbers of goroutines there.
    Go(u32, GoLayout),
    /// The process runs something else.
    Met(u32),
}

/// What one second gave.
#[derive(Debug, Default)]
pub struct Tick {
    /// To be sent, in order.
    pub outgoing: Vec<Outgoing>,
    /// Requests of the second, at all observation points.
    pub requests: u64,
}

/// The agent's state.
pub struct Pipeline {
    agent: String,
    host: String,
    settings: Arc<Settings>,
    log_rows_per_second: usize,
    /// No request is logged, for the host is short of CPU.
    log_shed: bool,
    source: Box<dyn ProcessSource>,
    processes: Processes,
    sockets: Sockets,
    entities: Entities,
    addresses: Addresses,
    metrics: Metrics,
    log: L7Rows,
    logged: usize,
    requests: u64,
    output: Output,
    /// Connections with requests or segments that wait, and some where nothing waits any more.
    waiting: Vec<u64>,
    /// What all connections hold, and may hold.
    held_bytes: usize,
    max_buffered_bytes: usize,
    /// Until then there is no use in looking for room in the table of sockets.
    no_room_until_us: u64,
    /// Sockets whose identity the kernel was asked for again.
    asked: Set<u64>,
    /// Calls of io_uring whose payload comes later, oldest first.
    held: VecDeque<abi::DataEvent>,
    ignored: Set<u32>,
    /// Sockets of other network namespaces are not recorded.
    only_netns: Option<u32>,
    /// Such sockets: what the kernel tells of them until it knows better is not lost.
    elsewhere: Set<u64>,
    /// File names of Hadal's own programs.
    own_programs: Vec<String>,
    decisions: Vec<Decision>,
    losses: Map<LossCause, u64>,
    batches: Vec<Outgoing>,
    /// Added to the kernel's monotonic time in microseconds to get UTC.
    clock_offset_us: u64,
    flow_id_base: u64,
}

impl Pipeline {
    /// An empty pipeline. `boot` is a random number of this start.
    pub fn new(config: &AgentConfig, agent: &str, host: &str, boot: u64, source: Box<dyn ProcessSource>) -> Self {
        Self {
            agent: agent.to_owned(),
            host: host.to_owned(),
            settings: Arc::new(config.flow_settings()),
            log_rows_per_second: config.log_rows_per_second as usize,
            log_shed: false,
            source,
            processes: Processes::new(config.max_processes),
            sockets: Sockets::new(config.max_sockets),
            entities: Entities::new(agent, config.max_entities),
            addresses: Addresses::new(AddressLimits::default()),
            metrics: Metrics::new(config.max_endpoints),
            log: L7Rows::new(),
            logged: 0,
            requests: 0,
            output: Output::default(),
            waiting: Vec::new(),
            held_bytes: 0,
            max_buffered_bytes: config.max_buffered_bytes,
            no_room_until_us: 0,
            asked: Set::default(),
            held: VecDeque::new(),
            ignored: Set::default(),
            only_netns: None,
            elsewhere: Set::default(),
            own_programs: Vec::new(),
            decisions: Vec::new(),
            losses: Map::default(),
            batches: Vec::new(),
            clock_offset_us: 0,
            flow_id_base: boot.rotate_left(17),
        }
    }

    /// Sets what is added to the kernel's time to get UTC, in microseconds.
    pub fn set_clock_offset(&mut self, offset_us: u64) {
        self.clock_offset_us = offset_us;
    }

    /// Applies configuration from the server to new connections.
    pub fn configure(&mut self, config: &AgentConfig) {
        self.settings = Arc::new(config.flow_settings());
        self.log_rows_per_second = config.log_rows_per_second as usize;
    }

    /// Whether the request log is shed.
    pub fn shed_log(&mut self, shed: bool) {
        self.log_shed = shed;
    }

    /// Sockets of this process are not recorded: the agent's and the server's own.
    pub fn ignore_process(&mut self, pid: u32) {
        if self.ignored.insert(pid) {
            self.decisions.push(Decision::IgnoreProcess(pid));
        }
    }

    /// Sockets of other network namespaces are not recorded.
    pub fn only_network(&mut self, netns: u32) {
        self.only_netns = Some(netns);
    }

    /// Processes that execute a file of one of these names are not recorded.
    pub fn ignore_programs(&mut self, names: Vec<String>) {
        self.own_programs = names;
    }

    /// Counts losses found elsewhere.
    pub fn count_loss(&mut self, cause: LossCause, count: u64) {
        if count > 0 {
            *self.losses.entry(cause).or_default() += count;
        }
    }

    /// What the kernel should do, since the last call.
    pub fn take_decisions(&mut self) -> Vec<Decision> {
        std::mem::take(&mut self.decisions)
    }

    /// Takes the sockets that are older than the agent; listeners first, since they tell the roles.
    pub fn list(&mut self, mut sockets: Vec<abi::SocketEvent>) {
        sockets.sort_by_key(|socket| socket.role != abi::ROLE_LISTENER);
        let established = |socket: &abi::SocketEvent| {
            socket.transport != abi::TRANSPORT_TCP || socket.role == abi::ROLE_LISTENER || socket.remote_port != 0
        };
        for socket in sockets.iter().filter(|socket| established(socket)) {
            self.meet(socket);
        }
    }

    /// After events were lost: takes a new list of all sockets and processes, and forgets those that ended unseen.
    pub fn reconcile(&mut self, listed: Vec<abi::SocketEvent>, running: &Set<u32>, now_us: u64) {
        self.processes.reconcile(running, now_us);
        for gone in self.ignored.extract_if(|pid| !running.contains(pid)) {
            self.decisions.push(Decision::ForgetProcess(gone));
        }
        let alive: Set<u64> = listed.iter().map(|socket| socket.cookie).collect();
        // A socket that was met just now may be younger than the list.
        let is_gone = |cookie: &u64, socket: &Socket| {
            !alive.contains(&socket.cookie(*cookie))
                && socket.closed_us.is_none()
                && socket.met_us + RECONCILE_AGE_US < now_us
        };
        let gone: Vec<_> =
            self.sockets.iter().filter(|(cookie, socket)| is_gone(cookie, socket)).map(|(cookie, _)| cookie).collect();
        for cookie in gone {
            self.close_at(cookie, Origin { time_us: now_us, ..Origin::default() });
        }
        self.sockets.reconcile_listeners(&alive, now_us.saturating_sub(RECONCILE_AGE_US), now_us);
        let unknown = listed.into_iter().filter(|socket| self.sockets.get(socket.cookie).is_none());
        self.list(unknown.collect());
    }

    /// Takes one event of the kernel.
    pub fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Data(event, _) if u32::from(event.flags) & abi::FLAG_URING != 0 => self.hold(event),
            Event::Data(event, payload) => self.data(&event, payload),
            Event::Payload(event, payload) => self.late_payload(&event, payload),
            Event::Socket(event) => self.opened(&event),
            Event::Close(event) => self.closed(&event),
            Event::End(event) => self.end_of_stream(&event),
            Event::Exec(event) => self.executed(&event),
            Event::Fork(event) => self.processes.forked(event.header.pid, event.child),
            Event::Exit(event) => self.exited(&event.header),
            Event::Handed(event) => self.handed(&event),
            Event::Joined(event) => self.log.join(event.from, event.to),
        }
    }

    fn time_us(&self, header: &abi::Header) -> u64 {
        header.time_ns / 1000 + self.clock_offset_us
    }

    fn executed(&mut self, event: &abi::ExecEvent) {
        let filename = until_nul(&event.filename);
        let length = (event.args_length as usize).min(event.args.len());
        let args = event.args[..length].split(|&byte| byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned());
        let mut args: Vec<_> = args.collect();
        if args.last().is_some_and(String::is_empty) {
            args.pop();
        }
        if filename.rsplit('/').next().is_some_and(|name| self.own_programs.iter().any(|own| own == name)) {
            self.ignore_process(event.header.pid);
        }
        self.processes.executed(event.header.pid, event.parent, &filename, args);
    }

    fn exited(&mut self, header: &abi::Header) {
        let now_us = self.time_us(header);
        let was_met = self.processes.exited(header.pid, now_us);
        if self.ignored.remove(&header.pid) | was_met {
            self.decisions.push(Decision::ForgetProcess(header.pid));
        }
    }

    fn meet(&mut self, event: &abi::SocketEvent) {
        // As if it were on another host: it is no peer either.
        if self.only_netns.is_some_and(|only| event.netns != only) {
            if self.elsewhere.len() >= MAX_ELSEWHERE {
                self.elsewhere.clear();
            }
            self.elsewhere.insert(event.cookie);
            self.decisions.push(Decision::Socket(event.cookie, Policy::Ignore));
            return;
        }
        let now_us = self.time_us(&event.header);
        // Before its first request.
        if event.role == abi::ROLE_LISTENER && self.processes.facts(event.header.pid, &*self.source).is_some() {
            self.meet_process(event.header.pid);
        }
        self.make_room(now_us);
        if self.sockets.meet(event, &self.settings, now_us) == Met::Full {
            self.count_loss(LossCause::ConnectionTableFull, 1);
        }
        if self.ignored.contains(&event.header.pid)
            && let Some(socket) = self.sockets.get_mut(event.cookie)
        {
            socket.ignored = true;
            self.decisions.push(Decision::Socket(event.cookie, Policy::Ignore));
        }
    }

    fn opened(&mut self, event: &abi::SocketEvent) {
        // Once is enough: the decision would stand for every change of direction.
        if self.asked.remove(&event.cookie) {
            self.decisions.push(Decision::Socket(event.cookie, Policy::Prefix));
        }
        let is_new = self.sockets.get(event.cookie).is_none();
        self.meet(event);
        if !is_new || event.role == abi::ROLE_LISTENER {
            return;
        }
        if let Some(socket) = self.sockets.get_mut(event.cookie) {
            socket.traffic.opened += 1;
            socket.traffic.connect_us += u64::from(event.connect_us);
        }
    }

    fn hold(&mut self, event: abi::DataEvent) {
        if self.held.len() >= MAX_HELD
            && let Some(oldest) = self.held.pop_front()
        {
            self.data(&oldest, &[]);
        }
        self.held.push_back(event);
    }

    /// The payload of the oldest call held that it fits.
    fn late_payload(&mut self, event: &abi::DataEvent, payload: &[u8]) {
        let fits = |held: &abi::DataEvent| {
            (held.cookie, held.direction, held.length) == (event.cookie, event.direction, event.length)
        };
        let Some(held) = self.held.iter().position(fits).and_then(|at| self.held.remove(at)) else { return };
        self.data(&held, payload);
    }

    /// Calls whose payload does not come go on without it.
    fn release_held(&mut self, now_us: u64) {
        while let Some(oldest) = self.held.front().copied() {
            if self.time_us(&oldest.header) + PAYLOAD_WAIT_US > now_us {
                return;
            }
            self.held.pop_front();
            self.data(&oldest, &[]);
        }
    }

    /// The socket of an event: itself, or the one that stands for the peer of an unconnected one.
    fn socket_of(&mut self, event: &abi::DataEvent, time_us: u64) -> Option<u64> {
        if event.peer_port == 0 {
            return Some(event.cookie);
        }
        let peer = (event.peer_address, event.peer_port);
        self.make_room(time_us);
        self.sockets.peer_socket(event.cookie, peer, &self.settings, time_us)
    }

    fn data(&mut self, event: &abi::DataEvent, payload: &[u8]) {
        let time_us = self.time_us(&event.header);
        let egress = u32::from(event.direction) == abi::EGRESS;
        let key = self.socket_of(event, time_us);
        let Some((key, socket)) = key.and_then(|key| Some((key, self.sockets.get_mut(key)?))) else {
            return self.unknown_socket(event.cookie);
        };
        if socket.ignored || self.ignored.contains(&event.header.pid) {
            return;
        }
        if socket.pid != event.header.pid && event.header.pid != 0 {
            socket.pid = event.header.pid;
            socket.entity = None;
        }
        socket.used(egress, time_us);
        note_traffic(socket, event, egress);
        let begins = socket.last_egress.is_some_and(|last| last != egress)
            && socket.role().is_some_and(|role| egress == (role == Role::Client));
        if begins {
            socket.retransmits_before = socket.retransmits;
        }
        socket.retransmits = event.retransmits;
        socket.min_rtt_us = believable(event.min_rtt_us);
        socket.last_egress = Some(egress);
        let origin =
            Origin { time_us, seq: event.seq, context: event.context, pid: event.header.pid, tid: event.header.tid };
        let segment = Segment { seq: event.seq, length: event.length, captured: payload, first: origin, last: origin };
        socket.connection.data(egress, segment, &mut self.output);
        if egress {
            handed::sent(socket, event);
        }
        let policy = policy_for(socket.connection.needs_payload(), socket.connection.protocol().is_some());
        // What is decided of one peer of an unconnected socket would hold for all.
        if key == event.cookie && policy != socket.policy {
            socket.policy = policy;
            self.decisions.push(Decision::Socket(event.cookie, policy));
        }
        let (is_known, is_unknown) = (socket.connection.protocol().is_some(), socket.connection.is_unknown());
        if key != event.cookie && self.sockets.judge_peer(event.cookie, key, is_known, is_unknown) {
            self.decisions.push(Decision::Socket(event.cookie, Policy::Count));
        }
        self.follow(key);
        self.drain(key);
        self.bound_held();
    }

    /// Its identity was lost with a full ring, or the table was full: the kernel is asked to tell it again.
    fn unknown_socket(&mut self, cookie: u64) {
        if self.elsewhere.contains(&cookie) {
            return;
        }
        self.count_loss(LossCause::ConnectionTableFull, 1);
        if !self.sockets.is_full() && self.asked.len() < MAX_ASKED && self.asked.insert(cookie) {
            self.decisions.push(Decision::Socket(cookie, Policy::Announce));
        }
    }

    fn end_of_stream(&mut self, event: &abi::CloseEvent) {
        let origin = self.origin_of(&event.header);
        if let Some(socket) = self.sockets.get_mut(event.cookie).filter(|socket| !socket.ignored) {
            socket.connection.close(false, origin, &mut self.output);
            self.follow(event.cookie);
            self.drain(event.cookie);
        }
    }

    fn closed(&mut self, event: &abi::CloseEvent) {
        let origin = self.origin_of(&event.header);
        if let Some(socket) = self.sockets.get_mut(event.cookie) {
            socket.traffic.egress_bytes += u64::from(event.unseen_egress);
            socket.traffic.ingress_bytes += u64::from(event.unseen_ingress);
        }
        self.elsewhere.remove(&event.cookie);
        for child in self.sockets.children_of(event.cookie) {
            self.close_at(child, origin);
        }
        self.close_at(event.cookie, origin);
        self.sockets.close_listener(event.cookie, origin.time_us);
    }

    fn close_at(&mut self, cookie: u64, origin: Origin) {
        let Some(socket) = self.sockets.get_mut(cookie) else { return };
        if socket.closed_us.is_some() {
            return;
        }
        socket.connection.finish(origin, &mut self.output);
        socket.traffic.closed += 1;
        self.follow(cookie);
        self.drain(cookie);
        self.sockets.close(cookie, origin.time_us);
    }

    fn origin_of(&self, header: &abi::Header) -> Origin {
        Origin { time_us: self.time_us(header), pid: header.pid, tid: header.tid, ..Origin::default() }
    }

    /// Turns finished sessions of a connection into metrics and log rows.
    fn drain(&mut self, cookie: u64) {
        if !self.output.losses.is_empty() {
            let losses = std::mem::take(&mut self.output.losses);
            losses.iter().for_each(|(cause, count)| self.count_loss(cause, count));
        }
        if self.output.sessions.is_empty() {
            return;
        }
        let sessions = std::mem::take(&mut self.output.sessions);
        for (name, address) in sessions.iter().filter_map(|session| session.response.as_ref()).flat_map(|r| &r.names) {
            self.addresses.learn(*address, name);
        }
        if let Some(edge) = self.edge_of(cookie) {
            for session in &sessions {
                self.record(cookie, edge, session);
            }
        }
        self.output.sessions = sessions;
        self.output.sessions.clear();
    }

    fn record(&mut self, cookie: u64, edge: Edge, session: &Session) {
        let Some(message) = session.request.as_ref().or(session.response.as_ref()) else { return };
        let start_us = message.first.time_us;
        let last = session.response.as_ref().map_or(message.last.time_us, |response| response.last.time_us);
        // The response of a request may be stamped earlier by another thread; a row never ends before it starts.
        let end_us = last.max(start_us);
        let second = (end_us / 1_000_000) as u32;
        let endpoint = self.metrics.endpoint(edge.server, &message.endpoint);
        let key = ApplicationKey { edge, protocol: message.protocol, endpoint: std::rc::Rc::clone(&endpoint) };
        self.metrics.session(second, key, session);
        self.requests += u64::from(session.kind != MessageType::Response);
        if self.log_shed || self.logged >= self.log_rows_per_second {
            return self.count_loss(LossCause::LogShed, 1);
        }
        self.logged += 1;
        let peer_pid = self.peer_pid(cookie);
        let Some(socket) = self.sockets.get(cookie) else { return };
        let is_client = edge.point == ObservationPoint::ClientProcess;
        let (client, server) = if is_client { (socket.local, socket.remote) } else { (socket.remote, socket.local) };
        self.log.push(&L7Row {
            time: second,
            start_us,
            end_us,
            edge,
            addresses: [stored(client.ip()), stored(server.ip())],
            client_port: client.port(),
            pids: if is_client { [socket.pid, peer_pid] } else { [peer_pid, socket.pid] },
            endpoint: &endpoint,
            flow_id: self.flow_id_base ^ cookie,
            rtt: socket.min_rtt_us,
            retransmissions: socket.retransmits.saturating_sub(socket.retransmits_before),
            session,
        });
        if self.log.len() >= LOG_BATCH {
            self.flush_log();
        }
    }

    /// Entities go first: a batch refers only to what the server knows.
    fn flush_log(&mut self) {
        self.flush_facts();
        if let Some(batch) = self.log.take() {
            self.batches.push(Outgoing::Batch(&catalog::L7_FLOW_LOG, batch));
        }
    }

    fn flush_facts(&mut self) {
        let facts: Vec<_> = self.entities.take_unsent().into_iter().map(to_facts).collect();
        if !facts.is_empty() {
            self.batches.push(Outgoing::Facts(facts));
        }
    }

    /// Lets requests time out and closes holes; several times per second.
    pub fn expire(&mut self, now_us: u64) {
        self.release_held(now_us);
        for cookie in self.take_waiting() {
            if let Some(socket) = self.sockets.get_mut(cookie) {
                socket.connection.expire(now_us, &mut self.output);
            }
            self.follow(cookie);
            self.drain(cookie);
        }
    }

    /// Ends a second: gives the metrics of the seconds before `now_us`, the log so far and the losses.
    pub fn tick(&mut self, now_us: u64) -> Tick {
        let second = (now_us / 1_000_000) as u32;
        self.expire(now_us);
        self.count_connections(second.saturating_sub(1));
        self.asked.clear();
        self.held_bytes -= self.sockets.expire(now_us);
        self.processes.expire(now_us);
        self.flush_log();
        let (application, network) = self.metrics.take_before(second);
        self.flush_facts();
        let application =
            rows::application(&application).map(|batch| Outgoing::Batch(&catalog::APPLICATION_MAP, batch));
        let network = rows::network(&network).map(|batch| Outgoing::Batch(&catalog::NETWORK_MAP, batch));
        self.batches.extend(application.into_iter().chain(network));
        self.flush_losses(second);
        self.logged = 0;
        Tick { outgoing: std::mem::take(&mut self.batches), requests: std::mem::take(&mut self.requests) }
    }

    /// Whether sockets are followed whose end no event tells: then [`Pipeline::reconcile`] is due now and then.
    pub fn has_silent_ends(&self) -> bool {
        self.sockets.has_silent_ends()
    }

    /// Everything that is left, at the end.
    pub fn finish(&mut self, now_us: u64) -> Tick {
        self.tick(now_us + 1_000_000)
    }

    fn flush_losses(&mut self, second: u32) {
        let (entities, endpoints) = (self.entities.take_refused(), self.metrics.take_refused());
        self.count_loss(LossCause::EntityLimit, entities);
        self.count_loss(LossCause::EndpointLimit, endpoints);
        let counts: Vec<_> = self.losses.drain().collect();
        self.batches.extend(rows::loss(second, &counts).map(|batch| Outgoing::Batch(&catalog::LOSS, batch)));
    }

    /// An edge is on the map as long as a connection is open, with or without traffic.
    fn count_connections(&mut self, second: u32) {
        let is_due = |socket: &Socket| socket.closed_us.is_none() || socket.traffic != Traffic::default();
        let due: Vec<_> = self.sockets.iter().filter(|(_, socket)| is_due(socket)).map(|(cookie, _)| cookie).collect();
        due.into_iter().for_each(|cookie| self.count_connection(cookie, second));
    }

    fn count_connection(&mut self, cookie: u64, second: u32) {
        let Some(edge) = self.edge_of(cookie) else { return };
        let Some(socket) = self.sockets.get_mut(cookie) else { return };
        let traffic = std::mem::take(&mut socket.traffic);
        let is_open = socket.closed_us.is_none();
        let row = self.metrics.network(second, NetworkKey { edge, transport: transport_of(socket.transport) });
        let (tx, rx) = match edge.point {
            ObservationPoint::ClientProcess => (traffic.egress_bytes, traffic.ingress_bytes),
            _ => (traffic.ingress_bytes, traffic.egress_bytes),
        };
        row.byte_tx += tx;
        row.byte_rx += rx;
        row.new_flow += traffic.opened;
        row.closed_flow += traffic.closed;
        row.active_flow += u64::from(is_open);
        row.retrans += traffic.retransmits;
        row.connect_sum += traffic.connect_us;
        row.connect_count += u64::from(traffic.connect_us > 0);
        row.rtt_sum += traffic.rtt_sum;
        row.rtt_count += traffic.rtt_count;
    }
}

fn transport_of(transport: u32) -> Transport {
    match transport {
        abi::TRANSPORT_UDP => Transport::Udp,
        abi::TRANSPORT_UNIX_STREAM | abi::TRANSPORT_UNIX_DATAGRAM => Transport::Unix,
        _ => Transport::Tcp,
    }
}

/// The kernel's value before the first sample is the largest there is.
fn believable(rtt_us: u32) -> u32 {
    if rtt_us == u32::MAX { 0 } else { rtt_us }
}

/// Bytes that no call showed are in the sequence: they count, and what overlaps counts once.
fn note_traffic(socket: &mut Socket, event: &abi::DataEvent, egress: bool) {
    let traffic = &mut socket.traffic;
    let bytes = i64::from(event.length) + i64::from(event.skipped.cast_signed());
    *(if egress { &mut traffic.egress_bytes } else { &mut traffic.ingress_bytes }) += bytes.max(0).unsigned_abs();
    traffic.retransmits += u64::from(event.retransmits.saturating_sub(socket.retransmits));
    traffic.rtt_sum += u64::from(event.srtt_us);
    traffic.rtt_count += u64::from(event.srtt_us > 0);
}

/// While the protocol is not known, the usual prefix is enough to tell it.
fn policy_for(needs: PayloadNeed, is_known: bool) -> Policy {
    match needs {
        PayloadNeed::None => Policy::Count,
        PayloadNeed::All if is_known => Policy::Whole,
        PayloadNeed::All => Policy::Prefix,
        PayloadNeed::Flips => Policy::Flips,
    }
}

fn to_facts(entity: Entity) -> EntityFacts {
    EntityFacts {
        key: entity.key,
        tags: entity.tags.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

fn until_nul(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
