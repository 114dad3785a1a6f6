//! Rows become Arrow batches, column by column in the order of the catalog.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{
    FixedSizeBinaryBuilder, Float64Builder, Int16Builder, Int32Builder, MapBuilder, MapFieldNames, StringBuilder,
    StringDictionaryBuilder, TimestampMicrosecondBuilder, UInt8Builder, UInt16Builder, UInt32Builder, UInt64Builder,
};
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, RecordBatch};
use arrow_schema::{DataType, Field, SchemaRef};
use hadal_model::LossCause;
use hadal_model::catalog::{self, Table};

use crate::metrics::{Application, ApplicationRow, Edge, Network, NetworkRow};

static SCHEMAS: LazyLock<HashMap<&'static str, SchemaRef>> =
    LazyLock::new(|| catalog::TABLES.iter().map(|table| (table.name, Arc::new(table.wire_schema()))).collect());

/// Words that repeat, as a dictionary. Most rows have the word of the row before: those cost no look-up.
#[derive(Default)]
struct Words {
    builder: StringDictionaryBuilder<Int32Type>,
    last: String,
    run: usize,
}

impl Words {
    fn new() -> Self {
        Self::default()
    }

    fn append_value(&mut self, word: impl AsRef<str>) {
        let word = word.as_ref();
        if self.run > 0 && self.last == word {
            self.run += 1;
            return;
        }
        self.flush();
        self.last.clear();
        self.last.push_str(word);
        self.run = 1;
    }

    fn flush(&mut self) {
        if self.run > 0 {
            // Fails only beyond 2^31 different words in one batch.
            let _ = self.builder.append_n(&self.last, self.run);
            self.run = 0;
        }
    }

    fn finish(&mut self) -> DictionaryArray<Int32Type> {
        self.flush();
        self.builder.finish()
    }
}

/// Builders have room for a thousand rows; of a few, only these are kept until the server has them.
fn batch(table: &Table, mut columns: Vec<ArrayRef>) -> RecordBatch {
    columns.iter_mut().for_each(Array::shrink_to_fit);
    let schema = Arc::clone(&SCHEMAS[table.name]);
    RecordBatch::try_new(schema, columns).unwrap_or_else(|error| unreachable!("{}: {error}", table.name))
}

fn names() -> Option<MapFieldNames> {
    Some(MapFieldNames { entry: "entries".into(), key: "keys".into(), value: "values".into() })
}

fn text_map() -> MapBuilder<StringBuilder, StringBuilder> {
    MapBuilder::new(names(), StringBuilder::new(), StringBuilder::new()).with_values_field(Field::new(
        "values",
        DataType::Utf8,
        false,
    ))
}

fn sketch_map() -> MapBuilder<Int16Builder, UInt64Builder> {
    MapBuilder::new(names(), Int16Builder::new(), UInt64Builder::new()).with_values_field(Field::new(
        "values",
        DataType::UInt64,
        false,
    ))
}

fn micros() -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::new().with_timezone("UTC")
}

/// One row of the request log.
pub(crate) struct L7Row<'a> {
    pub(crate) time: u32,
    pub(crate) start_us: u64,
    pub(crate) end_us: u64,
    pub(crate) edge: Edge,
    pub(crate) addresses: [[u8; 16]; 2],
    pub(crate) client_port: u16,
    pub(crate) pids: [u32; 2],
    pub(crate) endpoint: &'a str,
    pub(crate) flow_id: u64,
    pub(crate) rtt: u32,
    pub(crate) retransmissions: u32,
    pub(crate) session: &'a hadal_flow::Session,
}

macro_rules! l7_columns {
    ($($field:ident: $builder:ty = $new:expr,)+) => {
        /// The request log being filled; one builder per column, in the catalog's order.
        pub(crate) struct L7Rows { $($field: $builder,)+ rows: usize }

        impl L7Rows {
            pub(crate) fn new() -> Self {
                Self { $($field: $new,)+ rows: 0 }
            }

            fn finish_columns(&mut self) -> Vec<ArrayRef> {
                vec![$(Arc::new(self.$field.finish()),)+]
            }

            #[cfg(test)]
            fn field_names() -> Vec<&'static str> {
                vec![$(stringify!($field),)+]
            }
        }
    };
}

/// So many of the last rows are searched for the answer that a thread has read.
const MAX_JOINED: usize = 1024;

l7_columns! {
    time: UInt32Builder = UInt32Builder::new(),
    start_time: TimestampMicrosecondBuilder = micros(),
    end_time: TimestampMicrosecondBuilder = micros(),
    observation_point: Words = Words::new(),
    signal_source: Words = Words::new(),
    client_entity: UInt64Builder = UInt64Builder::new(),
    server_entity: UInt64Builder = UInt64Builder::new(),
    ip_0: FixedSizeBinaryBuilder = FixedSizeBinaryBuilder::new(16),
    ip_1: FixedSizeBinaryBuilder = FixedSizeBinaryBuilder::new(16),
    client_port: UInt16Builder = UInt16Builder::new(),
    server_port: UInt16Builder = UInt16Builder::new(),
    process_id_0: UInt32Builder = UInt32Builder::new(),
    process_id_1: UInt32Builder = UInt32Builder::new(),
    l7_protocol_str: Words = Words::new(),
    version: Words = Words::new(),
    r#type: Words = Words::new(),
    is_tls: UInt8Builder = UInt8Builder::new(),
    request_type: Words = Words::new(),
    request_domain: Words = Words::new(),
    request_resource: StringBuilder = StringBuilder::new(),
    endpoint: Words = Words::new(),
    request_id: UInt64Builder = UInt64Builder::new(),
    response_status: Words = Words::new(),
    response_code: Int32Builder = Int32Builder::new(),
    response_exception: StringBuilder = StringBuilder::new(),
    response_result: StringBuilder = StringBuilder::new(),
    response_duration: UInt64Builder = UInt64Builder::new(),
    request_length: UInt64Builder = UInt64Builder::new(),
    response_length: UInt64Builder = UInt64Builder::new(),
    syscall_trace_id_request: UInt64Builder = UInt64Builder::new(),
    syscall_trace_id_response: UInt64Builder = UInt64Builder::new(),
    syscall_trace_id_joined: UInt64Builder = UInt64Builder::new(),
    req_tcp_seq: UInt32Builder = UInt32Builder::new(),
    resp_tcp_seq: UInt32Builder = UInt32Builder::new(),
    x_request_id_0: StringBuilder = StringBuilder::new(),
    x_request_id_1: StringBuilder = StringBuilder::new(),
    trace_id: StringBuilder = StringBuilder::new(),
    span_id: StringBuilder = StringBuilder::new(),
    parent_span_id: StringBuilder = StringBuilder::new(),
    flow_id: UInt64Builder = UInt64Builder::new(),
    rtt: UInt32Builder = UInt32Builder::new(),
    retransmissions: UInt32Builder = UInt32Builder::new(),
    attribute: MapBuilder<StringBuilder, StringBuilder> = text_map(),
    biz_type: Words = Words::new(),
    biz_code: Words = Words::new(),
    biz_scenario: Words = Words::new(),
}

impl L7Rows {
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    pub(crate) fn push(&mut self, row: &L7Row<'_>) {
        self.rows += 1;
        self.push_path(row);
        self.push_request(row);
        self.push_response(row);
        self.push_evidence(row);
        self.push_attributes(row);
    }

    fn push_path(&mut self, row: &L7Row<'_>) {
        self.time.append_value(row.time);
        self.start_time.append_value(row.start_us as i64);
        self.end_time.append_value(row.end_us as i64);
        self.observation_point.append_value(row.edge.point.as_str());
        self.signal_source.append_value(hadal_model::SignalSource::Ebpf.as_str());
        self.client_entity.append_value(row.edge.client);
        self.server_entity.append_value(row.edge.server);
        // Sixteen bytes each, as the builders were made for.
        let _ = self.ip_0.append_value(row.addresses[0]);
        let _ = self.ip_1.append_value(row.addresses[1]);
        self.client_port.append_value(row.client_port);
        self.server_port.append_value(row.edge.server_port);
        self.process_id_0.append_value(row.pids[0]);
        self.process_id_1.append_value(row.pids[1]);
    }

    fn push_request(&mut self, row: &L7Row<'_>) {
        let (request, any) =
            (row.session.request.as_ref(), row.session.request.as_ref().or(row.session.response.as_ref()));
        self.l7_protocol_str.append_value(any.map_or("", |message| message.protocol.as_str()));
        self.version.append_value(any.map_or("", |message| message.version));
        self.r#type.append_value(row.session.kind.as_str());
        self.is_tls.append_value(0);
        self.request_type.append_value(any.map_or("", |message| &message.request_type));
        self.request_domain.append_value(any.map_or("", |message| &message.request_domain));
        self.request_resource.append_value(any.map_or("", |message| &message.request_resource));
        self.endpoint.append_value(row.endpoint);
        self.request_id.append_option(any.and_then(|message| message.request_id));
        self.request_length.append_value(request.map_or(0, |message| message.length));
    }

    fn push_response(&mut self, row: &L7Row<'_>) {
        let response = row.session.response.as_ref();
        self.response_status.append_value(row.session.status.as_str());
        self.response_code.append_option(response.and_then(|message| message.response_code));
        let exception = response.map_or(row.session.exception, |message| &message.response_exception);
        self.response_exception.append_value(exception);
        self.response_result.append_value(response.map_or("", |message| &message.response_result));
        self.response_duration.append_value(row.session.duration_us.unwrap_or(0));
        self.response_length.append_value(response.map_or(0, |message| message.length));
    }

    fn push_evidence(&mut self, row: &L7Row<'_>) {
        let (request, response) = (row.session.request.as_ref(), row.session.response.as_ref());
        self.syscall_trace_id_request.append_value(request.map_or(0, |message| message.first.context));
        self.syscall_trace_id_response.append_value(response.map_or(0, |message| message.first.context));
        self.syscall_trace_id_joined.append_value(0);
        self.req_tcp_seq.append_value(request.map_or(0, |message| message.first.seq));
        self.resp_tcp_seq.append_value(response.map_or(0, |message| message.first.seq));
        self.x_request_id_0.append_value(request.map_or("", |message| &message.x_request_id));
        self.x_request_id_1.append_value(response.map_or("", |message| &message.x_request_id));
        self.trace_id.append_value(request.map_or("", |message| &message.trace_id));
        self.span_id.append_value(request.map_or("", |message| &message.span_id));
        self.parent_span_id.append_value("");
        self.flow_id.append_value(row.flow_id);
        self.rtt.append_value(row.rtt);
        self.retransmissions.append_value(row.retransmissions);
    }

    fn push_attributes(&mut self, row: &L7Row<'_>) {
        let messages = [row.session.request.as_ref(), row.session.response.as_ref()];
        for (name, value) in messages.into_iter().flatten().flat_map(|message| &message.attributes) {
            self.attribute.keys().append_value(name);
            self.attribute.values().append_value(value);
        }
        // Keys and values were appended in pairs.
        let _ = self.attribute.append(true);
        for words in [&mut self.biz_type, &mut self.biz_code, &mut self.biz_scenario] {
            words.append_value("");
        }
    }

    /// What was done with the answer in the context `from` was done for who works in the context `to`. Rows that are on their
    /// way to the server already stay as they are.
    pub(crate) fn join(&mut self, from: u64, to: u64) {
        let answers = self.syscall_trace_id_response.values_slice();
        let first = answers.len().saturating_sub(MAX_JOINED);
        let Some(at) = answers[first..].iter().rposition(|answer| *answer == from) else { return };
        if let Some(joined) = self.syscall_trace_id_joined.values_slice_mut().get_mut(first + at) {
            *joined = to;
        }
    }

    /// The rows so far as a batch; `None` if there are none.
    pub(crate) fn take(&mut self) -> Option<RecordBatch> {
        if self.rows == 0 {
            return None;
        }
        self.rows = 0;
        Some(batch(&catalog::L7_FLOW_LOG, self.finish_columns()))
    }
}

fn words(values: impl IntoIterator<Item = impl AsRef<str>>) -> ArrayRef {
    let mut builder = Words::new();
    values.into_iter().for_each(|value| builder.append_value(value));
    Arc::new(builder.finish())
}

fn numbers(values: impl IntoIterator<Item = u64>) -> ArrayRef {
    Arc::new(arrow_array::UInt64Array::from_iter_values(values))
}

fn seconds(values: impl IntoIterator<Item = u32>) -> ArrayRef {
    Arc::new(arrow_array::UInt32Array::from_iter_values(values))
}

/// Columns that both metrics tables begin with.
fn edge_columns(times: impl Iterator<Item = u32>, edges: &[Edge]) -> Vec<ArrayRef> {
    let source = hadal_model::SignalSource::Ebpf.as_str();
    vec![
        seconds(times),
        words(edges.iter().map(|_| source)),
        words(edges.iter().map(|edge| edge.point.as_str())),
        numbers(edges.iter().map(|edge| edge.client)),
        numbers(edges.iter().map(|edge| edge.server)),
        Arc::new(arrow_array::UInt16Array::from_iter_values(edges.iter().map(|edge| edge.server_port))),
    ]
}

/// Rows of `application_map`; `None` if there are none.
pub(crate) fn application(rows: &[ApplicationRow]) -> Option<RecordBatch> {
    if rows.is_empty() {
        return None;
    }
    let edges: Vec<_> = rows.iter().map(|(_, key, _)| key.edge).collect();
    let mut columns = edge_columns(rows.iter().map(|(time, ..)| *time), &edges);
    columns.push(words(rows.iter().map(|(_, key, _)| key.protocol.as_str())));
    columns.push(words(rows.iter().map(|(_, key, _)| &*key.endpoint)));
    let errors = |values: &Application| values.client_error + values.server_error + values.timeout;
    let sums: [fn(&Application) -> u64; 5] = [
        |values| values.request,
        |values| values.response,
        errors,
        |values| values.client_error,
        |values| values.server_error,
    ];
    let rest: [fn(&Application) -> u64; 4] =
        [|values| values.timeout, |values| values.rrt_sum, |values| values.rrt_count, |values| values.rrt_max];
    columns.extend(sums.into_iter().chain(rest).map(|value| numbers(rows.iter().map(|(_, _, row)| value(row)))));
    let mut sketches = sketch_map();
    for (_, _, row) in rows {
        for (bucket, count) in row.sketch.buckets() {
            sketches.keys().append_value(bucket);
            sketches.values().append_value(count);
        }
        // Keys and values were appended in pairs.
        let _ = sketches.append(true);
    }
    columns.push(Arc::new(sketches.finish()));
    Some(batch(&catalog::APPLICATION_MAP, columns))
}

/// Rows of `network_map`; `None` if there are none.
pub(crate) fn network(rows: &[NetworkRow]) -> Option<RecordBatch> {
    if rows.is_empty() {
        return None;
    }
    let edges: Vec<_> = rows.iter().map(|(_, key, _)| key.edge).collect();
    let mut columns = edge_columns(rows.iter().map(|(time, ..)| *time), &edges);
    columns.push(words(rows.iter().map(|(_, key, _)| key.transport.as_str())));
    let values: [fn(&Network) -> u64; 10] = [
        |row| row.byte_tx,
        |row| row.byte_rx,
        |row| row.new_flow,
        |row| row.closed_flow,
        |row| row.active_flow,
        |row| row.retrans,
        |row| row.connect_sum,
        |row| row.connect_count,
        |row| row.rtt_sum,
        |row| row.rtt_count,
    ];
    columns.extend(values.into_iter().map(|value| numbers(rows.iter().map(|(_, _, row)| value(row)))));
    Some(batch(&catalog::NETWORK_MAP, columns))
}

/// Rows of `loss`; `None` if there are none.
pub(crate) fn loss(second: u32, counts: &[(LossCause, u64)]) -> Option<RecordBatch> {
    if counts.is_empty() {
        return None;
    }
    let columns = vec![
        seconds(counts.iter().map(|_| second)),
        words(counts.iter().map(|(cause, _)| cause.as_str())),
        numbers(counts.iter().map(|(_, count)| *count)),
    ];
    Some(batch(&catalog::LOSS, columns))
}

/// Rows of `self_metric`.
pub(crate) fn self_metric(second: u32, values: &[(&str, f64)]) -> RecordBatch {
    let mut numbers = Float64Builder::new();
    values.iter().for_each(|(_, value)| numbers.append_value(*value));
    let columns = vec![
        seconds(values.iter().map(|_| second)),
        words(values.iter().map(|(name, _)| name)),
        Arc::new(numbers.finish()) as ArrayRef,
    ];
    batch(&catalog::SELF_METRIC, columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{ApplicationKey, NetworkKey};

    #[test]
    fn the_log_has_the_columns_of_the_catalog() {
        let want: Vec<_> = catalog::L7_FLOW_LOG.wire_columns().map(|column| column.name).collect();
        let got: Vec<_> = L7Rows::field_names().iter().map(|name| name.trim_start_matches("r#")).collect();
        assert_eq!(got, want);
        assert_eq!(batch(&catalog::L7_FLOW_LOG, L7Rows::new().finish_columns()).num_rows(), 0);
    }

    #[test]
    fn who_waited_is_noted_with_the_last_answer_of_that_context() {
        let mut rows = L7Rows::new();
        for answer in [5, 7, 5, 9] {
            rows.syscall_trace_id_response.append_value(answer);
            rows.syscall_trace_id_joined.append_value(0);
        }
        rows.join(5, 3);
        rows.join(6, 4);
        assert_eq!(rows.syscall_trace_id_joined.values_slice(), [0, 0, 3, 0]);
    }

    #[test]
    fn metrics_have_the_columns_of_the_catalog() {
        let edge = Edge { client: 1, server: 2, point: hadal_model::ObservationPoint::ServerProcess, server_port: 80 };
        let key = ApplicationKey { edge, protocol: hadal_model::L7Protocol::Http1, endpoint: "/".into() };
        assert_eq!(application(&[(1, key, Application::default())]).unwrap().num_rows(), 1);
        assert_eq!(
            network(&[(1, NetworkKey { edge, transport: hadal_model::Transport::Udp }, Network::default())])
                .unwrap()
                .num_rows(),
            1
        );
        assert_eq!(loss(1, &[(LossCause::RingFull, 3)]).unwrap().num_rows(), 1);
        assert_eq!(self_metric(1, &[("a", 1.0), ("b", 2.0)]).num_rows(), 2);
    }
}
