//! Wires the server together and runs it.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow_flight::flight_service_server::FlightServiceServer;
use hadal_link::control::{ControlServer, Settings};
use hadal_link::server::Ingest as FlightIngest;
use hadal_model::LossCause;
use hadal_model::catalog::LOSS;
use hadal_store::{DataDirectory, Embedded, EmbeddedConfig, Engine, Library, Limits};
use hadal_trace::EvidenceSet;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;

use crate::agents::{Agents, now_s};
use crate::catalog_db::CatalogDb;
use crate::coalesce::{Coalescer, Settings as CoalesceSettings, Totals};
use crate::config::ServerConfig;
use crate::control::ControlService;
use crate::entities::EntityRegistry;
use crate::http::{App, router};
use crate::ingest::Ingest;

/// Largest Flight message in bytes.
const MAX_MESSAGE: usize = 64 << 20;

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The store.
    #[error(transparent)]
    Store(#[from] hadal_store::Error),
    /// The catalog database.
    #[error("the catalog {path} cannot be used: {source}")]
    Catalog {
        /// The file.
        path: PathBuf,
        /// SQLite's answer.
        source: sqlx::Error,
    },
    /// A port.
    #[error("cannot listen on {address}: {source}; {hint}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
        /// What to do.
        hint: String,
    },
    /// Something else at start.
    #[error("{0}")]
    Start(String),
}

/// Runs the server until `stop` becomes true; then finishes what is under way and closes the store.
///
/// `library` is libchdb, opened before rights were given up.
pub async fn run(
    config: ServerConfig,
    library: (PathBuf, File),
    mut stop: watch::Receiver<bool>,
) -> Result<(), ServerError> {
    EvidenceSet::named(&config.trace_without).map_err(|name| {
        ServerError::Start(format!("trace_without: there is no evidence {name}; docs/tracing.md lists the kinds"))
    })?;
    let http = listen(config.http, "--http").await?;
    let grpc = listen(config.agents, "--agents").await?;
    let engine: Arc<dyn Engine> = Arc::new(open_store(&config, library).await?);
    let outcome = serve(&config, Arc::clone(&engine), http, grpc, &mut stop).await;
    // The engine must be closed before the process ends, whatever happened.
    let closing = Arc::clone(&engine);
    let _ = tokio::task::spawn_blocking(move || closing.shutdown()).await;
    outcome
}

async fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| {
        let hint = match source.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("another program uses port {}: stop it, or choose another address with {flag}", address.port())
            }
            _ => format!("choose another address with {flag}"),
        };
        ServerError::Listen { address, source, hint }
    })
}

async fn open_store(config: &ServerConfig, library: (PathBuf, File)) -> Result<Embedded, ServerError> {
    let (data, limits) = (
        config.data.clone(),
        Limits {
            seconds: config.query_seconds,
            memory_bytes: config.query_memory_bytes,
            result_rows: config.query_rows,
        },
    );
    let open = move || {
        let directory = DataDirectory::open(&data)?;
        let loaded = Library::load(&library.0, &library.1)?;
        let engine = Embedded::open(loaded, directory, EmbeddedConfig { limits, ..EmbeddedConfig::default() })?;
        hadal_store::migrate(&engine)?;
        Ok::<_, hadal_store::Error>(engine)
    };
    let opened = tokio::task::spawn_blocking(open).await.map_err(|error| ServerError::Start(error.to_string()))?;
    opened.map_err(ServerError::from)
}

async fn open_catalog(data: &Path) -> Result<CatalogDb, ServerError> {
    let path = data.join("catalog.sqlite");
    CatalogDb::open(&path).await.map_err(|source| ServerError::Catalog { path, source })
}

async fn serve(
    config: &ServerConfig,
    engine: Arc<dyn Engine>,
    http: TcpListener,
    grpc: TcpListener,
    stop: &mut watch::Receiver<bool>,
) -> Result<(), ServerError> {
    let catalog = open_catalog(&config.data).await?;
    let entities = EntityRegistry::open(catalog.clone(), Arc::clone(&engine), config.max_entities).await;
    let entities = Arc::new(entities.map_err(|status| ServerError::Start(status.message().to_owned()))?);
    let (agents, totals) = (Arc::new(Agents::default()), Arc::new(Totals::default()));
    let coalesce = CoalesceSettings {
        wait: Duration::from_millis(config.coalesce_ms),
        rows: config.coalesce_rows,
        max_waiting_rows: config.max_waiting_rows,
    };
    let coalescer = Arc::new(Coalescer::new(Arc::clone(&engine), catalog.clone(), coalesce, Arc::clone(&totals)));
    let dictionary = tokio::spawn(Arc::clone(&entities).keep_dictionary_fresh());
    let ledger = tokio::spawn(keep_ledger(Arc::clone(&agents), Arc::clone(&engine)));
    let ingest = Ingest {
        agents: Arc::clone(&agents),
        catalog: catalog.clone(),
        entities: Arc::clone(&entities),
        coalescer: Arc::clone(&coalescer),
        accepted: Arc::default(),
    };
    let control = ControlService {
        agents: Arc::clone(&agents),
        catalog: catalog.clone(),
        entities: Arc::clone(&entities),
        settings: settings(config),
    };
    let trace_without = EvidenceSet::named(&config.trace_without).unwrap_or_default();
    let store_version = engine.version();
    let app = App { store_version, engine, agents, entities, totals, started_s: now_s(), trace_without };
    let app = Arc::new(app);
    tracing::info!(page = %format_args!("http://{}", config.http), agents = %config.agents, "ready");
    let outcome = tokio::select! {
        served = serve_grpc(grpc, ingest, control) => served,
        served = serve_http(http, app) => served,
        _ = stop.wait_for(|stop| *stop) => Ok(()),
    };
    coalescer.stop().await;
    dictionary.abort();
    ledger.abort();
    let _ = (dictionary.await, ledger.await);
    catalog.close().await;
    outcome
}

fn settings(config: &ServerConfig) -> Settings {
    Settings {
        version: 1,
        request_timeout_seconds: config.agent_request_timeout_seconds,
        log_rows_per_second: config.agent_log_rows_per_second,
        obfuscate: None,
    }
}

async fn serve_grpc(listener: TcpListener, ingest: Ingest, control: ControlService) -> Result<(), ServerError> {
    let flight = FlightServiceServer::new(FlightIngest(Arc::new(ingest))).max_decoding_message_size(MAX_MESSAGE);
    let served = tonic::transport::Server::builder()
        .add_service(flight)
        .add_service(ControlServer::new(control))
        .serve_with_incoming(TcpListenerStream::new(listener));
    served.await.map_err(|error| ServerError::Start(format!("the port for agents failed: {error}")))
}

async fn serve_http(listener: TcpListener, app: Arc<App>) -> Result<(), ServerError> {
    let served = axum::serve(listener, router(app)).await;
    served.map_err(|error| ServerError::Start(format!("the HTTP port failed: {error}")))
}

/// Writes losses that the server itself found to the ledger.
async fn keep_ledger(agents: Arc<Agents>, engine: Arc<dyn Engine>) {
    let mut number = 0u64;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let losses = agents.take_losses();
        if losses.is_empty() {
            continue;
        }
        number += 1;
        let token = format!("ledger {} {number}", now_s());
        let engine = Arc::clone(&engine);
        let insert = move || engine.insert(&LOSS.sql_name(""), &loss_batch(&losses), &token);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(insert).await {
            tracing::error!("losses could not be noted: {error}");
        }
    }
}

fn loss_batch(losses: &[(String, LossCause, u64)]) -> RecordBatch {
    let words = |values: Vec<&str>| -> ArrayRef {
        let mut builder = StringDictionaryBuilder::<Int32Type>::new();
        values.into_iter().for_each(|value| builder.append_value(value));
        Arc::new(builder.finish())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from(vec![now_s() as u32; losses.len()])),
        words(losses.iter().map(|(agent, ..)| agent.as_str()).collect()),
        words(losses.iter().map(|(_, cause, _)| cause.as_str()).collect()),
        Arc::new(UInt64Array::from_iter_values(losses.iter().map(|(.., count)| *count))),
    ];
    let schema = Arc::new(LOSS.store_schema());
    RecordBatch::try_new(schema, columns).unwrap_or_else(|error| unreachable!("loss table: {error}"))
}
