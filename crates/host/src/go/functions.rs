//! Where the functions of a Go program start, stripped or not: its own table of functions, which it needs for stack traces.
//!
//! Format: the Go source, `runtime/symtab.go` (`pcHeader`, `functab`, `_func`, `moduledata`), Go 1.18 and newer.

use crate::elf::{Elf, Section, number};

/// Largest table of functions and of their names looked at.
const MAX_TABLE: u64 = 64 << 20;
/// Entries of functions that are read at once.
const CHUNK: u64 = 1 << 20;
/// Offset of the start of the code in the structure that describes a module, whose first field points to the table.
const MODULE_TEXT: usize = 176;

/// The parts of the table.
struct Table {
    /// Address of the code, as the table says.
    text: u64,
    names_at: u64,
    names_size: u64,
    functions_at: u64,
    count: u64,
}

impl Table {
    fn open(elf: &Elf, section: &Section) -> Option<Self> {
        let header = elf.bytes(section.offset, 72)?;
        if !matches!(number(&header, 0, 4)?, 0xffff_fff0 | 0xffff_fff1) || header.get(7) != Some(&8) {
            return None;
        }
        let field = |at| number(&header, at, 8);
        let (names, names_end) = (field(32)?, field(40)?);
        Some(Self {
            text: field(24)?,
            names_at: section.offset.checked_add(names)?,
            names_size: names_end.checked_sub(names)?,
            functions_at: section.offset.checked_add(field(64)?)?,
            count: field(8)?,
        })
    }

    /// Offsets from the start of the code, of the functions of these names.
    fn entries(&self, elf: &Elf, names: &[&str]) -> Option<Vec<Option<u64>>> {
        if self.names_size > MAX_TABLE || self.count > MAX_TABLE / 8 {
            return None;
        }
        let texts = elf.bytes(self.names_at, self.names_size)?;
        let wanted: Vec<_> = names.iter().map(|name| place_of(&texts, name)).collect();
        drop(texts);
        let index = elf.bytes(self.functions_at, self.count * 8)?;
        let mut found = vec![None; names.len()];
        let (mut chunk, mut chunk_at) = (Vec::new(), 0);
        for function in 0..self.count as usize {
            let (entry, at) = (number(&index, function * 8, 4)?, number(&index, function * 8 + 4, 4)?);
            // The structures lie in the order of the functions, each with the offset of its name behind that of its code.
            if at < chunk_at || at + 8 > chunk_at + chunk.len() as u64 {
                (chunk, chunk_at) = (elf.some_bytes(self.functions_at.checked_add(at)?, CHUNK)?, at);
            }
            let name = number(&chunk, (at - chunk_at) as usize + 4, 4)?;
            for (place, found) in wanted.iter().zip(&mut found) {
                if *place == Some(name) {
                    *found = Some(entry);
                }
            }
        }
        Some(found)
    }
}

/// Offset of a name among others, each of which ends with a zero.
fn place_of(texts: &[u8], name: &str) -> Option<u64> {
    let whole: Vec<u8> = [b"\0", name.as_bytes(), b"\0"].concat();
    memchr::memmem::find(texts, &whole).map(|at| at as u64 + 1)
}

/// Offsets in the file of the first instruction behind the start of these functions that a probe costs little on; `None`
/// for a function that is not there or does not begin as expected.
///
/// The arguments are still in their registers there (the register-based calling convention of Go 1.17, amd64).
pub(super) fn probe_places(elf: &Elf, names: &[&str]) -> Option<Vec<Option<u64>>> {
    let section = elf.section("gopclntab")?;
    let table = Table::open(elf, section)?;
    let text = elf.section(".text")?;
    let entries = table.entries(elf, names)?;
    let starts = [table.text, text.address, module_text(elf, section).unwrap_or_default()];
    // Where the code starts is told by different places in different versions; the right one is where functions begin.
    let places = |start: u64| -> Option<Vec<Option<u64>>> {
        let base = start.checked_sub(text.address)?.checked_add(text.offset)?;
        let place = |entry: &Option<u64>| behind_prologue(elf, base.checked_add((*entry)?)?);
        Some(entries.iter().map(place).collect())
    };
    let found = |places: &Vec<Option<u64>>| places.iter().flatten().count();
    starts.into_iter().filter(|start| *start != 0).filter_map(places).max_by_key(found)
}

/// The start of the code, as the description of the module has it; of programs that are not relocated.
fn module_text(elf: &Elf, table: &Section) -> Option<u64> {
    let address = table.address.to_le_bytes();
    [".go.module", ".noptrdata", ".data"].iter().find_map(|name| {
        let section = elf.section(name)?;
        let data = elf.bytes(section.offset, section.size.min(MAX_TABLE))?;
        let at = data.chunks_exact(8).position(|word| word == address)? * 8;
        number(&data, at + MODULE_TEXT, 8)
    })
}

/// The push of the frame pointer behind the check of the stack: `[lea -n(%rsp),%r12;] cmp 0x10(%r14),…; jbe; push %rbp`.
/// A probe there is emulated and not stepped.
fn behind_prologue(elf: &Elf, at: u64) -> Option<u64> {
    let code = elf.bytes(at, 32)?;
    let lea = match code.get(..4)? {
        [0x4c, 0x8d, 0x64, 0x24] => 5,
        [0x4c, 0x8d, 0xa4, 0x24] => 8,
        _ => 0,
    };
    let compare = if lea == 0 { [0x49, 0x3b, 0x66, 0x10] } else { [0x4d, 0x3b, 0x66, 0x10] };
    let rest = code.get(lea..)?.strip_prefix(&compare)?;
    let jump = match rest.get(..2)? {
        [0x76, _] => 2,
        [0x0f, 0x86] => 6,
        _ => return None,
    };
    (rest.get(jump) == Some(&0x55)).then_some(at + (lea + compare.len() + jump) as u64)
}
