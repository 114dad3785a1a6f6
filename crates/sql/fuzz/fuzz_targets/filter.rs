//! Any filter line is translated or refused with a place inside of it.
#![no_main]

use hadal_sql::{Target, filter_to_sql, outcomes};

libfuzzer_sys::fuzz_target!(|filter: &str| {
    for target in [Target::Log, Target::Metrics, Target::Connections] {
        if let Err(error) = filter_to_sql(filter, target) {
            assert!(error.position <= filter.chars().count());
        }
    }
    let _ = outcomes(filter);
});
