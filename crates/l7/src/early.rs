//! Responses that a parser sees before their requests, since events of two threads may come in another order.

use crate::contract::Origin;

/// How much earlier than its request a response may be stamped: a send is stamped when the call returns.
const SKEW_US: u64 = 200;

/// Counts responses whose requests were not seen yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Early {
    count: u32,
    newest_us: u64,
    /// The last response came after its request. Otherwise responses may seem early because requests are missing, and a
    /// quick client sends its next request soon after each.
    regular: bool,
}

impl Early {
    /// A response came after its request.
    pub(crate) fn regular(&mut self) {
        self.regular = true;
    }

    /// Whether the requests of all responses were seen.
    pub(crate) fn is_none(&self) -> bool {
        self.count == 0
    }

    /// A response came that no request was open for.
    pub(crate) fn response(&mut self, first: Origin) {
        self.count = self.count.saturating_add(1);
        self.newest_us = self.newest_us.max(first.time_us);
    }

    /// Whether the response of this request was seen already. A response that is older than the request shows that the
    /// requests of all those seen are missing.
    pub(crate) fn take(&mut self, first: Origin) -> bool {
        if self.count == 0 {
            return false;
        }
        let skew_us = if self.regular { SKEW_US } else { 0 };
        let regular = self.newest_us >= first.time_us;
        self.regular &= regular;
        if self.newest_us.saturating_add(skew_us) < first.time_us {
            self.count = 0;
            return false;
        }
        self.count -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_not_older_than_its_request() {
        let at = |time_us| Origin { time_us, ..Origin::default() };
        let mut early = Early::default();
        assert!(!early.take(at(0)));
        early.response(at(5_000));
        early.response(at(9_000));
        assert!(early.take(at(8_000)));
        assert!(!early.take(at(9_001)));
        early.regular();
        early.response(at(20_000));
        assert!(early.take(at(20_100)));
        early.response(at(30_000));
        assert!(!early.take(at(30_100)));
    }
}
