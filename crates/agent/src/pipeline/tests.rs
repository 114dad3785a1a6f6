//! Events in, batches out.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt64Type};
use hadal_abi::{CloseEvent, DataEvent, Header, ProcessEvent, SocketEvent};

use super::*;

const CLIENT: u32 = 100;
const SERVER: u32 = 200;
const SECOND: u64 = 1_000_000;

/// Two programs that run, and nothing else.
struct Two;

impl ProcessSource for Two {
    fn facts(&self, pid: u32) -> Option<ProcessFacts> {
        let executable = match pid {
            CLIENT => "/usr/bin/curl",
            SERVER => "/usr/sbin/nginx",
            _ => return None,
        };
        Some(ProcessFacts { executable: executable.to_owned(), ..ProcessFacts::default() })
    }

    fn resolve(&self, path: &str) -> String {
        path.to_owned()
    }

    fn go_layout(&self, _: u32) -> Option<GoLayout> {
        None
    }
}

fn pipeline() -> Pipeline {
    Pipeline::new(&AgentConfig::default(), "agent", "host", 1, Box::new(Two))
}

/// An event of zeroes; no kernel event is longer than this.
fn zeroed<T: abi::Plain>() -> T {
    abi::read(&[0; 1024]).unwrap()
}

fn header(pid: u32, kind: u32, time_us: u64) -> Header {
    Header { time_ns: time_us * 1000, kind, pid, tid: pid, reserved: 0 }
}

fn address(last: u8) -> [u8; 16] {
    std::net::Ipv4Addr::new(127, 0, 0, last).to_ipv6_mapped().octets()
}

fn socket(cookie: u64, pid: u32, role: u32, local_port: u16, remote_port: u16) -> SocketEvent {
    SocketEvent {
        header: header(pid, abi::EVENT_SOCKET, SECOND),
        cookie,
        netns: 1,
        family: 2,
        transport: abi::TRANSPORT_TCP,
        role,
        state: 1,
        local_address: address(1),
        remote_address: address(1),
        local_port,
        remote_port,
        ..zeroed()
    }
}

fn data(pipeline: &mut Pipeline, cookie: u64, pid: u32, egress: bool, time_us: u64, bytes: &[u8]) {
    let event = DataEvent {
        header: header(pid, abi::EVENT_DATA, time_us),
        cookie,
        seq: 1,
        length: bytes.len() as u32,
        captured: bytes.len() as u32,
        direction: u16::from(egress),
        srtt_us: 50,
        min_rtt_us: 40,
        ..zeroed()
    };
    pipeline.event(Event::Data(event, bytes));
}

const REQUEST: &[u8] = b"GET /item/7 HTTP/1.1\r\nHost: shop\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/// One call over sockets 1 (client, port 40000) and 2 (server, port 80), seen at both ends.
fn call(pipeline: &mut Pipeline) {
    data(pipeline, 1, CLIENT, true, SECOND + 10, REQUEST);
    data(pipeline, 2, SERVER, false, SECOND + 20, REQUEST);
    data(pipeline, 2, SERVER, true, SECOND + 520, RESPONSE);
    data(pipeline, 1, CLIENT, false, SECOND + 610, RESPONSE);
}

fn rows(tick: &Tick, table: &str) -> Vec<RecordBatch> {
    let batch = |outgoing: &Outgoing| match outgoing {
        Outgoing::Batch(of, batch) if of.name == table => Some(batch.clone()),
        _ => None,
    };
    tick.outgoing.iter().filter_map(batch).collect()
}

fn words(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).unwrap().as_dictionary::<Int32Type>();
    let values = column.values().as_string::<i32>();
    column.keys().values().iter().map(|key| values.value(*key as usize).to_owned()).collect()
}

fn numbers(batch: &RecordBatch, name: &str) -> Vec<u64> {
    batch.column_by_name(name).unwrap().as_primitive::<UInt64Type>().values().to_vec()
}

#[test]
fn a_call_makes_a_row_at_each_end_and_both_agree_on_who_called_whom() {
    let mut pipeline = pipeline();
    pipeline.event(Event::Socket(socket(1, CLIENT, abi::ROLE_CLIENT, 40_000, 80)));
    pipeline.event(Event::Socket(socket(2, SERVER, abi::ROLE_SERVER, 80, 40_000)));
    call(&mut pipeline);
    let tick = pipeline.tick(2 * SECOND);
    let [log] = &rows(&tick, "l7_flow_log")[..] else { panic!("no log") };
    assert_eq!(words(log, "observation_point"), ["s-p", "c-p"]);
    assert_eq!(words(log, "endpoint"), ["/item/{}", "/item/{}"]);
    assert_eq!(numbers(log, "response_duration"), [500, 600]);
    let (clients, servers) = (numbers(log, "client_entity"), numbers(log, "server_entity"));
    assert!(clients[0] == clients[1] && servers[0] == servers[1] && clients[0] != servers[0]);
    let [metrics] = &rows(&tick, "application_map")[..] else { panic!("no metrics") };
    assert_eq!(numbers(metrics, "request"), [1, 1]);
    assert_eq!(numbers(metrics, "client_error"), [1, 1]);
    let facts = tick.outgoing.iter().position(|outgoing| matches!(outgoing, Outgoing::Facts(_)));
    let batch = tick.outgoing.iter().position(|outgoing| matches!(outgoing, Outgoing::Batch(..)));
    assert!(facts < batch, "facts come before what refers to them");
}

#[test]
fn older_connections_are_edges_before_any_request_and_their_roles_follow_from_listeners() {
    let mut pipeline = pipeline();
    let listed = vec![
        socket(1, CLIENT, abi::ROLE_UNKNOWN, 40_000, 80),
        socket(2, SERVER, abi::ROLE_UNKNOWN, 80, 40_000),
        socket(3, SERVER, abi::ROLE_LISTENER, 80, 0),
    ];
    pipeline.list(listed);
    let tick = pipeline.tick(2 * SECOND);
    let [network] = &rows(&tick, "network_map")[..] else { panic!("no edges") };
    let mut points = words(network, "observation_point");
    points.sort();
    assert_eq!(points, ["c-p", "s-p"]);
    assert_eq!(numbers(network, "active_flow"), [1, 1]);
    call(&mut pipeline);
    assert_eq!(rows(&pipeline.tick(3 * SECOND), "l7_flow_log")[0].num_rows(), 2);
}

#[test]
fn the_agents_own_traffic_is_not_recorded_at_either_end() {
    let mut pipeline = pipeline();
    pipeline.ignore_process(SERVER);
    pipeline.list(vec![socket(3, SERVER, abi::ROLE_LISTENER, 80, 0)]);
    pipeline.event(Event::Socket(socket(1, CLIENT, abi::ROLE_CLIENT, 40_000, 80)));
    pipeline.event(Event::Socket(socket(2, SERVER, abi::ROLE_SERVER, 80, 40_000)));
    call(&mut pipeline);
    let tick = pipeline.tick(2 * SECOND);
    assert!(rows(&tick, "l7_flow_log").is_empty());
    assert!(rows(&tick, "network_map").is_empty());
    let decisions = pipeline.take_decisions();
    assert!(decisions.contains(&Decision::Socket(1, Policy::Ignore)), "{decisions:?}");
}

#[test]
fn unknown_processes_and_addresses_are_named_by_address() {
    let mut pipeline = pipeline();
    let mut event = socket(1, CLIENT, abi::ROLE_CLIENT, 40_000, 80);
    event.remote_address = std::net::Ipv4Addr::new(10, 1, 2, 3).to_ipv6_mapped().octets();
    pipeline.event(Event::Socket(event));
    data(&mut pipeline, 1, CLIENT, true, SECOND, REQUEST);
    data(&mut pipeline, 1, CLIENT, false, SECOND + 5, RESPONSE);
    let tick = pipeline.tick(2 * SECOND);
    let named = tick.outgoing.iter().any(|outgoing| match outgoing {
        Outgoing::Facts(facts) => {
            facts.iter().any(|fact| fact.tags.get("auto_service").is_some_and(|name| name == "10.1.2.3"))
        }
        _ => false,
    });
    assert!(named, "{:?}", tick.outgoing);
}

#[test]
fn a_server_that_makes_itself_known_after_the_client_is_no_second_edge() {
    let mut pipeline = pipeline();
    let (mut client, mut server) =
        (socket(1, CLIENT, abi::ROLE_CLIENT, 40_000, 80), socket(2, SERVER, abi::ROLE_SERVER, 80, 40_000));
    let [here, there] = [1, 2].map(|last| std::net::Ipv4Addr::new(10, 1, 2, last).to_ipv6_mapped().octets());
    (client.local_address, client.remote_address) = (here, there);
    (server.local_address, server.remote_address, server.netns) = (there, here, 2);
    pipeline.event(Event::Socket(client));
    data(&mut pipeline, 1, CLIENT, true, SECOND, REQUEST);
    pipeline.event(Event::Socket(server));
    data(&mut pipeline, 2, SERVER, false, SECOND + 5, REQUEST);
    let [network] = &rows(&pipeline.tick(2 * SECOND), "network_map")[..] else { panic!("no edges") };
    let (clients, servers) = (numbers(network, "client_entity"), numbers(network, "server_entity"));
    assert!(clients[0] == clients[1] && servers[0] == servers[1], "{network:?}");
    assert_eq!(numbers(network, "byte_tx"), [REQUEST.len() as u64; 2]);
    assert_eq!(numbers(network, "new_flow"), [1, 1]);
}

#[test]
fn sockets_that_closed_unseen_are_forgotten_when_all_are_listed_again() {
    let mut pipeline = pipeline();
    pipeline.event(Event::Socket(socket(1, CLIENT, abi::ROLE_CLIENT, 40_000, 80)));
    pipeline.event(Event::Socket(socket(2, SERVER, abi::ROLE_SERVER, 80, 40_000)));
    pipeline.reconcile(
        vec![socket(2, SERVER, abi::ROLE_UNKNOWN, 80, 40_000), socket(5, CLIENT, 0, 5, 6)],
        &Set::default(),
        10 * SECOND,
    );
    let open = |cookie| pipeline.sockets.get(cookie).map(|socket| socket.closed_us.is_none());
    assert_eq!((open(1), open(2), open(5)), (Some(false), Some(true), Some(true)));
}

#[test]
fn unanswered_requests_time_out_and_events_of_unknown_sockets_are_counted() {
    let mut pipeline = pipeline();
    pipeline.event(Event::Socket(socket(1, CLIENT, abi::ROLE_CLIENT, 40_000, 80)));
    data(&mut pipeline, 1, CLIENT, true, SECOND, REQUEST);
    data(&mut pipeline, 77, CLIENT, true, SECOND, REQUEST);
    let early = pipeline.tick(2 * SECOND);
    assert!(rows(&early, "l7_flow_log").is_empty());
    let [loss] = &rows(&early, "loss")[..] else { panic!("no loss") };
    assert_eq!(words(loss, "cause"), ["connection_table_full"]);
    let late = pipeline.tick(40 * SECOND);
    assert_eq!(words(&rows(&late, "l7_flow_log")[0], "response_status"), ["timeout"]);
}

#[test]
fn beyond_the_limit_rows_of_the_log_are_shed_and_counted_but_metrics_are_not() {
    let config = AgentConfig { log_rows_per_second: 1, ..AgentConfig::default() };
    let mut pipeline = Pipeline::new(&config, "agent", "host", 1, Box::new(Two));
    pipeline.event(Event::Socket(socket(1, CLIENT, abi::ROLE_CLIENT, 40_000, 80)));
    pipeline.event(Event::Socket(socket(2, SERVER, abi::ROLE_SERVER, 80, 40_000)));
    call(&mut pipeline);
    let tick = pipeline.tick(2 * SECOND);
    assert_eq!(rows(&tick, "l7_flow_log")[0].num_rows(), 1);
    assert_eq!(numbers(&rows(&tick, "application_map")[0], "request"), [1, 1]);
    assert_eq!(words(&rows(&tick, "loss")[0], "cause"), ["log_shed"]);
}

#[test]
fn a_full_table_forgets_what_is_over_and_counts_it_before() {
    let config = AgentConfig { max_sockets: 4, ..AgentConfig::default() };
    let mut pipeline = Pipeline::new(&config, "agent", "host", 1, Box::new(Two));
    for cookie in 1..=20 {
        pipeline.event(Event::Socket(socket(cookie, CLIENT, abi::ROLE_CLIENT, 40_000 + cookie as u16, 80)));
        data(&mut pipeline, cookie, CLIENT, true, SECOND + 10, REQUEST);
        data(&mut pipeline, cookie, CLIENT, false, SECOND + 20, RESPONSE);
        let close = CloseEvent { header: header(CLIENT, abi::EVENT_CLOSE, SECOND), cookie, ..zeroed() };
        pipeline.event(Event::Close(close));
    }
    let tick = pipeline.tick(2 * SECOND);
    let sum = |table, name| rows(&tick, table).iter().flat_map(|batch| numbers(batch, name)).sum::<u64>();
    assert_eq!((sum("network_map", "new_flow"), sum("network_map", "closed_flow")), (20, 20));
    assert_eq!(sum("network_map", "byte_tx"), 20 * REQUEST.len() as u64);
    assert_eq!(sum("application_map", "request"), 20);
    assert!(rows(&tick, "loss").is_empty());
}

#[test]
fn batches_of_few_rows_are_small() {
    let mut pipeline = pipeline();
    pipeline.event(Event::Socket(socket(1, CLIENT, abi::ROLE_CLIENT, 40_000, 80)));
    pipeline.event(Event::Socket(socket(2, SERVER, abi::ROLE_SERVER, 80, 40_000)));
    call(&mut pipeline);
    let tick = pipeline.tick(2 * SECOND);
    for table in ["l7_flow_log", "application_map", "network_map"] {
        let bytes = rows(&tick, table).iter().map(RecordBatch::get_array_memory_size).sum::<usize>();
        println!("{table}: {bytes}");
        assert!(bytes <= 40_000, "{table}: {bytes}");
    }
}

#[test]
fn a_flood_of_peers_leaves_room_for_connections() {
    let config = AgentConfig { max_sockets: 64, ..AgentConfig::default() };
    let mut pipeline = Pipeline::new(&config, "agent", "host", 1, Box::new(Two));
    let open = SocketEvent { transport: abi::TRANSPORT_UDP, ..socket(1, SERVER, abi::ROLE_UNKNOWN, 53, 0) };
    pipeline.event(Event::Socket(open));
    for port in 1..10_000 {
        let mut event: DataEvent = zeroed();
        event.header = header(SERVER, abi::EVENT_DATA, SECOND + u64::from(port));
        (event.cookie, event.length, event.captured) = (1, 5, 5);
        (event.peer_address, event.peer_port) = (address(2), port);
        pipeline.event(Event::Data(event, b"hello"));
    }
    pipeline.event(Event::Socket(socket(2, CLIENT, abi::ROLE_CLIENT, 40_000, 80)));
    data(&mut pipeline, 2, CLIENT, true, SECOND + 10, REQUEST);
    data(&mut pipeline, 2, CLIENT, false, SECOND + 20, RESPONSE);
    let tick = pipeline.tick(2 * SECOND);
    assert_eq!(numbers(&rows(&tick, "application_map")[0], "request"), [1]);
    assert!(rows(&tick, "loss").is_empty());
}

#[test]
fn bytes_that_wait_in_all_connections_have_a_limit() {
    let config = AgentConfig { max_buffered_bytes: 100_000, ..AgentConfig::default() };
    let mut pipeline = Pipeline::new(&config, "agent", "host", 1, Box::new(Two));
    let head = [b"GET /item/7 HTTP/1.1\r\nX-Long: ", &[b'a'; 5000][..]].concat();
    for cookie in 1..=100 {
        pipeline.event(Event::Socket(socket(cookie, CLIENT, abi::ROLE_CLIENT, 40_000 + cookie as u16, 80)));
        data(&mut pipeline, cookie, CLIENT, true, SECOND, &head);
        assert!(pipeline.held_bytes <= 100_000);
    }
    let held = pipeline.sockets.iter().map(|(_, socket)| socket.connection.held_bytes()).sum::<usize>();
    assert_eq!((held, held > 0), (pipeline.held_bytes, true));
    let tick = pipeline.tick(2 * SECOND);
    let losses = &rows(&tick, "loss")[0];
    let at = words(losses, "cause").iter().position(|cause| cause == "stream_buffer_full").unwrap();
    assert!(numbers(losses, "count")[at] >= 80);
    for cookie in 1..=100 {
        pipeline.event(Event::Close(CloseEvent { header: header(CLIENT, 0, SECOND), cookie, ..zeroed() }));
    }
    pipeline.tick(60 * SECOND);
    assert_eq!(pipeline.held_bytes, 0);
}

#[test]
fn processes_that_exited_unseen_are_forgotten_with_the_sockets() {
    let mut pipeline = pipeline();
    pipeline.ignore_process(7);
    pipeline.ignore_process(8);
    pipeline.take_decisions();
    pipeline.reconcile(vec![], &Set::from_iter([8]), SECOND);
    assert_eq!(pipeline.take_decisions(), [Decision::ForgetProcess(7)]);
    assert_eq!(pipeline.ignored, Set::from_iter([8]));
}

#[test]
fn closed_sockets_and_exited_processes_are_forgotten() {
    let mut pipeline = pipeline();
    pipeline.event(Event::Socket(socket(1, CLIENT, abi::ROLE_CLIENT, 40_000, 80)));
    let close = CloseEvent { header: header(CLIENT, abi::EVENT_CLOSE, SECOND), cookie: 1, ..zeroed() };
    pipeline.event(Event::Close(close));
    pipeline.event(Event::Fork(ProcessEvent {
        header: header(CLIENT, abi::EVENT_FORK, SECOND),
        child: 101,
        reserved: 0,
    }));
    pipeline.event(Event::Exit(ProcessEvent { header: header(101, abi::EVENT_EXIT, SECOND), child: 0, reserved: 0 }));
    let tick = pipeline.tick(2 * SECOND);
    assert_eq!(numbers(&rows(&tick, "network_map")[0], "closed_flow"), [1]);
    pipeline.tick(60 * SECOND);
    assert!(pipeline.sockets.get(1).is_none());
}

fn datagram(pipeline: &mut Pipeline, cookie: u64, peer_port: u16, egress: bool, time_us: u64, bytes: &[u8]) {
    let event = DataEvent {
        header: header(SERVER, abi::EVENT_DATA, time_us),
        cookie,
        length: bytes.len() as u32,
        captured: bytes.len() as u32,
        direction: u16::from(egress),
        peer_address: address(2),
        peer_port,
        ..zeroed()
    };
    pipeline.event(Event::Data(event, bytes));
}

fn unconnected(cookie: u64, port: u16) -> SocketEvent {
    SocketEvent { transport: abi::TRANSPORT_UDP, ..socket(cookie, SERVER, abi::ROLE_UNKNOWN, port, 0) }
}

#[test]
fn an_unconnected_socket_that_nobody_understands_is_only_counted() {
    let mut pipeline = pipeline();
    pipeline.event(Event::Socket(unconnected(7, 4433)));
    for (number, peer) in (5001..5020).enumerate() {
        for _ in 0..8 {
            datagram(&mut pipeline, 7, peer, false, SECOND + number as u64, b"\x01not a known protocol");
            datagram(&mut pipeline, 7, peer, true, SECOND + number as u64, b"\x02nor is this one");
        }
    }
    assert_eq!(pipeline.take_decisions(), [Decision::Socket(7, Policy::Count)]);
}

/// A query for `a.` of type A, and its answer.
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
const ANSWER: &[u8] =
    b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07";

#[test]
fn peers_of_an_unconnected_socket_are_told_apart() {
    let mut pipeline = pipeline();
    pipeline.event(Event::Socket(unconnected(7, 53)));
    for peer in 5001..5011 {
        datagram(&mut pipeline, 7, peer, false, SECOND + 10, QUERY);
    }
    for peer in 5001..5011 {
        datagram(&mut pipeline, 7, peer, true, SECOND + 500, ANSWER);
    }
    assert_eq!(pipeline.tick(SECOND + 600).requests, 10);
    assert_eq!(pipeline.take_decisions(), [Decision::Met(SERVER)]);
}

#[test]
fn a_lost_identity_is_asked_for_once() {
    let mut pipeline = pipeline();
    data(&mut pipeline, 1, CLIENT, true, SECOND, REQUEST);
    data(&mut pipeline, 1, CLIENT, true, SECOND, REQUEST);
    assert_eq!(pipeline.take_decisions(), [Decision::Socket(1, Policy::Announce)]);
    pipeline.event(Event::Socket(socket(1, CLIENT, abi::ROLE_CLIENT, 40_000, 80)));
    assert_eq!(pipeline.take_decisions(), [Decision::Socket(1, Policy::Prefix)]);
    data(&mut pipeline, 1, CLIENT, true, SECOND, REQUEST);
    data(&mut pipeline, 1, CLIENT, false, SECOND + 100, RESPONSE);
    assert_eq!(pipeline.tick(SECOND + 200).requests, 1);
}

#[test]
fn payload_of_io_uring_comes_late_or_never() {
    let mut pipeline = pipeline();
    pipeline.event(Event::Socket(socket(1, CLIENT, abi::ROLE_CLIENT, 40_000, 80)));
    let call = DataEvent {
        header: header(CLIENT, abi::EVENT_DATA, SECOND),
        cookie: 1,
        seq: 1,
        length: REQUEST.len() as u32,
        direction: abi::EGRESS as u16,
        flags: abi::FLAG_URING as u16,
        ..zeroed()
    };
    pipeline.event(Event::Data(call, b""));
    pipeline.event(Event::Payload(DataEvent { captured: REQUEST.len() as u32, ..call }, REQUEST));
    data(&mut pipeline, 1, CLIENT, false, SECOND + 100, RESPONSE);
    assert_eq!(pipeline.tick(SECOND + 200).requests, 1);
    pipeline.event(Event::Data(DataEvent { seq: 1 + REQUEST.len() as u32, ..call }, b""));
    pipeline.expire(SECOND + PAYLOAD_WAIT_US + 1);
    assert!(pipeline.held.is_empty());
}
