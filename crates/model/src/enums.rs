//! Enumerations and the names under which they are stored, queried and printed.

/// Declares an enum whose variants have one stored name each and can be read back from it.
macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All variants, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stored name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The variant with this stored name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named_enum! {
    /// Application protocols. One line here is the registration of a protocol's name.
    L7Protocol {
        /// HTTP/1.0 and HTTP/1.1.
        Http1 => "HTTP1",
        /// RESP2 and RESP3.
        Redis => "Redis",
        /// DNS, mDNS and LLMNR.
        Dns => "DNS",
        /// PostgreSQL's frontend/backend protocol 3.
        PostgreSql => "PostgreSQL",
        /// FastCGI 1.0.
        FastCgi => "FastCGI",
    }
}

named_enum! {
    /// What a row of the request log holds.
    MessageType {
        /// A request without its response.
        Request => "request",
        /// A response without its request.
        Response => "response",
        /// A request with its response.
        Session => "session",
    }
}

named_enum! {
    /// How a request ended; `ClientError` and `ServerError` are defined by each protocol's specification.
    ResponseStatus {
        /// Success.
        Ok => "ok",
        /// The client's fault (HTTP 4xx).
        ClientError => "client_error",
        /// The server's fault (HTTP 5xx).
        ServerError => "server_error",
        /// No response within the time limit.
        Timeout => "timeout",
        /// Not known: a lone request or response, or a protocol that does not say.
        Unknown => "unknown",
    }
}

named_enum! {
    /// Where on the path between two programs a record was seen, in path order.
    ObservationPoint {
        /// Client application (a span of its SDK).
        ClientApp => "c-app",
        /// Client process (its socket calls).
        ClientProcess => "c-p",
        /// Client's network interface.
        Client => "c",
        /// Client's container node.
        ClientNode => "c-nd",
        /// Client's hypervisor.
        ClientHypervisor => "c-hv",
        /// Gateway hypervisor on the client's side.
        ClientGatewayHypervisor => "c-gw-hv",
        /// Gateway on the client's side.
        ClientGateway => "c-gw",
        /// Inside one host, side unknown.
        Local => "local",
        /// Anywhere else.
        Rest => "rest",
        /// Gateway on the server's side.
        ServerGateway => "s-gw",
        /// Gateway hypervisor on the server's side.
        ServerGatewayHypervisor => "s-gw-hv",
        /// Server's hypervisor.
        ServerHypervisor => "s-hv",
        /// Server's container node.
        ServerNode => "s-nd",
        /// Server's network interface.
        Server => "s",
        /// Server process (its socket calls).
        ServerProcess => "s-p",
        /// Server application (a span of its SDK).
        ServerApp => "s-app",
    }
}

named_enum! {
    /// What produced a record.
    SignalSource {
        /// Socket calls seen by eBPF.
        Ebpf => "eBPF",
        /// Packets.
        Packet => "Packet",
        /// OpenTelemetry.
        Otel => "OTel",
    }
}

named_enum! {
    /// Transport protocols.
    Transport {
        /// TCP.
        Tcp => "TCP",
        /// UDP.
        Udp => "UDP",
        /// Unix domain sockets.
        Unix => "Unix",
    }
}

/// Direction of bytes on a connection, by role and not by who observes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Direction {
    /// The other direction.
    pub const fn reverse(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

named_enum! {
    /// Why something was not recorded. Each cause is counted per agent and second and shown beside the data.
    LossCause {
        /// The kernel's ring buffer had no room for an event.
        RingFull => "ring_full",
        /// The payload could not be read from the program's memory (paged out).
        UserCopyFailed => "user_copy_failed",
        /// A map of the kernel programs was full.
        MapFull => "map_full",
        /// A call of a socket whose identity had no room in the ring buffer.
        SocketUnannounced => "socket_unannounced",
        /// A kernel program did not run because it ran on that CPU already.
        Recursion => "recursion",
        /// Threads used a socket at the same time: the order of their bytes is not sure.
        SequenceOverlap => "sequence_overlap",
        /// A vector of messages or buffers was longer than what the capture level walks.
        VectorCut => "vector_cut",
        /// The payload was cut to stay inside the CPU budget.
        PayloadShed => "payload_shed",
        /// A call of an unimportant socket was left out to stay inside the CPU budget.
        SocketShed => "socket_shed",
        /// A call of a new socket was left out because the CPU budget's hard limit was passed.
        CaptureShed => "capture_shed",
        /// A socket event arrived for a connection beyond the agent's limit.
        ConnectionTableFull => "connection_table_full",
        /// Bytes that wait exceeded the limit of the stream, or of all connections together.
        StreamBufferFull => "stream_buffer_full",
        /// Bytes between two events are missing.
        StreamGap => "stream_gap",
        /// A parser lost its place in a stream.
        ParserLost => "parser_lost",
        /// Open requests exceeded the limit of the connection.
        PairingTableFull => "pairing_table_full",
        /// The log of requests was sampled or shed.
        LogShed => "log_shed",
        /// A batch was dropped because the agent's queue was full.
        QueueFull => "queue_full",
        /// The server refused a batch.
        BatchRefused => "batch_refused",
        /// More entities than configured; counted under `~other`.
        EntityLimit => "entity_limit",
        /// More endpoints of one service than configured; counted under `~other`.
        EndpointLimit => "endpoint_limit",
        /// A time stamp too far in the future or older than what is kept.
        TimeRejected => "time_rejected",
    }
}

impl LossCause {
    /// What it means and what can be done, in words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::RingFull => "The buffer between kernel and agent was full: raise ring_bytes.",
            Self::UserCopyFailed => {
                "A payload was paged out when it was read; the call counts, its content is unknown."
            }
            Self::MapFull => "A kernel map was full.",
            Self::SocketUnannounced => {
                "A new socket's identity had no room in the buffer between kernel and agent: raise ring_bytes."
            }
            Self::SocketShed => {
                "Calls of unknown or encrypted protocols and of Unix sockets were left out to stay inside cpu_percent."
            }
            Self::Recursion => "A kernel program was interrupted by itself; the call inside it was not seen.",
            Self::SequenceOverlap => "Threads used one socket at the same time; the order of their bytes is not sure.",
            Self::VectorCut => "A call had more messages or buffers than this capture level walks.",
            Self::PayloadShed => "Payload was cut to stay inside cpu_percent.",
            Self::CaptureShed => {
                "New connections were left out because cpu_hard_percent was passed; metrics lack them."
            }
            Self::ConnectionTableFull => "More connections than max_sockets, or their start was lost.",
            Self::StreamBufferFull => "Too many bytes waited in a connection, or in all of them (max_buffered_bytes).",
            Self::StreamGap => "Bytes of a connection are missing.",
            Self::ParserLost => "A connection was not understood for a while, and was picked up again.",
            Self::PairingTableFull => "Too many open requests on one connection.",
            Self::LogShed => "Rows of the request log beyond log_rows_per_second; the metrics have them.",
            Self::QueueFull => "The server was away or slow for too long.",
            Self::BatchRefused => "The server refused rows.",
            Self::EntityLimit => "More entities than max_entities; they count as ~other.",
            Self::EndpointLimit => "More endpoints of a service than max_endpoints; they count as ~other.",
            Self::TimeRejected => "Rows with a time too far ahead or older than what is kept.",
        }
    }
}

#[cfg(test)]
mod loss_tests {
    use super::LossCause;

    #[test]
    fn every_cause_is_described() {
        for cause in LossCause::ALL {
            assert!(cause.describe().ends_with('.'), "{cause}");
        }
    }
}
