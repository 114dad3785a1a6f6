//! Calls for no request that is known: they tell that requests get lost inside a program, and have to be followed further.

/// So many of them, and such a share of all calls, are too many.
const STRAYS: u32 = 20;
const STRAY_SHARE: f64 = 0.3;

/// Calls of a process when they were last judged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Judged {
    calls: u32,
    strays: u32,
}

impl Judged {
    /// What came before does not count.
    pub(crate) fn at(calls: u32, strays: u32) -> Self {
        Self { calls, strays }
    }

    /// Whether of the calls since they were last judged too many belonged to no request.
    pub(crate) fn are_lost(&mut self, calls: u32, strays: u32) -> bool {
        let new = (calls.wrapping_sub(self.calls), strays.wrapping_sub(self.strays));
        if new.1 < STRAYS {
            return false;
        }
        *self = Self::at(calls, strays);
        f64::from(new.1) >= f64::from(new.0) * STRAY_SHARE
    }
}
