//! The embedded engine on a real libchdb. One test: the engine allows one data path per process.
#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use hadal_model::catalog::{APPLICATION_MAP, ENTITY, L7_FLOW_LOG, TABLES, Table};
use hadal_store::{DataDirectory, Embedded, EmbeddedConfig, Engine, Error, Format, Library, find_library, migrate};
use hadal_testkit::{TempFolder, sample_batch};

const TIME: u32 = 1_900_000_000;

fn batch(table: &Table) -> arrow_array::RecordBatch {
    sample_batch(&table.store_schema(), 3, TIME)
}

fn ask(engine: &dyn Engine, sql: &str) -> String {
    let output = engine.query_as_user("flow_log", sql, Format::Tsv).unwrap_or_else(|error| panic!("{sql}: {error}"));
    String::from_utf8(output.bytes).unwrap().trim().to_owned()
}

fn refused(engine: &dyn Engine, sql: &str) -> Error {
    engine.query_as_user("flow_log", sql, Format::Tsv).expect_err(sql)
}

#[test]
fn embedded_engine() {
    let folder = TempFolder::new("store");
    let (path, file) = find_library().expect("libchdb: run `make setup`");
    broken_libraries_are_refused(&path);
    let library = Library::load(&path, &file).unwrap();
    let directory = DataDirectory::open(folder.path()).unwrap();
    assert!(matches!(DataDirectory::open(folder.path()), Err(Error::DirectoryLocked { .. })));
    let engine = Embedded::open(library, directory, EmbeddedConfig::default()).unwrap();
    assert!(engine.version().starts_with("26."));
    migrate(&engine).unwrap();
    migrate(&engine).unwrap();

    every_table_takes_a_batch(&engine);
    a_repeated_insert_counts_once(&engine);
    tags_are_columns(&engine);
    users_cannot_write_or_reach_out(&engine);
    a_time_finds_its_place_in_the_log(&engine);
    engine.shutdown();
    assert!(engine.query("SELECT 1", Format::Tsv).is_err());
}

fn broken_libraries_are_refused(path: &std::path::Path) {
    let folder = TempFolder::new("library");
    let check = |content: &[u8], want: &str| {
        let broken = folder.path().join("libchdb.so");
        std::fs::write(&broken, content).unwrap();
        let outcome = Library::load(&broken, &std::fs::File::open(&broken).unwrap());
        let Err(error) = outcome else { panic!("{want}: loaded") };
        assert!(error.to_string().contains(want), "{error}");
    };
    let mut start = vec![0; 1 << 20];
    std::io::Read::read_exact(&mut std::fs::File::open(path).unwrap(), &mut start).unwrap();
    check(b"", "no ELF library");
    check(&[b'x'; 100], "no 64-bit ELF library");
    check(&start[..100], "no ELF library");
    check(&start, "cut off");
    let mut other = std::fs::read("/proc/self/exe").unwrap();
    check(&other, "is not a usable libchdb");
    other.truncate(other.len() / 2);
    check(&other, "cut off");
}

fn every_table_takes_a_batch(engine: &dyn Engine) {
    for table in TABLES.iter().filter(|table| table.name != ENTITY.name) {
        engine.insert(&table.sql_name(table.precision), &batch(table), &format!("first {}", table.name)).unwrap();
    }
    let row = ask(
        engine,
        "SELECT time, start_time, ip_0, l7_protocol_str, response_code, attribute FROM l7_flow_log ORDER BY start_time LIMIT 1",
    );
    assert_eq!(
        row,
        "2030-03-17 17:46:40\t2030-03-17 17:46:40.000000\t::ffff:10.0.0.1\tl7_protocol_str 0\t200\t{'auto_service':'cart'}"
    );
}

fn a_repeated_insert_counts_once(engine: &dyn Engine) {
    let table = &APPLICATION_MAP;
    for _ in 0..3 {
        engine.insert(&table.sql_name(table.precision), &batch(table), "same token").unwrap();
    }
    for precision in ["1s", "1m", "1h"] {
        let sums = format!("SELECT sum(request), max(rrt_max) FROM {}", table.sql_name(precision));
        assert_eq!(ask(engine, &sums), "12\t2", "{precision}");
        let quantile = format!(
            "SELECT round(sketch_quantile(sumMap(rrt_sketch), 0.99)), round(sketch_quantile(sumMap(rrt_sketch), 0)), \
             sketch_quantile(map()::Map(Int16, UInt64), 0.5) FROM {}",
            table.sql_name(precision)
        );
        assert_eq!(ask(engine, &quantile), "1013\t7\t\\N", "{precision}");
    }
}

fn tags_are_columns(engine: &dyn Engine) {
    let before = "SELECT DISTINCT auto_service_1 FROM flow_log.l7_flow_log";
    assert_eq!(ask(engine, before), "entity 7");
    engine.insert(&ENTITY.sql_name(""), &batch(&ENTITY), "entities").unwrap();
    engine.execute("SYSTEM RELOAD DICTIONARY meta.entity_tags").unwrap();
    assert_eq!(ask(engine, before), "cart");
    let table = L7_FLOW_LOG.sql_name("");
    assert_eq!(ask(engine, &format!("SELECT count() FROM {table} WHERE auto_service_0 = 'cart'")), "3");
}

fn users_cannot_write_or_reach_out(engine: &dyn Engine) {
    for sql in [
        "SELECT * FROM file('/etc/shadow')",
        "SELECT * FROM url('http://127.0.0.1/')",
        "CREATE TABLE hadal.x (a Int8) ENGINE = Memory",
        "DROP TABLE flow_log.l7_flow_log",
        "SET readonly = 0",
        "INSERT INTO hadal.loss VALUES (now(), 'a', 'b', 1)",
    ] {
        let error = refused(engine, sql);
        assert!(matches!(error, Error::Forbidden(_)), "{sql}: {error:?}");
    }
    assert!(matches!(refused(engine, "SELEC 1"), Error::Statement(_)));
    assert!(matches!(refused(engine, "SELECT number FROM numbers(2000000)"), Error::Limit(_)));
}

/// Users' statements say nothing but the time, and an hour has many rows.
fn a_time_finds_its_place_in_the_log(engine: &dyn Engine) {
    let hour = TIME / 3600 * 3600 + 7200;
    let fill = "INSERT INTO flow_log.l7_flow_log (time, server_entity) \
        SELECT toDateTime(START + intDiv(number, 100), 'UTC'), number % 50 FROM numbers(360000)";
    engine.execute(&fill.replace("START", &hour.to_string())).unwrap();
    let (from, to) = (hour + 1800, hour + 1804);
    let seconds = format!(
        "SELECT count() FROM flow_log.l7_flow_log WHERE time >= toDateTime({from}) AND time <= toDateTime({to})"
    );
    for planner in [0, 1] {
        let sql = format!("{seconds} SETTINGS enable_analyzer = {planner}, optimize_use_implicit_projections = 0");
        let output = engine.query(&sql, Format::Tsv).unwrap();
        assert_eq!(output.bytes, b"500\n");
        assert!(output.rows_read <= 20_000, "{} rows are read by planner {planner}", output.rows_read);
    }
}
