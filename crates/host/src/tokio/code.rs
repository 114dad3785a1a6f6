//! The few instructions that are looked for (x86-64).

use crate::elf::number;

/// Prefixes of instructions on 64 bits.
const WIDE: std::ops::RangeInclusive<u8> = 0x48..=0x4f;

/// A pointer with an offset, in an instruction that moves 64 bits: the register, and the offset.
fn moved(code: &[u8], at: usize, opcode: u8) -> Option<(u8, i64, usize)> {
    let [prefix, operation, operand] = *code.get(at..at + 3)?.first_chunk::<3>()?;
    if !WIDE.contains(&prefix) || operation != opcode || operand & 7 == 4 {
        return None;
    }
    let base = (prefix & 1) << 3 | operand & 7;
    let offset = |width| number(code, at + 3, width).map(|offset| sign(offset, width));
    match operand >> 6 {
        1 => Some((base, offset(1)?, 4)),
        2 => Some((base, offset(4)?, 7)),
        _ => None,
    }
}

fn sign(value: u64, width: usize) -> i64 {
    let unused = 64 - 8 * width as u32;
    (value << unused).cast_signed() >> unused
}

/// Where the variable is that a function reads and then sets, from the thread pointer on: `mov %fs:0,%rax`, perhaps
/// `lea -0x198(%rax),%rax`, then `mov 0x30(%rax),%rcx` and `mov %rbx,0x30(%rax)`.
pub(super) fn swapped_variable(code: &[u8]) -> Option<u64> {
    const THREAD_POINTER: [u8; 3] = [0x64, 0x48, 0x8b];
    let start =
        code.windows(9).position(|bytes| bytes.starts_with(&THREAD_POINTER) && bytes[4..] == [0x25, 0, 0, 0, 0])?;
    let first = start + 9;
    let variables = moved(code, first, 0x8d).map_or(0, |(_, offset, _)| offset);
    let mut found = (first..code.len()).filter_map(|at| {
        let (base, offset, length) = moved(code, at, 0x8b)?;
        let (base_after, offset_after, _) = moved(code, at + length, 0x89)?;
        ((base, offset) == (base_after, offset_after)).then_some(offset)
    });
    let (only, other) = (found.next()?, found.next());
    other.is_none().then(|| variables.wrapping_add(only).cast_unsigned())
}

/// The jump behind `lock cmpxchg %rcx,0x10(%rdi)`: a probe there is emulated and not stepped, the argument is still in its
/// register, and the waker still in its place.
pub(super) fn wake_place(code: &[u8]) -> Option<u64> {
    let at = code.windows(7).position(|bytes| {
        let [lock, wide, escape, operation, operand, _, jump] = *bytes else { return false };
        (lock, wide, escape, operation) == (0xf0, 0x48, 0x0f, 0xb1) && operand & 0xc7 == 0x47 && jump == 0x75
    })?;
    Some(at as u64 + 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `set_current_task_id` of tokio 1.54, rustc 1.95, from the thread pointer on.
    const SETTER: &[u8] = &[
        0x41, 0x56, 0x53, 0x50, 0x48, 0x89, 0xfb, 0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0x8d, 0x80, 0x68,
        0xfe, 0xff, 0xff, 0x0f, 0xb6, 0x48, 0x48, 0x48, 0x8b, 0x48, 0x30, 0x48, 0x89, 0x58, 0x30, 0x48, 0x89, 0xc8,
    ];

    /// The same without `lea`.
    const DIRECT: &[u8] = &[
        0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0x8b, 0x88, 0x98, 0xfe, 0xff, 0xff, 0x48, 0x89, 0x98, 0x98,
        0xfe, 0xff, 0xff,
    ];

    /// `AtomicWaker::wake` of tokio 1.54.
    const WAKE: &[u8] = &[
        0x48, 0x8b, 0x47, 0x10, 0x48, 0x89, 0xc1, 0x48, 0x83, 0xc9, 0x02, 0xf0, 0x48, 0x0f, 0xb1, 0x4f, 0x10, 0x75,
        0xf1, 0x48, 0x85, 0xc0,
    ];

    #[test]
    fn variables_that_are_swapped() {
        assert_eq!(swapped_variable(SETTER), Some((-0x168_i64).cast_unsigned()));
        assert_eq!(swapped_variable(DIRECT), Some((-0x168_i64).cast_unsigned()));
        (0..DIRECT.len()).for_each(|end| assert_eq!(swapped_variable(&DIRECT[..end]), None));
        (0..31).for_each(|end| assert_eq!(swapped_variable(&SETTER[..end]), None));
    }

    #[test]
    fn where_a_channel_wakes() {
        assert_eq!(wake_place(WAKE), Some(17));
        (0..18).for_each(|end| assert_eq!(wake_place(&WAKE[..end]), None));
    }
}
