//! Entities: key on the wire → dense id, and their tags in the store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::{RecordBatch, UInt32Array, UInt64Array};
use hadal_model::catalog::{self, TAGS};
use hadal_store::{Engine, Format};
use tokio::sync::Mutex;
use tonic::Status;

use crate::catalog_db::{CatalogDb, StoredEntity, Tags};

/// What labels batches and keeps the entity table.
pub(crate) struct EntityRegistry {
    /// Key → id, for labelling.
    ids: RwLock<HashMap<u64, u32>>,
    /// Id → entity; also the lock under which ids are handed out.
    entities: Mutex<HashMap<u32, StoredEntity>>,
    catalog: CatalogDb,
    engine: Arc<dyn Engine>,
    limit: usize,
    changed: AtomicBool,
}

fn unavailable(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("entities cannot be stored: {error}"))
}

/// What facts do to what is known.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// Nothing new.
    None,
    /// Tags that were unknown: the same id gains them.
    Fill(Tags),
    /// A known tag has another value: history keeps its id, the key gets a new one.
    Replace(Tags),
}

fn change(known: &Tags, facts: &Tags) -> Change {
    let mut merged = known.clone();
    let mut replaced = false;
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        if let Some(old) = merged.insert(name.clone(), value.clone()) {
            replaced |= old != *value;
        }
    }
    match (replaced, merged == *known) {
        (true, _) => Change::Replace(merged),
        (false, true) => Change::None,
        (false, false) => Change::Fill(merged),
    }
}

impl EntityRegistry {
    /// Reads the catalog, and makes the store's table equal to it.
    pub(crate) async fn open(catalog: CatalogDb, engine: Arc<dyn Engine>, limit: usize) -> Result<Self, Status> {
        let entities = catalog.entities().await.map_err(unavailable)?;
        let registry = Self {
            ids: RwLock::new(entities.iter().map(|entity| (entity.key, entity.id)).collect()),
            entities: Mutex::new(entities.iter().map(|entity| (entity.id, entity.clone())).collect()),
            catalog,
            engine,
            limit,
            changed: AtomicBool::new(true),
        };
        registry.repair(entities).await?;
        Ok(registry)
    }

    /// After a crash between the two databases, the store lacks the last entities.
    async fn repair(&self, entities: Vec<StoredEntity>) -> Result<(), Status> {
        let engine = Arc::clone(&self.engine);
        let known = tokio::task::spawn_blocking(move || {
            engine.query("SELECT id, max(version) FROM meta.entity GROUP BY id", Format::Tsv)
        });
        let known = known.await.map_err(unavailable)?.map_err(unavailable)?;
        let text = String::from_utf8_lossy(&known.bytes).into_owned();
        let versions: HashMap<u32, u64> = text
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .filter_map(|(id, version)| Some((id.parse().ok()?, version.parse().ok()?)))
            .collect();
        let missing: Vec<_> =
            entities.into_iter().filter(|entity| versions.get(&entity.id) != Some(&entity.version)).collect();
        self.store(missing).await
    }

    /// Takes facts; returns when they are durable.
    pub(crate) async fn learn(&self, facts: Vec<(u64, Tags)>) -> Result<(), Status> {
        let mut entities = self.entities.lock().await;
        let mut changed = Vec::new();
        for (key, tags) in facts {
            let tags = tags.into_iter().filter(|(name, _)| catalog::tag(name).is_some()).collect();
            let known = self.id(key).and_then(|id| entities.get(&id));
            changed.extend(self.apply(key, &tags, known, entities.len() + changed.len())?);
        }
        self.commit(&mut entities, changed).await
    }

    fn apply(
        &self,
        key: u64,
        tags: &Tags,
        known: Option<&StoredEntity>,
        count: usize,
    ) -> Result<Option<StoredEntity>, Status> {
        let fresh = |tags: Tags| {
            if count >= self.limit {
                let message = format!("there are {} entities already: raise max_entities", self.limit);
                return Err(Status::resource_exhausted(message));
            }
            Ok(Some(StoredEntity { id: count as u32 + 1, key, version: 1, tags }))
        };
        let Some(known) = known else { return fresh(tags.clone()) };
        match change(&known.tags, tags) {
            Change::None => Ok(None),
            Change::Fill(tags) => Ok(Some(StoredEntity { version: known.version + 1, tags, ..known.clone() })),
            Change::Replace(tags) => fresh(tags),
        }
    }

    async fn commit(
        &self,
        entities: &mut HashMap<u32, StoredEntity>,
        changed: Vec<StoredEntity>,
    ) -> Result<(), Status> {
        if changed.is_empty() {
            return Ok(());
        }
        self.catalog.put_entities(&changed).await.map_err(unavailable)?;
        self.store(changed.clone()).await?;
        let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        for entity in changed {
            ids.insert(entity.key, entity.id);
            entities.insert(entity.id, entity);
        }
        Ok(())
    }

    async fn store(&self, entities: Vec<StoredEntity>) -> Result<(), Status> {
        if entities.is_empty() {
            return Ok(());
        }
        let engine = Arc::clone(&self.engine);
        let insert = tokio::task::spawn_blocking(move || {
            let (first, last) = (&entities[0], &entities[entities.len() - 1]);
            let token =
                format!("entity {}.{} {}.{} {}", first.id, first.version, last.id, last.version, entities.len());
            engine.insert(&catalog::ENTITY.sql_name(""), &entity_batch(&entities), &token)
        });
        insert.await.map_err(unavailable)?.map_err(unavailable)?;
        self.changed.store(true, Ordering::Release);
        Ok(())
    }

    fn id(&self, key: u64) -> Option<u32> {
        self.ids.read().unwrap_or_else(PoisonError::into_inner).get(&key).copied()
    }

    /// Ids of keys. A key without facts gets an id now and its tags when they come.
    pub(crate) async fn ids(&self, keys: &[u64]) -> Result<HashMap<u64, u32>, Status> {
        let unknown: Vec<_> =
            keys.iter().filter(|key| self.id(**key).is_none()).map(|key| (*key, Tags::new())).collect();
        if !unknown.is_empty() {
            self.learn(unknown).await?;
        }
        Ok(keys.iter().filter_map(|key| Some((*key, self.id(*key)?))).collect())
    }

    /// Number of entities.
    pub(crate) fn len(&self) -> usize {
        self.ids.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Reloads the engine's dictionary a second after a change; embedded dictionaries do not refresh themselves.
    pub(crate) async fn keep_dictionary_fresh(self: Arc<Self>) {
        loop {
            if self.changed.swap(false, Ordering::AcqRel) {
                let engine = Arc::clone(&self.engine);
                let reload = move || engine.execute("SYSTEM RELOAD DICTIONARY meta.entity_tags");
                if let Ok(Err(error)) = tokio::task::spawn_blocking(reload).await {
                    tracing::warn!("the entity dictionary does not reload: {error}");
                    self.changed.store(true, Ordering::Release);
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

fn entity_batch(entities: &[StoredEntity]) -> RecordBatch {
    let names = MapFieldNames { entry: "entries".into(), key: "keys".into(), value: "values".into() };
    let values = arrow_schema::Field::new("values", arrow_schema::DataType::Utf8, false);
    let mut tags = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new()).with_values_field(values);
    for entity in entities {
        for tag in TAGS {
            if let Some(value) = entity.tags.get(tag.name) {
                tags.keys().append_value(tag.name);
                tags.values().append_value(value);
            }
        }
        // Keys and values were appended in pairs.
        let _ = tags.append(true);
    }
    let columns: Vec<arrow_array::ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values(entities.iter().map(|entity| entity.id))),
        Arc::new(UInt64Array::from_iter_values(entities.iter().map(|entity| entity.version))),
        Arc::new(tags.finish()),
    ];
    let schema = Arc::new(catalog::ENTITY.store_schema());
    RecordBatch::try_new(schema, columns).unwrap_or_else(|error| unreachable!("entity table: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn unknown_tags_fill_and_known_ones_replace() {
        let known = tags(&[("host", "a")]);
        assert_eq!(change(&known, &tags(&[("host", "a")])), Change::None);
        assert_eq!(change(&known, &tags(&[("host", "")])), Change::None);
        assert_eq!(change(&known, &tags(&[("zone", "z")])), Change::Fill(tags(&[("host", "a"), ("zone", "z")])));
        assert_eq!(change(&known, &tags(&[("host", "b")])), Change::Replace(tags(&[("host", "b")])));
    }

    #[test]
    fn entities_become_rows_of_the_table() {
        let entity = StoredEntity { id: 1, key: 2, version: 3, tags: tags(&[("host", "a"), ("unknown", "x")]) };
        assert_eq!(entity_batch(&[entity]).num_rows(), 1);
    }
}
