//! Dialogues in `tests/`, and whatever bytes.

use proptest::prelude::*;

use super::parser;
use crate::check::cases::check_folder;
use crate::check::{any_steps, drive};
use crate::contract::{Options, Transport};

#[test]
fn dialogues() {
    check_folder(concat!(env!("CARGO_MANIFEST_DIR"), "/src/protocols/redis/tests"), parser);
}

/// Pieces that make bytes more like the protocol than chance would.
const WORDS: &[&[u8]] = &[
    b"*1\r\n",
    b"*2\r\n",
    b"$3\r\n",
    b"GET\r\n",
    b"$4\r\n",
    b"PING\r\n",
    b"+OK\r\n",
    b"-ERR x\r\n",
    b":1\r\n",
    b"$-1\r\n",
    b"$9\r\nSUBSCRIBE\r\n",
    b">3\r\n",
    b"%1\r\n",
    b"*?\r\n",
    b"$?\r\n",
    b";1\r\n",
    b"x\r\n",
    b".\r\n",
    b"|1\r\n",
    b"_\r\n",
    b"*2000000000\r\n",
];

proptest! {
    #[test]
    fn any_bytes_keep_the_contract(steps in any_steps(WORDS)) {
        let options = Options { max_head: 256, max_text: 32, ..Options::default() };
        drive(&mut *parser(options, Transport::Stream), &options, &steps);
    }
}
