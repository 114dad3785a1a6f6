//! Dialogues in `tests/`, whatever bytes, and what is no DNS.

use proptest::prelude::*;

use super::parser;
use crate::check::cases::check_folder;
use crate::check::{any_steps, drive_over};
use crate::contract::{Options, Transport};

#[test]
fn dialogues() {
    check_folder(concat!(env!("CARGO_MANIFEST_DIR"), "/src/protocols/dns/tests"), parser);
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
