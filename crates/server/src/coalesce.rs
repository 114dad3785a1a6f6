//! Small batches of a table become one large insert; each is acknowledged when the insert is committed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arrow_array::RecordBatch;
use hadal_model::catalog::Table;
use hadal_store::{Engine, ErrorKind};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::{Code, Status};

use crate::catalog_db::{CatalogDb, Position};
use crate::join::join;

/// How often a group is tried that the engine refuses as wrong.
const ATTEMPTS: u32 = 3;

/// A labelled batch that waits for its insert.
pub(crate) struct Waiting {
    pub(crate) agent: String,
    pub(crate) boot: u64,
    pub(crate) position: Position,
    pub(crate) batch: RecordBatch,
    pub(crate) done: oneshot::Sender<Result<(), Status>>,
    /// Room taken in the queue, given back when the insert is over.
    pub(crate) room: Option<tokio::sync::OwnedSemaphorePermit>,
}

/// Running totals, for the agents page.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) rows: AtomicU64,
    pub(crate) inserts: AtomicU64,
    pub(crate) failures: AtomicU64,
}

/// How inserts are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) wait: Duration,
    pub(crate) rows: usize,
    pub(crate) max_waiting_rows: usize,
}

/// One task per table.
pub(crate) struct Coalescer {
    engine: Arc<dyn Engine>,
    catalog: CatalogDb,
    settings: Settings,
    room: Arc<Semaphore>,
    totals: Arc<Totals>,
    stopping: Arc<AtomicBool>,
    tables: std::sync::Mutex<HashMap<&'static str, mpsc::Sender<Waiting>>>,
    tasks: std::sync::Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl Coalescer {
    pub(crate) fn new(engine: Arc<dyn Engine>, catalog: CatalogDb, settings: Settings, totals: Arc<Totals>) -> Self {
        Self {
            engine,
            catalog,
            settings,
            room: Arc::new(Semaphore::new(settings.max_waiting_rows)),
            totals,
            stopping: Arc::default(),
            tables: std::sync::Mutex::default(),
            tasks: std::sync::Mutex::default(),
        }
    }

    /// Queues a batch; waits while the queue is full, which holds the agent back.
    pub(crate) async fn put(&self, table: &'static Table, mut waiting: Waiting) -> Result<(), Status> {
        let rows = waiting.batch.num_rows().clamp(1, self.settings.max_waiting_rows) as u32;
        let room = Arc::clone(&self.room).acquire_many_owned(rows).await;
        waiting.room = Some(room.map_err(|_| Status::unavailable("the server stops"))?);
        let sender = self.sender(table);
        sender.send(waiting).await.map_err(|_| Status::unavailable("the server stops"))
    }

    fn sender(&self, table: &'static Table) -> mpsc::Sender<Waiting> {
        let mut tables = self.tables.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let make = || {
            let (sender, receiver) = mpsc::channel(1024);
            let inserter = Inserter {
                stopping: Arc::clone(&self.stopping),
                table,
                engine: Arc::clone(&self.engine),
                catalog: self.catalog.clone(),
                settings: self.settings,
                totals: Arc::clone(&self.totals),
            };
            let task = tokio::spawn(inserter.run(receiver));
            self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(task);
            sender
        };
        tables.entry(table.name).or_insert_with(make).clone()
    }

    /// Inserts what waits and ends the tasks.
    pub(crate) async fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.room.close();
        self.tables.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for task in tasks {
            // A task that panicked has already reported it.
            let _ = task.await;
        }
    }
}

struct Inserter {
    stopping: Arc<AtomicBool>,
    table: &'static Table,
    engine: Arc<dyn Engine>,
    catalog: CatalogDb,
    settings: Settings,
    totals: Arc<Totals>,
}

impl Inserter {
    async fn run(self, mut receiver: mpsc::Receiver<Waiting>) {
        while let Some(first) = receiver.recv().await {
            let mut group = vec![first];
            let mut rows = group[0].batch.num_rows();
            let deadline = tokio::time::Instant::now() + self.settings.wait;
            while rows < self.settings.rows {
                match tokio::time::timeout_at(deadline, receiver.recv()).await {
                    Ok(Some(next)) => {
                        rows += next.batch.num_rows();
                        group.push(next);
                    }
                    _ => break,
                }
            }
            self.insert(group).await;
        }
    }

    /// Inserts a group, again and again while the store cannot take it: the queue fills up and holds the agents back.
    ///
    /// A group that the engine refuses as wrong is given up after [`ATTEMPTS`], so that it does not stop the others.
    async fn insert(&self, group: Vec<Waiting>) {
        let mut attempts = 0;
        let outcome = loop {
            let error = match self.commit(&group).await {
                Ok(rows) => break Ok(rows),
                Err(error) => error,
            };
            attempts += 1;
            self.totals.failures.fetch_add(1, Ordering::Relaxed);
            tracing::error!(table = self.table.name, attempts, "an insert failed: {}", error.message());
            let hopeless = error.code() == Code::InvalidArgument && attempts >= ATTEMPTS;
            if hopeless && group.len() > 1 {
                // One of them is wrong; the others must not go with it.
                for waiting in group {
                    Box::pin(self.insert(vec![waiting])).await;
                }
                return;
            }
            if hopeless || self.stopping.load(Ordering::Acquire) {
                break Err(error);
            }
            tokio::time::sleep(Duration::from_millis(200) * attempts.min(25)).await;
        };
        if let Ok(rows) = outcome {
            self.totals.rows.fetch_add(rows, Ordering::Relaxed);
            self.totals.inserts.fetch_add(1, Ordering::Relaxed);
        }
        for waiting in group {
            // The stream may be gone; its agent sends the batch again and it is found committed.
            let _ = waiting.done.send(outcome.clone().map(drop));
        }
    }

    async fn commit(&self, group: &[Waiting]) -> Result<u64, Status> {
        let schema = Arc::new(self.table.store_schema());
        let batches: Vec<_> = group.iter().map(|waiting| &waiting.batch).collect();
        let batch = join(&schema, &batches)
            .map_err(|error| Status::invalid_argument(format!("batches do not join: {error}")))?;
        let rows = batch.num_rows() as u64;
        let (name, token) = (self.table.sql_name(self.table.precision), token(group));
        let engine = Arc::clone(&self.engine);
        let insert = tokio::task::spawn_blocking(move || match batch.num_rows() {
            0 => Ok(()),
            _ => engine.insert(&name, &batch, &token),
        });
        let inserted = insert.await.map_err(|error| Status::internal(error.to_string()))?;
        inserted.map_err(|error| match error.kind() {
            ErrorKind::Invalid => Status::invalid_argument(error.to_string()),
            _ => Status::unavailable(error.to_string()),
        })?;
        let positions: Vec<_> = group
            .iter()
            .map(|waiting| (waiting.agent.as_str(), waiting.boot, self.table.name, waiting.position))
            .collect();
        let noted = self.catalog.put_positions(&positions).await;
        noted.map_err(|error| Status::unavailable(format!("the catalog does not take positions: {error}")))?;
        Ok(rows)
    }
}

/// Names the batches of an insert, so that the engine knows a repetition of it.
fn token(group: &[Waiting]) -> String {
    let names = group.iter().map(|waiting| format!("{}/{:x}/{}", waiting.agent, waiting.boot, waiting.position.seq));
    names.collect::<Vec<_>>().join(",")
}
