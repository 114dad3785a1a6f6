//! Sections of little-endian 64-bit ELF files (elf(5)), read as far as they are asked for.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Largest number of section headers looked at.
const MAX_SECTIONS: u64 = 512;
/// Longest name of a section.
const MAX_NAME: u64 = 64;

/// One section.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: String,
    /// Where it is in memory, before relocation.
    pub(super) address: u64,
    /// Where it is in the file.
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// A file and its sections.
pub(super) struct Elf {
    file: File,
    sections: Vec<Section>,
}

/// A little-endian number of so many bytes.
pub(super) fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

impl Elf {
    /// `None` if the file cannot be read, or is of another kind.
    pub(super) fn open(path: &str) -> Option<Self> {
        let mut elf = Self { file: File::open(path).ok()?, sections: Vec::new() };
        let header = elf.bytes(0, 64)?;
        if header.get(..6)? != b"\x7fELF\x02\x01" {
            return None;
        }
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
    pub(super) fn section(&self, suffix: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name.ends_with(suffix))
    }

    /// So many bytes of the file.
    pub(super) fn bytes(&self, at: u64, length: u64) -> Option<Vec<u8>> {
        let mut buffer = vec![0; usize::try_from(length).ok()?];
        self.file.read_exact_at(&mut buffer, at).ok()?;
        Some(buffer)
    }

    /// Bytes of the file, as many as there are.
    pub(super) fn some_bytes(&self, at: u64, length: u64) -> Option<Vec<u8>> {
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
