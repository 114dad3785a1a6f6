//! The embedded engine on a real libchdb. One test: the engine allows one data path per process.

use std::sync::Arc;

use arrow_array::builder::{Int16Builder, MapBuilder, MapFieldNames, StringBuilder, StringDictionaryBuilder, UInt64Builder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, FixedSizeBinaryArray, Int32Array, RecordBatch, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Schema};
use hadal_model::catalog::{APPLICATION_MAP, ENTITY, L7_FLOW_LOG, Table, TABLES};
use hadal_store::{DataDirectory, Embedded, EmbeddedConfig, Engine, Error, Format, Library, find_library, migrate};

const ROWS: usize = 3;
const TIME: u32 = 1_900_000_000;

/// A column of plausible values of any type of the catalog.
fn column(name: &str, kind: &DataType) -> ArrayRef {
    match kind {
        DataType::UInt8 => Arc::new(UInt8Array::from(vec![0; ROWS])),
        DataType::UInt16 => Arc::new(UInt16Array::from(vec![80; ROWS])),
        DataType::UInt32 if name == "time" => Arc::new(UInt32Array::from(vec![TIME; ROWS])),
        DataType::UInt32 => Arc::new(UInt32Array::from(vec![7; ROWS])),
        DataType::UInt64 => Arc::new(UInt64Array::from(vec![2; ROWS])),
        DataType::Int32 => Arc::new(Int32Array::from(vec![Some(200), None, Some(500)])),
        DataType::Float64 => Arc::new(arrow_array::Float64Array::from(vec![1.5; ROWS])),
        DataType::Timestamp(..) => {
            let micros = i64::from(TIME) * 1_000_000 + 5;
            Arc::new(TimestampMicrosecondArray::from(vec![micros; ROWS]).with_timezone("UTC"))
        }
        DataType::Dictionary(..) => {
            let mut builder = StringDictionaryBuilder::<Int32Type>::new();
            (0..ROWS).for_each(|_| builder.append_value("word"));
            Arc::new(builder.finish())
        }
        DataType::Utf8 => Arc::new(arrow_array::StringArray::from(vec!["text"; ROWS])),
        DataType::FixedSizeBinary(16) => {
            let mapped = std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets();
            Arc::new(FixedSizeBinaryArray::try_from_iter((0..ROWS).map(|_| mapped)).unwrap())
        }
        DataType::Map(..) if name == "rrt_sketch" => sketches(),
        DataType::Map(..) => texts(),
        other => panic!("no sample of {other}"),
    }
}

fn names() -> Option<MapFieldNames> {
    Some(MapFieldNames { entry: "entries".into(), key: "keys".into(), value: "values".into() })
}

fn sketches() -> ArrayRef {
    let values = UInt64Builder::new();
    let mut builder = MapBuilder::new(names(), Int16Builder::new(), values);
    for _ in 0..ROWS {
        builder.keys().append_value(350);
        builder.values().append_value(1);
        builder.keys().append_value(100);
        builder.values().append_value(1);
        builder.append(true).unwrap();
    }
    Arc::new(builder.finish())
}

fn texts() -> ArrayRef {
    let mut builder = MapBuilder::new(names(), StringBuilder::new(), StringBuilder::new());
    for _ in 0..ROWS {
        builder.keys().append_value("auto_service");
        builder.values().append_value("cart");
        builder.append(true).unwrap();
    }
    Arc::new(builder.finish())
}

fn batch(table: &Table) -> RecordBatch {
    let schema: Schema = table.store_schema();
    let columns: Vec<_> = schema.fields().iter().map(|field| column(field.name(), field.data_type())).collect();
    // Map builders make their own field metadata, so the schema is taken from the arrays.
    let fields: Vec<_> = schema.fields().iter().zip(&columns).map(|(field, array)| {
        arrow_schema::Field::new(field.name(), array.data_type().clone(), true)
    }).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
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
    let folder = std::env::temp_dir().join(format!("hadal-store-{}", std::process::id()));
    let (path, file) = find_library().expect("libchdb: run `make setup`");
    let library = Library::load(&path, &file).unwrap();
    let directory = DataDirectory::open(&folder).unwrap();
    assert!(matches!(DataDirectory::open(&folder), Err(Error::DirectoryLocked { .. })));
    let engine = Embedded::open(library, directory, EmbeddedConfig::default()).unwrap();
    assert!(engine.version().starts_with("26."));
    migrate(&engine).unwrap();
    migrate(&engine).unwrap();

    every_table_takes_a_batch(&engine);
    a_repeated_insert_counts_once(&engine);
    tags_are_columns(&engine);
    users_cannot_write_or_reach_out(&engine);
    engine.shutdown();
    assert!(engine.query("SELECT 1", Format::Tsv).is_err());
    std::fs::remove_dir_all(folder).unwrap();
}

fn every_table_takes_a_batch(engine: &dyn Engine) {
    for table in TABLES.iter().filter(|table| table.name != ENTITY.name) {
        engine.insert(&table.sql_name(table.precision), &batch(table), &format!("first {}", table.name)).unwrap();
    }
    let row = ask(engine, "SELECT time, start_time, ip_0, l7_protocol_str, response_code, attribute FROM l7_flow_log LIMIT 1");
    assert_eq!(row, "2030-03-17 17:46:40\t2030-03-17 17:46:40.000005\t::ffff:10.0.0.1\tword\t200\t{'auto_service':'cart'}");
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
             sketch_quantile(map()::Map(Int16, UInt64), 0.5) FROM {}", table.sql_name(precision));
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
