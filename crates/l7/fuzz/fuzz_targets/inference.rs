//! Inference comes to an end, and what it finds can be parsed.
#![no_main]

use hadal_l7::check::{Step, drive, steps};
use hadal_l7::contract::Options;
use hadal_l7::inference::{Inference, Verdict};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let options = Options::default();
    let (mut inference, steps) = (Inference::default(), steps(bytes));
    for (at, step) in steps.iter().enumerate() {
        let Step::Bytes(direction, bytes) = step else {
            continue;
        };
        let side = *direction == hadal_l7::Direction::ToServer;
        match inference.offer(side, None, bytes) {
            Verdict::Known(protocol, _) => {
                drive(&mut *(protocol.parser)(options), &options, &steps[at..]);
                return;
            }
            Verdict::Need(need) => assert!(need > bytes.len()),
            Verdict::Next | Verdict::Unknown => {}
        }
    }
});
