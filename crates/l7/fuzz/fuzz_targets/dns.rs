//! Any dialogue keeps the contract, in a stream and in datagrams.
#![no_main]

use hadal_l7::check::{drive_over, steps};
use hadal_l7::contract::{Options, Transport};
use hadal_l7::protocols::dns::parser;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let options = Options { max_head: 1024, max_text: 64, ..Options::default() };
    for transport in [Transport::Stream, Transport::Datagram] {
        drive_over(transport, &mut *parser(options, transport), &options, &steps(bytes));
    }
});
