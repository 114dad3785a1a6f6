//! Prints socket events for a number of seconds: `cargo run -p hadal-bpf --example events 5`.

use std::time::{Duration, Instant};

use hadal_abi::Event;

fn main() -> Result<(), hadal_bpf::Error> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let bpf = hadal_bpf::Bpf::load(hadal_bpf::Config::default())?;
    for socket in bpf.list_sockets()? {
        println!("older: {}", describe(&socket));
    }
    let reader = bpf.reader(|record| match Event::decode(record) {
        Some(Event::Data(event, payload)) => {
            let text = String::from_utf8_lossy(payload).escape_debug().take(60).collect::<String>();
            println!("data {:x} dir {} seq {} len {} {text}", event.cookie, event.direction, event.seq, event.length);
        }
        Some(Event::Socket(socket)) => println!("socket {}", describe(&socket)),
        Some(Event::Exec(event)) => println!("exec {} {}", event.header.pid, String::from_utf8_lossy(&event.args)),
        Some(other) => println!("{other:?}"),
        None => println!("undecodable record of {} bytes", record.len()),
    })?;
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        reader.consume(1 << 20);
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("{:?}", bpf.counters());
    Ok(())
}

fn describe(socket: &hadal_abi::SocketEvent) -> String {
    let address = |bytes: [u8; 16]| std::net::Ipv6Addr::from(bytes).to_canonical();
    format!(
        "{:x} pid {} role {} state {} net {} {}:{} -> {}:{} connect {} µs",
        socket.cookie,
        socket.header.pid,
        socket.role,
        socket.state,
        socket.netns,
        address(socket.local_address),
        socket.local_port,
        address(socket.remote_address),
        socket.remote_port,
        socket.connect_us
    )
}
