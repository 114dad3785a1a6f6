//! Processes in procfs.

use std::fs;

use hadal_tag::ProcessFacts;

use crate::scope_of;

/// All process ids.
pub fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What procfs says of a process; `None` if it is gone, a kernel thread, or hidden.
pub fn process_facts(pid: u32) -> Option<ProcessFacts> {
    let executable = fs::read_link(format!("/proc/{pid}/exe")).ok()?.to_string_lossy().into_owned();
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let scope = scope_of(&fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default());
    Some(ProcessFacts {
        executable,
        args: split_arguments(&arguments),
        container_id: scope.container_id,
        systemd_unit: scope.systemd_unit,
    })
}

fn split_arguments(bytes: &[u8]) -> Vec<String> {
    let mut args: Vec<_> =
        bytes.split(|&byte| byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect();
    if args.last().is_some_and(String::is_empty) {
        args.pop();
    }
    args
}

/// Whether a process runs an executable of this name.
pub fn is_named(pid: u32, name: &str) -> bool {
    let executable = fs::read_link(format!("/proc/{pid}/exe"));
    executable.is_ok_and(|path| path.file_name().is_some_and(|file| file == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process() {
        let facts = process_facts(std::process::id()).unwrap();
        assert!(facts.executable.starts_with('/'));
        assert!(!facts.args.is_empty());
        assert!(pids().contains(&std::process::id()));
        assert_eq!(process_facts(u32::MAX), None);
    }
}
