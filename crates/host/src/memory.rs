//! Memory of a running process: what is mapped where, and words of it (proc(5), `/proc/PID/maps` and `/proc/PID/mem`).

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::elf::{Elf, number};

/// The memory of a process, to be read only.
pub(crate) struct Memory {
    file: File,
    mappings: Vec<Mapping>,
    pid: u32,
}

/// One line of `/proc/PID/maps`.
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
    path: String,
}

impl Memory {
    /// `None` if the process is gone, or not to be read.
    pub(crate) fn open(pid: u32) -> Option<Self> {
        let lines = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
        let mappings = lines.lines().filter_map(mapping).collect();
        Some(Self { file: File::open(format!("/proc/{pid}/mem")).ok()?, mappings, pid })
    }

    /// Files that are mapped, each once, in the order of their addresses.
    pub(crate) fn files(&self) -> Vec<&str> {
        let mut paths: Vec<&str> = self.mappings.iter().map(|mapping| mapping.path.as_str()).collect();
        paths.retain(|path| path.starts_with('/'));
        paths.dedup();
        paths
    }

    /// A mapped file as the process sees it, and what its addresses are to be moved by.
    pub(crate) fn program(&self, path: &str) -> Option<(Elf, u64)> {
        let first = self.mappings.iter().find(|mapping| mapping.path == path)?;
        let elf = Elf::open(&format!("/proc/{}/map_files/{:x}-{:x}", self.pid, first.start, first.end))
            .or_else(|| Elf::open(&format!("/proc/{}/root{path}", self.pid)))?;
        let moved = if elf.is_movable() { first.start.checked_sub(first.offset)? } else { 0 };
        Some((elf, moved))
    }

    /// Whether something is mapped there.
    pub(crate) fn holds(&self, address: u64) -> bool {
        let after = self.mappings.partition_point(|mapping| mapping.start <= address);
        after.checked_sub(1).is_some_and(|at| address < self.mappings[at].end)
    }

    /// Bytes, as many as are mapped there.
    pub(crate) fn bytes(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; length];
        let read = self.file.read_at(&mut buffer, address).ok()?;
        buffer.truncate(read);
        Some(buffer)
    }

    /// A number of so many bytes.
    pub(crate) fn number(&self, address: u64, width: usize) -> Option<u64> {
        number(&self.bytes(address, width)?, 0, width)
    }

    /// A pointer.
    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        self.number(address, 8)
    }
}

/// `start-end mode offset device inode path`
fn mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let offset = fields.nth(1)?;
    let hexadecimal = |text| u64::from_str_radix(text, 16).ok();
    let path = fields.nth(2).unwrap_or_default().trim_start().to_owned();
    Some(Mapping { start: hexadecimal(start)?, end: hexadecimal(end)?, offset: hexadecimal(offset)?, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps() {
        let found = mapping("7f12-7f34 r-xp 00001000 08:01 123    /usr/lib/a b.so").unwrap();
        assert_eq!(
            (found.start, found.end, found.offset, found.path.as_str()),
            (0x7f12, 0x7f34, 0x1000, "/usr/lib/a b.so")
        );
        assert_eq!(mapping("7f12-7f34 rw-p 00000000 00:00 0 ").unwrap().path, "");
        assert!(mapping("nothing").is_none());
    }

    #[test]
    fn own_memory() {
        let memory = Memory::open(std::process::id()).unwrap();
        let word = Box::new(0x1234_5678_u64);
        let address = std::ptr::from_ref(&*word) as u64;
        assert!(memory.holds(address) && memory.word(address) == Some(0x1234_5678));
        assert!(!memory.holds(8) && memory.word(8).is_none());
        assert!(memory.files().iter().any(|path| path.contains("hadal_host")));
    }
}
