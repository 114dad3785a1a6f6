//! Dialogues in `tests/`, whatever bytes, and what is no DNS.

use proptest::prelude::*;

use super::{parser, probe};
use crate::check::cases::{check_folder, parse};
use crate::check::{Step, any_steps, drive_over};
use crate::contract::{Half, Options, Probe, Transport};
use crate::inference::MAX_PROBE;
use crate::registry::Sample;

#[test]
fn dialogues() {
    check_folder(concat!(env!("CARGO_MANIFEST_DIR"), "/src/protocols/dns/tests"), parser);
}

/// Each message of the dialogues is recognised alone, if it is whole; and nothing less or more than it is.
#[test]
fn probes() {
    for file in ["datagrams", "local"] {
        let path = format!("{}/src/protocols/dns/tests/{file}.txt", env!("CARGO_MANIFEST_DIR"));
        for case in parse(&std::fs::read_to_string(path).unwrap()) {
            for step in &case.steps {
                if let Step::Bytes(_, bytes) = step {
                    probe_of(bytes);
                }
            }
        }
    }
}

fn probe_of(message: &[u8]) {
    let datagram = |bytes: &[u8]| probe(Sample::datagram(bytes, None));
    let Probe::Yes(half) = datagram(message) else {
        return;
    };
    assert_eq!(half == Half::Response, message[2] & 0x80 != 0);
    assert_eq!(datagram(&[message, b"\0"].concat()), Probe::No);
    let stream = [&(message.len() as u16).to_be_bytes()[..], message].concat();
    assert_eq!(probe(Sample::stream(&stream, None)), Probe::Yes(half));
    assert_eq!(probe(Sample::stream(&[&stream[..], b"more"].concat(), None)), Probe::Yes(half));
    for end in 0..message.len() {
        assert_eq!(datagram(&message[..end]), Probe::No);
    }
    for end in 0..stream.len().min(MAX_PROBE) {
        let verdict = probe(Sample::stream(&stream[..end], None));
        assert!(matches!(verdict, Probe::Need(need) if need > end && need <= stream.len()), "{end}: {verdict:?}");
    }
}

/// What has a similar form.
#[test]
fn other_protocols() {
    let name = b"\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0";
    let cases: &[&[u8]] = &[
        // The name service of NetBIOS, by its types.
        &[b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0", &name[..], b"\0\x20\0\x01"].concat(),
        &[b"\x12\x34\0\0\0\x01\0\0\0\0\0\0", &name[..], b"\0\x21\0\x01"].concat(),
        // A header alone, NTP, STUN, DTLS, QUIC, SIP, statsd, syslog, TFTP, SNMP.
        b"\x12\x34\x81\x81\0\0\0\0\0\0\0\0",
        &[&b"\x23\0\x06\xec"[..], &[0; 44]].concat(),
        b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl",
        b"\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x40\x01\0\0\x34\0\0\0\0\0\0\0\x34\xfe\xfd",
        b"\xc3\0\0\0\x01\x08abcdefgh\0\0\x44\x9e",
        b"OPTIONS sip:a SIP/2.0\r\n\r\n",
        b"requests.count:1|c",
        b"<34>1 2026-01-01T00:00:00Z host app - - - text",
        b"\0\x01file\0octet\0",
        b"0&\x02\x01\x01\x04\x06public\xa0\x19\x02\x01\0\x02\x01\0\x02\x01\x000\x0e0\x0c\x06\x08+\x06\x01\x02\x01\x01\x02\0\x05\0",
    ];
    for bytes in cases {
        assert_eq!(probe(Sample::datagram(bytes, None)), Probe::No, "{bytes:?}");
        for missing in [0, 100] {
            let sample = Sample { missing, ..Sample::datagram(bytes, None) };
            assert_eq!(probe(sample), Probe::No, "{bytes:?}");
        }
    }
    let streams: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03abcdefghijklmnop",
        b"*1\r\n$4\r\nPING\r\n",
        b"\0\0\0\x17\xffabcdefghijklmnopqrstuv",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"\0\x17\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01",
    ];
    for bytes in streams {
        assert_eq!(probe(Sample::stream(bytes, None)), Probe::No, "{bytes:?}");
    }
}

/// Pieces that make bytes more like the protocol than chance would.
const WORDS: &[&[u8]] = &[
    b"\0\x18",
    b"\0\x28",
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0",
    b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0",
    b"\x12\x34\x84\0\0\0\0\x02\0\0\0\x01",
    b"\x01a\x04test\0\0\x01\0\x01",
    b"\x01a\x04test\0\0\xfc\0\x01",
    b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01",
    b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x02\xc0\x0c",
    b"\xc0\x0c\0\x06\0\x01\0\0\0\x3c\0\x16\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\0\0\x29\x04\xd0\0\0\x80\0\0\0",
    b"\xc0\x10",
    b"\xff\xff",
    b"\0",
];

proptest! {
    #[test]
    fn any_bytes_keep_the_contract(steps in any_steps(WORDS), datagrams in any::<bool>()) {
        let transport = if datagrams { Transport::Datagram } else { Transport::Stream };
        let options = Options { max_head: 256, max_text: 32, ..Options::default() };
        drive_over(transport, &mut *parser(options, transport), &options, &steps);
    }
}
