//! Cost of a request with its response, from socket events to session: `cargo bench -p hadal-flow`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use hadal_flow::{Connection, Origin, Output, Role, Segment, Settings, Transport};

const HTTP_REQUEST: &str = "GET /api/v1/orders/4711/items?page=2 HTTP/1.1\r\nHost: shop.example:8080\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\n\
    X-Request-ID: 1f3a-77\r\n\r\n";

const PAIRS: u32 = 1_000_000;

fn http_response() -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 612\r\n\r\n";
    [head.as_bytes(), &[b'x'; 612]].concat()
}

struct Wire {
    connection: Connection,
    seqs: [u32; 2],
    time_us: u64,
    out: Output,
    sessions: usize,
}

impl Wire {
    fn new() -> Self {
        let connection = Connection::new(Some(Role::Client), Transport::Stream, Arc::new(Settings::default()));
        Self { connection, seqs: [0; 2], time_us: 1, out: Output::default(), sessions: 0 }
    }

    /// An event; of `bytes` only the first `captured` are there.
    fn event(&mut self, egress: bool, bytes: &[u8], captured: usize) {
        let seq = &mut self.seqs[usize::from(egress)];
        self.time_us += 10;
        let origin = Origin { time_us: self.time_us, seq: *seq, context: 7, pid: 1, tid: 2 };
        let length = bytes.len() as u32;
        let captured = &bytes[..captured.min(bytes.len())];
        let segment = Segment { seq: *seq, length, captured, first: origin, last: origin };
        *seq = seq.wrapping_add(length);
        self.connection.data(egress, segment, &mut self.out);
        self.sessions += self.out.sessions.drain(..).map(black_box).count();
    }
}

fn measure(name: &str, request: &[u8], response: &[u8], captured: usize) {
    let mut wire = Wire::new();
    let begin = Instant::now();
    for _ in 0..PAIRS {
        wire.event(true, request, captured);
        wire.event(false, response, captured);
    }
    let ns = begin.elapsed().as_nanos() / u128::from(PAIRS);
    println!("{name:<32} {ns:>6} ns per pair, {} sessions of {PAIRS}", wire.sessions);
}

fn main() {
    let response = http_response();
    println!("Connection: {} bytes", size_of::<Connection>());
    measure("HTTP/1, all bytes", HTTP_REQUEST.as_bytes(), &response, usize::MAX);
    measure("HTTP/1, first 256 bytes", HTTP_REQUEST.as_bytes(), &response, 256);
    measure("Redis GET", b"*2\r\n$3\r\nGET\r\n$8\r\nuser:123\r\n", b"$5\r\nhello\r\n", usize::MAX);
    measure("unknown protocol", b"\x00\x01\x02\x03binary\xff", b"\xfe\xfd\xfcmore", usize::MAX);
}
