//! Processes in procfs.

use std::fs;
use std::io::Read;

use hadal_tag::ProcessFacts;

use crate::scope_of;

/// All process ids.
pub fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Bytes of a command line that are looked at: a class path may be that long, and what runs is named behind it.
const MAX_COMMAND_LINE: u64 = 256 * 1024;
/// Bytes kept of an argument, and memory of all of them: they only name the program.
const MAX_ARGUMENT: usize = 512;
const MAX_ARGUMENTS: usize = 16 * 1024;

/// How many threads a process has; 0 if it is gone.
pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// What procfs says of a process; `None` if it is gone, a kernel thread, or hidden.
pub fn process_facts(pid: u32) -> Option<ProcessFacts> {
    let executable = fs::read_link(format!("/proc/{pid}/exe")).ok()?.to_string_lossy().into_owned();
    let mut arguments = Vec::new();
    let file = fs::File::open(format!("/proc/{pid}/cmdline")).ok()?;
    file.take(MAX_COMMAND_LINE).read_to_end(&mut arguments).ok()?;
    let scope = scope_of(&fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default());
    let args = split_arguments(&arguments);
    Some(ProcessFacts {
        executable: program_path(executable, args.first().map_or("", String::as_str)),
        args,
        container_id: scope.container_id,
        systemd_unit: scope.systemd_unit,
    })
}

/// The arguments of a command line, as many as there is room for.
fn split_arguments(bytes: &[u8]) -> Vec<String> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let mut room = MAX_ARGUMENTS;
    let cut = bytes.split(|&byte| byte == 0).map(|argument| argument.get(..MAX_ARGUMENT).unwrap_or(argument));
    let fitting = cut.take_while(|argument| {
        let size = argument.len() + size_of::<String>();
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    });
    fitting.map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

/// A path with its links resolved, but for programs that act by the name they are called by.
pub fn resolve(path: &str) -> String {
    let resolved = fs::canonicalize(path).map_or_else(|_| path.to_owned(), |path| path.to_string_lossy().into_owned());
    program_path(resolved, path)
}

/// One file can be several programs: Debian's `redis-server` is a link to `redis-check-rdb`. Where the name a program
/// was called by is such a link, and not just a shorter name (`python3` for `python3.11`), it is the program.
fn program_path(executable: String, invoked: &str) -> String {
    // Programs that retitle themselves write `redis-server *:6379` or `nginx: worker`.
    let called = invoked.split([' ', ':']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let Some((folder, name)) = executable.rsplit_once('/') else { return executable };
    if called.is_empty() || name.starts_with(called) || called.starts_with(name) {
        return executable;
    }
    let alias = format!("{folder}/{called}");
    if fs::canonicalize(&alias).is_ok_and(|target| target.as_os_str() == executable.as_str()) {
        alias
    } else {
        executable
    }
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
    fn command_lines_are_cut() {
        assert_eq!(split_arguments(b"a\0\0b c\0"), ["a", "", "b c"]);
        assert_eq!(split_arguments(b"a\0b"), ["a", "b"]);
        assert!(split_arguments(b"").is_empty());
        let path = [b"java\0-cp\0", &[b'x'; 100_000][..], b"\0Main\0"].concat();
        let args = split_arguments(&path);
        assert_eq!((args[2].len(), args[3].as_str()), (MAX_ARGUMENT, "Main"));
        let many = split_arguments(&b"x\0".repeat(100_000));
        assert!(many.len() * (1 + size_of::<String>()) <= MAX_ARGUMENTS && many.len() > 100, "{}", many.len());
    }

    #[test]
    fn links_with_another_name_are_programs_of_their_own() {
        let folder = std::env::temp_dir().join(format!("hadal-host-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| fs::canonicalize(&folder).unwrap().join(name).to_string_lossy().into_owned();
        fs::write(path("redis-check-rdb"), "").unwrap();
        std::os::unix::fs::symlink(path("redis-check-rdb"), path("redis-server")).unwrap();
        std::os::unix::fs::symlink(path("redis-check-rdb"), path("redis")).unwrap();
        let check = |invoked: &str, want: &str| {
            assert_eq!(program_path(path("redis-check-rdb"), invoked), path(want), "{invoked}")
        };
        check("redis-server *:6379", "redis-server");
        check("/usr/bin/redis-server", "redis-server");
        check("redis", "redis-check-rdb");
        check("something else", "redis-check-rdb");
        check("", "redis-check-rdb");
        assert_eq!(resolve(&path("redis-server")), path("redis-server"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn our_own_process() {
        let facts = process_facts(std::process::id()).unwrap();
        assert!(facts.executable.starts_with('/'));
        assert!(!facts.args.is_empty());
        assert!(pids().contains(&std::process::id()));
        assert_eq!(process_facts(u32::MAX), None);
    }
}
