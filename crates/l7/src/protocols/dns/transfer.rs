//! Zone transfers: one request that is answered by many messages (RFC 5936, RFC 1995). They make one response.

use super::contents::Zone;
use super::types;
use crate::contract::{Half, Message};

/// A transfer under way.
pub(super) struct Transfer {
    /// What was seen of the response.
    response: Message,
    id: u16,
    /// The serial number that the zone will have.
    serial: u32,
    /// How often its SOA record has come.
    seen: usize,
    /// How often it comes: at both ends, and once more before the last difference.
    due: usize,
    records: u32,
}

impl Transfer {
    /// Whether this message is the first one of several.
    pub(super) fn begins(response: &Message, kind: Option<u16>, zone: &Zone) -> bool {
        let transfer = matches!(kind, Some(types::AXFR | types::IXFR));
        // A lone SOA record says that there are no differences.
        let current = kind == Some(types::IXFR) && zone.announced == 1;
        transfer && response.half == Half::Response && zone.starts && !current
    }

    /// A transfer that starts with this message.
    pub(super) fn new(response: Message, id: u16, kind: Option<u16>, zone: &Zone) -> Self {
        let serial = zone.serials.first().copied().unwrap_or_default();
        let due = if kind == Some(types::IXFR) && zone.second { 3 } else { 2 };
        let mut transfer = Self { response, id, serial, seen: 0, due, records: 0 };
        transfer.count(zone);
        transfer
    }

    /// Whether this message belongs to it.
    pub(super) fn has(&self, response: &Message, id: u16) -> bool {
        response.half == Half::Response && self.id == id
    }

    /// Another message of it.
    pub(super) fn extend(&mut self, response: &Message, zone: &Zone) {
        self.response.last = response.last;
        self.response.length += response.length;
        if response.response_code != Some(0) {
            self.response.status = response.status;
            self.response.response_code = response.response_code;
            self.response.response_exception.clone_from(&response.response_exception);
        }
        self.count(zone);
    }

    fn count(&mut self, zone: &Zone) {
        self.seen += zone.serials.iter().filter(|&&serial| serial == self.serial).count();
        self.records = self.records.saturating_add(zone.records);
    }

    /// Whether the message it was extended by last is the last one.
    pub(super) fn is_over(&self, zone: &Zone) -> bool {
        let failed = self.response.response_code != Some(0);
        failed || (zone.ends && zone.serials.last() == Some(&self.serial) && self.seen >= self.due)
    }

    /// The response, of which the end may not have been seen.
    pub(super) fn into_response(self, truncated: bool) -> Message {
        let mut response = self.response;
        response.attributes.push(("records", self.records.to_string()));
        response.truncated |= truncated;
        response
    }
}
