//! Where Go programs keep the numbers of goroutines.
//!
//! A Go program names the version it was built with (section `.go.buildinfo`, also of stripped programs; format: the Go
//! source, `debug/buildinfo`). The offsets of `runtime.g.goid` and `.parentGoid` are those of that version on 64-bit
//! machines, as the debug information of programs built with each version says.

mod functions;

use crate::elf::Elf;

/// Longest section with build information looked at.
const MAX_BUILD_INFO: u64 = 4096;

/// Names of functions and where a probe can be put on each: offsets in the program's file, `None` of those that are not
/// there. `None` if this is not Go, or of an unknown kind.
pub fn go_functions(pid: u32, names: &[&str]) -> Option<Vec<Option<u64>>> {
    functions::probe_places(&Elf::open(&program(pid))?, names)
}

/// Offsets in the structures of a running Go program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GoOffsets {
    /// Of the goroutine's number in `g`.
    pub goid: u32,
    /// Of its maker's number in `g`; 0 if there is none.
    pub parent_goid: u32,
    /// Of the index of the next element to be sent in `hchan`.
    pub channel_sendx: u32,
}

fn program(pid: u32) -> String {
    format!("/proc/{pid}/exe")
}

/// `None` if it is not Go, or of a version that is not known.
pub fn go_offsets(pid: u32) -> Option<GoOffsets> {
    offsets_of(minor_version(&version(&Elf::open(&program(pid))?)?)?)
}

/// By minor version of Go 1.
fn offsets_of(minor: u32) -> Option<GoOffsets> {
    let (goid, parent_goid) = match minor {
        17..=20 => (152, 0),
        21..=22 | 25 => (152, 272),
        23..=24 => (160, 280),
        26..=27 => (152, 280),
        _ => return None,
    };
    // A timer came before the type of the elements.
    Some(GoOffsets { goid, parent_goid, channel_sendx: if minor < 23 { 40 } else { 48 } })
}

/// `go1.22.3` → 22
fn minor_version(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("go1.")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The version in the build information.
fn version(elf: &Elf) -> Option<String> {
    let section = elf.section(".go.buildinfo")?;
    let info = elf.bytes(section.offset, section.size.min(MAX_BUILD_INFO))?;
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
        assert_eq!(go_offsets(std::process::id()), None);
        assert_eq!(go_offsets(u32::MAX), None);
    }
}
