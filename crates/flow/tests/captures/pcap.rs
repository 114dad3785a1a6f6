//! Reads what the captures of the tests are made of: classic pcap, Ethernet, IPv4, TCP and UDP.

use std::net::Ipv4Addr;

use hadal_flow::Transport;

/// A TCP segment or a UDP datagram.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// TCP or UDP.
    pub(crate) transport: Transport,
    /// UTC, microseconds.
    pub(crate) time_us: u64,
    /// Sender.
    pub(crate) source: (Ipv4Addr, u16),
    /// Receiver.
    pub(crate) destination: (Ipv4Addr, u16),
    /// Sequence number of the first byte of payload.
    pub(crate) seq: u32,
    /// SYN without ACK.
    pub(crate) opens: bool,
    /// FIN or RST.
    pub(crate) closes: bool,
    /// Bytes of payload on the wire.
    pub(crate) length: u32,
    /// Those that were captured.
    pub(crate) payload: Vec<u8>,
}

/// The segments and datagrams of a capture (little endian, microseconds).
pub(crate) fn read(file: &[u8]) -> Vec<Packet> {
    assert_eq!(file.get(..4), Some(&[0xd4, 0xc3, 0xb2, 0xa1][..]), "not a capture of that kind");
    let (mut packets, mut rest) = (Vec::new(), &file[24..]);
    while let Some((head, after)) = rest.split_at_checked(16) {
        let field = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        let (frame, next) = after.split_at(field(8) as usize);
        let time_us = u64::from(field(0)) * 1_000_000 + u64::from(field(4));
        packets.extend(packet(frame, time_us));
        rest = next;
    }
    packets
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn packet(frame: &[u8], time_us: u64) -> Option<Packet> {
    let mut at = 12;
    while short(frame, at)? == 0x8100 {
        at += 4;
    }
    if short(frame, at)? != 0x0800 {
        return None;
    }
    let ip = frame.get(at + 2..)?;
    let header = usize::from(ip.first()? & 0x0f) * 4;
    let total = usize::from(short(ip, 2)?);
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?));
    let segment = ip.get(header..)?;
    let empty = Packet {
        transport: Transport::Datagram,
        time_us,
        source: (address(12)?, short(segment, 0)?),
        destination: (address(16)?, short(segment, 2)?),
        seq: 0,
        opens: false,
        closes: false,
        length: 0,
        payload: Vec::new(),
    };
    let with = |packet, length: usize, payload: &[u8]| {
        let payload = payload.get(..length).unwrap_or(payload).to_vec();
        Packet { length: length as u32, payload, ..packet }
    };
    match ip.get(9)? {
        6 => tcp(segment, total.checked_sub(header)?, empty, with),
        17 => Some(with(empty, usize::from(short(segment, 4)?).checked_sub(8)?, segment.get(8..)?)),
        _ => None,
    }
}

fn tcp(segment: &[u8], total: usize, empty: Packet, with: impl Fn(Packet, usize, &[u8]) -> Packet) -> Option<Packet> {
    let offset = usize::from(segment.get(12)? >> 4) * 4;
    let flags = segment.get(13)?;
    let length = total.checked_sub(offset)?;
    let seq = u32::from_be_bytes(segment.get(4..8)?.try_into().ok()?);
    let packet = Packet {
        transport: Transport::Stream,
        seq: seq.wrapping_add(u32::from(flags & 2 != 0)),
        opens: flags & 0x12 == 2,
        closes: flags & 0x05 != 0,
        ..empty
    };
    Some(with(packet, length, segment.get(offset..)?))
}
