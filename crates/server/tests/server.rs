//! A real server with a real store, driven over its ports. One test: the engine allows one data path per process.
#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, FlightDescriptor, SchemaAsIpc};
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use hadal_link::client::{self, Notice, Outgoing};
use hadal_link::control::{EntityFacts, RegisterRequest};
use hadal_link::{BatchId, Origin};
use hadal_model::catalog::{APPLICATION_MAP, L7_FLOW_LOG, Table};
use hadal_server::ServerConfig;
use hadal_testkit::{TempFolder, free_address, sample_batch, with_column};
use prost::Message;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tonic::{Code, Status};

const ROWS: usize = 100;

struct Server {
    config: ServerConfig,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<Result<(), hadal_server::ServerError>>,
    _folder: TempFolder,
}

impl Server {
    async fn start() -> Self {
        let folder = TempFolder::new("server");
        let config = ServerConfig {
            data: folder.path().join("data"),
            http: free_address(),
            agents: free_address(),
            coalesce_ms: 50,
            ..ServerConfig::default()
        };
        let (stop, stopped) = watch::channel(false);
        let library = hadal_store::find_library().expect("libchdb: run `make setup`");
        let task = tokio::spawn(hadal_server::run(config.clone(), library, stopped));
        let server = Self { config, stop, task, _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(20);
        while tokio::net::TcpStream::connect(server.config.http).await.is_err() {
            assert!(Instant::now() < deadline, "the server does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    fn get(&self, path: &str) -> (u16, Value) {
        call(
            ureq::get(format!("http://{}{path}", self.config.http)).config().http_status_as_error(false).build().call(),
        )
    }

    /// Answer of `/v1/query`.
    fn query(&self, sql: &str) -> (u16, Value) {
        let request = ureq::post(format!("http://{}/v1/query", self.config.http));
        let request = request.config().http_status_as_error(false).build();
        call(request.content_type("application/json").send(json!({"db": "flow_log", "sql": sql}).to_string()))
    }

    /// The first value of the answer.
    fn value(&self, sql: &str) -> String {
        let (status, answer) = self.query(sql);
        assert_eq!((status, answer["OPT_STATUS"].as_str()), (200, Some("SUCCESS")), "{sql}: {answer}");
        match &answer["result"]["values"][0][0] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    fn register(&self, boot: u64) -> RegisterRequest {
        RegisterRequest { agent: "a".into(), host: "h".into(), boot, ..RegisterRequest::default() }
    }

    /// Sends through the agent's own uploader; returns what it was told.
    async fn upload(&self, boot: u64, outgoing: Vec<Outgoing>) -> Vec<Notice> {
        let config = client::Config {
            server: format!("http://{}", self.config.agents),
            register: self.register(boot),
            max_unacknowledged_rows: 1_000_000,
            max_unacknowledged_bytes: usize::MAX,
        };
        let (sender, receiver) = mpsc::channel(100);
        let (notices, mut heard) = mpsc::channel(100);
        for message in outgoing {
            sender.send(message).await.unwrap();
        }
        drop(sender);
        tokio::time::timeout(Duration::from_secs(20), client::run(config, receiver, notices)).await.unwrap();
        let mut all = Vec::new();
        while let Some(notice) = heard.recv().await {
            all.push(notice);
        }
        all
    }

    /// Sends raw Flight messages; the numbers acknowledged, and how the stream ended.
    async fn put(&self, messages: Vec<FlightData>) -> (Vec<u64>, Option<Status>) {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", self.config.agents)).unwrap();
        let mut client = FlightServiceClient::new(endpoint.connect().await.unwrap());
        let mut results = match client.do_put(tokio_stream::iter(messages)).await {
            Ok(response) => response.into_inner(),
            Err(status) => return (Vec::new(), Some(status)),
        };
        let mut acknowledged = Vec::new();
        loop {
            match results.message().await {
                Ok(Some(result)) => acknowledged.push(BatchId::decode(result.app_metadata).unwrap().seq),
                Ok(None) => return (acknowledged, None),
                Err(status) => return (acknowledged, Some(status)),
            }
        }
    }
}

fn call(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
    let mut response = answer.unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn now() -> u32 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as u32
}

fn sample(table: &Table) -> RecordBatch {
    sample_batch(&table.wire_schema(), ROWS, now())
}

/// A stream as an agent would send it.
fn stream(table: &Table, boot: u64, batches: &[(u64, RecordBatch)]) -> Vec<FlightData> {
    let options = IpcWriteOptions::default();
    let (generator, mut tracker, mut context) =
        (IpcDataGenerator::default(), DictionaryTracker::new(false), IpcWriteContext::default());
    let schema = batches[0].1.schema();
    generator.schema_to_bytes_with_dictionary_tracker(&schema, &mut tracker, &options);
    let origin = Origin { agent: "a".into(), boot };
    let path = vec![table.database.to_owned(), table.name.to_owned()];
    let header = FlightData::from(SchemaAsIpc::new(&schema, &options));
    let mut messages =
        vec![header.with_descriptor(FlightDescriptor::new_path(path)).with_app_metadata(origin.encode_to_vec())];
    for (seq, batch) in batches {
        let (dictionaries, batch) = generator.encode(batch, &mut tracker, &options, &mut context).unwrap();
        messages.extend(dictionaries.into_iter().map(FlightData::from));
        messages.push(FlightData::from(batch).with_app_metadata(BatchId { seq: *seq }.encode_to_vec()));
    }
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn server() {
    let server = Server::start().await;
    rows_arrive_once_with_their_tags(&server).await;
    a_batch_sent_again_counts_once(&server).await;
    bad_batches_are_refused(&server).await;
    times_far_off_are_rejected_and_counted(&server).await;
    map_and_requests_answer(&server);
    bad_queries_are_refused(&server);
    let count = server.value("SELECT count() FROM l7_flow_log");
    assert_eq!(count, (4 * ROWS).to_string(), "stored data is intact");
    server.stop.send(true).unwrap();
    server.task.await.unwrap().unwrap();
}

async fn rows_arrive_once_with_their_tags(server: &Server) {
    let tags = [("auto_service".to_owned(), "cart".to_owned()), ("no such tag".to_owned(), "x".to_owned())];
    let facts = EntityFacts { key: 1, tags: tags.into() };
    let outgoing = vec![
        Outgoing::Facts(vec![facts]),
        Outgoing::Batch(&L7_FLOW_LOG, sample(&L7_FLOW_LOG)),
        Outgoing::Batch(&APPLICATION_MAP, sample(&APPLICATION_MAP)),
    ];
    server.upload(7, outgoing).await;
    assert_eq!(server.value("SELECT count() FROM l7_flow_log"), ROWS.to_string());
    assert_eq!(server.value("SELECT uniqExact(_id) FROM l7_flow_log"), ROWS.to_string());
    assert_eq!(server.value("SELECT count() FROM l7_flow_log WHERE agent = 'a'"), ROWS.to_string());
    for precision in ["1s", "1m", "1h"] {
        let sum = server.value(&format!("SELECT sum(request) FROM flow_metrics.`application_map.{precision}`"));
        assert_eq!(sum, (2 * ROWS).to_string(), "{precision}");
    }
    // Dictionaries are reloaded within a second or two.
    let deadline = Instant::now() + Duration::from_secs(10);
    while server.value("SELECT countIf(auto_service_1 = 'cart') > 0 FROM l7_flow_log") != "1" {
        assert!(Instant::now() < deadline, "the tag does not arrive");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn a_batch_sent_again_counts_once(server: &Server) {
    server.upload(8, Vec::new()).await;
    let batch = sample(&L7_FLOW_LOG);
    for _ in 0..2 {
        let (acknowledged, _) = server.put(stream(&L7_FLOW_LOG, 8, &[(1, batch.clone())])).await;
        assert_eq!(acknowledged, [1]);
    }
    // Batches that are inserted together share their words.
    let (acknowledged, _) =
        server.put(stream(&L7_FLOW_LOG, 8, &[(1, batch.clone()), (2, batch.clone()), (3, batch)])).await;
    assert_eq!(acknowledged, [1, 2, 3]);
    assert_eq!(server.value("SELECT count() FROM l7_flow_log"), (4 * ROWS).to_string());
    assert_eq!(server.value("SELECT uniqExact(_id) FROM l7_flow_log"), (4 * ROWS).to_string());
}

async fn bad_batches_are_refused(server: &Server) {
    let good = sample(&L7_FLOW_LOG);
    let refused = |name: &str, outcome: (Vec<u64>, Option<Status>), code: Code| {
        assert_eq!(outcome.0, Vec::<u64>::new(), "{name}");
        assert_eq!(outcome.1.map(|status| status.code()), Some(code), "{name}");
    };
    let wrong = with_column(&good, "client_port", std::sync::Arc::new(arrow_array::Int64Array::from(vec![0; ROWS])));
    refused("wrong type", server.put(stream(&L7_FLOW_LOG, 8, &[(4, wrong)])).await, Code::InvalidArgument);
    let short = good.project(&[0, 1, 2]).unwrap();
    refused("few columns", server.put(stream(&L7_FLOW_LOG, 8, &[(4, short)])).await, Code::InvalidArgument);
    refused("wrong table", server.put(stream(&APPLICATION_MAP, 8, &[(4, good.clone())])).await, Code::InvalidArgument);
    refused("stranger", server.put(stream(&L7_FLOW_LOG, 99, &[(1, good.clone())])).await, Code::FailedPrecondition);
    refused("no number", server.put(stream(&L7_FLOW_LOG, 8, &[(0, good.clone())])).await, Code::InvalidArgument);
    refused("nothing", server.put(Vec::new()).await, Code::InvalidArgument);
    let whole = stream(&L7_FLOW_LOG, 8, &[(4, good)]);
    for keep in [0, 1, 100, 1000] {
        let mut cut = whole.clone();
        let last = cut.last_mut().unwrap();
        last.data_body.truncate(keep);
        refused("truncated body", server.put(cut).await, Code::InvalidArgument);
    }
    let mut header = whole.clone();
    let last = header.last_mut().unwrap();
    last.data_header.truncate(20);
    refused("truncated header", server.put(header).await, Code::InvalidArgument);
    let garbage = FlightData { data_header: vec![7; 64].into(), ..whole[0].clone() };
    refused("garbage", server.put(vec![garbage]).await, Code::InvalidArgument);
    // The agent's uploader does not even send such a batch, and counts it.
    let notices = server.upload(9, vec![Outgoing::Batch(&APPLICATION_MAP, sample(&L7_FLOW_LOG))]).await;
    assert!(notices.contains(&Notice::Refused(ROWS as u64)), "{notices:?}");
}

async fn times_far_off_are_rejected_and_counted(server: &Server) {
    let future = sample_batch(&L7_FLOW_LOG.wire_schema(), ROWS, now() + 7200);
    let ancient = sample_batch(&L7_FLOW_LOG.wire_schema(), ROWS, 1000);
    let (acknowledged, _) = server.put(stream(&L7_FLOW_LOG, 9, &[(1, future), (2, ancient)])).await;
    assert_eq!(acknowledged, [1, 2]);
    let deadline = Instant::now() + Duration::from_secs(10);
    let counted = "SELECT sum(count) FROM hadal.loss WHERE cause = 'time_rejected' AND agent = 'a'";
    while server.value(counted) != (2 * ROWS).to_string() {
        assert!(Instant::now() < deadline, "rejected rows are not counted: {}", server.value(counted));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn map_and_requests_answer(server: &Server) {
    for path in [
        "/v1/map",
        "/v1/map?group_by=host&filter=status%20%3D%20ok",
        "/v1/map/detail?server=cart&filter=status%20!%3D%20ok",
        "/v1/map/detail?server=cart",
        "/v1/map/detail?client=cart&server=cart&group_by=auto_service",
        "/v1/requests?limit=5&filter=service%20%3D%20cart%20latency%20%3E%201us",
        "/v1/requests?order=latency&limit=3",
        "/v1/requests/histogram?buckets=10",
        "/v1/tags",
        "/v1/tags/auto_service/values?prefix=c",
        "/v1/tags/method/values",
        "/v1/agents",
        "/openapi.json",
    ] {
        let (status, answer) = server.get(path);
        assert_eq!(status, 200, "{path}: {answer}");
    }
    let (_, map) = server.get("/v1/map");
    assert!(map["nodes"].as_array().unwrap().iter().any(|node| node["name"] == "cart"), "{map}");
    let (_, first) = server.get("/v1/requests?limit=10");
    let cursor = first["next"].as_str().unwrap();
    let (_, second) = server.get(&format!("/v1/requests?limit=10&cursor={cursor}"));
    assert_ne!(first["rows"][9]["_id"], second["rows"][0]["_id"]);
    let newest = first["newest"].as_str().unwrap();
    let (status, tail) = server.get(&format!("/v1/requests?after={newest}"));
    assert_eq!((status, tail["rows"].as_array().map(Vec::len)), (200, Some(0)), "nothing is newer than the newest");
    let (_, all) = server.get("/v1/requests?after=0&limit=1000");
    assert!(!all["rows"].as_array().unwrap().is_empty());
    let row = &first["rows"][0];
    let path = format!("/v1/requests/{}?time={}", row["_id"].as_str().unwrap(), row["start_time_us"]);
    let (status, one) = server.get(&path);
    assert_eq!((status, &one["row"]["_id"]), (200, &row["_id"]), "{path}: {one}");
}

fn bad_queries_are_refused(server: &Server) {
    for (sql, want, word) in [
        ("SELEC 1", 400, "INVALID_SQL"),
        ("SELECT nothing FROM l7_flow_log", 400, "INVALID_SQL"),
        ("SELECT 1; SELECT 2", 400, "INVALID_SQL"),
        ("SELECT * FROM file('/etc/shadow')", 403, "FORBIDDEN"),
        ("SELECT * FROM url('http://127.0.0.1/')", 403, "FORBIDDEN"),
        ("SELECT 1 INTO OUTFILE '/tmp/hadal-outfile'", 400, "INVALID_SQL"),
        ("DROP TABLE l7_flow_log", 400, "INVALID_SQL"),
        ("WITH 1 AS x SELECT x SETTINGS readonly = 0", 403, "FORBIDDEN"),
        ("SELECT number FROM numbers(10000000)", 422, "LIMIT_EXCEEDED"),
        ("", 400, "INVALID_SQL"),
    ] {
        let (status, answer) = server.query(sql);
        assert_eq!((status, answer["OPT_STATUS"].as_str()), (want, Some(word)), "{sql}: {answer}");
        assert!(!answer["DESCRIPTION"].as_str().unwrap().is_empty(), "{sql}: {answer}");
    }
    for (path, position) in [("/v1/map?filter=stauts%20%3D%20ok", 0), ("/v1/requests?filter=status%20%3D%20okk", 9)] {
        let (status, answer) = server.get(path);
        assert_eq!((status, answer["error"]["position"].as_u64()), (400, Some(position)), "{path}: {answer}");
    }
    for path in ["/v1/map?group_by=nothing", "/v1/map/detail", "/v1/requests?cursor=x", "/v1/map?from=9&to=1"] {
        assert_eq!(server.get(path).0, 400, "{path}");
    }
    assert_eq!(server.get("/v1/nothing").0, 404);
    assert_eq!(server.get("/v1/requests/12345").0, 404);
}
