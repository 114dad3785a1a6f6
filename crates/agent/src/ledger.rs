//! What the kernel side has lost, as causes of the loss ledger.

use hadal_bpf::Counters;
use hadal_model::LossCause;

/// Cause and count of everything lost between two readings of the kernel's counters.
pub(crate) fn losses(before: &Counters, now: &Counters) -> impl Iterator<Item = (LossCause, u64)> {
    let since = |count: fn(&Counters) -> u64| count(now).saturating_sub(count(before));
    let found = [
        (LossCause::RingFull, since(|counters| counters.ring_full_data + counters.ring_full_other)),
        (LossCause::SocketUnannounced, since(|counters| counters.unannounced)),
        (LossCause::UserCopyFailed, since(|counters| counters.user_copy_failed)),
        (LossCause::MapFull, since(|counters| counters.map_full)),
        (LossCause::Recursion, since(|counters| counters.recursion)),
        (LossCause::SequenceOverlap, since(|counters| counters.overlaps)),
        (LossCause::VectorCut, since(|counters| counters.vector_cut)),
        (LossCause::PayloadShed, since(|counters| counters.payload_shed)),
        (LossCause::SocketShed, since(|counters| counters.socket_shed)),
        (LossCause::CaptureShed, since(|counters| counters.shed)),
    ];
    found.into_iter().filter(|(_, count)| *count > 0)
}
