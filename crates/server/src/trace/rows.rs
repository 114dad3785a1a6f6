//! Rows as the engine writes them in its format `RowBinary`: values one after the other, as [`COLUMNS`] lists them. A look-up
//! reads thousands of rows, and as text they take longer to read than to find. Pure.

use std::borrow::Cow;

use hadal_model::{MessageType, ObservationPoint};
use hadal_trace::Span;

/// What [`spans`] reads, in its order.
pub(super) const COLUMNS: &str = "log._id, toUInt64(toUnixTimestamp64Micro(start_time)), toUInt64(toUnixTimestamp64Micro(end_time)), \
    observation_point, agent, client_entity, server_entity, ip_0, ip_1, client_port, server_port, process_id_0, process_id_1, \
    l7_protocol_str, request_id, req_tcp_seq, resp_tcp_seq, syscall_trace_id_request, syscall_trace_id_response, \
    syscall_trace_id_joined, x_request_id_0, x_request_id_1, trace_id, span_id, parent_span_id, type";

/// All rows; `None` if they end in the middle of one.
pub(super) fn spans(bytes: &[u8]) -> Option<Vec<Span>> {
    let mut rest = Rest(bytes);
    let mut spans = Vec::new();
    while !rest.0.is_empty() {
        spans.push(span(&mut rest)?);
    }
    Some(spans)
}

/// Fields are read in the order in which they are written here.
fn span(rest: &mut Rest<'_>) -> Option<Span> {
    Some(Span {
        id: rest.u64()?,
        start_us: rest.u64()?,
        end_us: rest.u64()?,
        point: ObservationPoint::from_name(&rest.text()?).unwrap_or(ObservationPoint::Rest),
        agent: rest.text()?.into_owned(),
        entities: [rest.u32()?, rest.u32()?],
        addresses: [rest.bytes()?, rest.bytes()?],
        ports: [rest.u16()?, rest.u16()?],
        pids: [rest.u32()?, rest.u32()?],
        protocol: rest.text()?.into_owned(),
        request_id: rest.nullable_u64()?,
        seqs: [rest.u32()?, rest.u32()?],
        contexts: [rest.u64()?, rest.u64()?],
        joined: rest.u64()?,
        x_request_ids: [rest.text()?.into_owned(), rest.text()?.into_owned()],
        trace_id: rest.text()?.into_owned(),
        span_id: rest.text()?.into_owned(),
        parent_span_id: rest.text()?.into_owned(),
        kind: MessageType::from_name(&rest.text()?).unwrap_or(MessageType::Session),
    })
}

/// What is not read yet. Numbers are little-endian.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u16(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    /// A byte says whether there is none.
    fn nullable_u64(&mut self) -> Option<Option<u64>> {
        match self.bytes()? {
            [0] => self.u64().map(Some),
            _ => Some(None),
        }
    }

    /// The length in groups of seven bits, the lowest first, and the text.
    fn text(&mut self) -> Option<Cow<'a, str>> {
        let mut length = 0;
        for shift in (0..usize::BITS).step_by(7) {
            let [byte] = self.bytes()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let (text, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                return Some(String::from_utf8_lossy(text));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = 300;

    /// What the engine writes, by hand.
    fn written() -> Vec<u8> {
        let mut bytes = Vec::new();
        let text = |bytes: &mut Vec<u8>, text: &str| {
            bytes.push(text.len() as u8);
            bytes.extend(text.as_bytes());
        };
        [7u64, 1_000_001, 1_000_002].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        text(&mut bytes, "c-p");
        text(&mut bytes, "node-1");
        [11u32, 12].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        bytes.extend([1; 16]);
        bytes.extend([2; 16]);
        [30_000u16, 80].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        [100u32, 0].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        text(&mut bytes, "HTTP1");
        bytes.push(0);
        bytes.extend(5u64.to_le_bytes());
        [21u32, 22].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        [31u64, 32, 33].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        // A length of two groups.
        bytes.extend([(LONG % 128) as u8 | 0x80, (LONG / 128) as u8]);
        bytes.extend([b'x'; LONG]);
        ["", "trace", "span", "parent", "request"].iter().for_each(|word| text(&mut bytes, word));
        bytes
    }

    fn wanted() -> Span {
        Span {
            id: 7,
            start_us: 1_000_001,
            end_us: 1_000_002,
            point: ObservationPoint::ClientProcess,
            agent: "node-1".to_owned(),
            entities: [11, 12],
            addresses: [[1; 16], [2; 16]],
            ports: [30_000, 80],
            pids: [100, 0],
            protocol: "HTTP1".to_owned(),
            request_id: Some(5),
            seqs: [21, 22],
            contexts: [31, 32],
            joined: 33,
            x_request_ids: ["x".repeat(LONG), String::new()],
            trace_id: "trace".to_owned(),
            span_id: "span".to_owned(),
            parent_span_id: "parent".to_owned(),
            kind: MessageType::Request,
        }
    }

    #[test]
    fn rows_are_read_as_they_are_written() {
        let two = [written(), written()].concat();
        assert_eq!(spans(&two), Some(vec![wanted(), wanted()]));
        assert_eq!(spans(&[]), Some(Vec::new()));
    }

    #[test]
    fn a_number_may_be_missing() {
        let mut bytes = written();
        let flag = bytes.windows(9).position(|some| some == [0, 5, 0, 0, 0, 0, 0, 0, 0]).expect("the number is there");
        bytes.drain(flag + 1..flag + 9);
        bytes[flag] = 1;
        assert_eq!(spans(&bytes), Some(vec![Span { request_id: None, ..wanted() }]));
    }

    #[test]
    fn no_prefix_is_a_row() {
        let bytes = written();
        (1..bytes.len()).for_each(|length| assert_eq!(spans(&bytes[..length]), None, "{length}"));
    }

    #[test]
    fn a_length_without_an_end_is_none() {
        assert_eq!(Rest(&[0xff; 32]).text(), None);
    }
}
