//! Dialogues in `tests/`, and whatever bytes.

use proptest::prelude::*;

use super::parser;
use crate::check::cases::check_folder;
use crate::check::{any_steps, drive};
use crate::contract::{Options, Transport};

#[test]
fn dialogues() {
    check_folder(concat!(env!("CARGO_MANIFEST_DIR"), "/src/protocols/http1/tests"), parser);
}

/// Pieces that make bytes more like the protocol than chance would.
const WORDS: &[&[u8]] = &[
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"/a?b=c",
    b" HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 101 x\r\n",
    b"\r\n",
    b"\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"b3: 1-2\r\n",
    b"sw8: 1-YWJj-ZGVm-3-\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b" folded\r\n",
];

proptest! {
    #[test]
    fn any_bytes_keep_the_contract(steps in any_steps(WORDS)) {
        let options = Options { max_head: 256, max_text: 32, ..Options::default() };
        drive(&mut *parser(options, Transport::Stream), &options, &steps);
    }
}
