//! Any statement is judged, and what passes stays passable after its format was taken off.
#![no_main]

use hadal_sql::{check_read_only, statement_format};

libfuzzer_sys::fuzz_target!(|sql: &str| {
    if check_read_only(sql).is_ok() {
        let (statement, _) = statement_format(sql);
        assert!(check_read_only(&statement).is_ok(), "{statement:?}");
    }
});
