//! Dialogues at random.

use hadal_model::Direction;
use proptest::prelude::*;

use super::Step;

/// Bytes at random and words of a protocol, in pieces at random, with gaps, ends and silence.
pub(crate) fn any_steps(words: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<Step>> {
    let direction = prop_oneof![Just(Direction::ToServer), Just(Direction::ToClient)];
    let piece = prop_oneof![
        8 => proptest::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    let bytes = proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    let step = (direction, bytes, 0..40u64, 0..20u8).prop_map(|(direction, bytes, length, what)| match what {
        0 | 1 => Step::Gap(direction, length + 1),
        2 => Step::Close(direction),
        3 => Step::Settle,
        _ => Step::Bytes(direction, bytes),
    });
    proptest::collection::vec(step, 0..30)
}
