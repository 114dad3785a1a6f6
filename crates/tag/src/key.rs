//! Stable 64-bit keys.

/// FNV-1a over length-prefixed parts (Fowler, Noll, Vo; offset and prime of the 64-bit variant), so that
/// `["ab", "c"]` and `["a", "bc"]` differ. Keys are stored, so this never changes.
pub(crate) fn hash(parts: &[&str]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325u64;
    let mut feed = |byte: u8| state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    for part in parts {
        (part.len() as u64).to_le_bytes().into_iter().chain(part.bytes()).for_each(&mut feed);
    }
    state
}
