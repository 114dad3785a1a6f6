//! Feeds the pipeline: one thread reads the kernel, the runtime's tasks talk to the server.

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hadal_abi::Event;
use hadal_bpf::{Bpf, Counters};
use hadal_host::Usage;
use hadal_link::client::{self, Notice, Outgoing, capability};
use hadal_link::control::{RegisterRequest, Settings, StatusRequest};
use hadal_model::{LossCause, catalog};
use hadal_tag::ProcessFacts;
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::AgentConfig;
use crate::pipeline::{Decision, Pipeline, ProcessSource};
use crate::rows;

/// Messages between the capture thread and the uploader.
const QUEUE: usize = 1024;
/// How long after a loss of events all sockets are listed again: once the rush is over.
const RECONCILE_AFTER: Duration = Duration::from_secs(5);
/// Seconds between two reports of how the agent does.
const STATUS_SECONDS: u64 = 2;

/// Why the agent does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The kernel programs do not run.
    #[error(transparent)]
    Bpf(#[from] hadal_bpf::Error),
    /// The capture thread could not be started or died.
    #[error("the capture thread failed: {0}")]
    Thread(String),
}

/// Procfs as a source of facts.
struct Procfs;

impl ProcessSource for Procfs {
    fn facts(&self, pid: u32) -> Option<ProcessFacts> {
        hadal_host::process_facts(pid)
    }

    fn resolve(&self, path: &str) -> String {
        hadal_host::resolve(path)
    }
}

/// Runs the agent until `stop` becomes true; then sends what is left.
pub async fn run(config: AgentConfig, stop: watch::Receiver<bool>) -> Result<(), AgentError> {
    let host = hadal_host::hostname();
    let agent = if config.name.is_empty() { host.clone() } else { config.name.clone() };
    let boot = boot_number();
    let (outgoing, queue) = mpsc::channel(QUEUE);
    let (notices_in, notices) = mpsc::channel(64);
    let (ready_in, ready) = oneshot::channel();
    let capture = Capture { config: config.clone(), agent: agent.clone(), outgoing, notices, stop };
    let names = (agent.clone(), host.clone());
    let thread = std::thread::Builder::new()
        .name("capture".to_owned())
        .spawn(move || {
            let pipeline = Pipeline::new(&capture.config, &names.0, &names.1, boot, Box::new(Procfs));
            capture.run(pipeline, ready_in);
        })
        .map_err(|error| AgentError::Thread(error.to_string()))?;
    let loaded = ready.await.map_err(|_| AgentError::Thread("it ended early".to_owned()))?;
    let capabilities = hadal_bpf::capabilities(loaded.as_ref().copied());
    loaded?;
    tracing::info!(agent, level = "A", "capturing socket calls");
    let register = RegisterRequest {
        agent,
        host,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot,
        kernel: hadal_host::kernel_release(),
        capture_level: "A".to_owned(),
        capabilities: capabilities
            .iter()
            .map(|found| capability(found.name, found.state.as_str(), &found.why, &found.what_to_do))
            .collect(),
    };
    let upload =
        client::Config { server: config.server, register, max_unacknowledged_rows: config.max_unacknowledged_rows };
    client::run(upload, queue, notices_in).await;
    thread.join().map_err(|_| AgentError::Thread("it panicked".to_owned()))
}

/// A number that no other start of an agent has: the clock's nanoseconds, mixed with the process id.
fn boot_number() -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    nanos ^ u64::from(std::process::id()).rotate_left(40)
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

struct Capture {
    config: AgentConfig,
    agent: String,
    outgoing: mpsc::Sender<Outgoing>,
    notices: mpsc::Receiver<Notice>,
    stop: watch::Receiver<bool>,
}

/// Running figures between two reports.
struct Report {
    usage: Usage,
    counters: Counters,
    at: Instant,
    requests: u64,
    settings_version: u64,
    /// When to list all sockets again, because events were lost.
    reconcile_at: Option<Instant>,
}

impl Capture {
    fn run(mut self, mut pipeline: Pipeline, ready: oneshot::Sender<Result<(), hadal_bpf::Error>>) {
        let bpf_config =
            hadal_bpf::Config { ring_bytes: self.config.ring_bytes, payload_bytes: self.config.payload_bytes };
        let bpf = match Bpf::load(bpf_config) {
            Ok(bpf) => bpf,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let outcome = prepare(&bpf, &mut pipeline);
        let failed = outcome.is_err();
        // The receiver waits for exactly this.
        let _ = ready.send(outcome);
        if !failed {
            self.follow(&bpf, RefCell::new(pipeline));
        }
    }

    fn follow(&mut self, bpf: &Bpf, pipeline: RefCell<Pipeline>) {
        let reader = bpf.reader(|record| match Event::decode(record) {
            Some(event) => pipeline.borrow_mut().event(event),
            None => tracing::error!(length = record.len(), "a kernel event does not decode: agent and programs differ"),
        });
        let reader = match reader {
            Ok(reader) => reader,
            Err(error) => return tracing::error!("capture ends: {error}"),
        };
        let interval = Duration::from_millis(self.config.read_interval_ms.clamp(1, 100));
        let mut report = Report {
            usage: Usage::default(),
            counters: Counters::default(),
            at: Instant::now(),
            requests: 0,
            settings_version: 0,
            reconcile_at: None,
        };
        let (mut next_expire, mut next_tick) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        while !*self.stop.borrow() {
            std::thread::sleep(interval);
            reader.consume();
            apply(bpf, pipeline.borrow_mut().take_decisions());
            let now = Instant::now();
            if now >= next_tick {
                next_tick = (next_tick + Duration::from_secs(1)).max(now);
                self.second(bpf, &mut pipeline.borrow_mut(), &mut report);
            } else if now >= next_expire {
                next_expire = now + Duration::from_millis(100);
                pipeline.borrow_mut().expire(now_us());
            }
        }
        reader.consume();
        let rest = pipeline.borrow_mut().finish(now_us());
        self.send_all(&mut pipeline.borrow_mut(), rest.outgoing);
    }

    /// What is due every second: losses of the kernel, metrics and logs, the report, news from the server.
    fn second(&mut self, bpf: &Bpf, pipeline: &mut Pipeline, report: &mut Report) {
        pipeline.set_clock_offset(clock_offset_us());
        let counters = bpf.counters();
        pipeline.count_loss(LossCause::RingFull, counters.ring_full - report.counters.ring_full);
        pipeline.count_loss(LossCause::UserCopyFailed, counters.user_copy_failed - report.counters.user_copy_failed);
        pipeline.count_loss(LossCause::MapFull, counters.map_full - report.counters.map_full);
        if counters.ring_full > report.counters.ring_full {
            report.reconcile_at = Some(Instant::now() + RECONCILE_AFTER);
        }
        if report.reconcile_at.is_some_and(|at| at <= Instant::now()) {
            report.reconcile_at = None;
            match bpf.list_sockets() {
                Ok(listed) => pipeline.reconcile(listed, now_us()),
                Err(error) => tracing::warn!("{error}"),
            }
        }
        self.hear(pipeline, report);
        let tick = pipeline.tick(now_us());
        report.requests += tick.requests;
        self.send_all(pipeline, tick.outgoing);
        let events = counters.events - report.counters.events;
        report.counters = Counters { events: report.counters.events, ..counters };
        let seconds = report.at.elapsed().as_secs_f64();
        if seconds >= STATUS_SECONDS as f64 {
            report.counters.events = counters.events;
            let status = StatusRequest {
                agent: self.agent.clone(),
                cpu_ratio: report.usage.cpu_ratio(),
                rss_bytes: Usage::rss_bytes(),
                events_rate: events as f64 / seconds,
                requests_rate: report.requests as f64 / seconds,
                settings_version: report.settings_version,
            };
            (report.at, report.requests) = (Instant::now(), 0);
            self.send_all(
                pipeline,
                vec![Outgoing::Batch(&catalog::SELF_METRIC, figures(&status)), Outgoing::Status(status)],
            );
        }
    }

    fn hear(&mut self, pipeline: &mut Pipeline, report: &mut Report) {
        while let Ok(notice) = self.notices.try_recv() {
            match notice {
                Notice::Refused(rows) => pipeline.count_loss(LossCause::BatchRefused, rows),
                Notice::QueueFull(rows) => pipeline.count_loss(LossCause::QueueFull, rows),
                Notice::Settings(settings) if settings.version > report.settings_version => {
                    report.settings_version = settings.version;
                    apply_settings(&mut self.config, &settings);
                    pipeline.configure(&self.config);
                }
                Notice::Settings(_) => {}
            }
        }
    }

    /// Never waits: traced programs must not feel that the server is slow.
    fn send_all(&self, pipeline: &mut Pipeline, outgoing: Vec<Outgoing>) {
        for message in outgoing {
            if let Err(mpsc::error::TrySendError::Full(Outgoing::Batch(_, batch))) = self.outgoing.try_send(message) {
                pipeline.count_loss(LossCause::QueueFull, batch.num_rows() as u64);
            }
        }
    }
}

/// Ourselves first, so that nothing of ours is recorded; then the sockets that exist.
fn prepare(bpf: &Bpf, pipeline: &mut Pipeline) -> Result<(), hadal_bpf::Error> {
    pipeline.set_clock_offset(clock_offset_us());
    pipeline.ignore_process(std::process::id());
    let own = own_programs();
    for pid in hadal_host::pids().into_iter().filter(|&pid| own.iter().any(|name| hadal_host::is_named(pid, name))) {
        pipeline.ignore_process(pid);
    }
    pipeline.ignore_programs(own);
    apply(bpf, pipeline.take_decisions());
    let sockets = bpf.list_sockets()?;
    tracing::debug!(sockets = sockets.len(), "sockets older than the agent");
    pipeline.list(sockets);
    apply(bpf, pipeline.take_decisions());
    Ok(())
}

/// The server may run from the same file as this agent, whatever its name, or from an installed one.
fn own_programs() -> Vec<String> {
    let own = std::env::current_exe().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    own.into_iter().filter(|name| name != "hadal").chain(["hadal".to_owned()]).collect()
}

fn apply(bpf: &Bpf, decisions: Vec<Decision>) {
    for decision in decisions {
        let outcome = match decision {
            Decision::Socket(cookie, policy) => bpf.set_policy(cookie, policy),
            Decision::IgnoreProcess(pid) => bpf.ignore_process(pid),
            Decision::ForgetProcess(pid) => {
                bpf.forget_process(pid);
                Ok(())
            }
        };
        if let Err(error) = outcome {
            tracing::debug!("a decision did not reach the kernel: {error}");
        }
    }
}

fn clock_offset_us() -> u64 {
    now_us() - hadal_bpf::monotonic_ns() / 1000
}

fn apply_settings(config: &mut AgentConfig, settings: &Settings) {
    if settings.request_timeout_seconds > 0 {
        config.request_timeout_seconds = settings.request_timeout_seconds;
    }
    if settings.log_rows_per_second > 0 {
        config.log_rows_per_second = settings.log_rows_per_second;
    }
    if let Some(obfuscate) = settings.obfuscate {
        config.obfuscate = obfuscate;
    }
}

fn figures(status: &StatusRequest) -> arrow_array::RecordBatch {
    let second = (now_us() / 1_000_000) as u32;
    rows::self_metric(
        second,
        &[
            ("agent_cpu_ratio", status.cpu_ratio),
            ("agent_rss_bytes", status.rss_bytes as f64),
            ("agent_events_rate", status.events_rate),
            ("agent_requests_rate", status.requests_rate),
        ],
    )
}
