//! Where the frames of libuv's loop lie in the stack of a thread that waits in it.
//!
//! `uv_run` calls `uv__io_poll`, which asks epoll for 1024 events at once and calls back for each. The array of events is a
//! variable of `uv__io_poll`. So of a thread that waits in epoll, three places are found without symbols: the array, an
//! argument of the system call; above it the return address into `uv_run`, behind the call of a function; and below it a
//! return address into that same function, which will also be that of the callbacks. They stay where they are while the
//! loop runs. Other processors keep return addresses elsewhere.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Events that libuv asks for.
const EVENTS: u64 = 1024;
/// Bytes of an event.
const EVENT: u64 = 12;
/// System calls that wait: `epoll_wait` and `epoll_pwait`.
const WAITS: [u64; 2] = [232, 281];
/// How far the frames reach below and above the events, and how long `uv__io_poll` is at most.
const BELOW: u64 = 8192;
const ABOVE: u64 = 512;
const FUNCTION: u64 = 16 * 1024;
/// A call with a relative address: `e8` and four bytes.
const CALL: u64 = 5;

/// Addresses in the stack of a thread that runs a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLoop {
    /// The array of events.
    pub events: u64,
    /// Where the return address of a callback lies.
    pub callback: u64,
    /// Where the return address of `uv__io_poll` lies.
    pub poll: u64,
    /// That return address.
    pub poll_return: u64,
}

/// What was found out about a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It runs a loop.
    Loop(EventLoop),
    /// It waits in something else.
    Other,
    /// It does not wait now.
    Busy,
}

/// Looks at the main thread of a process. `None` if it is gone, or on processors that are not known.
pub fn event_loop(pid: u32) -> Option<Found> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    let Some(wait) = parse_wait(&std::fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?) else {
        return Some(Found::Busy);
    };
    if !wait.is_libuv() {
        return Some(Found::Other);
    }
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let read = |address: u64, bytes: &mut [u8]| memory.read_exact_at(bytes, address).is_ok();
    Some(find(&wait, read).map_or(Found::Other, Found::Loop))
}

/// A system call under way.
#[derive(Debug, PartialEq, Eq)]
struct Wait {
    number: u64,
    events: u64,
    most: u64,
    stack: u64,
}

impl Wait {
    fn is_libuv(&self) -> bool {
        WAITS.contains(&self.number) && self.most == EVENTS && self.events.wrapping_sub(self.stack) < BELOW
    }
}

/// `281 0xd 0x7ffd… 0x400 0x7530 0x0 0x8 0x7ffd… 0x7f80…`: number, arguments, stack pointer, next instruction.
fn parse_wait(text: &str) -> Option<Wait> {
    let mut words = text.split_whitespace();
    let number = words.next()?.parse().ok()?;
    let hex: Vec<u64> =
        words.map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16)).collect::<Result<_, _>>().ok()?;
    Some(Wait { number, events: *hex.get(1)?, most: *hex.get(2)?, stack: *hex.get(6)? })
}

/// The two return addresses around the events. `read` fills bytes from an address.
fn find(wait: &Wait, read: impl Fn(u64, &mut [u8]) -> bool) -> Option<EventLoop> {
    let words = |from: u64, to: u64| -> Option<Vec<(u64, u64)>> {
        let mut bytes = vec![0; usize::try_from(to - from).ok()?];
        read(from, &mut bytes).then_some(())?;
        let words = bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default()));
        Some((from..).step_by(8).zip(words).collect())
    };
    let end = wait.events + EVENTS * EVENT;
    let below = words(wait.stack, wait.events)?;
    words(end, end + ABOVE)?.into_iter().find_map(|(poll, poll_return)| {
        let called = called_before(poll_return, &read)?;
        let (callback, _) = below.iter().find(|(_, word)| word.wrapping_sub(called) < FUNCTION)?;
        Some(EventLoop { events: wait.events, callback: *callback, poll, poll_return })
    })
}

/// The function that the call before this address goes to, if there is one.
fn called_before(address: u64, read: &impl Fn(u64, &mut [u8]) -> bool) -> Option<u64> {
    let mut code = [0; CALL as usize];
    read(address.checked_sub(CALL)?, &mut code).then_some(())?;
    let [0xe8, distance @ ..] = code else { return None };
    Some(address.wrapping_add_signed(i64::from(i32::from_le_bytes(distance))))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const STACK: u64 = 0x7000;
    const EVENTS_AT: u64 = 0x8000;
    const ABOVE_EVENTS: u64 = EVENTS_AT + 12 * 1024;

    /// Memory in which `words` are set, and `uv_run` calls the function at 0x2000.
    fn found(words: &[(u64, u64)]) -> Option<EventLoop> {
        let words: HashMap<u64, u64> = words.iter().copied().collect();
        let read = |address: u64, bytes: &mut [u8]| {
            if address == 0x1000 {
                bytes.copy_from_slice(&[0xe8, 0xfb, 0x0f, 0, 0]);
            } else {
                for (at, word) in (address..).step_by(8).zip(bytes.chunks_exact_mut(8)) {
                    word.copy_from_slice(&words.get(&at).copied().unwrap_or_default().to_ne_bytes());
                }
            }
            true
        };
        find(&Wait { number: 281, events: EVENTS_AT, most: EVENTS, stack: STACK }, read)
    }

    #[test]
    fn the_frames_around_the_events() {
        let poll = ABOVE_EVENTS + 0x38;
        let expected = EventLoop { events: EVENTS_AT, callback: STACK + 0x28, poll, poll_return: 0x1005 };
        assert_eq!(found(&[(STACK + 0x28, 0x2366), (poll, 0x1005)]), Some(expected));
        assert_eq!(found(&[(poll, 0x1005)]), None);
        assert_eq!(found(&[(STACK + 0x28, 0x2366)]), None);
        // A return address into another function.
        assert_eq!(found(&[(STACK + 0x28, 0x9366), (poll, 0x1005)]), None);
    }

    #[test]
    fn what_a_thread_waits_in() {
        let wait = parse_wait("281 0xd 0x8000 0x400 0x7530 0x0 0x8 0x7000 0x7f80");
        assert_eq!(wait, Some(Wait { number: 281, events: 0x8000, most: 1024, stack: 0x7000 }));
        assert!(wait.is_some_and(|wait| wait.is_libuv()));
        assert!(parse_wait("232 0xd 0x8000 0x200 0x7530 0x0 0x8 0x7000 0x7f80").is_some_and(|wait| !wait.is_libuv()));
        assert_eq!(parse_wait("running"), None);
        assert_eq!(parse_wait(""), None);
    }

    #[test]
    fn this_program_runs_no_loop() {
        assert!(!matches!(event_loop(std::process::id()), Some(Found::Loop(_))));
        assert_eq!(event_loop(u32::MAX), None);
    }
}
