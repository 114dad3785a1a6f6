//! Tasks on tokio's workers: two calls at once, one connection to Redis for all of them.

use std::env::var;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::routing::get;
use deadpool_postgres::{Manager, Pool};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tokio_postgres::NoTls;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

type Error = Box<dyn std::error::Error + Send + Sync>;

struct Service {
    ledger: File,
    next: String,
    client: reqwest::Client,
    cache: MultiplexedConnection,
    database: Pool,
}

impl Service {
    async fn new() -> Result<Self, Error> {
        let cache = redis::Client::open(format!("redis://127.0.0.1:{}", var("REDIS_PORT")?))?;
        let database = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", var("POSTGRES_PORT")?);
        Ok(Self {
            ledger: OpenOptions::new().append(true).create(true).open(var("TRUTH")?)?,
            next: var("NEXT")?,
            client: reqwest::Client::new(),
            cache: cache.get_multiplexed_async_connection().await?,
            database: Pool::builder(Manager::new(database.parse()?, NoTls)).max_size(32).build()?,
        })
    }

    fn new_id(&self, parent: &str, kind: &str) -> Result<String, Error> {
        let id = format!("{:016x}", rand::random::<u64>());
        (&self.ledger).write_all(format!("{parent} {id} {kind}\n").as_bytes())?;
        Ok(id)
    }

    /// Asks the next service, once again if it refuses.
    async fn http(&self, request: &str, headers: &HeaderMap) -> Result<(), Error> {
        for _ in 0..2 {
            let answer = self.client.get(format!("{}/c/{}", self.next, self.new_id(request, "http")?));
            let answer = answer.headers(headers.clone()).send().await?;
            let status = answer.status();
            answer.bytes().await?;
            if status != StatusCode::SERVICE_UNAVAILABLE {
                break;
            }
        }
        Ok(())
    }

    async fn redis(&self, request: &str) -> Result<(), Error> {
        let key = format!("k:{}", self.new_id(request, "redis")?);
        let _: Option<String> = self.cache.clone().get(key).await?;
        Ok(())
    }

    async fn sql(&self, request: &str) -> Result<(), Error> {
        let database = self.database.get().await?;
        database.simple_query(&format!("SELECT pause('{}')", self.new_id(request, "sql")?)).await?;
        Ok(())
    }

    async fn handle(&self, request: &str, headers: HeaderMap) -> Result<(), Error> {
        self.redis(request).await?;
        tokio::try_join!(self.http(request, &headers), self.http(request, &headers))?;
        self.sql(request).await
    }
}

async fn answer(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<&'static str, (StatusCode, String)> {
    let passed_on = headers.get(REQUEST_ID).map(|value| (REQUEST_ID, value.clone())).into_iter().collect();
    let done = service.handle(&id, passed_on).await;
    done.map(|()| "ok").map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let service = Arc::new(Service::new().await?);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", var("PORT")?)).await?;
    axum::serve(listener, Router::new().route("/r/{id}", get(answer)).with_state(service)).await?;
    Ok(())
}
