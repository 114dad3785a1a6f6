//! Numbered batches as Flight messages.
//!
//! One `DoPut` stream carries the batches of one table: first the schema, with the origin in the metadata and the table
//! as the descriptor's path, then batches with their number in the metadata. The answer to each is its number.

use arrow_array::RecordBatch;
use arrow_flight::{FlightData, FlightDescriptor, SchemaAsIpc};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_schema::{ArrowError, Schema};
use hadal_model::catalog::{self, Table};
use prost::Message;

/// Port on which servers take agents' batches.
pub const DEFAULT_PORT: u16 = 20033;

/// Who sends a stream of batches.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Origin {
    /// The agent.
    #[prost(string, tag = "1")]
    pub agent: String,
    /// Random number of the agent's start.
    #[prost(fixed64, tag = "2")]
    pub boot: u64,
}

/// Number of a batch in its stream (agent, boot, table); consecutive from 1.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct BatchId {
    /// The number.
    #[prost(uint64, tag = "1")]
    pub seq: u64,
}

/// Encodes the batches of one stream.
pub(crate) struct Encoder {
    options: IpcWriteOptions,
    generator: IpcDataGenerator,
    tracker: DictionaryTracker,
    context: IpcWriteContext,
}

impl Encoder {
    pub(crate) fn new() -> Result<Self, ArrowError> {
        Ok(Self {
            options: IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?,
            generator: IpcDataGenerator::default(),
            tracker: DictionaryTracker::new(false),
            context: IpcWriteContext::default(),
        })
    }

    /// The first message of a stream.
    pub(crate) fn header(&mut self, table: &Table, schema: &Schema, origin: &Origin) -> FlightData {
        let path = vec![table.database.to_owned(), table.name.to_owned()];
        // Visiting the fields gives dictionaries their ids, as batches will use them.
        let _ = self.generator.schema_to_bytes_with_dictionary_tracker(schema, &mut self.tracker, &self.options);
        let data = FlightData::from(SchemaAsIpc::new(schema, &self.options));
        data.with_descriptor(FlightDescriptor::new_path(path)).with_app_metadata(origin.encode_to_vec())
    }

    /// Dictionaries and batch; the number rides on the last message.
    pub(crate) fn batch(&mut self, batch: &RecordBatch, id: BatchId) -> Result<Vec<FlightData>, ArrowError> {
        let (dictionaries, batch) =
            self.generator.encode(batch, &mut self.tracker, &self.options, &mut self.context)?;
        let mut messages: Vec<FlightData> = dictionaries.into_iter().map(FlightData::from).collect();
        messages.push(FlightData::from(batch).with_app_metadata(id.encode_to_vec()));
        Ok(messages)
    }
}

/// The table of a descriptor's path.
pub(crate) fn table_of(descriptor: Option<&FlightDescriptor>) -> Option<&'static Table> {
    match descriptor?.path.as_slice() {
        [database, name] => catalog::table(database, name),
        _ => None,
    }
}

/// Why a batch is not of a table; `None` if it is.
pub(crate) fn schema_mismatch(table: &Table, batch: &RecordBatch) -> Option<String> {
    let (want, got) = (table.wire_schema(), batch.schema());
    if want.fields().len() != got.fields().len() {
        return Some(format!("{} columns instead of {}", got.fields().len(), want.fields().len()));
    }
    want.fields().iter().zip(got.fields()).find_map(|(want, got)| {
        let same = want.name() == got.name() && want.data_type().equals_datatype(got.data_type());
        (!same).then(|| {
            format!("column {} {} instead of {} {}", got.name(), got.data_type(), want.name(), want.data_type())
        })
    })
}
