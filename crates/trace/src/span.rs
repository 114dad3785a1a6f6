//! A row of the request log, as far as it tells about its place in a trace.

use hadal_model::{MessageType, ObservationPoint};

/// One call as one observation point saw it. What a row does not know is 0 or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// `_id` of the row.
    pub id: u64,
    /// First byte of the request, in microseconds of the agent's clock.
    pub start_us: u64,
    /// Last byte of the response.
    pub end_us: u64,
    /// Who saw it.
    pub point: ObservationPoint,
    /// Name of the agent.
    pub agent: String,
    /// Entities of client and server.
    pub entities: [u32; 2],
    /// Addresses of client and server.
    pub addresses: [[u8; 16]; 2],
    /// Ports of client and server.
    pub ports: [u16; 2],
    /// Process ids of client and server.
    pub pids: [u32; 2],
    /// Name of the protocol.
    pub protocol: String,
    /// The protocol's own id of the request.
    pub request_id: Option<u64>,
    /// Sequence numbers of the first byte of request and response.
    pub seqs: [u32; 2],
    /// Contexts of the socket calls that moved the first byte of request and response at this end.
    pub contexts: [u64; 2],
    /// Context of the thread that waited for the one that read the response.
    pub joined: u64,
    /// `X-Request-ID` of request and response.
    pub x_request_ids: [String; 2],
    /// Trace id that the program sent.
    pub trace_id: String,
    /// Of a span that a program reported: its id. Of what was observed: the id that the request carried.
    pub span_id: String,
    /// Of a span that a program reported: the id of its parent.
    pub parent_span_id: String,
    /// Whether there is a response.
    pub kind: MessageType,
}

impl Span {
    /// Whether it was seen on the client's side of the path.
    pub fn is_client_side(&self) -> bool {
        self.point < ObservationPoint::Local
    }

    /// Whether the program itself reported it.
    pub fn is_reported(&self) -> bool {
        matches!(self.point, ObservationPoint::ClientApp | ObservationPoint::ServerApp)
    }

    /// Entity of the side that saw it.
    pub fn own_entity(&self) -> u32 {
        self.entities[usize::from(!self.is_client_side())]
    }

    /// Process id of the end that saw it; 0 if it was seen between the ends.
    pub fn own_pid(&self) -> u32 {
        match self.point {
            ObservationPoint::ClientProcess | ObservationPoint::ClientApp => self.pids[0],
            ObservationPoint::ServerProcess | ObservationPoint::ServerApp => self.pids[1],
            _ => 0,
        }
    }
}
