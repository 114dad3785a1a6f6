//! Deals contexts out to messages that were sent together.
//!
//! A connection that carries several requests at once sends messages of several callers in one call, in the order in which
//! it was handed them; the kernel tells in which order and by whom. What was handed over late may be on the list and not
//! among the messages. Only if the numbers are the same is it known which is whose.

use hadal_abi as abi;

use super::Pipeline;
use crate::sockets::Socket;

/// What a connection was handed and has not sent, as far as is known.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    /// Of a call whose messages were not seen yet.
    next: Option<abi::HandedEvent>,
    /// Handed over before the last call, but not sent by it.
    left: Vec<u64>,
}

/// Contexts of so many messages, and what is left of those that were handed over; `None` if that cannot be known.
///
/// A bit of `waited` is set if the connection waited for that one, and so had begun with all before it.
fn deal(left: &[u64], handed: &[u64], waited: u32, messages: usize) -> Option<(Vec<u64>, Vec<u64>)> {
    let mut all = [left, handed].concat();
    let last_waited = (1..handed.len()).rfind(|at| waited & 1 << at != 0).map(|at| left.len() + at);
    let begun = [Some(all.len()), last_waited].into_iter().flatten().find(|begun| *begun == messages)?;
    let rest = all.split_off(begun);
    Some((all, rest))
}

impl Pipeline {
    /// Whose messages a call has sent; it may come before the call's own event, or behind it.
    pub(super) fn handed(&mut self, event: &abi::HandedEvent) {
        let Some(socket) = self.sockets.get_mut(event.cookie) else { return };
        let is_sent = socket.last_sent == event.seq;
        socket.handed.get_or_insert_default().next = Some(*event);
        if is_sent {
            deal_list(socket);
        }
    }
}

/// A call has sent messages; `context` is 0 if a list says whose, or nothing.
pub(super) fn sent(socket: &mut Socket, event: &abi::DataEvent) {
    socket.last_sent = event.seq;
    let Some(handed) = &mut socket.handed else { return };
    match &handed.next {
        Some(next) if next.seq == event.seq => deal_list(socket),
        // It comes next.
        _ if u32::from(event.flags) & abi::FLAG_HANDED != 0 => {}
        _ => deal_left(socket, event),
    }
}

fn deal_list(socket: &mut Socket) {
    let Some(handed) = &mut socket.handed else { return };
    let Some(next) = handed.next.take() else { return };
    let contexts = next.contexts.get(..next.count as usize).unwrap_or_default();
    let messages = socket.connection.requests_in(next.seq, next.length).count();
    let dealt = deal(&handed.left, contexts, next.waited, messages);
    give(socket, (next.seq, next.length), dealt);
}

/// What was left belongs to the first of these messages; the last one may have been handed over since.
fn deal_left(socket: &mut Socket, event: &abi::DataEvent) {
    let Some(handed) = &mut socket.handed else { return };
    let messages = socket.connection.requests_in(event.seq, event.length).count();
    let since = if messages > handed.left.len() { &[event.context][..] } else { &[] };
    let dealt = deal(&handed.left, since, 0, messages);
    give(socket, (event.seq, event.length), dealt);
}

fn give(socket: &mut Socket, (seq, length): (u32, u32), dealt: Option<(Vec<u64>, Vec<u64>)>) {
    let (contexts, left) = dealt.unwrap_or_default();
    let mut contexts = contexts.into_iter();
    for request in socket.connection.requests_in(seq, length) {
        request.first.context = contexts.next().unwrap_or_default();
    }
    socket.handed = (!left.is_empty()).then(|| Box::new(Handed { next: None, left }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_messages_as_were_handed_over() {
        assert_eq!(deal(&[], &[1, 2], 0b01, 2), Some((vec![1, 2], vec![])));
        assert_eq!(deal(&[1], &[2, 3], 0b01, 3), Some((vec![1, 2, 3], vec![])));
    }

    #[test]
    fn what_was_waited_for_may_be_late() {
        assert_eq!(deal(&[], &[1, 2, 3], 0b101, 2), Some((vec![1, 2], vec![3])));
        assert_eq!(deal(&[1], &[2, 3], 0b10, 2), Some((vec![1, 2], vec![3])));
    }

    #[test]
    fn other_numbers_say_nothing() {
        assert_eq!(deal(&[], &[1, 2], 0b01, 1), None, "a worker that has more to do");
        assert_eq!(deal(&[], &[1, 2], 0b01, 3), None, "one of them sent two");
        assert_eq!(deal(&[], &[1, 2], 0b01, 0), None);
    }
}
