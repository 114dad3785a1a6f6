//! Spans in, trees out, as text.
//!
//! ```text
//! ## a name
//! # a comment
//! clock AGENT N          what is known to be subtracted from an agent's times
//! limit N                most spans
//! ID POINT AGENT/PID CLIENT:PORT>SERVER:PORT START..END [seq=A/B] [ctx=A/B] [joined=A] [xid=A/B] [trace=T/S/P] [rid=N] [request]
//! = an expected line: a span under its parent, why and how surely, its own time and what it waited, the network's time
//! ```
//!
//! Times are in microseconds. With the environment variable `UPDATE_EXPECT` set, the expected lines are written anew.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use hadal_model::{MessageType, ObservationPoint};
use hadal_trace::{Limits, Span, assemble};

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        check_file(&file);
    }
}

fn check_file(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let (mut failed, mut anew) = (String::new(), String::new());
    for case in text.split("## ").skip(1) {
        let head: String = case.lines().filter(|line| !line.starts_with('=')).map(|line| format!("{line}\n")).collect();
        let want: String = case.lines().filter(|line| line.starts_with('=')).map(|line| format!("{line}\n")).collect();
        let got = run(&head);
        if got != want {
            let _ = writeln!(failed, "## {}\nwant\n{want}got\n{got}", head.lines().next().unwrap_or_default());
        }
        let _ = writeln!(anew, "## {}\n{got}", head.trim_end());
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, format!("{}\n", anew.trim_end())).unwrap();
    } else {
        assert!(failed.is_empty(), "{}:\n{failed}", path.display());
    }
}

fn run(case: &str) -> String {
    let (mut spans, mut offsets, mut limits) = (Vec::new(), HashMap::new(), Limits::default());
    for line in case.lines().skip(1).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["clock", agent, offset] => drop(offsets.insert(agent.to_owned(), offset.parse().unwrap())),
            ["limit", most] => limits.spans = most.parse().unwrap(),
            _ => spans.push(span(&words)),
        }
    }
    render(&spans, &offsets, limits)
}

fn render(spans: &[Span], offsets: &HashMap<String, i64>, limits: Limits) -> String {
    let forest = assemble(spans, offsets, limits);
    let mut children: HashMap<Option<u64>, Vec<usize>> = HashMap::new();
    for (place, node) in forest.nodes.iter().enumerate() {
        children.entry(node.link.map(|link| link.parent)).or_default().push(place);
    }
    let mut out = String::new();
    let mut waiting: Vec<(usize, usize)> = children[&None].iter().rev().map(|place| (*place, 0)).collect();
    while let Some((place, depth)) = waiting.pop() {
        let node = &forest.nodes[place];
        let _ = write!(out, "= {:indent$}{} {}", "", node.id, spans[node.index].point, indent = depth * 2);
        if let Some(link) = node.link {
            let _ = write!(out, " {} {:.2}", link.evidence.as_str(), link.confidence);
        }
        let _ = write!(out, " own={} waiting={}", node.self_us, node.waiting_us);
        let network = node.network_us.map(|network| format!(" network={network}")).unwrap_or_default();
        let _ = writeln!(out, "{network}");
        waiting.extend(children.get(&Some(node.id)).into_iter().flatten().rev().map(|place| (*place, depth + 1)));
    }
    if forest.truncated {
        out += "= truncated\n";
    }
    out
}

fn span(words: &[&str]) -> Span {
    let [id, point, process, ends, times, rest @ ..] = words else { panic!("{words:?}") };
    let point = ObservationPoint::from_name(point).unwrap();
    let (agent, pid) = process.split_once('/').unwrap();
    let pid = pid.parse().unwrap();
    let (client, server) = ends.split_once('>').unwrap();
    let (start, end) = times.split_once("..").unwrap();
    let mut span = Span {
        id: id.parse().unwrap(),
        start_us: start.parse().unwrap(),
        end_us: end.parse().unwrap(),
        point,
        agent: agent.to_owned(),
        entities: [0; 2],
        addresses: [address(client).0, address(server).0],
        ports: [address(client).1, address(server).1],
        pids: if point < ObservationPoint::Local { [pid, 0] } else { [0, pid] },
        protocol: "HTTP1".to_owned(),
        request_id: None,
        seqs: [0; 2],
        contexts: [0; 2],
        joined: 0,
        x_request_ids: [String::new(), String::new()],
        trace_id: String::new(),
        span_id: String::new(),
        parent_span_id: String::new(),
        kind: MessageType::Session,
    };
    rest.iter().for_each(|word| set(&mut span, word));
    span
}

/// A time, or in hexadecimal a time and the marks.
fn context(text: &str) -> u64 {
    let whole = text.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16).unwrap());
    whole.unwrap_or_else(|| text.parse::<u64>().unwrap() << 8)
}

fn set(span: &mut Span, word: &str) {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let mut parts = value.split('/');
    let mut text = || parts.next().unwrap_or_default().to_owned();
    match name {
        "seq" => span.seqs = [text().parse().unwrap(), text().parse().unwrap()],
        "ctx" => span.contexts = [context(&text()), context(&text())],
        "joined" => span.joined = context(&text()),
        "xid" => span.x_request_ids = [text(), text()],
        "trace" => (span.trace_id, span.span_id, span.parent_span_id) = (text(), text(), text()),
        "protocol" => span.protocol = text(),
        "rid" => span.request_id = Some(text().parse().unwrap()),
        "request" => span.kind = MessageType::Request,
        "response" => span.kind = MessageType::Response,
        _ => panic!("what is {word}?"),
    }
}

fn address(text: &str) -> ([u8; 16], u16) {
    let (host, port) = text.split_once(':').unwrap();
    let mut address = [0; 16];
    address[15] = host.parse().unwrap();
    (address, port.parse().unwrap())
}
