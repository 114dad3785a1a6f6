//! Dialogues in `tests/`, and whatever bytes.

use proptest::prelude::*;

use super::parser;
use crate::check::cases::check_folder;
use crate::check::{any_steps, drive};
use crate::contract::{Options, Transport};

#[test]
fn dialogues() {
    check_folder(concat!(env!("CARGO_MANIFEST_DIR"), "/src/protocols/postgresql/tests"), parser);
}

/// Pieces that make bytes more like the protocol than chance would.
const WORDS: &[&[u8]] = &[
    b"Q\0\0\0\x0dSELECT 1\0",
    b"Q\0\0\0\x18COPY t FROM STDIN  \0",
    b"P\0\0\0\x10\0SELECT 1\0\0\0",
    b"P\0\0\0\x11a\0SELECT 1\0\0\0",
    b"B\0\0\0\x0d\0a\0\0\0\0\0\0\0",
    b"D\0\0\0\x06P\0",
    b"D\0\0\0\x07Sa\0",
    b"E\0\0\0\x09\0\0\0\0\0",
    b"C\0\0\0\x07Sa\0",
    b"S\0\0\0\x04",
    b"H\0\0\0\x04",
    b"X\0\0\0\x04",
    b"d\0\0\0\x06ab",
    b"d\0\0\0\x40ab",
    b"c\0\0\0\x04",
    b"f\0\0\0\x06x\0",
    b"F\0\0\0\x0e\0\0\0\x07\0\0\0\0\0\0",
    b"\0\0\0\x08\x04\xd2\x16\x2f",
    b"\0\0\0\x13\0\x03\0\0user\0me\0\0\0",
    b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07abcd",
    b"1\0\0\0\x04",
    b"2\0\0\0\x04",
    b"3\0\0\0\x04",
    b"n\0\0\0\x04",
    b"s\0\0\0\x04",
    b"I\0\0\0\x04",
    b"t\0\0\0\x06\0\0",
    b"T\0\0\0\x1b\0\x01id\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0",
    b"D\0\0\0\x0b\0\x01\0\0\0\x017",
    b"C\0\0\0\x0dSELECT 1\0",
    b"Z\0\0\0\x05I",
    b"Z\0\0\0\x05T",
    b"E\0\0\0\x1aSERROR\0C42P01\0Mno no\0\0",
    b"E\0\0\0\x1aSFATAL\0C57P01\0Mno no\0\0",
    b"N\0\0\0\x1bSNOTICE\0C00000\0Mno no\0\0",
    b"A\0\0\0\x0e\0\0\0\x07news\0\0",
    b"S\0\0\0\x08a\0b\0",
    b"R\0\0\0\x08\0\0\0\0",
    b"G\0\0\0\x07\0\0\0",
    b"H\0\0\0\x07\0\0\0",
    b"W\0\0\0\x07\0\0\0",
    b"N",
    b"S",
];

proptest! {
    #[test]
    fn any_bytes_keep_the_contract(steps in any_steps(WORDS)) {
        let options = Options { max_head: 256, max_text: 32, ..Options::default() };
        drive(&mut *parser(options, Transport::Stream), &options, &steps);
    }
}
