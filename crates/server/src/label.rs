//! From the wire to the store: entity keys become ids, rows get their id and agent. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt32Type, UInt64Type};
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Int32Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use arrow_schema::ArrowError;
use hadal_model::catalog::{Column, Kind, Table};

/// What the server knows of a batch beyond its rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// Name of the agent.
    pub(crate) agent: &'a str,
    /// Id of the batch's first row; the others follow.
    pub(crate) first_id: u64,
}

/// Entity keys that a batch refers to, each once.
pub(crate) fn entity_keys(table: &Table, batch: &RecordBatch) -> Vec<u64> {
    let columns = table.wire_columns().enumerate().filter(|(_, column)| column.kind == Kind::Entity);
    let keys = columns.flat_map(|(index, _)| batch.column(index).as_primitive::<UInt64Type>().values().iter().copied());
    keys.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Takes out rows whose time is outside of `[oldest, newest]` (seconds); the number taken out is the second value.
pub(crate) fn within_time(
    table: &Table,
    batch: RecordBatch,
    oldest: u32,
    newest: u32,
) -> Result<(RecordBatch, usize), ArrowError> {
    let Some(index) = table.wire_columns().position(|column| column.kind == Kind::Seconds) else {
        return Ok((batch, 0));
    };
    let times = batch.column(index).as_primitive::<UInt32Type>();
    if times.values().iter().all(|time| (oldest..=newest).contains(time)) {
        return Ok((batch, 0));
    }
    let keep: BooleanArray = times.values().iter().map(|time| Some((oldest..=newest).contains(time))).collect();
    let kept = arrow_select::filter::filter_record_batch(&batch, &keep)?;
    let rejected = batch.num_rows() - kept.num_rows();
    Ok((kept, rejected))
}

/// The batch as the store's table wants it.
pub(crate) fn label(
    table: &Table,
    batch: &RecordBatch,
    ids: &HashMap<u64, u32>,
    context: Context<'_>,
) -> Result<RecordBatch, ArrowError> {
    let rows = batch.num_rows();
    let mut wire = batch.columns().iter();
    let columns = table.columns.iter().map(|column| {
        if column.server_side {
            return by_server(column, rows, context);
        }
        let sent = wire.next().ok_or_else(|| ArrowError::SchemaError(format!("{} is missing", column.name)))?;
        if column.kind == Kind::Entity { Ok(entity_ids(sent, ids)) } else { Ok(Arc::clone(sent)) }
    });
    RecordBatch::try_new(Arc::new(table.store_schema()), columns.collect::<Result<_, _>>()?)
}

fn by_server(column: &Column, rows: usize, context: Context<'_>) -> Result<ArrayRef, ArrowError> {
    match column.kind {
        Kind::U64 => Ok(Arc::new(UInt64Array::from_iter_values((0..rows as u64).map(|row| context.first_id + row)))),
        Kind::Word => {
            let keys = Int32Array::from(vec![0; rows]);
            let values = Arc::new(StringArray::from(vec![context.agent]));
            Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values)?))
        }
        other => Err(ArrowError::SchemaError(format!("the server cannot fill {} of kind {other:?}", column.name))),
    }
}

fn entity_ids(keys: &ArrayRef, ids: &HashMap<u64, u32>) -> ArrayRef {
    let keys = keys.as_primitive::<UInt64Type>();
    Arc::new(UInt32Array::from_iter_values(keys.values().iter().map(|key| ids.get(key).copied().unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hadal_model::catalog::LOSS;

    fn losses(times: &[u32]) -> RecordBatch {
        let words = |text: &str| {
            let values = Arc::new(StringArray::from(vec![text]));
            Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(vec![0; times.len()]), values)) as ArrayRef
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(times.to_vec())),
            words("ring_full"),
            Arc::new(UInt64Array::from(vec![1; times.len()])),
        ];
        RecordBatch::try_new(Arc::new(LOSS.wire_schema()), columns).unwrap()
    }

    #[test]
    fn times_outside_are_taken_out_and_counted() {
        let (kept, rejected) = within_time(&LOSS, losses(&[5, 10, 99]), 6, 20).unwrap();
        assert_eq!((kept.num_rows(), rejected), (1, 2));
        let (kept, rejected) = within_time(&LOSS, losses(&[7, 10]), 6, 20).unwrap();
        assert_eq!((kept.num_rows(), rejected), (2, 0));
    }

    #[test]
    fn the_agent_is_filled_in() {
        let labelled = label(&LOSS, &losses(&[7]), &HashMap::new(), Context { agent: "a", first_id: 0 }).unwrap();
        assert_eq!(labelled.schema(), Arc::new(LOSS.store_schema()));
    }
}
