//! Inference comes to an end, and what it finds can be parsed.
#![no_main]

use hadal_l7::check::{Step, drive_over, steps};
use hadal_l7::contract::{Options, Transport};
use hadal_l7::inference::{Inference, Verdict};
use hadal_l7::registry::Sample;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((what, bytes)) = bytes.split_first() else {
        return;
    };
    let transport = if what & 1 == 0 { Transport::Stream } else { Transport::Datagram };
    let options = Options::default();
    let (mut inference, steps) = (Inference::default(), steps(bytes));
    for (at, step) in steps.iter().enumerate() {
        let Step::Bytes(direction, bytes) = step else {
            continue;
        };
        let side = *direction == hadal_l7::Direction::ToServer;
        match inference.offer(side, Sample { transport, ..Sample::stream(bytes, None) }) {
            Verdict::Known(protocol, _) => {
                drive_over(transport, &mut *(protocol.parser)(options, transport), &options, &steps[at..]);
                return;
            }
            Verdict::Need(need) => assert!(need > bytes.len()),
            Verdict::Next | Verdict::Unknown => {}
        }
    }
});
