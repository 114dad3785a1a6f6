//! Finds out what Python programs keep where, so that their coroutines can be told apart.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use hadal_abi::PythonLayout;
use hadal_bpf::Bpf;

/// Processes that wait to be looked at; more than these are left out.
const WAITING: usize = 256;
/// A program loads its modules while it starts, or later: it is looked at so often, after twice the time each time.
const LOOKS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(300);

/// Looks at processes in a thread of its own, for reading a program takes a while.
pub(crate) struct PythonFollower {
    wanted: SyncSender<u32>,
    found: Receiver<(u32, PythonLayout)>,
}

/// A process to be looked at once more.
struct Later {
    pid: u32,
    at: Instant,
    pause: Duration,
    looks: u32,
}

impl PythonFollower {
    /// The thread ends with what it was made for.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (wanted, asked) = sync_channel(WAITING);
        let (tell, found) = sync_channel(WAITING);
        std::thread::Builder::new().name("python-programs".to_owned()).spawn(move || look(&asked, &tell))?;
        Ok(Self { wanted, found })
    }

    /// This process may run Python.
    pub(crate) fn look_at(&self, pid: u32) {
        if let Err(TrySendError::Full(pid)) = self.wanted.try_send(pid) {
            tracing::debug!(pid, "too many new processes at once: if it runs Python its coroutines are not told apart");
        }
    }

    /// Tells the kernel what was found meanwhile.
    pub(crate) fn follow(&mut self, bpf: &mut Bpf) {
        for (pid, python) in self.found.try_iter() {
            match bpf.set_python(pid, &python) {
                Ok(()) => tracing::debug!(
                    pid,
                    minor = python.minor,
                    tasks = python.current_tasks != 0,
                    "tells coroutines of Python apart"
                ),
                Err(error) => tracing::warn!(pid, "{error}"),
            }
        }
    }
}

/// Until nobody asks any more.
fn look(asked: &Receiver<u32>, tell: &SyncSender<(u32, PythonLayout)>) {
    let mut later: Vec<Later> = Vec::new();
    loop {
        let due = later.iter().map(|process| process.at).min();
        let next = match due {
            Some(at) => asked.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(pid) => later.push(Later { pid, at: Instant::now(), pause: FIRST_PAUSE, looks: 0 }),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        later.retain_mut(|process| process.at > now || look_once(process, now, tell));
    }
}

/// Whether to look again.
fn look_once(process: &mut Later, now: Instant, tell: &SyncSender<(u32, PythonLayout)>) -> bool {
    let Some(python) = hadal_host::python(process.pid) else { return false };
    if python.current_tasks != 0 || python.threads != 0 {
        return tell.send((process.pid, python)).is_ok() && python.current_tasks == 0 && process.wait(now);
    }
    process.wait(now)
}

impl Later {
    fn wait(&mut self, now: Instant) -> bool {
        self.looks += 1;
        self.at = now + self.pause;
        self.pause *= 2;
        self.looks < LOOKS
    }
}
