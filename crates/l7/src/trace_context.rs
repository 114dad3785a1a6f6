//! Trace contexts carried by headers, whatever the protocol that has headers.
//!
//! Formats: W3C Trace Context (`traceparent`), SkyWalking Cross Process Propagation Headers v3 (`sw8`), Zipkin B3
//! (`b3`, `X-B3-*`), Jaeger (`uber-trace-id`). The first one present, in this order, is taken.

use crate::text::{text, trim};

/// The header values that may carry a context; empty if absent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carriers<'a> {
    /// Whether there is any.
    any: bool,
    pub(crate) traceparent: &'a [u8],
    pub(crate) sw8: &'a [u8],
    pub(crate) b3: &'a [u8],
    pub(crate) b3_trace_id: &'a [u8],
    pub(crate) b3_span_id: &'a [u8],
    pub(crate) uber_trace_id: &'a [u8],
}

/// A trace id and the id of the caller's span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
}

impl<'a> Carriers<'a> {
    /// Remembers the value if the header is a carrier; whether it was one.
    pub(crate) fn take(&mut self, name: &[u8], value: &'a [u8]) -> bool {
        let slot = match name.len() {
            2 if name.eq_ignore_ascii_case(b"b3") => &mut self.b3,
            3 if name.eq_ignore_ascii_case(b"sw8") => &mut self.sw8,
            11 if name.eq_ignore_ascii_case(b"traceparent") => &mut self.traceparent,
            11 if name.eq_ignore_ascii_case(b"x-b3-spanid") => &mut self.b3_span_id,
            12 if name.eq_ignore_ascii_case(b"x-b3-traceid") => &mut self.b3_trace_id,
            13 if name.eq_ignore_ascii_case(b"uber-trace-id") => &mut self.uber_trace_id,
            _ => return false,
        };
        *slot = value;
        self.any = true;
        true
    }

    /// The context, if one of the carriers holds a valid one.
    pub(crate) fn context(&self, max_text: usize) -> Option<TraceContext> {
        if !self.any {
            return None;
        }
        traceparent(self.traceparent)
            .or_else(|| sw8(self.sw8, max_text))
            .or_else(|| b3(self.b3))
            .or_else(|| hex_pair(self.b3_trace_id, self.b3_span_id))
            .or_else(|| uber_trace_id(self.uber_trace_id))
    }
}

/// `00-<32 hex>-<16 hex>-01`; later versions may append fields.
fn traceparent(value: &[u8]) -> Option<TraceContext> {
    let mut parts = trim(value).split(|&byte| byte == b'-');
    let version = parts.next()?;
    let (trace_id, span_id) = (parts.next()?, parts.next()?);
    let valid = version.len() == 2 && trace_id.len() == 32 && span_id.len() == 16;
    (valid && !version.eq_ignore_ascii_case(b"ff")).then(|| hex_pair(trace_id, span_id))?
}

/// `1-<trace id, base64>-<parent segment id, base64>-<parent span id>-…`
fn sw8(value: &[u8], max_text: usize) -> Option<TraceContext> {
    let mut parts = trim(value).split(|&byte| byte == b'-');
    parts.next().filter(|sampled| matches!(sampled, [b'0' | b'1']))?;
    let (trace_id, segment_id, span) = (parts.next()?, parts.next()?, parts.next()?);
    if span.is_empty() || span.len() > 10 || !span.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut span_id = text(&base64(segment_id)?, max_text);
    span_id.push('-');
    span_id.push_str(&text(span, max_text));
    Some(TraceContext { trace_id: text(&base64(trace_id)?, max_text), span_id })
}

/// `<trace id>-<span id>[-<sampled>[-<parent>]]`; a lone `0` or `1` is only a sampling decision.
fn b3(value: &[u8]) -> Option<TraceContext> {
    let mut parts = trim(value).split(|&byte| byte == b'-');
    hex_pair(parts.next()?, parts.next()?)
}

/// `<trace id>:<span id>:<parent>:<flags>`, the colons perhaps URL-encoded; leading zeros may be left out.
fn uber_trace_id(value: &[u8]) -> Option<TraceContext> {
    let value = std::str::from_utf8(trim(value)).ok()?;
    let (trace_id, rest) = value.split_once(':').or_else(|| value.split_once("%3A"))?;
    let span_id = rest.split([':', '%']).next()?;
    hex_pair(trace_id.as_bytes(), span_id.as_bytes())
}

/// Ids as written by the standards: hex in lower case, padded to 16 or 32 digits; all zeros is no id.
fn hex_pair(trace_id: &[u8], span_id: &[u8]) -> Option<TraceContext> {
    let width = if trim(trace_id).len() > 16 { 32 } else { 16 };
    Some(TraceContext { trace_id: hex(trim(trace_id), width)?, span_id: hex(trim(span_id), 16)? })
}

fn hex(digits: &[u8], width: usize) -> Option<String> {
    let valid = digits.iter().all(u8::is_ascii_hexdigit) && digits.iter().any(|&digit| digit != b'0');
    if !valid || digits.len() > width {
        return None;
    }
    let mut id = "0".repeat(width - digits.len());
    id.extend(digits.iter().map(|digit| char::from(digit.to_ascii_lowercase())));
    Some(id)
}

/// Standard or URL-safe alphabet, padding optional (RFC 4648).
fn base64(bytes: &[u8]) -> Option<Vec<u8>> {
    let end = bytes.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    let mut out = Vec::with_capacity(end * 3 / 4);
    let (mut bits, mut count) = (0u32, 0u32);
    for &byte in bytes.get(..end)? {
        bits = (bits << 6) | sextet(byte)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            // The mask keeps one byte, so the cast loses nothing.
            out.push(((bits >> count) & 0xff) as u8);
        }
    }
    (!out.is_empty()).then_some(out)
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, want: Option<(&str, &str)>) {
        let mut carriers = Carriers::default();
        assert!(carriers.take(name.as_bytes(), value.as_bytes()), "{name} is no carrier");
        let got = carriers.context(1024).map(|context| (context.trace_id, context.span_id));
        let want = want.map(|(trace, span)| (trace.to_owned(), span.to_owned()));
        assert_eq!(got, want, "{name}: {value}");
    }

    #[test]
    fn formats() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        check("traceparent", &format!("00-{trace}-{span}-01"), Some((trace, span)));
        check("Traceparent", &format!("01-{trace}-{span}-01-more"), Some((trace, span)));
        check("traceparent", &format!("ff-{trace}-{span}-01"), None);
        check("traceparent", &format!("00-{}-{span}-01", "0".repeat(32)), None);
        check("traceparent", "00-abc-def-01", None);
        check("b3", &format!("{trace}-{span}-1"), Some((trace, span)));
        check("b3", &format!("{span}-{span}"), Some((span, span)));
        check("b3", "0", None);
        check("uber-trace-id", &format!("{trace}:{span}:0:1"), Some((trace, span)));
        check("uber-trace-id", "7ad6b:203331%3A0%3A1", Some(("000000000007ad6b", "0000000000203331")));
        check("uber-trace-id", "1%3A2%3A0%3A1", Some(("0000000000000001", "0000000000000002")));
        check("sw8", "1-YWJj-ZGVm-3-c2Vydg==-aW5z-L2E=-eA==", Some(("abc", "def-3")));
        check("sw8", "1-YWJj-!-3", None);
    }

    #[test]
    fn precedence_and_pairs() {
        let mut carriers = Carriers::default();
        carriers.take(b"X-B3-TraceId", b"1");
        assert_eq!(carriers.context(64), None);
        carriers.take(b"x-b3-spanid", b"2");
        assert_eq!(carriers.context(64).map(|context| context.span_id), Some("0000000000000002".into()));
        carriers.take(b"sw8", b"1-YWJj-ZGVm-3-c2Vydg==");
        assert_eq!(carriers.context(64).map(|context| context.trace_id), Some("abc".into()));
    }
}
