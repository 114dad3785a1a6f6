//! What this process itself uses.

use std::time::Instant;

/// Ticks per second of `/proc/self/stat`; 100 on every Linux that programs see (USER_HZ).
const TICKS: f64 = 100.0;

/// Measures the process's own CPU and memory.
#[derive(Debug)]
pub struct Usage {
    at: Instant,
    ticks: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self { at: Instant::now(), ticks: ticks() }
    }
}

impl Usage {
    /// CPU seconds used since the last call, and the seconds that have passed.
    pub fn cpu_time(&mut self) -> (f64, f64) {
        let now = Self::default();
        let seconds = now.at.duration_since(self.at).as_secs_f64();
        let used = now.ticks.saturating_sub(self.ticks) as f64 / TICKS;
        *self = now;
        (used, seconds)
    }

    /// Resident memory in bytes.
    pub fn rss_bytes() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or_default() * 1024
    }
}

/// User and system time, fields 14 and 15 of proc_pid_stat(5), counted after the parenthesised name.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}
