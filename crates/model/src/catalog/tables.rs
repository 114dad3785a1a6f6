//! The tables.

use super::columns::*;
use super::{Column, Kind, Merge, Rollup, Sides, Table};

/// All tables.
pub const TABLES: &[&Table] = &[&L7_FLOW_LOG, &APPLICATION_MAP, &NETWORK_MAP, &LOSS, &SELF_METRIC, &ENTITY];

/// The table with this database and name (without precision).
pub fn table(database: &str, name: &str) -> Option<&'static Table> {
    TABLES.iter().copied().find(|table| table.database == database && table.name == name)
}

const ROLLUPS: &[Rollup] = &[
    Rollup { suffix: "1m", truncate: "toStartOfMinute", partition_by: "toDate(time)", ttl_days: 30 },
    Rollup { suffix: "1h", truncate: "toStartOfHour", partition_by: "toYYYYMM(time)", ttl_days: 365 },
];

/// One row per request, response or pair, at each observation point.
pub const L7_FLOW_LOG: Table = Table {
    database: "flow_log",
    name: "l7_flow_log",
    precision: "",
    rollups: &[],
    sides: Sides::Two,
    // Without the time itself: the engine takes a condition on it for one on the ten seconds only if it is no part of the order.
    order_by: "(intDiv(toUnixTimestamp(time), 10), server_entity, client_entity)",
    partition_by: "toStartOfHour(time)",
    ttl_days: 3,
    doc: "One row per request, response or pair, at each observation point.",
    columns: &[
        Column::new("_id", Kind::U64, "Unique id of the row.").by_server(),
        TIME,
        Column::new("start_time", Kind::Micros, "First byte of the request (or of the lone response)."),
        Column::new("end_time", Kind::Micros, "Last byte of the response (or of the lone request)."),
        OBSERVATION_POINT,
        SIGNAL_SOURCE,
        AGENT,
        CLIENT_ENTITY,
        SERVER_ENTITY,
        Column::new("ip_0", Kind::Address, "Address of the client."),
        Column::new("ip_1", Kind::Address, "Address of the server."),
        Column::new("client_port", Kind::U16, "Port of the client."),
        SERVER_PORT,
        Column::new("process_id_0", Kind::U32, "Process id of the client, 0 if unknown."),
        Column::new("process_id_1", Kind::U32, "Process id of the server, 0 if unknown."),
        L7_PROTOCOL,
        Column::new("version", Kind::Word, "Version of the protocol."),
        Column::new("type", Kind::Word, "request, response or session (both)."),
        Column::new("is_tls", Kind::Bool, "Whether it was encrypted on the wire."),
        Column::new("request_type", Kind::Word, "Method or command."),
        Column::new("request_domain", Kind::Word, "Host, virtual host or client id."),
        Column::new("request_resource", Kind::Text, "Target, statement or command with arguments."),
        ENDPOINT,
        Column::new("request_id", Kind::NullableU64, "The protocol's own request id."),
        Column::new("response_status", Kind::Word, "ok, client_error, server_error, timeout or unknown."),
        Column::new("response_code", Kind::NullableI32, "The protocol's own code."),
        Column::new("response_exception", Kind::Text, "Error text."),
        Column::new("response_result", Kind::Text, "Short result."),
        Column::new("response_duration", Kind::U64, "First byte of the request to last byte of the response.")
            .unit("us"),
        Column::new("request_length", Kind::U64, "Bytes of the request, body included.").unit("byte"),
        Column::new("response_length", Kind::U64, "Bytes of the response, body included.").unit("byte"),
        Column::new("syscall_trace_id_request", Kind::U64, "Context of the request's socket call."),
        Column::new("syscall_trace_id_response", Kind::U64, "Context of the response's socket call."),
        Column::new(
            "syscall_trace_id_joined",
            Kind::U64,
            "Context of the thread that waited for the one that read the response.",
        ),
        Column::new("req_tcp_seq", Kind::U32, "TCP sequence number of the request's first byte."),
        Column::new("resp_tcp_seq", Kind::U32, "TCP sequence number of the response's first byte."),
        Column::new("x_request_id_0", Kind::Text, "X-Request-ID of the request."),
        Column::new("x_request_id_1", Kind::Text, "X-Request-ID of the response."),
        Column::new("trace_id", Kind::Text, "Trace id the program sent."),
        Column::new("span_id", Kind::Text, "Span id the program sent."),
        Column::new("parent_span_id", Kind::Text, "Parent span id the program sent."),
        Column::new("flow_id", Kind::U64, "The connection it went over."),
        Column::new("rtt", Kind::U32, "Smallest round-trip time of the connection in the last minutes.").unit("us"),
        Column::new("retransmissions", Kind::U32, "Segments retransmitted during the request."),
        Column::new("attribute", Kind::TextMap, "Further fields by name."),
        Column::new("biz_type", Kind::Word, "Business type, from plugins."),
        Column::new("biz_code", Kind::Word, "Business code, from plugins."),
        Column::new("biz_scenario", Kind::Word, "Business scenario, from plugins."),
    ],
};

/// Requests per second, client, server, observation point, protocol and endpoint.
pub const APPLICATION_MAP: Table = Table {
    database: "flow_metrics",
    name: "application_map",
    precision: "1s",
    rollups: ROLLUPS,
    sides: Sides::Two,
    order_by: "(server_entity, client_entity, l7_protocol_str, endpoint, observation_point, server_port, agent, signal_source, time)",
    partition_by: "toStartOfHour(time)",
    ttl_days: 3,
    doc: "Request metrics per second, client, server, observation point, protocol and endpoint.",
    columns: &[
        TIME,
        AGENT,
        SIGNAL_SOURCE,
        OBSERVATION_POINT,
        CLIENT_ENTITY,
        SERVER_ENTITY,
        SERVER_PORT,
        L7_PROTOCOL,
        ENDPOINT,
        Column::new("request", Kind::U64, "Requests.").sum(),
        Column::new("response", Kind::U64, "Responses.").sum(),
        Column::new("error", Kind::U64, "Client errors, server errors and timeouts.").sum(),
        Column::new("client_error", Kind::U64, "Responses that blame the client.").sum(),
        Column::new("server_error", Kind::U64, "Responses that blame the server.").sum(),
        Column::new("timeout", Kind::U64, "Requests without a response in time.").sum(),
        Column::new("rrt_sum", Kind::U64, "Sum of response times.").unit("us").sum(),
        Column::new("rrt_count", Kind::U64, "Number of response times.").sum(),
        Column::new("rrt_max", Kind::U64, "Longest response time.").unit("us").max(),
        Column {
            merge: Merge::SumMap,
            ..Column::new("rrt_sketch", Kind::Sketch, "Response times by logarithmic bucket.")
        },
    ],
};

/// Bytes and connections per second, client, server and observation point.
pub const NETWORK_MAP: Table = Table {
    database: "flow_metrics",
    name: "network_map",
    precision: "1s",
    rollups: ROLLUPS,
    sides: Sides::Two,
    order_by: "(server_entity, client_entity, server_port, observation_point, agent, signal_source, protocol, time)",
    partition_by: "toStartOfHour(time)",
    ttl_days: 3,
    doc: "Bytes and connections per second, client, server and observation point.",
    columns: &[
        TIME,
        AGENT,
        SIGNAL_SOURCE,
        OBSERVATION_POINT,
        CLIENT_ENTITY,
        SERVER_ENTITY,
        SERVER_PORT,
        Column::new("protocol", Kind::Word, "TCP, UDP or Unix."),
        Column::new("byte_tx", Kind::U64, "Payload bytes from client to server.").unit("byte").sum(),
        Column::new("byte_rx", Kind::U64, "Payload bytes from server to client.").unit("byte").sum(),
        Column::new("new_flow", Kind::U64, "Connections opened.").sum(),
        Column::new("closed_flow", Kind::U64, "Connections closed.").sum(),
        Column::new("active_flow", Kind::U64, "Connections open at the end of the second.").max(),
        Column::new("retrans", Kind::U64, "Segments the observed side retransmitted.").sum(),
        Column::new("connect_sum", Kind::U64, "Sum of handshake times.").unit("us").sum(),
        Column::new("connect_count", Kind::U64, "Number of handshake times.").sum(),
        Column::new("rtt_sum", Kind::U64, "Sum of smoothed round-trip times.").unit("us").sum(),
        Column::new("rtt_count", Kind::U64, "Number of smoothed round-trip times.").sum(),
    ],
};

/// What was lost, by cause.
pub const LOSS: Table = Table {
    database: "hadal",
    name: "loss",
    precision: "",
    rollups: &[],
    sides: Sides::None,
    order_by: "(agent, cause, time)",
    partition_by: "toDate(time)",
    ttl_days: 30,
    doc: "What was lost, per second and cause.",
    columns: &[
        TIME,
        AGENT,
        Column::new("cause", Kind::Word, "Why."),
        Column::new("count", Kind::U64, "How many.").sum(),
    ],
};

/// Figures of Hadal itself.
pub const SELF_METRIC: Table = Table {
    database: "hadal",
    name: "self_metric",
    precision: "",
    rollups: &[],
    sides: Sides::None,
    order_by: "(name, agent, time)",
    partition_by: "toDate(time)",
    ttl_days: 30,
    doc: "Figures of agents and server, per second.",
    columns: &[
        TIME,
        AGENT,
        Column::new("name", Kind::Word, "Name of the figure."),
        Column::new("value", Kind::F64, "Its value."),
    ],
};

/// One row per entity and version; the newest counts.
pub const ENTITY: Table = Table {
    database: "meta",
    name: "entity",
    precision: "",
    rollups: &[],
    sides: Sides::None,
    order_by: "id",
    partition_by: "",
    ttl_days: 0,
    doc: "Entities and their tags; a row of a signal table refers to one per side.",
    columns: &[
        Column::new("id", Kind::U32, "Id that rows carry."),
        Column::new("version", Kind::U64, "Grows with each change; the newest row counts."),
        Column::new("tags", Kind::TextMap, "Tag name to value."),
    ],
};
