//! Where CPython keeps what it runs: tasks of asyncio, and greenlets.
//!
//! Structures are those of CPython's headers (`Include/internal`), version by version. All that is read from a process is
//! checked: modules must be found in its dictionary of modules by name, or nothing is known.

use crate::elf::{Elf, number};
use crate::memory::Memory;

/// Words of an interpreter in which its dictionary of modules is looked for.
const INTERPRETER_WORDS: u64 = 2048;
/// Most entries of a dictionary that are looked at, and the longest name in it.
const MAX_ENTRIES: u64 = 1 << 16;
const MAX_NAME: usize = 64;

/// Offsets in the structures of one minor version, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PythonOffsets {
    /// Of `task_coro` in a task of asyncio; its name follows.
    pub task_coroutine: u16,
    /// Of `cr_exc_state.previous_item` in a coroutine.
    pub coroutine_above: u16,
    /// Of `exc_state` in a thread's state.
    pub thread_exceptions: u16,
    /// Of `thread_id` in a thread's state.
    pub thread_id: u16,
    /// Of `datastack_chunk` in a thread's state, or of `frame` up to 3.10.
    pub thread_stack: u16,
    /// Of the chunk or frame before, in one.
    pub stack_below: u16,
    /// Of `func_closure` in a function.
    pub closure: u16,
    /// Of the characters in a string of ASCII characters.
    pub text: u16,
    /// Of the first interpreter in `_PyRuntime`.
    first_interpreter: u16,
    /// Of the first thread's state in an interpreter.
    first_thread: u16,
}

/// What a process that runs Python says of itself; addresses are 0 where something is not in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Python {
    /// The minor version of Python 3.
    pub minor: u16,
    /// Offsets of this version.
    pub offsets: PythonOffsets,
    /// The dictionary of tasks that the event loops of asyncio run.
    pub current_tasks: u64,
    /// The type of tasks.
    pub task_type: u64,
    /// The type of futures.
    pub future_type: u64,
    /// The type of `functools.partial`.
    pub partial_type: u64,
    /// The type of functions.
    pub function_type: u64,
    /// The type of strings.
    pub text_type: u64,
    /// Where the first thread's state is, if gevent is in use.
    pub threads: u64,
}

impl Python {
    /// Whether there is something to follow: so far, for modules are loaded while a program starts.
    pub fn has_coroutines(&self) -> bool {
        self.current_tasks != 0 || self.threads != 0
    }
}

fn offsets_of(minor: u16) -> Option<PythonOffsets> {
    let table = match minor {
        8 => [112, 64 + 24, 112, 176, 24, 24, 48, 48, 32, 8],
        9 => [152, 64 + 24, 112, 176, 24, 24, 48, 48, 32, 8],
        10 => [160, 56 + 24, 112, 176, 24, 24, 72, 48, 32, 8],
        11 => [136, 48 + 8, 320, 152, 296, 0, 72, 48, 40, 16],
        12 => [136, 40 + 8, 256, 136, 232, 0, 72, 40, 40, 72],
        13 => [120, 40 + 8, 256, 152, 232, 0, 72, 40, 632, 7344],
        _ => return None,
    };
    let [
        task_coroutine,
        coroutine_above,
        thread_exceptions,
        thread_id,
        thread_stack,
        stack_below,
        closure,
        text,
        first_interpreter,
        first_thread,
    ] = table;
    Some(PythonOffsets {
        task_coroutine,
        coroutine_above,
        thread_exceptions,
        thread_id,
        thread_stack,
        stack_below,
        closure,
        text,
        first_interpreter,
        first_thread,
    })
}

/// What a process says of itself; `None` if it does not run Python, or a version that is not known.
pub fn python(pid: u32) -> Option<Python> {
    let memory = Memory::open(pid)?;
    let program = memory.files().into_iter().find(|path| minor_version(path).is_some())?.to_owned();
    // The program may be small, and all of Python in its library.
    let library = memory.files().into_iter().find(|path| is_library(path)).unwrap_or(&program).to_owned();
    let (elf, moved) = memory.program(&library)?;
    Reader::new(&memory, &elf, moved, minor_version(&library)?)?.python()
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
    minor: u16,
    offsets: PythonOffsets,
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
            minor,
            offsets: offsets_of(minor)?,
            runtime: runtime?,
            dictionary_type: dictionary_type?,
            function_type: function_type?,
            text_type: text_type?,
        })
    }

    fn python(&self) -> Option<Python> {
        let interpreter = self.memory.word(self.runtime + u64::from(self.offsets.first_interpreter))?;
        let modules = self.modules(interpreter)?;
        let tasks = self.attributes(modules, "_asyncio", ["_current_tasks", "Task", "Future"]);
        let [partial_type] = self.attributes(modules, "_functools", ["partial"]).unwrap_or_default();
        // What the type of all types is, is told by one of them.
        let [current_tasks, task_type, future_type] =
            tasks.filter(|found| self.is_dictionary(found[0])).unwrap_or_default();
        let has_greenlets = self.item(modules, "gevent._gevent_cgreenlet").is_some();
        let threads = interpreter + u64::from(self.offsets.first_thread);
        let is_thread = self.memory.word(threads).and_then(|thread| self.memory.word(thread + 16)) == Some(interpreter);
        Some(Python {
            minor: self.minor,
            offsets: self.offsets,
            current_tasks,
            task_type,
            future_type,
            partial_type,
            function_type: self.function_type,
            text_type: self.text_type,
            threads: if has_greenlets && is_thread { threads } else { 0 },
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
        if self.minor >= 11 {
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
                .bytes(object + u64::from(self.offsets.text), text.len())
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
        assert_eq!((offsets_of(7), offsets_of(14)), (None, None));
    }

    #[test]
    fn this_program_is_not_python() {
        assert_eq!(python(std::process::id()), None);
        assert_eq!(python(u32::MAX), None);
    }
}
