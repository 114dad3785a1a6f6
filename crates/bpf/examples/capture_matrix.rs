//! Captures what `tests/capture/calls.c` does and compares it with what that program wrote down.
//!
//! `capture_matrix LEVEL DRIVER FOLDER` prints a line per scenario and ends with `N passed, N failed`. It needs root and
//! runs as the only program of a small virtual machine as well. `capture_matrix LEVEL goroutines PROGRAM` does the same with
//! `tests/capture/goroutines`, for the numbers of goroutines.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hadal_abi::{self as abi, Event};
use hadal_bpf::{Bpf, Config, Level};

/// The payload of every call, as configured; a new socket's first calls are copied further.
const PAYLOAD: usize = 1024;
/// No part takes longer, even on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// What one call moved, as either side tells it.
#[derive(Clone, Debug)]
struct Call {
    length: u32,
    pid: u32,
    peer_port: u16,
    flags: String,
    bytes: Vec<u8>,
}

/// One captured data event.
#[derive(Clone, Debug)]
struct Seen {
    event: abi::DataEvent,
    payload: Vec<u8>,
}

#[derive(Default)]
struct Recorder {
    data: Vec<Seen>,
    /// Of io_uring, waiting for their payload: index into `data`.
    waiting: Vec<usize>,
    stray_payloads: usize,
    /// First byte to be sent by each socket that was announced, if its start was seen.
    announced: HashMap<u64, Option<u32>>,
    undecodable: usize,
    /// Calls counted before the ring was read for the last time.
    calls: u64,
}

impl Recorder {
    fn record(&mut self, bytes: &[u8]) {
        match Event::decode(bytes) {
            Some(Event::Data(event, payload)) => {
                if u32::from(event.flags) & abi::FLAG_URING != 0 {
                    self.waiting.push(self.data.len());
                }
                self.data.push(Seen { event, payload: payload.to_vec() });
            }
            Some(Event::Payload(event, payload)) => self.late(&event, payload),
            Some(Event::Socket(event)) => {
                self.announced.insert(event.cookie, (event.from_start != 0).then_some(event.send_seq));
            }
            Some(_) => {}
            None => self.undecodable += 1,
        }
    }

    fn late(&mut self, event: &abi::DataEvent, payload: &[u8]) {
        let is_its = |seen: &abi::DataEvent| {
            (seen.cookie, seen.direction, seen.length) == (event.cookie, event.direction, event.length)
        };
        match self.waiting.iter().position(|&at| is_its(&self.data[at].event)) {
            Some(at) => self.data[self.waiting.remove(at)].payload = payload.to_vec(),
            None => self.stray_payloads += 1,
        }
    }

    fn of(&self, cookie: u64, egress: bool) -> Vec<&Seen> {
        let mut found: Vec<_> = self
            .data
            .iter()
            .filter(|seen| seen.event.cookie == cookie && (u32::from(seen.event.direction) == abi::EGRESS) == egress)
            .collect();
        found.sort_by_key(|seen| seen.event.counter);
        found
    }
}

#[derive(Default)]
struct Outcome {
    passed: usize,
    failed: usize,
}

impl Outcome {
    fn check(&mut self, name: &str, result: Result<String, String>) {
        match result {
            Ok(note) => {
                self.passed += 1;
                println!("ok {name}{}{note}", if note.is_empty() { "" } else { ": " });
            }
            Err(why) => {
                self.failed += 1;
                println!("FAILED {name}: {why}");
            }
        }
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [level, driver, folder] = arguments.as_slice() else {
        eprintln!("usage: capture_matrix LEVEL DRIVER FOLDER");
        std::process::exit(2);
    };
    let level: Level = level.parse().expect("a level");
    if driver == "goroutines" {
        let mut outcome = Outcome::default();
        outcome.check("numbers of goroutines", goroutines(level, Path::new(folder)));
        println!("{} passed, {} failed", outcome.passed, outcome.failed);
        std::process::exit(i32::from(outcome.failed > 0));
    }
    let setup = Setup { level, driver: PathBuf::from(driver), folder: PathBuf::from(folder) };
    let mut outcome = Outcome::default();
    setup.matrix(&mut outcome);
    setup.threads(&mut outcome);
    setup.flood(&mut outcome);
    println!("{} passed, {} failed", outcome.passed, outcome.failed);
    std::process::exit(i32::from(outcome.failed > 0));
}

struct Setup {
    level: Level,
    driver: PathBuf,
    folder: PathBuf,
}

impl Setup {
    fn load(&self, ring_bytes: u32) -> Bpf {
        let config = Config { ring_bytes, payload_bytes: PAYLOAD as u32, level: Some(self.level), ..Config::default() };
        Bpf::load(config).unwrap_or_else(|error| panic!("level {}: {error}", self.level))
    }

    fn start(&self, log: &Path, arguments: &[&str]) -> Child {
        let _ = std::fs::remove_file(log);
        let mut command = Command::new(&self.driver);
        command.arg(log).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().expect("the driver starts")
    }

    /// Every call on every socket, in every variation.
    fn matrix(&self, outcome: &mut Outcome) {
        let log = self.folder.join("calls.log");
        let mut driver = self.start(&log, &[]);
        let mut line = String::new();
        BufReader::new(driver.stdout.take().expect("piped")).read_line(&mut line).expect("the driver says it is ready");
        let bpf = self.load(8 << 20);
        for capability in bpf.capabilities() {
            println!("# {}: {} ({})", capability.name, capability.state.as_str(), capability.why);
        }
        let older: HashSet<_> = bpf.list_sockets().expect("a list of sockets").iter().map(|s| s.cookie).collect();
        driver.stdin.take().expect("piped").write_all(b"go\n").expect("the driver listens");
        let recorder = follow(&bpf, &mut driver, Duration::from_millis(2));
        let counters = bpf.counters();
        let text = std::fs::read_to_string(&log).expect("the driver's log");
        outcome
            .check("the driver came to its end", text.ends_with("end\n").then(String::new).ok_or("it did not".into()));
        let lost = counters.ring_full_data + counters.ring_full_other + counters.user_copy_failed + counters.map_full;
        outcome.check(
            "nothing was lost",
            (lost == 0 && recorder.undecodable == 0).then(String::new).ok_or(format!("{counters:?}")),
        );
        let calls = parse(&text);
        for (scenario, sockets) in group(&calls) {
            let compared = sockets.iter().try_fold(0, |count, (&(cookie, egress), calls)| {
                let seen = recorder.of(cookie, egress);
                self.compare(cookie, calls, &seen)
                    .map_err(|why| format!("cookie {cookie} {}: {why}", if egress { "sent" } else { "received" }))?;
                counted_once(&recorder, cookie)?;
                let known = recorder.announced.contains_key(&cookie) || older.contains(&cookie);
                if !known {
                    return Err(format!("cookie {cookie} was never announced"));
                }
                Ok(count + calls.len())
            });
            outcome.check(&scenario, compared.map(|count| format!("{count} calls")));
        }
    }

    fn compare(&self, cookie: u64, calls: &[Call], seen: &[&Seen]) -> Result<(), String> {
        let by_socket = self.level != Level::C;
        let hidden = |call: &&Call| match call.flags.as_str() {
            "u" | "x" => by_socket,
            "i" => !by_socket,
            _ => false,
        };
        // What is not seen as a call is told by the sequence numbers of TCP.
        let mut next: Option<u32> = None;
        let mut unseen = 0u32;
        let mut seen = seen.iter();
        for call in calls {
            if hidden(&call) {
                unseen += call.length;
                continue;
            }
            let got =
                seen.next().ok_or(format!("a call of {} bytes is missing: {cookie} {}", call.length, call.flags))?;
            let event = &got.event;
            if event.length != call.length {
                return Err(format!("length {} instead of {} (flags {})", event.length, call.length, call.flags));
            }
            if event.header.pid != call.pid {
                return Err(format!("process {} instead of {}", event.header.pid, call.pid));
            }
            if call.peer_port != 0 && event.peer_port != call.peer_port {
                return Err(format!("peer port {} instead of {}", event.peer_port, call.peer_port));
            }
            same_bytes(call, got)?;
            let hole = next.map(|next| event.seq.wrapping_sub(next));
            let told = unseen == 0 || hole == Some(unseen);
            if hole.is_some_and(|hole| hole != 0) && hole != Some(unseen) {
                return Err(format!("sequence {} instead of {next:?}, {unseen} bytes unseen", event.seq));
            }
            if !told && next.is_some() && calls.iter().any(|call| call.flags == "u") {
                return Err(format!("{unseen} bytes that no call showed are not told by the sequence"));
            }
            if hole.is_some() && event.skipped != hole.unwrap_or_default() {
                return Err(format!("skipped {} instead of {hole:?}", event.skipped));
            }
            next = Some(event.seq.wrapping_add(event.length));
            unseen = 0;
        }
        match seen.next() {
            None => Ok(()),
            Some(more) => Err(format!("an event of {} bytes has no call", more.event.length)),
        }
    }

    /// 16 threads write one connection: each message is at its place, or said not to be.
    fn threads(&self, outcome: &mut Outcome) {
        for ordered in [false, true] {
            // Room for all of it: the reader may get no CPU meanwhile.
            let ring_bytes = 32 << 20;
            let config = Config { level: Some(self.level), ordered_sends: ordered, ring_bytes, ..Config::default() };
            let bpf = match Bpf::load(config) {
                Ok(bpf) => bpf,
                Err(error) => panic!("{error}"),
            };
            let is_ordered = bpf.capabilities().iter().any(|found| {
                found.name == "order of concurrent sends" && found.state == hadal_bpf::CapabilityState::Ok
            });
            if ordered && !is_ordered {
                println!("# not run: exact order of sends, which this level or kernel does not give");
                continue;
            }
            let log = self.folder.join("threads.log");
            let mut driver = self.start(&log, &["threads"]);
            let recorder = follow(&bpf, &mut driver, Duration::from_millis(2));
            let text = std::fs::read_to_string(&log).expect("the driver's log");
            let name = if ordered { "16 writers, exact order" } else { "16 writers, overlaps told" };
            let told = bpf.counters().overlaps;
            let exact = self.level != Level::C;
            let counters = bpf.counters();
            let checked = writers(&text, &recorder, (ordered, exact), told);
            outcome.check(name, checked.map_err(|error| format!("{error}; {counters:?}")));
        }
    }

    /// A ring of 64 KiB that is read late: what is missing is counted.
    fn flood(&self, outcome: &mut Outcome) {
        let bpf = self.load(64 << 10);
        let log = self.folder.join("flood.log");
        let messages = 20_000;
        let mut driver = self.start(&log, &["flood", &messages.to_string()]);
        let recorder = follow(&bpf, &mut driver, Duration::from_millis(20));
        // Other programs go on while we read: the sum lies between a reading before all of it and one after.
        let counters = bpf.counters();
        let calls = recorder.calls..=bpf.counters().calls;
        let text = std::fs::read_to_string(&log).expect("the driver's log");
        let lost = counters.ring_full_data + counters.unannounced;
        let received = recorder.data.len() as u64;
        let word = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        let reads = word("reads ").unwrap_or_default();
        let own = messages + reads;
        outcome.check(
            "64 KiB ring: generated = received + dropped",
            if *calls.end() < own {
                Err(format!("{calls:?} calls were seen of {own}"))
            } else if !calls.contains(&(received + lost)) {
                Err(format!("{calls:?} calls, {received} received, {lost} dropped"))
            } else if lost == 0 {
                Err("the ring was never full: the test shows nothing".to_owned())
            } else {
                Ok(format!("{} = {received} + {lost}; the driver made {own}", received + lost))
            },
        );
        let cookie = text.lines().find_map(|line| line.strip_prefix("flood ")?.split(' ').next()?.parse().ok());
        let of_socket = cookie.map(|cookie: u64| recorder.of(cookie, true)).unwrap_or_default();
        let ascending = of_socket.windows(2).all(|two| two[0].event.counter < two[1].event.counter);
        outcome.check(
            "64 KiB ring: each call once",
            ascending
                .then(|| format!("{} of {messages} sends", of_socket.len()))
                .ok_or("a counter came twice".to_owned()),
        );
    }
}

/// Each event carries the goroutine that made the call, and that one's maker.
fn goroutines(level: Level, program: &Path) -> Result<String, String> {
    let mut command = Command::new(program);
    let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut bpf = Bpf::load(Config { level: Some(level), ..Config::default() }).expect("the level works");
    let offsets = hadal_host::go_offsets(program.id()).unwrap_or_default();
    let hadal_host::GoOffsets { goid, parent_goid, channel_sendx } = offsets;
    let layout = hadal_bpf::GoLayout { goid, parent_goid, channel_sendx };
    bpf.set_go(program.id(), layout).expect("the kernel is told");
    program.stdin.take().expect("piped").write_all(b"go\n").expect("the program listens");
    let recorder = follow(&bpf, &mut program, Duration::from_millis(2));
    let lines = BufReader::new(program.stdout.take().expect("piped")).lines();
    let (mut events, mut wrong) = (0, Vec::new());
    for line in lines.map_while(Result::ok) {
        let words: Vec<u64> = line.split(' ').skip(1).filter_map(|word| word.parse().ok()).collect();
        let [cookie, number, maker] = words.as_slice() else { continue };
        for seen in recorder.data.iter().filter(|seen| seen.event.cookie == *cookie) {
            events += 1;
            let found = (seen.event.coroutine, seen.event.parent_coroutine);
            let knows_maker = parent_goid != 0;
            if found.0 != *number || (knows_maker && found.1 != *maker) {
                wrong.push(format!("{found:?} instead of {:?}", (number, maker)));
            }
        }
    }
    match wrong.first() {
        None if events >= 1600 => Ok(format!("{events} events")),
        None => Err(format!("only {events} events of 1600")),
        Some(first) => Err(format!("{} of {events} events are wrong, such as {first}", wrong.len())),
    }
}

/// Reads events until the driver has ended, and what is left then.
fn follow(bpf: &Bpf, driver: &mut Child, interval: Duration) -> Recorder {
    let recorder = RefCell::new(Recorder::default());
    {
        let reader = bpf.reader(|record| recorder.borrow_mut().record(record)).expect("a reader");
        let start = Instant::now();
        loop {
            std::thread::sleep(interval);
            reader.consume(1 << 20);
            match driver.try_wait().expect("the driver can be waited for") {
                Some(status) if !status.success() => println!("# the driver ended with {status}"),
                None if start.elapsed() < PATIENCE => continue,
                None => {
                    println!("# the driver does not end");
                    let _ = driver.kill();
                }
                Some(_) => {}
            }
            break;
        }
        let calls = bpf.counters().calls;
        recorder.borrow_mut().calls = calls;
        reader.consume(1 << 20);
    }
    recorder.into_inner()
}

/// (scenario, cookie, egress, call) in the order of the log.
fn parse(text: &str) -> Vec<(String, u64, bool, Call)> {
    let mut scenario = String::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        match words.as_slice() {
            ["scenario", name] => scenario = (*name).to_owned(),
            ["call", cookie, direction, length, pid, peer, flags, bytes] => calls.push((
                scenario.clone(),
                cookie.parse().expect("a cookie"),
                *direction == "w",
                Call {
                    length: length.parse().expect("a length"),
                    pid: pid.parse().expect("a process id"),
                    peer_port: peer.parse().expect("a port"),
                    flags: (*flags).to_owned(),
                    bytes: unhex(bytes),
                },
            )),
            _ => {}
        }
    }
    calls
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks_exact(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

type BySocket<'a> = BTreeMap<(u64, bool), Vec<Call>>;

/// By scenario; a socket used in several counts in the first, with all its calls.
fn group(calls: &[(String, u64, bool, Call)]) -> Vec<(String, BySocket<'_>)> {
    let mut first: HashMap<u64, &str> = HashMap::new();
    let mut groups: Vec<(String, BySocket<'_>)> = Vec::new();
    for (scenario, cookie, egress, call) in calls {
        let of = *first.entry(*cookie).or_insert(scenario);
        let at = groups.iter().position(|(name, _)| name == of).unwrap_or_else(|| {
            groups.push((of.to_owned(), BTreeMap::new()));
            groups.len() - 1
        });
        groups[at].1.entry((*cookie, *egress)).or_default().push(call.clone());
    }
    groups
}

fn same_bytes(call: &Call, got: &Seen) -> Result<(), String> {
    if call.flags == "n" || ((call.flags == "u" || call.flags == "x") && call.bytes.is_empty()) {
        return if got.payload.is_empty() { Ok(()) } else { Err("payload where there is none".to_owned()) };
    }
    let least = call.bytes.len().min(PAYLOAD);
    let common = call.bytes.len().min(got.payload.len());
    if got.payload.len() < least {
        return Err(format!("{} bytes of {} captured (flags {})", got.payload.len(), least, call.flags));
    }
    if got.payload[..common] != call.bytes[..common] {
        let at = got.payload.iter().zip(&call.bytes).position(|(a, b)| a != b).unwrap_or_default();
        return Err(format!("bytes differ from byte {at} of {}", call.length));
    }
    Ok(())
}

/// The events of a socket are numbered from 0 without a hole.
fn counted_once(recorder: &Recorder, cookie: u64) -> Result<(), String> {
    let mut counters: Vec<_> =
        recorder.data.iter().filter(|seen| seen.event.cookie == cookie).map(|seen| seen.event.counter).collect();
    counters.sort_unstable();
    let contiguous = counters.iter().enumerate().all(|(at, &counter)| at as u64 == counter);
    contiguous.then_some(()).ok_or(format!("events of cookie {cookie} are numbered {counters:?}"))
}

fn writers(text: &str, recorder: &Recorder, (ordered, exact): (bool, bool), told: u64) -> Result<String, String> {
    let word = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let cookie: u64 = word("writers ").and_then(|word| word.parse().ok()).ok_or("no cookie in the log")?;
    let stream = word("stream ").ok_or("no stream in the log")?.as_bytes();
    let sent = recorder.of(cookie, true);
    let base = recorder.announced.get(&cookie).copied().flatten().ok_or("the start of the connection was not told")?;
    let mut wrong = 0;
    let mut wrong_untold = 0;
    let total: u64 = sent.iter().map(|seen| u64::from(seen.event.length)).sum();
    if total != stream.len() as u64 {
        return Err(format!("{total} bytes captured of {}", stream.len()));
    }
    // By sequence, ranges must lie side by side. Those between a hole and the overlap that belongs to it are not sure.
    let mut ranges: Vec<_> = sent.iter().map(|seen| (seen.event.seq.wrapping_sub(base), seen.event.length)).collect();
    ranges.sort_unstable();
    let mut sure = HashSet::new();
    let (mut sum, mut reached) = (0, 0);
    for (at, &(start, length)) in ranges.iter().enumerate() {
        let next = ranges.get(at + 1).map_or(stream.len() as u32, |next| next.0);
        if start == sum && start == reached && next == start + length {
            sure.insert(start);
        }
        sum += length;
        reached = reached.max(start + length);
    }
    let overlaps = sent.iter().filter(|seen| u32::from(seen.event.flags) & abi::FLAG_OVERLAP != 0).count();
    let mut accounted = 0i64;
    for seen in &sent {
        let start = seen.event.seq.wrapping_sub(base);
        let end = start + seen.event.length;
        accounted += (i64::from(seen.event.length) + i64::from(seen.event.skipped as i32)).max(0);
        let right = stream.get(start as usize..end as usize).is_some_and(|bytes| bytes == seen.payload);
        if !right {
            wrong += 1;
            wrong_untold += usize::from(sure.contains(&start));
        }
    }
    // Kernels of level C have no atomic exchange: a few escape.
    let allowed = if exact { 0 } else { sent.len() / 50 };
    if wrong_untold > allowed {
        return Err(format!("{wrong_untold} events are at a wrong place and nothing tells"));
    }
    if ordered && wrong > 0 {
        return Err(format!("{wrong} of {} events are at a wrong place", sent.len()));
    }
    if exact && accounted != total as i64 {
        return Err(format!("{accounted} bytes accounted for, {total} sent"));
    }
    let doubled = ranges.windows(2).filter(|two| two[0].0 + two[0].1 > two[1].0).count();
    if exact && (doubled > 0) != (overlaps > 0) || (told as usize) < overlaps {
        return Err(format!("{doubled} ranges overlap, {overlaps} events say so, {told} were counted"));
    }
    Ok(format!("{} writes, {wrong} at a wrong place, {wrong_untold} of them untold; {overlaps} overlaps", sent.len()))
}
