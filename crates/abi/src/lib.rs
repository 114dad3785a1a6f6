//! Structs shared by the kernel programs and the agent, and the one place that turns bytes into them.

mod generated;

pub use generated::*;

/// Types whose every bit pattern is valid and that have no padding.
///
/// # Safety
/// Implementors are `#[repr(C)]`, made of unsigned integers only, and without padding.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($name:ty),+) => { $(
        // SAFETY: generated from fixed-width members whose sizes add up to the asserted size of the struct.
        unsafe impl Plain for $name {}
    )+ };
}
plain!(
    Header,
    DataEvent,
    SocketEvent,
    CloseEvent,
    ExecEvent,
    ProcessEvent,
    Settings,
    Controls,
    Decision,
    GoLayout,
    PythonLayout,
    Threads,
    TokioLayout,
    HandedEvent,
    JoinedEvent,
    Loop
);

/// Reads a struct from the start of `bytes`; `None` if they are too short. Alignment does not matter.
pub fn read<T: Plain>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: the length was checked, `read_unaligned` needs no alignment, and `Plain` allows any bit pattern.
    Some(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) })
}

/// The bytes of a struct.
pub fn bytes<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: `Plain` has no padding, so all bytes are initialised; the slice borrows `value`.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// One event of the ring buffer, decoded.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "lives on the stack for one call; boxing would cost an allocation per event"
)]
pub enum Event<'a> {
    /// A socket call moved bytes; the payload prefix follows.
    Data(DataEvent, &'a [u8]),
    /// The payload of an earlier call, see `event.h`.
    Payload(DataEvent, &'a [u8]),
    /// A socket's identity.
    Socket(SocketEvent),
    /// A socket is gone.
    Close(CloseEvent),
    /// The peer's end of stream was read.
    End(CloseEvent),
    /// A program was executed.
    Exec(ExecEvent),
    /// A process was made.
    Fork(ProcessEvent),
    /// A process is gone.
    Exit(ProcessEvent),
    /// Whose messages a call has sent.
    Handed(HandedEvent),
    /// What a thread did was done for another one.
    Joined(JoinedEvent),
}

impl<'a> Event<'a> {
    /// Decodes one record; `None` if it is truncated or of an unknown kind.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        match read::<Header>(bytes)?.kind {
            EVENT_DATA => with_payload(bytes).map(|(event, payload)| Self::Data(event, payload)),
            EVENT_PAYLOAD => with_payload(bytes).map(|(event, payload)| Self::Payload(event, payload)),
            EVENT_SOCKET => read(bytes).map(Self::Socket),
            EVENT_CLOSE => read(bytes).map(Self::Close),
            EVENT_END => read(bytes).map(Self::End),
            EVENT_EXEC => read(bytes).map(Self::Exec),
            EVENT_FORK => read(bytes).map(Self::Fork),
            EVENT_EXIT => read(bytes).map(Self::Exit),
            EVENT_HANDED => read(bytes).map(Self::Handed),
            EVENT_JOINED => read(bytes).map(Self::Joined),
            _ => None,
        }
    }
}

fn with_payload(bytes: &[u8]) -> Option<(DataEvent, &[u8])> {
    let event: DataEvent = read(bytes)?;
    let payload = bytes.get(size_of::<DataEvent>()..)?.get(..event.captured as usize)?;
    Some((event, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_decodes_or_is_refused() {
        let header = Header { time_ns: 1, kind: EVENT_DATA, pid: 2, tid: 3, reserved: 0 };
        let mut event: DataEvent = read(&[0; size_of::<DataEvent>()]).unwrap();
        (event.header, event.cookie, event.seq, event.length, event.captured) = (header, 4, 9, 3, 3);
        let mut record = bytes(&event).to_vec();
        record.extend_from_slice(b"abc");
        for length in 0..record.len() {
            assert!(Event::decode(&record[..length]).is_none(), "prefix of {length} bytes");
        }
        let Some(Event::Data(decoded, payload)) = Event::decode(&record) else { panic!("not decoded") };
        assert_eq!((decoded.cookie, decoded.seq, payload), (4, 9, &b"abc"[..]));
    }
}
