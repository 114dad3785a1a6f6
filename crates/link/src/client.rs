//! The agent's end: keeps batches until they are acknowledged, and sends them again after a lost connection.

mod backlog;

use std::collections::HashMap;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_flight::FlightData;
use arrow_flight::flight_service_client::FlightServiceClient;
use hadal_model::catalog::Table;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::control::{Capability, ControlClient, EntityFacts, FactsRequest, RegisterRequest, Settings, StatusRequest};
use backlog::{Backlog, Size};

use crate::wire::{BatchId, Encoder, Origin, schema_mismatch};

/// What the agent hands to the uploader, in order.
#[derive(Debug)]
pub enum Outgoing {
    /// Entities that later batches refer to.
    Facts(Vec<EntityFacts>),
    /// Rows of a table, with its wire schema.
    Batch(&'static Table, RecordBatch),
    /// How the agent does.
    Status(StatusRequest),
}

/// What the uploader tells the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Configuration from the server.
    Settings(Settings),
    /// So many rows were refused by the server and dropped.
    Refused(u64),
    /// So many rows were dropped because the server was away for too long.
    QueueFull(u64),
}

/// How the uploader reaches the server and what it keeps.
#[derive(Clone, Debug)]
pub struct Config {
    /// `http://host:port` of the server.
    pub server: String,
    /// Introduction of the agent.
    pub register: RegisterRequest,
    /// Most rows kept while they are not acknowledged, over all tables.
    pub max_unacknowledged_rows: usize,
    /// Most bytes of memory of these rows.
    pub max_unacknowledged_bytes: usize,
}

/// Batches of one table that are not acknowledged.
struct Stream {
    table: &'static Table,
    backlog: Backlog,
    /// Messages of the open `DoPut`, if there is one.
    open: Option<(Encoder, mpsc::Sender<FlightData>)>,
}

/// What the tasks that read answers report.
enum Answer {
    Acknowledged(&'static str, u64),
    Ended(&'static str, Status),
}

struct Uploader {
    config: Config,
    notices: mpsc::Sender<Notice>,
    streams: HashMap<&'static str, Stream>,
    facts: HashMap<u64, EntityFacts>,
    kept: Size,
}

/// Messages of a table on their way to a server that is slow; each may have thousands of rows.
const MESSAGES: usize = 8;

/// Runs until `outgoing` is closed and everything was sent, or one more second has passed.
pub async fn run(config: Config, mut outgoing: mpsc::Receiver<Outgoing>, notices: mpsc::Sender<Notice>) {
    let mut uploader =
        Uploader { config, notices, streams: HashMap::new(), facts: HashMap::new(), kept: Size::default() };
    let mut wait = Duration::from_millis(100);
    loop {
        match uploader.session(&mut outgoing).await {
            Ok(()) => return,
            Err(status) => tracing::warn!(
                server = uploader.config.server,
                "the server does not take data: {}; trying again in {wait:?}",
                status.message()
            ),
        }
        if !uploader.collect_for(wait, &mut outgoing).await {
            return;
        }
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}

impl Uploader {
    /// Takes what comes while there is no connection; false when there will be no more.
    async fn collect_for(&mut self, time: Duration, outgoing: &mut mpsc::Receiver<Outgoing>) -> bool {
        let deadline = tokio::time::Instant::now() + time;
        loop {
            match tokio::time::timeout_at(deadline, outgoing.recv()).await {
                Ok(Some(Outgoing::Batch(table, batch))) => self.keep(table, batch).await,
                Ok(Some(Outgoing::Facts(facts))) => self.remember(&facts),
                Ok(Some(Outgoing::Status(_))) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }

    /// One connection: introduces the agent, sends what is pending, then what comes. `Ok` when all is done.
    async fn session(&mut self, outgoing: &mut mpsc::Receiver<Outgoing>) -> Result<(), Status> {
        let endpoint = Endpoint::from_shared(self.config.server.clone())
            .map_err(|error| Status::invalid_argument(error.to_string()))?
            .connect_timeout(Duration::from_secs(5));
        let channel = endpoint.connect().await.map_err(|error| Status::unavailable(with_cause(&error)))?;
        let mut control = ControlClient::new(channel.clone());
        let (answers_in, mut answers) = mpsc::channel(1024);
        let mut session = Session { channel, answers: answers_in };
        self.introduce(&mut control).await?;
        let lost = self.streams.values_mut().map(|stream| stream.backlog.connection_ended()).sum();
        self.count_dropped(lost).await;
        for stream in self.streams.values_mut() {
            stream.open = None;
            session.resend(stream, &self.config).await?;
        }
        loop {
            tokio::select! {
                biased;
                Some(answer) = answers.recv() => self.answered(answer).await?,
                next = outgoing.recv() => match next {
                    Some(next) => self.send(&mut session, &mut control, next).await?,
                    None => return self.drain(&mut answers).await,
                },
            }
        }
    }

    async fn introduce(&mut self, control: &mut ControlClient<Channel>) -> Result<(), Status> {
        let answer = control.register(self.config.register.clone()).await?.into_inner();
        if let Some(settings) = answer.settings {
            let _ = self.notices.send(Notice::Settings(settings)).await;
        }
        let entities: Vec<_> = self.facts.values().cloned().collect();
        self.send_facts(control, entities).await
    }

    async fn send_facts(&self, control: &mut ControlClient<Channel>, entities: Vec<EntityFacts>) -> Result<(), Status> {
        for part in entities.chunks(1000) {
            let agent = self.config.register.agent.clone();
            control.facts(FactsRequest { agent, entities: part.to_vec() }).await?;
        }
        Ok(())
    }

    async fn send(
        &mut self,
        session: &mut Session,
        control: &mut ControlClient<Channel>,
        next: Outgoing,
    ) -> Result<(), Status> {
        match next {
            Outgoing::Facts(facts) => {
                self.remember(&facts);
                self.send_facts(control, facts).await
            }
            Outgoing::Batch(table, batch) => {
                self.keep(table, batch).await;
                match self.streams.get_mut(table.name) {
                    Some(stream) => session.send_last(stream, &self.config).await,
                    None => Ok(()),
                }
            }
            Outgoing::Status(status) => {
                let answer = control.status(status).await?.into_inner();
                if answer.unknown_agent {
                    self.introduce(control).await?;
                }
                if let Some(settings) = answer.settings {
                    let _ = self.notices.send(Notice::Settings(settings)).await;
                }
                Ok(())
            }
        }
    }

    fn remember(&mut self, facts: &[EntityFacts]) {
        self.facts.extend(facts.iter().map(|facts| (facts.key, facts.clone())));
    }

    /// Numbers a batch and keeps it, unless the server would refuse it; beyond the limit the oldest rows of the largest table go, which are logs.
    async fn keep(&mut self, table: &'static Table, batch: RecordBatch) {
        if let Some(reason) = schema_mismatch(table, &batch) {
            tracing::error!("a batch is not of {}: {reason}", table.full_name());
            let _ = self.notices.send(Notice::Refused(batch.num_rows() as u64)).await;
            return;
        }
        self.kept.add(Size::of(&batch));
        let new = || Stream { table, backlog: Backlog::default(), open: None };
        self.streams.entry(table.name).or_insert_with(new).backlog.push(batch);
        let mut dropped = 0;
        while self.kept.exceeds(&self.config) {
            let largest = self.streams.values_mut().max_by_key(|stream| stream.backlog.bytes());
            let Some((size, lost)) = largest.and_then(|stream| stream.backlog.let_go()) else { break };
            self.kept.subtract(size);
            dropped += lost;
        }
        self.count_dropped(dropped).await;
    }

    async fn count_dropped(&self, rows: u64) {
        if rows > 0 {
            let _ = self.notices.send(Notice::QueueFull(rows)).await;
        }
    }

    async fn answered(&mut self, answer: Answer) -> Result<(), Status> {
        match answer {
            Answer::Acknowledged(table, seq) => {
                let Some(stream) = self.streams.get_mut(table) else { return Ok(()) };
                self.kept.subtract(stream.backlog.acknowledge(seq));
                Ok(())
            }
            Answer::Ended(table, status) if status.code() == Code::InvalidArgument => {
                // Sending it again would be refused again: the batch goes, and is counted.
                tracing::error!(table, "the server refuses a batch: {}", status.message());
                let refused = self.streams.get_mut(table).map(|stream| stream.backlog.refuse());
                let (size, rows) = refused.unwrap_or_default();
                self.kept.subtract(size);
                let _ = self.notices.send(Notice::Refused(rows)).await;
                Err(status)
            }
            Answer::Ended(_, status) => Err(status),
        }
    }

    /// After the last batch: waits for the acknowledgements, for a second at most.
    async fn drain(&mut self, answers: &mut mpsc::Receiver<Answer>) -> Result<(), Status> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
        while self.kept.rows > 0 {
            match tokio::time::timeout_at(deadline, answers.recv()).await {
                Ok(Some(answer)) => self.answered(answer).await?,
                _ => break,
            }
        }
        Ok(())
    }
}

struct Session {
    channel: Channel,
    answers: mpsc::Sender<Answer>,
}

impl Session {
    async fn resend(&mut self, stream: &mut Stream, config: &Config) -> Result<(), Status> {
        for index in 0..stream.backlog.len() {
            self.send_at(stream, index, config).await?;
        }
        Ok(())
    }

    async fn send_last(&mut self, stream: &mut Stream, config: &Config) -> Result<(), Status> {
        match stream.backlog.len() {
            0 => Ok(()),
            length => self.send_at(stream, length - 1, config).await,
        }
    }

    async fn send_at(&mut self, stream: &mut Stream, index: usize, config: &Config) -> Result<(), Status> {
        if stream.open.is_none() {
            stream.open = Some(self.open(stream.table, config).await?);
        }
        let Some((encoder, sender)) = stream.open.as_mut() else { return Ok(()) };
        let Some((seq, batch)) = stream.backlog.send(index) else { return Ok(()) };
        let messages = encoder
            .batch(batch, BatchId { seq })
            .map_err(|error| Status::internal(format!("a batch of {} does not encode: {error}", stream.table.name)))?;
        for message in messages {
            if sender.send(message).await.is_err() {
                stream.open = None;
                return Err(Status::unavailable("the stream of batches was closed"));
            }
        }
        Ok(())
    }

    /// Opens the `DoPut` of a table and reads its answers in a task of its own.
    async fn open(
        &self,
        table: &'static Table,
        config: &Config,
    ) -> Result<(Encoder, mpsc::Sender<FlightData>), Status> {
        let mut encoder = Encoder::new().map_err(|error| Status::internal(error.to_string()))?;
        let (sender, messages) = mpsc::channel(MESSAGES);
        let origin = Origin { agent: config.register.agent.clone(), boot: config.register.boot };
        let header = encoder.header(table, &table.wire_schema(), &origin);
        let _ = sender.send(header).await;
        let mut client = FlightServiceClient::new(self.channel.clone());
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let outcome = client.do_put(ReceiverStream::new(messages)).await;
            let end = match outcome {
                Ok(response) => read_answers(table.name, response.into_inner(), &answers).await,
                Err(status) => status,
            };
            let _ = answers.send(Answer::Ended(table.name, end)).await;
        });
        Ok((encoder, sender))
    }
}

async fn read_answers(
    table: &'static str,
    mut results: tonic::Streaming<arrow_flight::PutResult>,
    answers: &mpsc::Sender<Answer>,
) -> Status {
    while let Some(result) = results.next().await {
        let seq = match result {
            Ok(result) => BatchId::decode(result.app_metadata).map_or(0, |id| id.seq),
            Err(status) => return status,
        };
        if answers.send(Answer::Acknowledged(table, seq)).await.is_err() {
            break;
        }
    }
    Status::unavailable("the server closed the stream of batches")
}

/// A transport error says little itself; its causes say what happened.
fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

/// A capability as the control channel carries it.
pub fn capability(name: &str, state: &str, why: &str, what_to_do: &str) -> Capability {
    Capability { name: name.into(), state: state.into(), why: why.into(), what_to_do: what_to_do.into() }
}
