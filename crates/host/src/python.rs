//! Where CPython keeps what it runs: tasks of asyncio, and greenlets.
//!
//! Structures are those of CPython's headers (`Include/internal`), version by version. All that is read from a process is
//! checked: modules must be found in its dictionary of modules by name, or nothing is known.

use std::ops::Range;

use hadal_abi::PythonLayout;

use crate::elf::{Elf, number};
use crate::memory::Memory;

/// Words of an interpreter in which its dictionary of modules is looked for.
const INTERPRETER_WORDS: u64 = 2048;
/// Most entries of a dictionary that are looked at, and the longest name in it.
const MAX_ENTRIES: u64 = 1 << 16;
const MAX_NAME: usize = 64;
/// More than the state of the interpreter takes that is no object.
const RUNTIME_BYTES: u64 = 1 << 19;

/// What one minor version keeps where: the offsets of the layout, in bytes, and where threads are found.
struct Version {
    layout: PythonLayout,
    /// Of the first interpreter in `_PyRuntime`.
    first_interpreter: u16,
    /// Of the first thread's state in an interpreter.
    first_thread: u16,
}

/// In the order of the table: `task_coro` in a task, `cr_exc_state.previous_item` in a coroutine; `exc_state`, `thread_id` and
/// `datastack_chunk` (`frame` up to 3.10) in a thread's state; what lies before in a chunk or frame; `func_closure`, characters of a
/// string; and those of [`Version`].
fn version(minor: u16) -> Option<Version> {
    let table = match minor {
        8 => [112, 64 + 24, 112, 176, 24, 24, 48, 48, 32, 8],
        9 => [152, 64 + 24, 112, 176, 24, 24, 48, 48, 32, 8],
        10 => [160, 56 + 24, 112, 176, 24, 24, 72, 48, 32, 8],
        11 => [136, 48 + 8, 320, 152, 296, 0, 72, 48, 40, 16],
        12 => [136, 40 + 8, 256, 136, 232, 0, 72, 40, 40, 72],
        13 => [120, 40 + 8, 256, 152, 232, 0, 72, 40, 632, 7344],
        _ => return None,
    };
    let layout = PythonLayout {
        current_tasks: 0,
        task_type: 0,
        future_type: 0,
        partial_type: 0,
        function_type: 0,
        text_type: 0,
        threads: 0,
        minor,
        task_coroutine: table[0],
        coroutine_above: table[1],
        thread_exceptions: table[2],
        thread_id: table[3],
        thread_stack: table[4],
        stack_below: table[5],
        closure: table[6],
        text: table[7],
        reserved: [0; 3],
    };
    Some(Version { layout, first_interpreter: table[8], first_thread: table[9] })
}

/// Addresses of the interpreter's own locks, of which the global one passes between threads all the time; `None` if the
/// process does not run Python.
pub fn python_locks(pid: u32) -> Option<Range<u64>> {
    let memory = Memory::open(pid)?;
    let (elf, moved) = interpreter(&memory)?.1;
    let [runtime] = elf.symbols(["_PyRuntime"]);
    let start = runtime?.wrapping_add(moved);
    Some(start..start.saturating_add(RUNTIME_BYTES))
}

/// Where a process that runs Python keeps what it runs; addresses are 0 where something is not in use, or not yet, for modules
/// are loaded while a program starts. `None` if it does not run Python, or a version that is not known.
pub fn python(pid: u32) -> Option<PythonLayout> {
    let memory = Memory::open(pid)?;
    let (minor, (elf, moved)) = interpreter(&memory)?;
    Reader::new(&memory, &elf, moved, minor)?.python()
}

/// The minor version of Python, the file that holds it, and how far it was moved.
fn interpreter(memory: &Memory) -> Option<(u16, (Elf, u64))> {
    let program = memory.files().into_iter().find(|path| minor_version(path).is_some())?.to_owned();
    // The program may be small, and all of Python in its library.
    let library = memory.files().into_iter().find(|path| is_library(path)).unwrap_or(&program).to_owned();
    Some((minor_version(&library)?, memory.program(&library)?))
}

fn is_library(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with("libpython3."))
}

/// `/usr/bin/python3.11`, `/usr/lib/libpython3.11.so.1.0` → 11
fn minor_version(path: &str) -> Option<u16> {
    let name = path.rsplit('/').next()?;
    let rest = name.strip_prefix("libpython3.").or_else(|| name.strip_prefix("python3."))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Reads objects of a process.
struct Reader<'a> {
    memory: &'a Memory,
    version: Version,
    runtime: u64,
    dictionary_type: u64,
    function_type: u64,
    text_type: u64,
}

impl<'a> Reader<'a> {
    fn new(memory: &'a Memory, elf: &Elf, moved: u64, minor: u16) -> Option<Self> {
        let names = ["_PyRuntime", "PyDict_Type", "PyFunction_Type", "PyUnicode_Type"];
        let [runtime, dictionary_type, function_type, text_type] =
            elf.symbols(names).map(|address| address.map(|address| address.wrapping_add(moved)));
        Some(Self {
            memory,
            version: version(minor)?,
            runtime: runtime?,
            dictionary_type: dictionary_type?,
            function_type: function_type?,
            text_type: text_type?,
        })
    }

    fn python(&self) -> Option<PythonLayout> {
        let interpreter = self.memory.word(self.runtime + u64::from(self.version.first_interpreter))?;
        let modules = self.modules(interpreter)?;
        let tasks = self.attributes(modules, "_asyncio", ["_current_tasks", "Task", "Future"]);
        let [partial_type] = self.attributes(modules, "_functools", ["partial"]).unwrap_or_default();
        let [current_tasks, task_type, future_type] =
            tasks.filter(|found| self.is_dictionary(found[0])).unwrap_or_default();
        let has_greenlets = self.item(modules, "gevent._gevent_cgreenlet").is_some();
        let threads = interpreter + u64::from(self.version.first_thread);
        let is_thread = self.memory.word(threads).and_then(|thread| self.memory.word(thread + 16)) == Some(interpreter);
        Some(PythonLayout {
            current_tasks,
            task_type,
            future_type,
            partial_type,
            function_type: self.function_type,
            text_type: self.text_type,
            threads: if has_greenlets && is_thread { threads } else { 0 },
            ..self.version.layout
        })
    }

    /// Attributes of a module, all or none.
    fn attributes<const N: usize>(&self, modules: u64, module: &str, names: [&str; N]) -> Option<[u64; N]> {
        let dictionary = self.memory.word(self.item(modules, module)? + 16)?;
        let mut found = [0; N];
        for (value, name) in found.iter_mut().zip(names) {
            *value = self.item(dictionary, name)?;
        }
        Some(found)
    }

    /// The dictionary of modules is the one that holds `sys` and `builtins`.
    fn modules(&self, interpreter: u64) -> Option<u64> {
        let words = self.memory.bytes(interpreter, INTERPRETER_WORDS as usize * 8)?;
        let pointers = words.chunks_exact(8).filter_map(|word| number(word, 0, 8));
        let mut dictionaries = pointers.filter(|pointer| self.is_dictionary(*pointer));
        dictionaries.find(|at| self.item(*at, "sys").is_some() && self.item(*at, "builtins").is_some())
    }

    fn is_dictionary(&self, object: u64) -> bool {
        object.is_multiple_of(8)
            && self.memory.holds(object)
            && self.memory.word(object + 8) == Some(self.dictionary_type)
    }

    /// The value with a name as its key.
    fn item(&self, dictionary: u64, name: &str) -> Option<u64> {
        if !self.is_dictionary(dictionary) {
            return None;
        }
        let keys = self.memory.word(dictionary + 32)?;
        let (entries, count, size) = self.entries(keys)?;
        let bytes = self.memory.bytes(entries, usize::try_from(count.min(MAX_ENTRIES) * size).ok()?)?;
        bytes.chunks_exact(size as usize).find_map(|entry| {
            // The hash comes first where keys are not strings only.
            let (key, value) = (number(entry, size as usize - 16, 8)?, number(entry, size as usize - 8, 8)?);
            (value != 0 && self.is_text(key, name)).then_some(value)
        })
    }

    /// Where the entries of a dictionary begin, how many there are, and their size.
    fn entries(&self, keys: u64) -> Option<(u64, u64, u64)> {
        if self.version.layout.minor >= 11 {
            let sizes = self.memory.bytes(keys + 8, 4)?;
            let (index, kind) = (*sizes.get(1)?, *sizes.get(2)?);
            let entries = keys + 32 + (1u64 << (index & 31));
            return Some((entries, self.memory.word(keys + 24)?, if kind == 0 { 24 } else { 16 }));
        }
        let slots = self.memory.word(keys + 8)?;
        let width = match slots {
            0..=0xff => 1,
            0x100..=0xffff => 2,
            _ => 4,
        };
        Some((keys + 40 + slots.min(MAX_ENTRIES) * width, self.memory.word(keys + 32)?, 24))
    }

    fn is_text(&self, object: u64, text: &str) -> bool {
        let header = self.memory.bytes(object, 24).unwrap_or_default();
        let is_long_enough =
            number(&header, 8, 8) == Some(self.text_type) && number(&header, 16, 8) == Some(text.len() as u64);
        is_long_enough
            && text.len() <= MAX_NAME
            && self
                .memory
                .bytes(object + u64::from(self.version.layout.text), text.len())
                .is_some_and(|found| found == text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(minor_version("/usr/bin/python3.11"), Some(11));
        assert_eq!(minor_version("/usr/lib/x86_64-linux-gnu/libpython3.9.so.1.0"), Some(9));
        assert_eq!(minor_version("/usr/bin/python3"), None);
        assert!(is_library("/opt/lib/libpython3.12.so.1.0") && !is_library("/usr/bin/python3.12"));
        assert!(version(7).is_none() && version(14).is_none());
    }

    #[test]
    fn this_program_is_not_python() {
        assert!(python(std::process::id()).is_none());
        assert!(python(u32::MAX).is_none());
    }
}
