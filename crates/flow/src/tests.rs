//! Connections as text: `tests/*.txt`, driven by [`check_file`].
//!
//! ```text
//! ## a name
//! ! role=client|server|none, start=known, transport=datagram, max_open=N, max_lost=N
//! # a comment
//! 10 > bytes that go to the server at 10 ms, with escapes
//! 10 < bytes that go to the client
//! 10 >500 bytes of which only these were captured, of 500
//! 10 >!50    50 bytes that are missing
//! 10 >. <.   the end of that direction
//! 10 expire
//! 10 finish
//! 10 shed
//! = an expected session, `loss CAUSE N`, or the state of the connection
//! ```
//!
//! With the environment variable `UPDATE_EXPECT` set, what is expected is written anew.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use hadal_l7::check::cases::unescape;
use hadal_l7::contract::{Message, Origin};

use crate::{Connection, Output, Role, Segment, Session, Settings, Transport};

#[test]
fn connections() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests"));
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files.iter().for_each(|file| check_file(file));
}

fn check_file(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let (mut anew, mut failed) = (String::new(), String::new());
    for case in text.split("\n## ") {
        let case = case.strip_prefix("## ").unwrap_or(case);
        let (want, given): (Vec<_>, Vec<_>) = case.lines().partition(|line| line.starts_with("= "));
        let given: Vec<_> = given.into_iter().filter(|line| !line.trim().is_empty()).collect();
        let got = run(&given[1..]);
        if got != want {
            let _ = writeln!(failed, "## {}\n{}", given[0], got.join("\n"));
        }
        let _ = writeln!(anew, "## {}\n{}\n", given.join("\n"), got.join("\n"));
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, format!("{}\n", anew.trim_end())).unwrap();
    } else {
        assert!(failed.is_empty(), "{}\n{failed}", path.display());
    }
}

/// A connection as the client sees it, or as the server does.
struct Wire {
    connection: Connection,
    client_sends: bool,
    seqs: [u32; 2],
    out: Output,
}

fn run(lines: &[&str]) -> Vec<String> {
    let (settings, role) = options(lines);
    let datagrams = lines.iter().any(|line| line.starts_with('!') && line.contains("transport=datagram"));
    let transport = if datagrams { Transport::Datagram } else { Transport::Stream };
    let connection = Connection::new(role, transport, Arc::new(settings));
    let client_sends = role != Some(Role::Server);
    let mut wire = Wire { connection, client_sends, seqs: [1000, u32::MAX - 50], out: Output::default() };
    if lines.iter().any(|line| line.contains("start=known")) {
        wire.connection.start_at(wire.client_sends, wire.seqs[1]);
        wire.connection.start_at(!wire.client_sends, wire.seqs[0]);
    }
    for line in lines.iter().filter(|line| !line.starts_with(['!', '#'])) {
        let (time, what) = line.split_once(' ').unwrap();
        wire.step(time.parse::<u64>().unwrap() * 1000, what);
    }
    wire.results()
}

fn options(lines: &[&str]) -> (Settings, Option<Role>) {
    let (mut settings, mut role) = (Settings::default(), Some(Role::Client));
    for word in lines.iter().filter_map(|line| line.strip_prefix('!')).flat_map(str::split_whitespace) {
        match word.split_once('=').unwrap() {
            ("role", "none") => role = None,
            ("role", "server") => role = Some(Role::Server),
            ("start", "known") | ("transport", "datagram") => {}
            ("max_open", value) => settings.limits.max_open = value.parse().unwrap(),
            ("max_lost", value) => settings.limits.max_lost = value.parse().unwrap(),
            other => panic!("{other:?}"),
        }
    }
    (settings, role)
}

impl Wire {
    fn step(&mut self, time_us: u64, what: &str) {
        let (mark, rest) = what.split_at(1);
        let origin = Origin { time_us, ..Origin::default() };
        match mark {
            "e" => self.connection.expire(time_us, &mut self.out),
            "f" => self.connection.finish(origin, &mut self.out),
            "s" => {
                self.connection.shed(&mut self.out);
                assert_eq!(self.connection.held_bytes(), 0, "{what}");
            }
            _ => self.direction(mark == ">", rest, origin),
        }
        self.connection.check_held();
    }

    fn direction(&mut self, to_server: bool, what: &str, origin: Origin) {
        let egress = to_server == self.client_sends;
        let seq = &mut self.seqs[usize::from(to_server)];
        if what == "." {
            return self.connection.close(egress, origin, &mut self.out);
        }
        if let Some(missing) = what.strip_prefix('!') {
            *seq = seq.wrapping_add(missing.parse().unwrap());
            return;
        }
        let (length, text) = what.split_once(' ').unwrap_or((what, ""));
        let captured = unescape(text);
        let length = length.parse().unwrap_or(captured.len() as u32);
        let end = seq.wrapping_add(length);
        let (first, last) = (Origin { seq: *seq, ..origin }, Origin { seq: end.wrapping_sub(1), ..origin });
        let segment = Segment { seq: *seq, length, captured: &captured, first, last };
        *seq = end;
        self.connection.data(egress, segment, &mut self.out);
    }

    fn results(self) -> Vec<String> {
        let mut results: Vec<_> = self.out.sessions.iter().map(|session| format!("= {}", line(session))).collect();
        results.extend(self.out.losses.iter().map(|(cause, count)| format!("= loss {cause} {count}")));
        let connection = &self.connection;
        let protocol = connection.protocol().map_or("none", |protocol| protocol.as_str());
        results.push(format!(
            "= {:?} {protocol}, payload {:?}{}",
            connection.role(),
            connection.needs_payload(),
            if connection.is_waiting() { ", waiting" } else { "" }
        ));
        results
    }
}

fn line(session: &Session) -> String {
    let request = session.request.as_ref().map_or("-".to_owned(), |request| request.request_resource.clone());
    let answer = |response: &Message| match response.response_code {
        Some(code) => code.to_string(),
        None => format!("{}{}{}", response.response_result, response.response_exception, response.request_resource),
    };
    let response = session.response.as_ref().map_or("-".to_owned(), answer);
    let mut line = format!("{} `{request}` `{response}` {}", session.kind, session.status);
    if let Some(duration) = session.duration_us {
        let _ = write!(line, " {duration} µs");
    }
    if !session.exception.is_empty() {
        let _ = write!(line, " ({})", session.exception);
    }
    line
}

#[test]
fn idle_connections_are_small() {
    assert!(size_of::<Connection>() <= 352, "{}", size_of::<Connection>());
    assert!(size_of::<crate::lane::Known>() <= 200, "{}", size_of::<crate::lane::Known>());
}
