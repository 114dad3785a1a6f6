//! What happens to a batch between the wire and the queue of inserts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hadal_link::server::{Commit, Incoming, Sink};
use hadal_model::LossCause;
use tokio::sync::{Mutex, oneshot};
use tonic::Status;

use crate::agents::Agents;
use crate::catalog_db::{CatalogDb, Position};
use crate::coalesce::{Coalescer, Waiting};
use crate::entities::EntityRegistry;
use crate::label::{Context, entity_keys, label, within_time};

/// Rows may be this much ahead of the server's clock, in seconds.
const MAX_AHEAD: u64 = 3600;

type StreamKey = (String, u64, &'static str);

/// The sink of the Flight service.
pub(crate) struct Ingest {
    pub(crate) agents: Arc<Agents>,
    pub(crate) catalog: CatalogDb,
    pub(crate) entities: Arc<EntityRegistry>,
    pub(crate) coalescer: Arc<Coalescer>,
    /// How far each stream was accepted; what is not committed yet is included.
    pub(crate) accepted: Arc<Mutex<HashMap<StreamKey, Position>>>,
}

impl Ingest {
    /// Positions before and after this batch, or `None` if it was accepted before.
    async fn accept(&self, incoming: &Incoming, rows: usize) -> Result<Option<(Position, Position)>, Status> {
        let key = stream_key(incoming);
        let mut accepted = self.accepted.lock().await;
        let before = match accepted.get(&key) {
            Some(position) => *position,
            None => committed(&self.catalog, &key).await?,
        };
        if incoming.seq <= before.seq {
            return Ok(None);
        }
        let after = Position { seq: incoming.seq, rows: before.rows + rows as u64 };
        accepted.insert(key, after);
        Ok(Some((before, after)))
    }

    fn in_time(&self, incoming: &Incoming) -> Result<(arrow_array::RecordBatch, usize), Status> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let newest = (now + MAX_AHEAD).min(u64::from(u32::MAX)) as u32;
        let kept_for = u64::from(incoming.table.ttl_days) * 86_400;
        let oldest = if kept_for == 0 { 0 } else { now.saturating_sub(kept_for) as u32 };
        within_time(incoming.table, incoming.batch.clone(), oldest, newest)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

fn stream_key(incoming: &Incoming) -> StreamKey {
    (incoming.origin.agent.clone(), incoming.origin.boot, incoming.table.name)
}

async fn committed(catalog: &CatalogDb, key: &StreamKey) -> Result<Position, Status> {
    let position = catalog.position(&key.0, key.1, key.2).await;
    position.map_err(|error| Status::unavailable(format!("the catalog does not answer: {error}")))
}

/// A batch that came again: it is acknowledged when its first arrival is committed.
async fn committed_before(catalog: CatalogDb, key: StreamKey, seq: u64) -> Result<(), Status> {
    for _ in 0..100 {
        if committed(&catalog, &key).await?.seq >= seq {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Status::unavailable("the batch is still being inserted"))
}

impl Sink for Ingest {
    async fn take(&self, incoming: Incoming) -> Result<Commit, Status> {
        let origin = &incoming.origin;
        let numbers = self.agents.numbers(&origin.agent, origin.boot).ok_or_else(|| {
            Status::failed_precondition(format!("agent {} is not registered: register first", origin.agent))
        })?;
        let (batch, rejected) = self.in_time(&incoming)?;
        let ids = self.entities.ids(&entity_keys(incoming.table, &batch)).await?;
        let Some((before, position)) = self.accept(&incoming, batch.num_rows()).await? else {
            return Ok(Box::pin(committed_before(self.catalog.clone(), stream_key(&incoming), incoming.seq)));
        };
        self.agents.count_loss(&origin.agent, LossCause::TimeRejected, rejected as u64);
        // 12 bits of agent, 12 of its start, 40 of the row in that start.
        let prefix = u64::from(numbers.agent & 0xfff) << 52 | u64::from(numbers.boot & 0xfff) << 40;
        let context = Context { agent: &origin.agent, first_id: prefix | (before.rows & 0xff_ffff_ffff) };
        let labelled =
            label(incoming.table, &batch, &ids, context).map_err(|error| Status::internal(error.to_string()))?;
        let (done, inserted) = oneshot::channel();
        let waiting =
            Waiting { agent: origin.agent.clone(), boot: origin.boot, position, batch: labelled, done, room: None };
        self.coalescer.put(incoming.table, waiting).await?;
        let (accepted, key) = (Arc::clone(&self.accepted), stream_key(&incoming));
        Ok(Box::pin(async move {
            let outcome = inserted.await.unwrap_or_else(|_| Err(Status::unavailable("the server stops")));
            if outcome.is_err() {
                // What was not committed may come again: the stream goes on from what was.
                accepted.lock().await.remove(&key);
            }
            outcome
        }))
    }
}
