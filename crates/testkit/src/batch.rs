//! Batches of plausible rows of any table of the catalog.

use std::sync::Arc;

use arrow_array::builder::{
    Int16Builder, MapBuilder, MapFieldNames, StringBuilder, StringDictionaryBuilder, UInt64Builder,
};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, FixedSizeBinaryArray, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};

/// `rows` rows stamped `second` of a schema of the catalog, on the wire or in the store. Words take one of 16 values,
/// texts differ in each row.
pub fn sample_batch(schema: &Schema, rows: usize, second: u32) -> RecordBatch {
    let columns = schema.fields().iter().map(|field| column(field.name(), field.data_type(), rows, second)).collect();
    RecordBatch::try_new(Arc::new(schema.clone()), columns).unwrap_or_else(|error| panic!("sample: {error}"))
}

/// The batch with one column replaced, whatever its type.
pub fn with_column(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let schema = batch.schema();
    let index = schema.index_of(name).unwrap_or_else(|error| panic!("sample: {error}"));
    let mut columns = batch.columns().to_vec();
    let mut fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    fields[index] = Field::new(name, column.data_type().clone(), true);
    columns[index] = column;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap_or_else(|error| panic!("sample: {error}"))
}

fn column(name: &str, kind: &DataType, rows: usize, second: u32) -> ArrayRef {
    let numbers = || 0..rows as u64;
    match kind {
        DataType::UInt8 => Arc::new(UInt8Array::from(vec![0; rows])),
        DataType::UInt16 => Arc::new(UInt16Array::from(vec![80; rows])),
        DataType::UInt32 if name == "time" => Arc::new(UInt32Array::from(vec![second; rows])),
        DataType::UInt32 => Arc::new(UInt32Array::from(vec![7; rows])),
        DataType::UInt64 if name.ends_with("_entity") => {
            Arc::new(UInt64Array::from_iter_values(numbers().map(|n| n % 64 + 1)))
        }
        DataType::UInt64 => Arc::new(UInt64Array::from(vec![2; rows])),
        DataType::Int32 => Arc::new(Int32Array::from_iter(numbers().map(|n| (n % 3 != 1).then_some(200)))),
        DataType::Float64 => Arc::new(Float64Array::from(vec![1.5; rows])),
        DataType::Timestamp(..) => {
            let micros = numbers().map(|n| i64::from(second) * 1_000_000 + n as i64);
            Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
        }
        DataType::Dictionary(..) => {
            let mut builder = StringDictionaryBuilder::<Int32Type>::new();
            numbers().for_each(|n| builder.append_value(format!("{name} {}", n % 16)));
            Arc::new(builder.finish())
        }
        DataType::Utf8 => Arc::new(StringArray::from_iter_values(numbers().map(|n| format!("/{name}/{n}")))),
        DataType::FixedSizeBinary(16) => {
            let mapped = std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets();
            let filled = FixedSizeBinaryArray::try_from_iter(numbers().map(|_| mapped));
            Arc::new(filled.unwrap_or_else(|error| panic!("sample: {error}")))
        }
        DataType::Map(..) if name == "rrt_sketch" => sketches(rows),
        DataType::Map(..) => texts(rows),
        other => panic!("no sample of {other}"),
    }
}

fn names() -> Option<MapFieldNames> {
    Some(MapFieldNames { entry: "entries".into(), key: "keys".into(), value: "values".into() })
}

/// Two latencies per row: bucket 350 (about 1 ms) and bucket 100 (about 7 µs).
fn sketches(rows: usize) -> ArrayRef {
    let mut builder = MapBuilder::new(names(), Int16Builder::new(), UInt64Builder::new())
        .with_values_field(Field::new("values", DataType::UInt64, false));
    for _ in 0..rows {
        for bucket in [350, 100] {
            builder.keys().append_value(bucket);
            builder.values().append_value(1);
        }
        builder.append(true).unwrap_or_else(|error| panic!("sample: {error}"));
    }
    Arc::new(builder.finish())
}

fn texts(rows: usize) -> ArrayRef {
    let mut builder = MapBuilder::new(names(), StringBuilder::new(), StringBuilder::new())
        .with_values_field(Field::new("values", DataType::Utf8, false));
    for _ in 0..rows {
        builder.keys().append_value("auto_service");
        builder.values().append_value("cart");
        builder.append(true).unwrap_or_else(|error| panic!("sample: {error}"));
    }
    Arc::new(builder.finish())
}
