//! Any dialogue keeps the contract.
#![no_main]

use hadal_l7::check::{drive, steps};
use hadal_l7::contract::{Options, Transport};
use hadal_l7::protocols::fastcgi::parser;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let options = Options { max_head: 1024, max_text: 64, ..Options::default() };
    drive(&mut *parser(options, Transport::Stream), &options, &steps(bytes));
});
