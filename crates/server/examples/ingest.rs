//! Rows per second and CPU per million rows from Flight to committed part, with the agent's own uploader and the
//! server's own path, on one machine: `cargo run --release -p hadal-server --example ingest`.

use std::time::{Duration, Instant, UNIX_EPOCH};

use arrow_array::RecordBatch;
use hadal_link::client::{self, Outgoing};
use hadal_link::control::RegisterRequest;
use hadal_model::catalog::{L7_FLOW_LOG, Table};
use hadal_server::ServerConfig;
use hadal_testkit::{TempFolder, free_address, sample_batch};
use tokio::sync::{mpsc, watch};

const BATCH: usize = 8192;
const BATCHES: usize = 100;
const ROUNDS: usize = 3;

/// CPU time of this process in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn batch(table: &Table) -> RecordBatch {
    let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() as u32;
    sample_batch(&table.wire_schema(), BATCH, now)
}

fn count(config: &ServerConfig) -> u64 {
    let body = r#"{"db": "flow_log", "sql": "SELECT count() FROM l7_flow_log"}"#;
    let answer = ureq::post(format!("http://{}/v1/query", config.http)).content_type("application/json").send(body);
    let text = answer.and_then(|mut answer| answer.body_mut().read_to_string()).unwrap_or_default();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    value["result"]["values"][0][0].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// One round: sends all batches and waits until they are committed.
async fn round(config: &ServerConfig, boot: u64) -> (f64, f64) {
    let register = RegisterRequest { agent: "bench".into(), boot, ..RegisterRequest::default() };
    let uploader = client::Config {
        server: format!("http://{}", config.agents),
        register,
        max_unacknowledged_rows: 10 * BATCH * BATCHES,
        max_unacknowledged_bytes: usize::MAX,
    };
    let (sender, receiver) = mpsc::channel(64);
    let (notices, _heard) = mpsc::channel(64);
    let before = count(config);
    let sample = batch(&L7_FLOW_LOG);
    let (start, cpu_before) = (Instant::now(), cpu());
    let upload = tokio::spawn(client::run(uploader, receiver, notices));
    for _ in 0..BATCHES {
        let _ = sender.send(Outgoing::Batch(&L7_FLOW_LOG, sample.clone())).await;
    }
    while count(config) < before + (BATCH * BATCHES) as u64 && start.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let figures = (start.elapsed().as_secs_f64(), cpu() - cpu_before);
    drop(sender);
    let _ = upload.await;
    figures
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = TempFolder::new("ingest");
    let config = ServerConfig {
        data: folder.path().join("data"),
        http: free_address(),
        agents: free_address(),
        ..ServerConfig::default()
    };
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(hadal_server::run(config.clone(), hadal_store::find_library()?, stopped));
    while tokio::net::TcpStream::connect(config.http).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "ingest: {BATCHES} batches of {BATCH} rows, {} columns, agent's encoder and server in one process",
        L7_FLOW_LOG.columns.len()
    );
    println!("{:>6}  {:>10}  {:>22}", "round", "rows/s", "CPU s per million rows");
    let rows = (BATCH * BATCHES) as f64;
    let mut rates = Vec::new();
    for number in 0..ROUNDS {
        let (seconds, cpu_seconds) = round(&config, number as u64 + 1).await;
        println!("{:>6}  {:>10.0}  {:>22.2}", number + 1, rows / seconds, cpu_seconds / rows * 1e6);
        rates.push(rows / seconds);
    }
    rates.sort_by(f64::total_cmp);
    println!("median  {:>10.0}", rates[ROUNDS / 2]);
    stop.send(true)?;
    server.await??;
    Ok(())
}
