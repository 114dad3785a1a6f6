//! Where Rust programs keep what tokio runs.
//!
//! Found by the names of functions and variables, which a program has unless it was stripped: `cargo build --release` leaves
//! them. The number of the running task is in the thread's `CONTEXT`, whose layout is the compiler's choice: the function
//! that sets the number tells where (x86-64). What a task looks like to its waker has been the same since tokio 1.25
//! (`runtime/task/{core,raw}.rs`).

mod code;
mod symbols;

use crate::elf::{Elf, number};
use crate::memory::Memory;
use symbols::{Symbol, Symbols};

/// Longest function looked at, in bytes.
const MAX_FUNCTION: u64 = 512;
/// Number and size of program headers, and the kind of the one for variables of threads (elf(5)).
const MAX_PROGRAM_HEADERS: u64 = 64;
const PT_TLS: u64 = 7;

/// What of a program tells whose work a task does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokio {
    /// Where the number of the running task is, from the thread pointer on.
    pub task: u64,
    /// Address of the number that the next task gets.
    pub last_task: u64,
    /// Address of what the wakers of tasks have in common.
    pub waker: u64,
    /// Offsets in the file where a channel wakes its receiver, and where the channel's address is the first argument.
    pub wakes: Vec<u64>,
    /// Offsets in the file where a task is made, which is the second argument.
    pub spawns: Vec<u64>,
}

/// `None` if the process runs no tokio, or one of an unknown kind.
pub fn tokio(pid: u32) -> Option<Tokio> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    let elf = Elf::open(&format!("/proc/{pid}/exe"))?;
    let symbols = Symbols::of(&elf, "5tokio7runtime7context7CONTEXT")?;
    let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let (_, moved) = Memory::open(pid)?.program(path.to_str()?)?;
    of_program(&elf, &symbols, moved)
}

fn of_program(elf: &Elf, symbols: &Symbols, moved: u64) -> Option<Tokio> {
    let found = Found::among(symbols);
    let [context] = found.contexts[..] else { return None };
    // Further on from the start of the variables of the thread, which end at the thread pointer.
    let context_at = context.address.wrapping_sub(thread_variables(elf)?);
    let offsets = found.setters.iter().filter_map(|setter| code::swapped_variable(&function(elf, setter)?));
    let task = offsets.into_iter().find(|at| at.wrapping_sub(context_at) < context.size)?;
    let place = |symbol: &Symbol| Some(file_offset(elf, symbol.address)? + code::wake_place(&function(elf, symbol)?)?);
    Some(Tokio {
        task,
        last_task: found.last_task? + moved,
        waker: found.waker? + moved,
        wakes: found.wakes.iter().filter_map(place).collect(),
        spawns: found.spawns.iter().filter_map(|symbol| file_offset(elf, symbol.address)).collect(),
    })
}

/// The names that matter, in both ways to write them.
#[derive(Default)]
struct Found {
    contexts: Vec<Symbol>,
    setters: Vec<Symbol>,
    wakes: Vec<Symbol>,
    spawns: Vec<Symbol>,
    last_task: Option<u64>,
    waker: Option<u64>,
}

impl Found {
    fn among(symbols: &Symbols) -> Self {
        let mut found = Self::default();
        for (name, symbol) in symbols.iter() {
            let is = |path: &str, end: &str| name.contains(path) && is_end(name, end);
            if symbol.is_of_thread {
                if name.contains("5tokio7runtime7context7CONTEXT") {
                    found.contexts.push(symbol);
                }
            } else if !symbol.is_function {
                if is("5tokio7runtime4task2id", "4next7NEXT_ID") {
                    found.last_task = Some(symbol.address);
                } else if is("5tokio7runtime4task5waker", "12WAKER_VTABLE") {
                    found.waker = Some(symbol.address);
                }
            } else if is("5tokio7runtime7context", "19set_current_task_id")
                || is("5tokio7runtime4task4core", "11TaskIdGuard5enter")
            {
                found.setters.push(symbol);
            } else if is("5tokio4sync4task12atomic_waker", "11AtomicWaker4wake")
                || is("12futures_core4task10__internal12atomic_waker", "11AtomicWaker4wake")
            {
                found.wakes.push(symbol);
            } else if is_spawn(name) {
                found.spawns.push(symbol);
            }
        }
        found
    }
}

/// Generic functions have what they are made for behind their names in one of the two ways.
fn is_spawn(name: &str) -> bool {
    let is_bind = name.contains("5tokio7runtime4task4list") && name.contains("10bind_inner");
    let is_blocking = name.contains("5tokio7runtime8blocking4pool") && is_end(name, "7Spawner10spawn_task");
    is_bind && !name.contains("closure") && !name.starts_with("_RNC") || is_blocking
}

/// Whether a name ends so, but for the hash and what the compiler adds.
fn is_end(name: &str, end: &str) -> bool {
    let Some((_, rest)) = name.rsplit_once(end) else { return false };
    rest.is_empty() || rest.starts_with("17h") || rest.starts_with(".llvm.")
}

/// The code of a function.
fn function(elf: &Elf, symbol: &Symbol) -> Option<Vec<u8>> {
    elf.bytes(file_offset(elf, symbol.address)?, symbol.size.min(MAX_FUNCTION))
}

fn file_offset(elf: &Elf, address: u64) -> Option<u64> {
    let text = elf.section(".text")?;
    let at = address.checked_sub(text.address)?;
    (at < text.size).then(|| at + text.offset)
}

/// How far before the thread pointer the variables of the program's threads begin: they end there, but for alignment (the
/// second variant of ELF's thread-local storage).
fn thread_variables(elf: &Elf) -> Option<u64> {
    let header = elf.bytes(0, 64)?;
    let (at, size) = (number(&header, 0x20, 8)?, number(&header, 0x36, 2)?);
    let count = number(&header, 0x38, 2)?.min(MAX_PROGRAM_HEADERS);
    let headers = elf.bytes(at, count * size)?;
    let header =
        headers.chunks_exact(usize::try_from(size).ok()?.max(56)).find(|one| number(one, 0, 4) == Some(PT_TLS))?;
    let (memory, alignment) = (number(header, 0x28, 8)?, number(header, 0x30, 8)?.max(1));
    memory.checked_next_multiple_of(alignment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let legacy = "_ZN5tokio4sync4task12atomic_waker11AtomicWaker4wake17h0123456789abcdefE";
        let new = "_RNvMNtNtNtCsjr_5tokio4sync4task12atomic_wakerNtB2_11AtomicWaker4wake";
        assert!(is_end(legacy, "11AtomicWaker4wake") && is_end(new, "11AtomicWaker4wake"));
        assert!(!is_end("_ZN5tokio4sync4task12atomic_waker11AtomicWaker9take_wakeE", "11AtomicWaker4wake"));
        assert!(is_spawn("_ZN5tokio7runtime4task4list19OwnedTasks$LT$S$GT$10bind_inner17h0123E"));
        assert!(is_spawn("_RNvMs_NtNtNtCs_5tokio7runtime4task4listINtB4_10OwnedTasksINtE10bind_innerB8_"));
        assert!(!is_spawn("_ZN5tokio7runtime8blocking4pool7Spawner10spawn_task28_$u7b$$u7b$closure$u7d$$u7d$17h0E"));
    }

    #[test]
    fn this_program_runs_no_tokio() {
        assert_eq!(tokio(std::process::id()), None);
        assert_eq!(tokio(u32::MAX), None);
    }
}
