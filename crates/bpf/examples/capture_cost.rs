//! What the kernel programs add to one system call: `capture_cost [ROUNDS [VARIANT]]`, as root, on an otherwise idle machine.
//!
//! One thread on one CPU makes calls, the events are read on another. In each round every variant is attached and detached
//! once, in rotating order; the table shows medians over the rounds of (variant − nothing attached, same round), each the
//! 10th percentile of short batches.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use hadal_bpf::{Bpf, Config, Level, Policy};

/// Calls per batch.
const CALLS: u32 = 400;
/// Batches per measurement; their 10th percentile counts, so that what else runs here disturbs little.
const BATCHES: usize = 150;
/// Bytes of a socket call.
const BYTES: usize = 256;

#[derive(Clone, Copy)]
struct Variant {
    name: &'static str,
    level: Option<Level>,
    ordered: bool,
    policy: Option<Policy>,
}

const VARIANTS: &[Variant] = &[
    Variant { name: "level A, 256 B of every call", level: Some(Level::A), ordered: false, policy: None },
    Variant { name: "level A, exact order of sends", level: Some(Level::A), ordered: true, policy: None },
    Variant { name: "level A, bytes only counted", level: Some(Level::A), ordered: false, policy: Some(Policy::Count) },
    Variant { name: "level A, socket ignored", level: Some(Level::A), ordered: false, policy: Some(Policy::Ignore) },
    Variant { name: "level B, 256 B of every call", level: Some(Level::B), ordered: false, policy: None },
    Variant { name: "level C, 256 B of every call", level: Some(Level::C), ordered: false, policy: None },
    Variant { name: "nothing attached, again", level: None, ordered: false, policy: None },
];

fn main() {
    let rounds = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(15);
    let only = std::env::args().nth(2);
    pin(1);
    let mut deltas: Vec<[Vec<f64>; 2]> = vec![Default::default(); VARIANTS.len()];
    let mut absolute = [Vec::new(), Vec::new()];
    let mut refused = vec![String::new(); VARIANTS.len()];
    for round in 0..rounds {
        let bare = measure();
        absolute[0].push(bare[0]);
        absolute[1].push(bare[1]);
        for step in 0..VARIANTS.len() {
            let at = (step + round) % VARIANTS.len();
            if !only.as_ref().is_none_or(|only| VARIANTS[at].name.contains(only.as_str())) {
                continue;
            }
            match with(VARIANTS[at]) {
                Ok(probed) => (0..2).for_each(|what| deltas[at][what].push(probed[what] - bare[what])),
                Err(why) => refused[at] = why,
            }
        }
    }
    println!("| ns per call, median of {rounds} rounds | getppid | {BYTES}-byte TCP send or receive |");
    println!("|---|---|---|");
    println!("| nothing attached | {:.0} | {:.0} |", median(&mut absolute[0]), median(&mut absolute[1]));
    for (at, variant) in VARIANTS.iter().enumerate() {
        if deltas[at][0].is_empty() {
            println!("| {} | not run: {} | |", variant.name, refused[at].replace('\n', " "));
        } else {
            let [unrelated, socket] = &mut deltas[at];
            println!("| {} | {:+.0} | {:+.0} |", variant.name, median(unrelated), median(socket));
        }
    }
}

fn with(variant: Variant) -> Result<[f64; 2], String> {
    let Some(level) = variant.level else { return Ok(measure()) };
    let config = Config { level: Some(level), ordered_sends: variant.ordered, ..Config::default() };
    let bpf = Bpf::load(config).map_err(|error| error.to_string())?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (bpf, stop) = (&bpf, &stop);
        scope.spawn(move || {
            pin(0);
            let reader = bpf
                .reader(|record| {
                    if let (Some(policy), Some(hadal_abi::Event::Socket(event))) =
                        (variant.policy, hadal_abi::Event::decode(record))
                    {
                        let _ = bpf.set_policy(event.cookie, policy);
                    }
                })
                .expect("a reader");
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
                reader.consume(1 << 20);
            }
        });
        // The reader has to have begun.
        std::thread::sleep(Duration::from_millis(30));
        let measured = measure();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok(measured)
    })
}

/// Nanoseconds per getppid and per socket call.
fn measure() -> [f64; 2] {
    let unrelated = batches(|| {
        for _ in 0..CALLS {
            // SAFETY: takes nothing and cannot fail.
            unsafe { libc::getppid() };
        }
    });
    let (mut client, mut server) = pair();
    let mut bytes = [7; BYTES];
    let mut exchange = |times: u32| {
        for _ in 0..times {
            client.write_all(&bytes).expect("sent");
            server.read_exact(&mut bytes).expect("received");
        }
    };
    // Meets the socket, and lets a policy come back.
    exchange(20);
    std::thread::sleep(Duration::from_millis(30));
    server.write_all(&[0; 8]).expect("sent");
    client.read_exact(&mut [0; 8]).expect("received");
    let mut exchange = |times: u32| {
        for _ in 0..times {
            client.write_all(&bytes).expect("sent");
            server.read_exact(&mut bytes).expect("received");
        }
    };
    let socket = batches(|| exchange(CALLS / 2));
    [unrelated, socket]
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    (client, listener.accept().expect("accepted").0)
}

/// Nanoseconds per call of batches of [`CALLS`].
fn batches(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<_> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_nanos() as f64 / f64::from(CALLS)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[BATCHES / 10]
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn pin(cpu: usize) {
    // SAFETY: the set is ours and initialised; the call changes this thread only.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}
