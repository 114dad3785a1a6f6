//! Where Go programs keep the numbers of goroutines.
//!
//! A Go program names the version it was built with (section `.go.buildinfo`, also of stripped programs; format: the Go
//! source, `debug/buildinfo`). The offsets of `runtime.g.goid` and `.parentGoid` are those of that version on 64-bit
//! machines, as the debug information of programs built with each version says.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Largest number of section headers looked at.
const MAX_SECTIONS: u64 = 512;
/// Longest section with build information looked at.
const MAX_BUILD_INFO: u64 = 4096;

/// Offsets of the goroutine's number and of its maker's (0 if there is none) in the g structure of a running program;
/// `None` if it is not Go, or of a version that is not known.
pub fn goroutine_offsets(pid: u32) -> Option<(u32, u32)> {
    let file = File::open(format!("/proc/{pid}/exe")).ok()?;
    offsets_of(minor_version(&version(&file)?)?)
}

/// By minor version of Go 1.
fn offsets_of(minor: u32) -> Option<(u32, u32)> {
    match minor {
        17..=20 => Some((152, 0)),
        21..=22 | 25 => Some((152, 272)),
        23..=24 => Some((160, 280)),
        26..=27 => Some((152, 280)),
        _ => None,
    }
}

/// `go1.22.3` → 22
fn minor_version(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("go1.")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn bytes(file: &File, at: u64, length: u64) -> Option<Vec<u8>> {
    let mut buffer = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut buffer, at).ok()?;
    Some(buffer)
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

/// The version in the build information of a little-endian ELF64 file (elf(5)).
fn version(file: &File) -> Option<String> {
    let header = bytes(file, 0, 64)?;
    if header.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (sections_at, size) = (number(&header, 0x28, 8)?, number(&header, 0x3a, 2)?);
    let (count, names) = (number(&header, 0x3c, 2)?.min(MAX_SECTIONS), number(&header, 0x3e, 2)?);
    if size < 64 {
        return None;
    }
    let section = |index: u64| bytes(file, sections_at.checked_add(index.checked_mul(size)?)?, size);
    let names_at = number(&section(names)?, 0x18, 8)?;
    let wanted = b".go.buildinfo\0";
    let found = (0..count).filter_map(section).find(|section| {
        let name = number(section, 0, 4).and_then(|name| bytes(file, names_at.checked_add(name)?, wanted.len() as u64));
        name.is_some_and(|name| name == wanted)
    })?;
    let info = bytes(file, number(&found, 0x18, 8)?, number(&found, 0x20, 8)?.min(MAX_BUILD_INFO))?;
    if info.get(..14)? != b"\xff Go buildinf:" {
        return None;
    }
    // From Go 1.18 on the version follows at 32, with its length before it. Earlier ones point to it, with addresses.
    if info.get(15)? & 2 == 0 {
        return None;
    }
    let length = usize::from(*info.get(32)?);
    String::from_utf8(info.get(33..33 + length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(minor_version("go1.22.3"), Some(22));
        assert_eq!(minor_version("go1.25rc1"), Some(25));
        assert_eq!(minor_version("devel +abc"), None);
        assert_eq!(offsets_of(16), None);
    }

    #[test]
    fn this_program_is_not_go() {
        assert_eq!(goroutine_offsets(std::process::id()), None);
        assert_eq!(goroutine_offsets(u32::MAX), None);
    }
}
