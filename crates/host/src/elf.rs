//! Sections of little-endian 64-bit ELF files (elf(5)), read as far as they are asked for.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Largest number of section headers looked at.
const MAX_SECTIONS: u64 = 512;
/// Longest name of a section.
const MAX_NAME: u64 = 64;

/// One section.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: String,
    /// Where it is in memory, before relocation.
    pub(crate) address: u64,
    /// Where it is in the file.
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// A file and its sections.
pub(crate) struct Elf {
    file: File,
    sections: Vec<Section>,
    is_movable: bool,
}

/// `e_type` of programs whose addresses are those in memory.
const FIXED: u64 = 2;
/// Largest table of symbols looked at, and of their names.
const MAX_SYMBOLS: u64 = 64 << 20;

/// A little-endian number of so many bytes.
pub(crate) fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

impl Elf {
    /// `None` if the file cannot be read, or is of another kind.
    pub(crate) fn open(path: &str) -> Option<Self> {
        let mut elf = Self { file: File::open(path).ok()?, sections: Vec::new(), is_movable: true };
        let header = elf.bytes(0, 64)?;
        if header.get(..6)? != b"\x7fELF\x02\x01" {
            return None;
        }
        elf.is_movable = number(&header, 0x10, 2)? != FIXED;
        let (headers_at, size) = (number(&header, 0x28, 8)?, number(&header, 0x3a, 2)?);
        let (count, names) = (number(&header, 0x3c, 2)?.min(MAX_SECTIONS), number(&header, 0x3e, 2)?);
        if size < 64 || names >= count {
            return None;
        }
        let headers = elf.bytes(headers_at, count * size)?;
        let field = |index: u64, at: u64, width: usize| number(&headers, (index * size + at) as usize, width);
        let names_at = field(names, 0x18, 8)?;
        for index in 0..count {
            let name = elf.text(names_at.checked_add(field(index, 0, 4)?)?)?;
            let (address, offset) = (field(index, 0x10, 8)?, field(index, 0x18, 8)?);
            elf.sections.push(Section { name, address, offset, size: field(index, 0x20, 8)? });
        }
        Some(elf)
    }

    /// The first section whose name ends so.
    pub(crate) fn section(&self, suffix: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name.ends_with(suffix))
    }

    /// Whether its addresses in memory are moved by where it was mapped.
    pub(crate) fn is_movable(&self) -> bool {
        self.is_movable
    }

    /// Addresses of dynamic symbols, before they are moved; `None` of those that are not there.
    pub(crate) fn symbols<const N: usize>(&self, names: [&str; N]) -> [Option<u64>; N] {
        let mut found = [None; N];
        let tables = self.section(".dynsym").zip(self.section(".dynstr"));
        let bytes = |section: &Section| self.bytes(section.offset, section.size.min(MAX_SYMBOLS));
        let Some((symbols, texts)) = tables.and_then(|(symbols, texts)| bytes(symbols).zip(bytes(texts))) else {
            return found;
        };
        for symbol in symbols.chunks_exact(24) {
            let name = number(symbol, 0, 4).and_then(|at| texts.get(at as usize..)).unwrap_or_default();
            let is = |wanted: &&str| name.starts_with(wanted.as_bytes()) && name.get(wanted.len()) == Some(&0);
            if let Some(at) = names.iter().position(is) {
                found[at] = number(symbol, 8, 8).filter(|address| *address != 0).or(found[at]);
            }
        }
        found
    }

    /// So many bytes of the file.
    pub(crate) fn bytes(&self, at: u64, length: u64) -> Option<Vec<u8>> {
        let mut buffer = vec![0; usize::try_from(length).ok()?];
        self.file.read_exact_at(&mut buffer, at).ok()?;
        Some(buffer)
    }

    /// Bytes of the file, as many as there are.
    pub(crate) fn some_bytes(&self, at: u64, length: u64) -> Option<Vec<u8>> {
        let mut buffer = vec![0; usize::try_from(length).ok()?];
        let read = self.file.read_at(&mut buffer, at).ok()?;
        buffer.truncate(read);
        Some(buffer)
    }

    fn text(&self, at: u64) -> Option<String> {
        let bytes = self.some_bytes(at, MAX_NAME)?;
        let end = bytes.iter().position(|&byte| byte == 0)?;
        Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
    }
}
