//! The table of a program's symbols (elf(5), `.symtab`).

use crate::elf::{Elf, Section, number};

/// Largest tables looked at.
const MAX_TABLE: u64 = 256 << 20;
/// Size of an entry, and the kinds that matter.
const ENTRY: usize = 24;
const FUNCTION: u8 = 2;
const OF_THREAD: u8 = 6;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Symbol {
    /// Before it is moved; of a thread's variable its place among them.
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) is_function: bool,
    pub(super) is_of_thread: bool,
}

pub(super) struct Symbols {
    entries: Vec<u8>,
    names: Vec<u8>,
}

impl Symbols {
    /// `None` if there are none, or none whose name has this in it.
    pub(super) fn of(elf: &Elf, wanted: &str) -> Option<Self> {
        let bytes = |section: &Section| (section.size <= MAX_TABLE).then(|| elf.bytes(section.offset, section.size))?;
        let names = bytes(elf.section(".strtab")?)?;
        memchr::memmem::find(&names, wanted.as_bytes())?;
        Some(Self { entries: bytes(elf.section(".symtab")?)?, names })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Symbol)> {
        self.entries.chunks_exact(ENTRY).filter_map(|entry| self.symbol(entry))
    }

    fn symbol(&self, entry: &[u8]) -> Option<(&str, Symbol)> {
        let kind = entry.get(4)? & 0xf;
        let name = self.names.get(number(entry, 0, 4)? as usize..)?;
        let name = str::from_utf8(name.get(..memchr::memchr(0, name)?)?).ok()?;
        let (address, size) = (number(entry, 8, 8)?, number(entry, 16, 8)?);
        let symbol = Symbol { address, size, is_function: kind == FUNCTION, is_of_thread: kind == OF_THREAD };
        // Defined in this file.
        (number(entry, 6, 2)? != 0).then_some((name, symbol))
    }
}
