//! The catalog database: which id an entity has, which agents there are, how far each stream of batches was committed.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

/// Tags of an entity.
pub(crate) type Tags = BTreeMap<String, String>;

/// An entity as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredEntity {
    pub(crate) id: u32,
    pub(crate) key: u64,
    pub(crate) version: u64,
    pub(crate) tags: Tags,
}

/// How far a stream of batches was committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Last number committed.
    pub(crate) seq: u64,
    /// Rows committed.
    pub(crate) rows: u64,
}

/// An agent's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AgentNumbers {
    pub(crate) agent: u16,
    pub(crate) boot: u16,
}

/// SQLite in the data directory.
#[derive(Clone)]
pub(crate) struct CatalogDb {
    pool: SqlitePool,
}

const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS entity (id INTEGER PRIMARY KEY, key INTEGER NOT NULL, version INTEGER NOT NULL, tags TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS entity_key ON entity (key, id)",
    "CREATE TABLE IF NOT EXISTS agent (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS boot (agent TEXT NOT NULL, boot INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (agent, boot))",
    "CREATE TABLE IF NOT EXISTS stream (agent TEXT NOT NULL, boot INTEGER NOT NULL, name TEXT NOT NULL, \
     seq INTEGER NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (agent, boot, name))",
];

impl CatalogDb {
    /// Opens or creates the database.
    pub(crate) async fn open(path: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        for statement in SCHEMA {
            sqlx::query(*statement).execute(&pool).await?;
        }
        Ok(Self { pool })
    }

    /// All entities, ascending by id.
    pub(crate) async fn entities(&self) -> Result<Vec<StoredEntity>, sqlx::Error> {
        let rows = sqlx::query("SELECT id, key, version, tags FROM entity ORDER BY id").fetch_all(&self.pool).await?;
        let entity = |row: sqlx::sqlite::SqliteRow| StoredEntity {
            id: row.get::<i64, _>(0) as u32,
            key: row.get::<i64, _>(1) as u64,
            version: row.get::<i64, _>(2) as u64,
            tags: serde_json::from_str(row.get(3)).unwrap_or_default(),
        };
        Ok(rows.into_iter().map(entity).collect())
    }

    /// Writes entities in one transaction.
    pub(crate) async fn put_entities(&self, entities: &[StoredEntity]) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        for entity in entities {
            sqlx::query("INSERT OR REPLACE INTO entity (id, key, version, tags) VALUES (?, ?, ?, ?)")
                .bind(i64::from(entity.id))
                .bind(entity.key as i64)
                .bind(entity.version as i64)
                .bind(serde_json::to_string(&entity.tags).unwrap_or_default())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }

    /// Numbers of an agent's start; new ones are handed out in order.
    pub(crate) async fn agent_numbers(&self, agent: &str, boot: u64) -> Result<AgentNumbers, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("INSERT OR IGNORE INTO agent (name) VALUES (?)").bind(agent).execute(&mut *transaction).await?;
        sqlx::query(
            "INSERT OR IGNORE INTO boot (agent, boot, number) \
             VALUES (?1, ?2, (SELECT coalesce(max(number), 0) + 1 FROM boot WHERE agent = ?1))",
        )
        .bind(agent)
        .bind(boot as i64)
        .execute(&mut *transaction)
        .await?;
        let row = sqlx::query(
            "SELECT agent.number, boot.number FROM agent JOIN boot ON boot.agent = agent.name WHERE name = ? AND boot = ?",
        )
        .bind(agent)
        .bind(boot as i64)
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(AgentNumbers { agent: row.get::<i64, _>(0) as u16, boot: row.get::<i64, _>(1) as u16 })
    }

    /// How far a stream was committed.
    pub(crate) async fn position(&self, agent: &str, boot: u64, stream: &str) -> Result<Position, sqlx::Error> {
        let row = sqlx::query("SELECT seq, rows FROM stream WHERE agent = ? AND boot = ? AND name = ?")
            .bind(agent)
            .bind(boot as i64)
            .bind(stream)
            .fetch_optional(&self.pool)
            .await?;
        let position = |row: sqlx::sqlite::SqliteRow| Position {
            seq: row.get::<i64, _>(0) as u64,
            rows: row.get::<i64, _>(1) as u64,
        };
        Ok(row.map(position).unwrap_or_default())
    }

    /// Remembers how far streams were committed: (agent, boot, stream, position).
    pub(crate) async fn put_positions(&self, positions: &[(&str, u64, &str, Position)]) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        for (agent, boot, stream, position) in positions {
            sqlx::query("INSERT OR REPLACE INTO stream (agent, boot, name, seq, rows) VALUES (?, ?, ?, ?, ?)")
                .bind(*agent)
                .bind(*boot as i64)
                .bind(*stream)
                .bind(position.seq as i64)
                .bind(position.rows as i64)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }

    /// Closes the database.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}
