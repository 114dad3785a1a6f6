//! The server's end: decodes streams of batches and hands each one on.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::{Stream, StreamExt, TryStreamExt};
use hadal_model::catalog::Table;
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use crate::wire::{BatchId, Origin, schema_mismatch, table_of};

/// Batches of one stream that may be under way at once.
const IN_FLIGHT: usize = 32;

/// A batch that arrived.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Who sent it.
    pub origin: Arc<Origin>,
    /// Its table.
    pub table: &'static Table,
    /// Its number in the stream (origin, table).
    pub seq: u64,
    /// The rows, with the table's wire schema.
    pub batch: RecordBatch,
}

/// Resolves when a batch is committed. An error leaves it with the agent, which sends it again.
pub type Commit = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// Takes batches.
pub trait Sink: Send + Sync + 'static {
    /// Takes a batch in its turn; the batches of a stream are taken one after the other, in order.
    fn take(&self, incoming: Incoming) -> impl Future<Output = Result<Commit, Status>> + Send;
}

/// The Flight service over a sink.
pub struct Ingest<S>(pub Arc<S>);

type Boxed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn unsupported<T>(what: &str) -> Result<Response<T>, Status> {
    Err(Status::unimplemented(format!("{what} is not offered: agents send with DoPut, queries go to the HTTP port")))
}

#[tonic::async_trait]
impl<S: Sink> FlightService for Ingest<S> {
    type HandshakeStream = Boxed<HandshakeResponse>;
    type ListFlightsStream = Boxed<FlightInfo>;
    type DoGetStream = Boxed<FlightData>;
    type DoPutStream = Boxed<PutResult>;
    type DoExchangeStream = Boxed<FlightData>;
    type DoActionStream = Boxed<arrow_flight::Result>;
    type ListActionsStream = Boxed<ActionType>;

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let mut messages = request.into_inner();
        let first = messages.message().await?.ok_or_else(|| Status::invalid_argument("the stream is empty"))?;
        let table = table_of(first.flight_descriptor.as_ref()).ok_or_else(|| {
            Status::invalid_argument("the descriptor's path is not [database, table] of a known table")
        })?;
        let origin = Origin::decode(first.app_metadata.clone())
            .map_err(|error| Status::invalid_argument(format!("the first message's metadata is no origin: {error}")))?;
        let (origin, sink) = (Arc::new(origin), Arc::clone(&self.0));
        let all = futures::stream::once(async { Ok(first) }).chain(messages.map_err(FlightError::from));
        // The decoder trusts the lengths in messages and panics where they lie: that ends this stream, nothing else.
        let decoded = AssertUnwindSafe(FlightDataDecoder::new(all)).catch_unwind();
        let results = decoded
            .map(|item| match item {
                Ok(decoded) => decoded.map_err(to_status),
                Err(_) => Err(Status::invalid_argument("the stream does not decode: lengths do not fit the data")),
            })
            .try_filter_map(move |decoded| {
                let incoming = incoming(&origin, table, decoded);
                async move { incoming }
            })
            .and_then(move |incoming| {
                let sink = Arc::clone(&sink);
                async move {
                    let id = BatchId { seq: incoming.seq };
                    Ok((id, sink.take(incoming).await?))
                }
            })
            .map_ok(|(id, commit)| async move {
                commit.await.map(|()| PutResult { app_metadata: id.encode_to_vec().into() })
            })
            .try_buffered(IN_FLIGHT);
        Ok(Response::new(Box::pin(results)))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        unsupported("Handshake")
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        unsupported("ListFlights")
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        unsupported("GetFlightInfo")
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        unsupported("PollFlightInfo")
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        unsupported("GetSchema")
    }

    async fn do_get(&self, _: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        unsupported("DoGet")
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        unsupported("DoExchange")
    }

    async fn do_action(&self, _: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        unsupported("DoAction")
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        unsupported("ListActions")
    }
}

fn to_status(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => Status::invalid_argument(format!("the stream does not decode: {other}")),
    }
}

/// The batch in a message; `None` for the schema and dictionaries.
fn incoming(
    origin: &Arc<Origin>,
    table: &'static Table,
    decoded: arrow_flight::decode::DecodedFlightData,
) -> Result<Option<Incoming>, Status> {
    let DecodedPayload::RecordBatch(batch) = decoded.payload else { return Ok(None) };
    if let Some(reason) = schema_mismatch(table, &batch) {
        return Err(Status::invalid_argument(format!("the batch is not of {}: {reason}", table.full_name())));
    }
    let id = BatchId::decode(decoded.inner.app_metadata)
        .map_err(|error| Status::invalid_argument(format!("the batch's metadata is no number: {error}")))?;
    if id.seq == 0 {
        return Err(Status::invalid_argument("the batch has no number"));
    }
    Ok(Some(Incoming { origin: Arc::clone(origin), table, seq: id.seq, batch }))
}
