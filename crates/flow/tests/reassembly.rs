//! However a dialogue is cut, shuffled and repeated, it gives the same sessions.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use hadal_flow::{Connection, Origin, Output, Role, Segment, Session, Settings, Transport};
use proptest::prelude::*;

/// A dialogue: what the client sends and what the server does, in turns.
type Turns = Vec<(Vec<u8>, Vec<u8>)>;

/// One event: direction, sequence, bytes, time.
type Event = (bool, u32, Vec<u8>, u64);

fn http_turn() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    (0..5u8, "[a-z]{1,8}", 0..300usize, any::<bool>()).prop_map(|(kind, path, size, chunked)| {
        let body = "x".repeat(size);
        let method = ["GET", "HEAD", "POST", "PUT", "DELETE"][usize::from(kind)];
        let request = match method {
            "POST" | "PUT" => format!("{method} /{path} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{body}"),
            _ => format!("{method} /{path} HTTP/1.1\r\nHost: a\r\n\r\n"),
        };
        let response = match (method, chunked) {
            ("HEAD", _) => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", size + 1),
            (_, true) if size > 0 => {
                format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n")
            }
            _ => format!("HTTP/1.1 404 Not Found\r\nContent-Length: {size}\r\n\r\n{body}"),
        };
        (request.into_bytes(), response.into_bytes())
    })
}

fn redis_turn() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    (0..4u8, "[a-z]{1,8}", 0..300usize).prop_map(|(kind, key, size)| {
        let (length, value) = (key.len(), "v".repeat(size));
        let set = format!("*3\r\n$3\r\nSET\r\n${length}\r\n{key}\r\n${size}\r\n{value}\r\n");
        let get = format!("*2\r\n$3\r\nGET\r\n${length}\r\n{key}\r\n");
        let bulk = format!("${size}\r\n{value}\r\n");
        let (request, response) = match kind {
            0 => (set, "+OK\r\n".into()),
            1 => (get, bulk),
            2 => (get, "$-1\r\n".into()),
            // Pipelined.
            _ => (format!("{set}{get}{get}"), format!("+OK\r\n{bulk}*2\r\n{bulk}:1\r\n")),
        };
        (request.into_bytes(), response.into_bytes())
    })
}

/// Two questions in one write, answered the other way round.
fn dns_turn() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    (1..1000u16, "[a-z]{1,8}", 0..40u8).prop_map(|(id, name, addresses)| {
        let question = [&[name.len() as u8], name.as_bytes(), b"\x04test\0\0\x01\0\x01"].concat();
        let message = |id: u16, flags: u16, count: u8| {
            let header = [id, flags, 1, count.into(), 0, 0].map(u16::to_be_bytes).concat();
            let record = |last: u8| [b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02", &[last][..]].concat();
            let records: Vec<u8> = (0..count).flat_map(record).collect();
            let message = [header, question.clone(), records].concat();
            [&(message.len() as u16).to_be_bytes()[..], &message].concat()
        };
        let request = [message(id, 0x0100, 0), message(id + 1000, 0x0100, 0)].concat();
        let response = [message(id + 1000, 0x8183, 0), message(id, 0x8180, addresses)].concat();
        (request, response)
    })
}

/// The dialogue in order, each turn's halves as one event each.
fn whole(turns: &Turns, starts: [u32; 2]) -> Vec<Event> {
    let (mut events, mut seqs) = (Vec::new(), starts);
    for (turn, (request, response)) in turns.iter().enumerate() {
        let time = 10_000 * turn as u64;
        events.push((true, seqs[0], request.clone(), time + 1));
        events.push((false, seqs[1], response.clone(), time + 5_001));
        seqs[0] = seqs[0].wrapping_add(request.len() as u32);
        seqs[1] = seqs[1].wrapping_add(response.len() as u32);
    }
    events
}

/// Cuts events in pieces, repeats some and turns runs of neighbours around.
fn shuffle(events: &[Event], cuts: &[usize], turns: &[usize], repeats: &[bool]) -> Vec<Event> {
    let mut pieces = Vec::new();
    let mut cuts = cuts.iter().cycle();
    for (egress, seq, bytes, time) in events {
        let mut at = 0;
        while at < bytes.len() {
            let length = (*cuts.next().unwrap()).min(bytes.len() - at);
            pieces.push((*egress, seq.wrapping_add(at as u32), bytes[at..at + length].to_vec(), *time));
            at += length;
        }
    }
    let repeated: Vec<Event> = pieces
        .iter()
        .zip(repeats.iter().cycle())
        .flat_map(|(piece, &twice)| std::iter::repeat_n(piece.clone(), 1 + usize::from(twice)))
        .collect();
    let (mut shuffled, mut rest) = (repeated, 0);
    for &length in turns.iter().cycle() {
        let end = (rest + length).min(shuffled.len());
        shuffled[rest..end].reverse();
        rest = end;
        if rest == shuffled.len() {
            break;
        }
    }
    shuffled
}

fn run(events: &[Event], starts: [u32; 2]) -> Vec<String> {
    let mut connection = Connection::new(Some(Role::Client), Transport::Stream, Arc::new(Settings::default()));
    connection.start_at(true, starts[0]);
    connection.start_at(false, starts[1]);
    let mut out = Output::default();
    for (egress, seq, bytes, time_us) in events {
        let origin = |seq| Origin { time_us: *time_us, seq, ..Origin::default() };
        let length = bytes.len() as u32;
        let last = seq.wrapping_add(length).wrapping_sub(1);
        let segment = Segment { seq: *seq, length, captured: bytes, first: origin(*seq), last: origin(last) };
        connection.data(*egress, segment, &mut out);
    }
    connection.finish(Origin::default(), &mut out);
    assert_eq!(out.losses.iter().collect::<Vec<_>>(), [], "nothing is missing");
    let mut sessions: Vec<_> = out.sessions.iter().map(describe).collect();
    sessions.sort();
    sessions
}

fn describe(session: &Session) -> String {
    let half = |message: &Option<hadal_flow::Message>| {
        message.as_ref().map(|message| {
            let line = hadal_l7::check::cases::line(message);
            format!("{line} {}..{}", message.first.time_us, message.last.time_us)
        })
    };
    let (request, response) = (half(&session.request), half(&session.response));
    format!("{} {} {:?} {request:?} {response:?}", session.kind, session.status, session.duration_us)
}

fn check(turns: &Turns, cuts: &[usize], runs: &[usize], repeats: &[bool], starts: [u32; 2]) {
    let events = whole(turns, starts);
    let want = run(&events, starts);
    assert!(want.iter().all(|session| session.starts_with("session")), "{want:#?}");
    assert_eq!(run(&shuffle(&events, cuts, runs, repeats), starts), want);
}

/// Starts of sequence numbers, some of them near the wrap.
fn starts() -> impl Strategy<Value = [u32; 2]> {
    let start = || prop_oneof![any::<u32>(), (0..2000u32).prop_map(|back| u32::MAX - back)];
    [start(), start()]
}

proptest! {
    #[test]
    fn http(
        turns in proptest::collection::vec(http_turn(), 1..8),
        cuts in proptest::collection::vec(1..400usize, 1..20),
        runs in proptest::collection::vec(1..8usize, 1..20),
        repeats in proptest::collection::vec(any::<bool>(), 1..20),
        starts in starts(),
    ) {
        check(&turns, &cuts, &runs, &repeats, starts);
    }

    #[test]
    fn redis(
        turns in proptest::collection::vec(redis_turn(), 1..8),
        cuts in proptest::collection::vec(1..100usize, 1..20),
        runs in proptest::collection::vec(1..8usize, 1..20),
        repeats in proptest::collection::vec(any::<bool>(), 1..20),
        starts in starts(),
    ) {
        check(&turns, &cuts, &runs, &repeats, starts);
    }

    #[test]
    fn dns(
        turns in proptest::collection::vec(dns_turn(), 1..8),
        cuts in proptest::collection::vec(1..100usize, 1..20),
        runs in proptest::collection::vec(1..8usize, 1..20),
        repeats in proptest::collection::vec(any::<bool>(), 1..20),
        starts in starts(),
    ) {
        check(&turns, &cuts, &runs, &repeats, starts);
    }
}

/// Words of all protocols, and what is none.
const WORDS: &[&str] = &[
    "\0\x17\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\x03com\0\0\x01\0\x01",
    "\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\x03com\0\0\x01\0\x01",
    "\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\x03com\0\0\x1c\0\x01",
    "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
    "*1\r\n$4\r\nPING\r\n",
    "+PONG\r\n",
    "*2\r\n$3\r\nGET\r\n$1\r\n",
    "$3\r\n",
    "\r\n",
    "x",
];

proptest! {
    #[test]
    fn any_events_are_survived(
        role in prop_oneof![Just(None), Just(Some(Role::Client)), Just(Some(Role::Server))],
        transport in prop_oneof![Just(Transport::Stream), Just(Transport::Datagram)],
        events in proptest::collection::vec(
            (any::<bool>(), 0..300i64, 0..WORDS.len(), 0..80usize, 0..40u32, 0..12u8), 0..60),
    ) {
        let mut connection = Connection::new(role, transport, Arc::new(Settings::default()));
        let (mut out, mut seqs) = (Output::default(), [0u32; 2]);
        for (index, (egress, jump, word, captured, more, what)) in events.into_iter().enumerate() {
            let time_us = 60_000 * index as u64;
            let origin = Origin { time_us, ..Origin::default() };
            match what {
                0 => connection.expire(time_us, &mut out),
                1 => connection.close(egress, origin, &mut out),
                _ => {
                    let next = &mut seqs[usize::from(egress)];
                    let seq = if jump < 20 { next.wrapping_add(jump as u32).wrapping_sub(10) } else { *next };
                    let bytes = WORDS[word].as_bytes();
                    let captured = &bytes[..captured.min(bytes.len())];
                    let length = captured.len() as u32 + more;
                    let segment = Segment { seq, length, captured, first: origin, last: origin };
                    *next = seq.wrapping_add(length);
                    connection.data(egress, segment, &mut out);
                }
            }
        }
        connection.finish(Origin::default(), &mut out);
        prop_assert!(!connection.is_waiting());
        let halves = out.sessions.iter().map(|session| (session.request.is_some(), session.response.is_some()));
        prop_assert!(halves.clone().all(|(request, response)| request || response));
    }
}
