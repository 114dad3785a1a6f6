//! Syntax of RESP: the header line of each value, and the nesting of values.

use memchr::memchr;

use crate::text::{decimal, trim};

/// Longest line with a number.
const MAX_NUMBER_LINE: usize = 32;

/// Longest bulk string; the server's own limit is 512 MB unless configured.
const MAX_BULK: u64 = 4 << 30;

/// Most elements of an aggregate; the server's own limit for commands is about as much.
const MAX_ELEMENTS: u64 = i32::MAX as u64;

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 32;

/// The header line of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header<'a> {
    /// `+`, `:`, `,`, `#`, `(`: a value that is a line.
    Scalar(u8, &'a [u8]),
    /// `-`: an error that is a line.
    Error(&'a [u8]),
    /// `$-1`, `*-1`, `_`.
    Null,
    /// `$`, `=`, `!` and the length of what follows; `!` is an error.
    Bulk(u8, u64),
    /// `*`, `%`, `~`, `>` and the number of values that follow (twice the number of pairs).
    Aggregate(u8, u64),
    /// `|`: so many values follow that annotate the next one.
    Attribute(u64),
    /// `$?`: parts follow.
    StreamedBulk,
    /// `;n`: a part of a streamed string; the last one has length 0.
    Part(u64),
    /// `*?`, `%?`, `~?`: values follow until an end.
    StreamedAggregate(u8),
    /// `.`: the end of a streamed aggregate.
    End,
}

/// Why there is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// The line is not complete; at least so many bytes are needed.
    Need(usize),
    /// This is no RESP.
    Bad,
}

/// Parses the header line at the start of `bytes`: the header and the line's length. Lines of text may have `max_line`
/// bytes.
pub(super) fn header(bytes: &[u8], max_line: usize) -> Result<(Header<'_>, usize), NoHeader> {
    let (&kind, rest) = bytes.split_first().ok_or(NoHeader::Need(1))?;
    let is_text = matches!(kind, b'+' | b'-' | b'(' | b',');
    let max = if is_text { max_line } else { MAX_NUMBER_LINE };
    if !is_text
        && !matches!(kind, b':' | b'#' | b'_' | b'$' | b'=' | b'!' | b'*' | b'%' | b'~' | b'>' | b'|' | b';' | b'.')
    {
        return Err(NoHeader::Bad);
    }
    let Some(end) = memchr(b'\n', rest.get(..max).unwrap_or(rest)) else {
        let plausible =
            bytes.len() <= max && (is_text || rest.iter().all(|&byte| is_number_byte(byte) || byte == b'\r'));
        return Err(if plausible { NoHeader::Need(bytes.len() + 1) } else { NoHeader::Bad });
    };
    let line = rest.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(NoHeader::Bad)?;
    let header = typed(kind, line).ok_or(NoHeader::Bad)?;
    Ok((header, end + 2))
}

fn is_number_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'?' | b't' | b'f')
}

fn typed(kind: u8, line: &[u8]) -> Option<Header<'_>> {
    Some(match kind {
        b'+' | b',' => Header::Scalar(kind, line),
        b'-' => Header::Error(line),
        b':' | b'(' if is_integer(line) => Header::Scalar(kind, line),
        b'#' if matches!(line, b"t" | b"f") => Header::Scalar(kind, line),
        b'_' if line.is_empty() => Header::Null,
        b'$' | b'*' if line == b"-1" => Header::Null,
        b'$' if line == b"?" => Header::StreamedBulk,
        b'*' | b'%' | b'~' if line == b"?" => Header::StreamedAggregate(kind),
        b'$' | b'=' | b'!' => Header::Bulk(kind, bounded(line, MAX_BULK)?),
        b';' => Header::Part(bounded(line, MAX_BULK)?),
        b'*' | b'~' | b'>' => Header::Aggregate(kind, bounded(line, MAX_ELEMENTS)?),
        b'%' => Header::Aggregate(kind, bounded(line, MAX_ELEMENTS)? * 2),
        b'|' => Header::Attribute(bounded(line, MAX_ELEMENTS)? * 2),
        b'.' if line.is_empty() => Header::End,
        _ => return None,
    })
}

fn is_integer(line: &[u8]) -> bool {
    let digits = line.strip_prefix(b"-").or_else(|| line.strip_prefix(b"+")).unwrap_or(line);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

fn bounded(line: &[u8], max: u64) -> Option<u64> {
    decimal(line).filter(|&number| number <= max)
}

/// The words of an inline command: separated by blanks, perhaps quoted.
pub(super) fn inline_words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = trim(line);
    std::iter::from_fn(move || {
        let (&first, after) = rest.split_first()?;
        let (word, left) = match first {
            b'"' | b'\'' => {
                let end = after.iter().position(|&byte| byte == first).unwrap_or(after.len());
                (after.get(..end)?, after.get(end + 1..).unwrap_or_default())
            }
            _ => rest.split_at(rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len())),
        };
        rest = left.trim_ascii_start();
        Some(word)
    })
}

/// Where in a value a direction is: the open aggregates, outermost first. Grows with their depth, never with a length
/// that was claimed.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    frames: Vec<Frame>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// So many values are left.
    Values(u64),
    /// So many values are left, and the value they annotate comes then.
    Attribute(u64),
    /// Values until an end.
    Streamed,
    /// Parts until an empty one.
    Parts,
}

/// What the end of a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nested {
    /// More values belong to the message.
    Inside,
    /// The message is complete.
    Complete,
    /// The header cannot stand here.
    Bad,
}

impl Nesting {
    /// How many aggregates are open.
    pub(super) fn depth(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
    }

    /// Takes note of a header. A bulk string, or a part of one, counts when its payload is complete: see
    /// [`Nesting::value`].
    pub(super) fn header(&mut self, header: Header<'_>) -> Nested {
        let in_parts = self.frames.last() == Some(&Frame::Parts);
        match header {
            Header::Part(0) if in_parts => {
                self.frames.pop();
                self.value()
            }
            Header::Part(_) if in_parts => Nested::Inside,
            _ if in_parts => Nested::Bad,
            Header::Part(_) => Nested::Bad,
            Header::Scalar(..) | Header::Error(_) | Header::Null => self.value(),
            Header::Bulk(..) => Nested::Inside,
            Header::Aggregate(_, 0) => self.value(),
            Header::Aggregate(_, values) => self.open(Frame::Values(values)),
            Header::Attribute(0) => Nested::Inside,
            Header::Attribute(values) => self.open(Frame::Attribute(values)),
            Header::StreamedAggregate(_) => self.open(Frame::Streamed),
            Header::StreamedBulk => self.open(Frame::Parts),
            Header::End if self.frames.last() == Some(&Frame::Streamed) => {
                self.frames.pop();
                self.value()
            }
            Header::End => Nested::Bad,
        }
    }

    fn open(&mut self, frame: Frame) -> Nested {
        if self.frames.len() >= MAX_DEPTH {
            return Nested::Bad;
        }
        self.frames.push(frame);
        Nested::Inside
    }

    /// A value is complete, and with it the aggregates of which it was the last.
    pub(super) fn value(&mut self) -> Nested {
        while let Some(frame) = self.frames.last_mut() {
            match frame {
                Frame::Streamed | Frame::Parts => return Nested::Inside,
                Frame::Values(left) | Frame::Attribute(left) if *left > 1 => {
                    *left -= 1;
                    return Nested::Inside;
                }
                Frame::Attribute(_) => {
                    self.frames.pop();
                    return Nested::Inside;
                }
                Frame::Values(_) => {
                    self.frames.pop();
                }
            }
        }
        Nested::Complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        type Want = Result<(Header<'static>, usize), NoHeader>;
        let cases: [(&[u8], Want); 21] = [
            (b"", Err(NoHeader::Need(1))),
            (b"+OK\r\n", Ok((Header::Scalar(b'+', b"OK"), 5))),
            (b"+OK\r", Err(NoHeader::Need(5))),
            (b"-ERR x\r\n$", Ok((Header::Error(b"ERR x"), 8))),
            (b":-7\r\n", Ok((Header::Scalar(b':', b"-7"), 5))),
            (b":x\r\n", Err(NoHeader::Bad)),
            (b":x", Err(NoHeader::Bad)),
            (b"$-1\r\n", Ok((Header::Null, 5))),
            (b"_\r\n", Ok((Header::Null, 3))),
            (b"$3\r\nabc", Ok((Header::Bulk(b'$', 3), 4))),
            (b"$3\nabc", Err(NoHeader::Bad)),
            (b"$99999999999\r\n", Err(NoHeader::Bad)),
            (b"*2000000000\r\n", Ok((Header::Aggregate(b'*', 2_000_000_000), 13))),
            (b"*99999999999\r\n", Err(NoHeader::Bad)),
            (b"%2\r\n", Ok((Header::Aggregate(b'%', 4), 4))),
            (b"|1\r\n", Ok((Header::Attribute(2), 4))),
            (b"*?\r\n", Ok((Header::StreamedAggregate(b'*'), 4))),
            (b";4\r\n", Ok((Header::Part(4), 4))),
            (b".\r\n", Ok((Header::End, 3))),
            (b"#t\r\n", Ok((Header::Scalar(b'#', b"t"), 4))),
            (b"GET x\r\n", Err(NoHeader::Bad)),
        ];
        for (bytes, want) in cases {
            assert_eq!(header(bytes, 1024), want, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn words() {
        let words = |line: &'static str| inline_words(line.as_bytes()).collect::<Vec<_>>();
        assert_eq!(words(" SET  a \"b c\" 'd'\r"), [&b"SET"[..], b"a", b"b c", b"d"]);
        assert!(words("  \r").is_empty());
        assert_eq!(words("a \"b"), [&b"a"[..], b"b"]);
    }

    /// Feeds headers and gives the number of messages.
    fn messages(wire: &[u8]) -> Option<usize> {
        let (mut nesting, mut at, mut complete) = (Nesting::default(), 0, 0);
        while let Some(rest) = wire.get(at..).filter(|rest| !rest.is_empty()) {
            let (header, length) = header(rest, 1024).ok()?;
            at += length;
            let mut nested = nesting.header(header);
            if let Header::Bulk(_, length) = header {
                at += usize::try_from(length).ok()? + 2;
                nested = nesting.value();
            } else if let Header::Part(length @ 1..) = header {
                at += usize::try_from(length).ok()? + 2;
            }
            match nested {
                Nested::Complete => complete += 1,
                Nested::Inside => {}
                Nested::Bad => return None,
            }
        }
        (nesting.depth() == 0).then_some(complete)
    }

    #[test]
    fn nesting() {
        let cases: [(&[u8], Option<usize>); 10] = [
            (b"*2\r\n*1\r\n:1\r\n*0\r\n+x\r\n", Some(2)),
            (b"|1\r\n+a\r\n:1\r\n+x\r\n", Some(1)),
            (b"*1\r\n|1\r\n+a\r\n:1\r\n+x\r\n", Some(1)),
            (b"|0\r\n+x\r\n", Some(1)),
            (b"*?\r\n:1\r\n%1\r\n+a\r\n+b\r\n.\r\n:1\r\n", Some(2)),
            (b"$?\r\n;1\r\na\r\n;0\r\n:1\r\n", Some(2)),
            (b"$?\r\n:1\r\n", None),
            (b".\r\n", None),
            (b";1\r\n", None),
            (b"*1\r\n", None),
        ];
        for (wire, want) in cases {
            assert_eq!(messages(wire), want, "{}", wire.escape_ascii());
        }
        assert_eq!(messages(&b"*1\r\n".repeat(MAX_DEPTH + 1)), None);
    }
}
