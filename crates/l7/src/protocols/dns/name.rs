//! Domain names: from the wire (RFC 1035 section 4.1.4) to text and to endpoints.

use super::parser::Fault;
use crate::endpoint::{self, is_variable};

/// Longest name on the wire, in bytes (RFC 1035 section 3.1).
const MAX_LENGTH: usize = 255;

/// Most pointers of one name: as many as it may have labels.
const MAX_POINTERS: u8 = 127;

/// Length of a message's header; no name lies in it.
const HEADER: usize = 12;

/// Labels at the end of a name that are never clustered: `163.com` is a name.
const KEPT_LABELS: usize = 2;

/// Reads the name at an offset of a message: its text, and where it ends.
pub(super) fn read(message: &[u8], at: usize) -> Result<(String, usize), Fault> {
    let mut text = String::new();
    let end = walk(message, at, |label| {
        if !text.is_empty() {
            text.push('.');
        }
        escape(label, &mut text);
    })?;
    if text.is_empty() {
        text.push('.');
    }
    Ok((text, end))
}

/// Where the name at an offset ends.
pub(super) fn skip(message: &[u8], at: usize) -> Result<usize, Fault> {
    walk(message, at, |_| {})
}

/// Shows the labels of a name and gives where it ends. Each pointer has to lie before the labels that led to it, so the
/// walk ends; pointers forward are not valid, as they would point to what is no prior occurrence.
fn walk(message: &[u8], start: usize, mut show: impl FnMut(&[u8])) -> Result<usize, Fault> {
    let (mut at, mut border, mut end, mut length, mut pointers) = (start, start, None, 0, 0);
    loop {
        let head = *message.get(at).ok_or(Fault::Short)?;
        match head >> 6 {
            0 if head == 0 => return Ok(end.unwrap_or(at + 1)),
            0 => {
                length += usize::from(head) + 1;
                if length >= MAX_LENGTH {
                    return Err(Fault::Bad);
                }
                let behind = at + 1 + usize::from(head);
                show(message.get(at + 1..behind).ok_or(Fault::Short)?);
                at = behind;
            }
            3 => {
                let low = *message.get(at + 1).ok_or(Fault::Short)?;
                let target = usize::from(head & 0x3f) << 8 | usize::from(low);
                pointers += 1;
                if pointers > MAX_POINTERS || !(HEADER..border).contains(&target) {
                    return Err(Fault::Bad);
                }
                end = end.or(Some(at + 2));
                (at, border) = (target, target);
            }
            _ => return Err(Fault::Bad),
        }
    }
}

/// A label as text, in the way of RFC 4343: what is not printable as `\DDD`, dots and backslashes behind a backslash.
fn escape(label: &[u8], text: &mut String) {
    for &byte in label {
        match byte {
            b'.' | b'\\' => text.extend(['\\', char::from(byte)]),
            b'!'..=b'~' => text.push(char::from(byte)),
            _ => {
                text.push('\\');
                text.extend([byte / 100, byte / 10 % 10, byte % 10].map(|digit| char::from(b'0' + digit)));
            }
        }
    }
}

/// The endpoint of a name: lower case, labels that look like ids replaced by `{}` (neighbours by one), and so is all
/// that is behind `in-addr.arpa` and `ip6.arpa`.
pub(super) fn endpoint(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let labels: Vec<&str> = labels(&name).collect();
    let is_number = |label: &&str| label.bytes().all(|byte| byte.is_ascii_digit());
    let kept = match labels.as_slice() {
        _ if name.ends_with(".in-addr.arpa") || name.ends_with(".ip6.arpa") => KEPT_LABELS,
        // An address where a name should be.
        labels if labels.len() > KEPT_LABELS && labels.iter().all(is_number) => 0,
        labels => labels.len().min(endpoint::MAX_DEPTH),
    };
    let (cut, kept) = labels.split_at(labels.len().saturating_sub(kept));
    let mut parts: Vec<&str> = cut.first().map(|_| if is_deep(kept) { "*" } else { "{}" }).into_iter().collect();
    for (at, label) in kept.iter().enumerate() {
        let variable = kept.len() - at > KEPT_LABELS && is_variable(label);
        if !variable {
            parts.push(label);
        } else if parts.last() != Some(&"{}") {
            parts.push("{}");
        }
    }
    let mut endpoint = parts.join(".");
    crate::text::truncate(&mut endpoint, endpoint::MAX_LENGTH);
    endpoint
}

fn is_deep(kept: &[&str]) -> bool {
    kept.len() == endpoint::MAX_DEPTH
}

/// The labels of a name's text.
fn labels(name: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    name.split(move |letter| {
        let border = letter == '.' && !escaped;
        escaped = letter == '\\' && !escaped;
        border
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with a header of zeros.
    fn check(bytes: &[u8], at: usize, want: Result<(&str, usize), Fault>) {
        let message = [&[0; HEADER], bytes].concat();
        let got = read(&message, HEADER + at);
        assert_eq!(got, want.map(|(text, end)| (text.to_owned(), HEADER + end)), "{bytes:?}");
        assert_eq!(skip(&message, HEADER + at), got.map(|(_, end)| end));
    }

    #[test]
    fn names() {
        check(b"\0", 0, Ok((".", 1)));
        check(b"\x03wWw\x01a\0rest", 0, Ok(("wWw.a", 7)));
        check(b"\x01a\0\x01b\xc0\x0c", 3, Ok(("b.a", 7)));
        check(b"\x01a\0\x01b\xc0\x0c\x01c\xc0\x0f", 7, Ok(("c.b.a", 11)));
        check(b"\x08a.b\\ c\xc3\0\0", 0, Ok((r"a\.b\\\032c\195\000", 10)));
    }

    #[test]
    fn broken_names() {
        check(b"", 0, Err(Fault::Short));
        check(b"\x03ww", 0, Err(Fault::Short));
        check(b"\xc0", 0, Err(Fault::Short));
        check(b"\x01a", 0, Err(Fault::Short));
        // Loops, pointers forward, to itself, into the header; unknown kinds of labels.
        check(b"\x01a\xc0\x0c", 0, Err(Fault::Bad));
        check(b"\xc0\x0e\xc0\x0c", 2, Err(Fault::Bad));
        check(b"\xc0\x0e\0", 0, Err(Fault::Bad));
        check(b"\xc0\x0c", 0, Err(Fault::Bad));
        check(b"\xc0\x00", 0, Err(Fault::Bad));
        check(b"\x41a\0", 0, Err(Fault::Bad));
        check(&b"\x3faaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".repeat(4), 0, Err(Fault::Bad));
    }

    #[test]
    fn endpoints() {
        let cases = [
            (".", "."),
            ("WWW.Example.com", "www.example.com"),
            ("163.com", "163.com"),
            ("7.163.com", "{}.163.com"),
            ("10-0-0-7.shop.pod.cluster.local", "{}.shop.pod.cluster.local"),
            ("550e8400-e29b-41d4-a716-446655440000.a.test", "{}.a.test"),
            ("4.3.2.1.zen.spamhaus.org", "{}.zen.spamhaus.org"),
            ("223.0.30.10.in-addr.arpa", "{}.in-addr.arpa"),
            ("b.a.0.ip6.arpa", "{}.ip6.arpa"),
            ("192.0.2.7", "{}"),
            ("_443._tcp.www.example.com", "{}._tcp.www.example.com"),
            (r"a\.b.example.com", r"a\.b.example.com"),
            ("l.k.j.i.h.g.f.e.d.c.b.a", "*.j.i.h.g.f.e.d.c.b.a"),
        ];
        for (name, want) in cases {
            assert_eq!(endpoint(name), want);
        }
    }
}
