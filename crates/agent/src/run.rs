//! Feeds the pipeline: one thread reads the kernel, the runtime's tasks talk to the server.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hadal_abi::Event;
use hadal_bpf::{Bpf, Capability, Counters, GoLayout, Level};
use hadal_host::Usage;
use hadal_link::client::{self, Notice, Outgoing, capability};
use hadal_link::control::{RegisterRequest, Settings, StatusRequest};
use hadal_model::{LossCause, catalog};
use hadal_tag::ProcessFacts;
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::AgentConfig;
use crate::event_loops::EventLoops;
use crate::go::GoFollower;
use crate::governor::{Governor, Stage, kernel_cores};
use crate::ledger;
use crate::outbox::Outbox;
use crate::pipeline::{Decision, Pipeline, ProcessSource};
use crate::python::PythonFollower;
use crate::rows;
use crate::threads::ThreadFollower;
use crate::tokio::TokioFollower;

/// Messages between the capture thread and the uploader.
const QUEUE: usize = 1024;
/// How long after a loss of events all sockets are listed again: once the rush is over.
const RECONCILE_AFTER: Duration = Duration::from_secs(5);
/// Seconds between two reports of how the agent does.
const STATUS_SECONDS: u64 = 2;

/// Events read before anything else is done, and at the end, when others may still be coming.
const MOST_EVENTS: usize = 4096;
const MOST_AT_END: usize = 1 << 18;
/// Events that are read at once if the interval is too long for so few, and how often at most.
const EVENTS_AT_ONCE: u32 = 200;
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// How long freed memory is kept.
const RELEASE_MEMORY: Duration = Duration::from_secs(60);
/// How long between two lists of all sockets while there are some whose end no event tells.
const RELIST: Duration = Duration::from_secs(30);

/// Why the agent does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The kernel programs do not run.
    #[error(transparent)]
    Bpf(#[from] hadal_bpf::Error),
    /// The configuration asks for something that is not there.
    #[error("{0}")]
    Config(String),
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

    fn go_layout(&self, pid: u32) -> Option<GoLayout> {
        let offsets = hadal_host::go_offsets(pid)?;
        Some(GoLayout { goid: offsets.goid, parent_goid: offsets.parent_goid, channel_sendx: offsets.channel_sendx })
    }
}

/// What the capture thread says once it runs.
struct Ready {
    level: Level,
    capabilities: Vec<Capability>,
}

/// Runs the agent until `stop` becomes true; then sends what is left.
pub async fn run(config: AgentConfig, stop: watch::Receiver<bool>) -> Result<(), AgentError> {
    let host = hadal_host::hostname();
    let agent = if config.name.is_empty() { host.clone() } else { config.name.clone() };
    let boot = boot_number();
    let (outgoing, queue) = mpsc::channel(QUEUE);
    let (notices_in, notices) = mpsc::channel(64);
    let (ready_in, ready) = oneshot::channel();
    let bpf = config.bpf().map_err(AgentError::Config)?;
    let outbox = Outbox::new(outgoing);
    let followers = Followers::start(&config).map_err(|error| AgentError::Thread(error.to_string()))?;
    let capture = Capture { config: config.clone(), agent: agent.clone(), outbox, notices, stop, followers };
    let names = (agent.clone(), host.clone());
    let thread = std::thread::Builder::new()
        .name("capture".to_owned())
        .spawn(move || {
            let mut pipeline = Pipeline::new(&capture.config, &names.0, &names.1, boot, Box::new(Procfs));
            let only = capture.config.own_network_only.then(own_network).flatten();
            only.into_iter().for_each(|netns| pipeline.only_network(netns));
            capture.run(bpf, pipeline, ready_in);
        })
        .map_err(|error| AgentError::Thread(error.to_string()))?;
    let ready = ready.await.map_err(|_| AgentError::Thread("it ended early".to_owned()))??;
    let register = RegisterRequest {
        agent,
        host,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot,
        kernel: hadal_host::kernel_release(),
        capture_level: ready.level.to_string(),
        capabilities: ready
            .capabilities
            .iter()
            .map(|found| capability(found.name, found.state.as_str(), &found.why, &found.what_to_do))
            .collect(),
    };
    let upload = client::Config {
        server: config.server,
        register,
        max_unacknowledged_rows: config.max_unacknowledged_rows,
        max_unacknowledged_bytes: config.max_unacknowledged_bytes,
    };
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
    outbox: Outbox,
    notices: mpsc::Receiver<Notice>,
    stop: watch::Receiver<bool>,
    followers: Followers,
}

/// What follows requests inside programs, by what runs their code.
struct Followers {
    go: GoFollower,
    python: Option<PythonFollower>,
    tokio: Option<TokioFollower>,
    loops: EventLoops,
    threads: ThreadFollower,
}

impl Followers {
    fn start(config: &AgentConfig) -> std::io::Result<Self> {
        let python = config.python_coroutines.then(PythonFollower::start).transpose()?;
        let tokio = config.tokio_hand_over.then(TokioFollower::start).transpose()?;
        Ok(Self {
            go: GoFollower::start()?,
            python,
            tokio,
            loops: EventLoops::new(config.event_loops),
            threads: ThreadFollower::new(config.thread_hand_over),
        })
    }

    /// This process may run something to be followed.
    fn look_at(&mut self, pid: u32) {
        self.loops.look_at(pid);
        self.threads.look_at(pid);
        self.python.iter().for_each(|python| python.look_at(pid));
        self.tokio.iter().for_each(|tokio| tokio.look_at(pid));
    }

    /// Tells the kernel what was found meanwhile.
    fn follow(&mut self, bpf: &mut Bpf) {
        self.go.follow(bpf);
        self.python.iter_mut().for_each(|python| python.follow(bpf));
        self.tokio.iter_mut().for_each(|tokio| tokio.follow(bpf));
        self.threads.follow(bpf);
    }
}

/// Running figures between two reports.
struct Report {
    usage: Usage,
    governor: Governor,
    /// At the last second, and at the last report.
    counters: Counters,
    reported: Counters,
    at: Instant,
    /// CPU of the agent and of the kernel programs since the last report, and over how many seconds.
    cores: (f64, f64, f64),
    events: u64,
    requests: u64,
    settings_version: u64,
    stage: Stage,
    /// When to list all sockets again, because events were lost or because some end unseen.
    reconcile_at: Option<Instant>,
    listed_at: Instant,
    released_at: Instant,
}

impl Report {
    fn new(config: &AgentConfig) -> Self {
        Self {
            usage: Usage::default(),
            governor: Governor::new(config.budget()),
            counters: Counters::default(),
            reported: Counters::default(),
            at: Instant::now(),
            cores: (0.0, 0.0, 0.0),
            events: 0,
            requests: 0,
            settings_version: 0,
            stage: Stage::Full,
            reconcile_at: None,
            listed_at: Instant::now(),
            released_at: Instant::now(),
        }
    }
}

impl Capture {
    fn run(
        mut self,
        config: hadal_bpf::Config,
        mut pipeline: Pipeline,
        ready: oneshot::Sender<Result<Ready, hadal_bpf::Error>>,
    ) {
        let loaded =
            Bpf::load(config).and_then(|mut bpf| prepare(&mut bpf, &mut self.followers, &mut pipeline).map(|()| bpf));
        // The receiver waits for exactly this, in each of the cases.
        match loaded {
            Ok(mut bpf) => {
                let capabilities = hadal_bpf::capabilities(Ok(bpf.capabilities()));
                tracing::info!(agent = self.agent, level = %bpf.level(), "capturing socket calls");
                let _ = ready.send(Ok(Ready { level: bpf.level(), capabilities }));
                self.follow(&mut bpf, RefCell::new(pipeline));
            }
            Err(error @ (hadal_bpf::Error::NoLevel(_) | hadal_bpf::Error::NoBtf)) => {
                let capabilities = hadal_bpf::capabilities(Err(&error));
                tracing::warn!(agent = self.agent, level = "D", "no socket calls are captured: {error}");
                let _ = ready.send(Ok(Ready { level: Level::D, capabilities }));
                self.idle(pipeline);
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    }

    /// Level D: nothing to read, but the server is told that the agent is there, and why it sees nothing.
    fn idle(&mut self, mut pipeline: Pipeline) {
        let mut report = Report::new(&self.config);
        while !*self.stop.borrow() {
            std::thread::sleep(Duration::from_millis(100));
            if report.at.elapsed() >= Duration::from_secs(1) {
                self.hear(&mut pipeline, &mut report);
                let tick = pipeline.tick(now_us());
                self.send(&mut pipeline, tick.outgoing);
                self.report(&mut pipeline, &mut report);
            }
        }
    }

    fn follow(&mut self, bpf: &mut Bpf, pipeline: RefCell<Pipeline>) {
        let received = Cell::new(0);
        let reader = bpf.reader(|record| match Event::decode(record) {
            Some(event) => {
                received.set(received.get() + 1);
                pipeline.borrow_mut().event(event);
            }
            None => tracing::error!(length = record.len(), "a kernel event does not decode: agent and programs differ"),
        });
        let reader = match reader {
            Ok(reader) => reader,
            Err(error) => return tracing::error!("capture ends: {error}"),
        };
        let interval = Duration::from_millis(self.config.read_interval_ms.clamp(1, 100));
        let mut report = Report::new(&self.config);
        let (mut next_expire, mut next_tick) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let mut pause = interval;
        let mut last_read = Instant::now();
        while !*self.stop.borrow() {
            std::thread::sleep(pause);
            // In parts: what is due by time is due also when events come as fast as they are handled.
            let read = reader.consume(MOST_EVENTS);
            let now = Instant::now();
            pause = pause_after(read, now.duration_since(last_read), interval);
            last_read = now;
            apply(bpf, &mut self.followers, pipeline.borrow_mut().take_decisions());
            self.followers.loops.follow(bpf);
            if now >= next_tick {
                next_tick = (next_tick + Duration::from_secs(1)).max(now);
                report.events += received.take();
                self.second(bpf, &mut pipeline.borrow_mut(), &mut report);
            } else if now >= next_expire {
                next_expire = now + Duration::from_millis(100);
                self.followers.follow(bpf);
                pipeline.borrow_mut().expire(now_us());
            }
        }
        reader.consume(MOST_AT_END);
        let rest = pipeline.borrow_mut().finish(now_us());
        self.send(&mut pipeline.borrow_mut(), rest.outgoing);
    }

    /// What is due every second: losses of the kernel, metrics and logs, the budget, the report, news from the server.
    fn second(&mut self, bpf: &mut Bpf, pipeline: &mut Pipeline, report: &mut Report) {
        pipeline.set_clock_offset(clock_offset_us());
        let counters = bpf.counters();
        for (cause, count) in ledger::losses(&report.counters, &counters) {
            pipeline.count_loss(cause, count);
        }
        let events_lost = counters.ring_full_other > report.counters.ring_full_other;
        if events_lost {
            report.reconcile_at = Some(Instant::now() + RECONCILE_AFTER);
        }
        self.reconcile(bpf, pipeline, report);
        self.govern(bpf, pipeline, report, &counters);
        report.counters = counters;
        self.hear(pipeline, report);
        let tick = pipeline.tick(now_us());
        report.requests += tick.requests;
        self.send(pipeline, tick.outgoing);
        if report.at.elapsed().as_secs_f64() >= STATUS_SECONDS as f64 {
            self.report(pipeline, report);
        }
        if report.released_at.elapsed() >= RELEASE_MEMORY {
            report.released_at = Instant::now();
            hadal_bpf::release_memory();
        }
    }

    fn reconcile(&self, bpf: &Bpf, pipeline: &mut Pipeline, report: &mut Report) {
        let now = Instant::now();
        let due = report.reconcile_at.is_some_and(|at| at <= now)
            || (now.duration_since(report.listed_at) >= RELIST && pipeline.has_silent_ends());
        if !due {
            return;
        }
        (report.reconcile_at, report.listed_at) = (None, now);
        match bpf.list_sockets() {
            Ok(listed) => pipeline.reconcile(listed, &hadal_host::pids().into_iter().collect(), now_us()),
            Err(error) => tracing::warn!("{error}"),
        }
    }

    /// Keeps what we cost inside the budget.
    fn govern(&self, bpf: &mut Bpf, pipeline: &mut Pipeline, report: &mut Report, counters: &Counters) {
        let (own, seconds) = report.usage.cpu_time();
        let kernel = kernel_cores(&report.counters, counters, seconds) * seconds;
        report.cores = (report.cores.0 + own, report.cores.1 + kernel, report.cores.2 + seconds);
        let stage = report.governor.observe((own + kernel) / seconds.max(0.001));
        if stage == report.stage {
            return;
        }
        report.stage = stage;
        pipeline.shed_log(stage >= Stage::Logs);
        if let Err(error) = bpf.shed(stage.shedding(self.config.shed_payload_bytes)) {
            tracing::warn!("{error}");
        }
        match stage {
            Stage::Full => tracing::info!("inside the CPU budget: everything is recorded"),
            _ => tracing::warn!(sheds = stage.as_str(), "over the CPU budget (cpu_percent)"),
        }
    }

    fn report(&mut self, pipeline: &mut Pipeline, report: &mut Report) {
        let seconds = report.at.elapsed().as_secs_f64().max(0.001);
        let (own, kernel, measured) = std::mem::take(&mut report.cores);
        let ratio = |cpu: f64| if measured > 0.0 { cpu / measured } else { 0.0 };
        let status = StatusRequest {
            agent: self.agent.clone(),
            cpu_ratio: ratio(own),
            rss_bytes: Usage::rss_bytes(),
            events_rate: report.events as f64 / seconds,
            requests_rate: report.requests as f64 / seconds,
            settings_version: report.settings_version,
            kernel_cpu_ratio: ratio(kernel),
            shedding: report.stage.as_str().to_owned(),
        };
        let calls = (report.counters.calls - report.reported.calls) as f64 / seconds;
        (report.at, report.requests, report.events, report.reported) = (Instant::now(), 0, 0, report.counters);
        let figures = figures(&status, calls, report.stage);
        self.send(pipeline, vec![Outgoing::Batch(&catalog::SELF_METRIC, figures), Outgoing::Status(status)]);
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

    fn send(&mut self, pipeline: &mut Pipeline, outgoing: Vec<Outgoing>) {
        let dropped = self.outbox.send(outgoing);
        pipeline.count_loss(LossCause::QueueFull, dropped);
    }
}

/// How long to sleep after so many events were read in so long a time. Many at once would keep a CPU from whoever waits for
/// it: a busy server on the next one runs out of requests if its client cannot run for a millisecond.
fn pause_after(read: usize, took: Duration, interval: Duration) -> Duration {
    if read == MOST_EVENTS {
        return Duration::ZERO;
    }
    let until_enough = took * EVENTS_AT_ONCE / u32::try_from(read.max(1)).unwrap_or(u32::MAX);
    until_enough.clamp(SHORTEST_PAUSE, interval)
}

/// Ourselves first, so that nothing of ours is recorded; then the sockets that exist.
fn prepare(bpf: &mut Bpf, followers: &mut Followers, pipeline: &mut Pipeline) -> Result<(), hadal_bpf::Error> {
    pipeline.set_clock_offset(clock_offset_us());
    pipeline.ignore_process(std::process::id());
    let own = own_programs();
    for pid in hadal_host::pids().into_iter().filter(|&pid| own.iter().any(|name| hadal_host::is_named(pid, name))) {
        pipeline.ignore_process(pid);
    }
    pipeline.ignore_programs(own);
    apply(bpf, followers, pipeline.take_decisions());
    let sockets = bpf.list_sockets()?;
    tracing::debug!(sockets = sockets.len(), "sockets older than the agent");
    pipeline.list(sockets);
    apply(bpf, followers, pipeline.take_decisions());
    Ok(())
}

/// The kernel's number of the agent's network namespace.
fn own_network() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/net").ok().and_then(|file| u32::try_from(file.ino()).ok())
}

/// The server may run from the same file as this agent, whatever its name, or from an installed one.
fn own_programs() -> Vec<String> {
    let own = std::env::current_exe().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    own.into_iter().filter(|name| name != "hadal").chain(["hadal".to_owned()]).collect()
}

fn apply(bpf: &mut Bpf, followers: &mut Followers, decisions: Vec<Decision>) {
    for decision in decisions {
        let outcome = match decision {
            Decision::Socket(cookie, policy) => bpf.set_policy(cookie, policy),
            Decision::IgnoreProcess(pid) => bpf.ignore_process(pid),
            Decision::Go(pid, layout) => {
                followers.go.look_at(pid);
                bpf.set_go(pid, layout)
            }
            Decision::Met(pid) => {
                followers.look_at(pid);
                Ok(())
            }
            Decision::ForgetProcess(pid) => {
                followers.go.forget(pid);
                followers.tokio.iter_mut().for_each(|tokio| tokio.forget(pid));
                followers.loops.forget(pid);
                followers.threads.forget(pid);
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

fn figures(status: &StatusRequest, calls_rate: f64, stage: Stage) -> arrow_array::RecordBatch {
    let second = (now_us() / 1_000_000) as u32;
    rows::self_metric(
        second,
        &[
            ("agent_cpu_ratio", status.cpu_ratio),
            ("agent_kernel_cpu_ratio", status.kernel_cpu_ratio),
            ("agent_rss_bytes", status.rss_bytes as f64),
            ("agent_calls_rate", calls_rate),
            ("agent_events_rate", status.events_rate),
            ("agent_requests_rate", status.requests_rate),
            ("agent_shed_stage", f64::from(stage as u8)),
        ],
    )
}
