//! The head of a CGI response (RFC 3875, section 6): header fields up to an empty line, at the start of the output.

use crate::text::{decimal, text, trim};

/// What a head says.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The status code; none if there is no head.
    pub(super) code: Option<u16>,
    pub(super) reason: String,
    pub(super) content_type: String,
    pub(super) x_request_id: String,
}

/// The head under way.
#[derive(Debug)]
pub(super) enum Reading {
    /// The bytes so far.
    Under(Vec<u8>),
    /// It is complete, or nothing more of it will be seen.
    Done(Head),
}

impl Default for Reading {
    fn default() -> Self {
        Self::Under(Vec::new())
    }
}

impl Reading {
    /// Takes output.
    pub(super) fn feed(&mut self, bytes: &[u8], max_head: usize, max_text: usize) {
        let Self::Under(seen) = self else {
            return;
        };
        // The empty line may begin in the bytes before.
        let from = seen.len().saturating_sub(2);
        let room = max_head.saturating_sub(seen.len());
        seen.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        if seen.len() >= max_head || ends(seen, from) {
            self.finish(max_text);
        }
    }

    /// Nothing more of it will be seen.
    pub(super) fn finish(&mut self, max_text: usize) {
        if let Self::Under(seen) = self {
            *self = Self::Done(read(seen, max_text));
        }
    }

    /// Whether there was any output.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Under(seen) if seen.is_empty())
    }

    /// What was read.
    pub(super) fn into_head(mut self, max_text: usize) -> Head {
        self.finish(max_text);
        match self {
            Self::Done(head) => head,
            Self::Under(_) => Head::default(),
        }
    }
}

/// Whether an empty line comes, at this offset or later.
fn ends(bytes: &[u8], from: usize) -> bool {
    let rest = bytes.get(from..).unwrap_or_default();
    memchr::memchr_iter(b'\n', rest).any(|at| matches!(rest.get(at + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..])))
}

/// Reads all lines that are complete. Without a status a response is one of 200, or of 302 if it says where to go.
fn read(bytes: &[u8], max_text: usize) -> Head {
    let mut head = Head::default();
    let (mut status, mut default) = (None, 200);
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let Some((name, value)) = line.strip_suffix(b"\n").and_then(field) else {
            break;
        };
        match name.to_ascii_lowercase().as_slice() {
            b"status" => {
                let (digits, reason) = value.split_at(value.len().min(3));
                status = decimal(digits).and_then(|digits| u16::try_from(digits).ok());
                head.reason = text(trim(reason), max_text);
            }
            b"location" => default = 302,
            b"content-type" => head.content_type = text(value, max_text),
            b"x-request-id" => head.x_request_id = text(value, max_text),
            _ => {}
        }
        head.code = status.or(Some(default));
    }
    head
}

fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let name = line.get(..colon)?;
    let valid = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic());
    valid.then(|| (name, trim(line.get(colon + 1..).unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let code = |bytes: &[u8]| {
            let mut reading = Reading::default();
            for byte in bytes.chunks(1) {
                reading.feed(byte, 1024, 64);
            }
            let done = matches!(reading, Reading::Done(_));
            let head = reading.into_head(64);
            (head.code, head.reason, done)
        };
        let cases: [(&[u8], Option<u16>, &str, bool); 8] = [
            (b"Content-type: text/html\r\n\r\n<p>", Some(200), "", true),
            (b"Status: 404 Not Found\r\nA: b\r\n\r\n", Some(404), "Not Found", true),
            (b"A: b\nstatus: 503\n\nStatus: 200", Some(503), "", true),
            (b"Location: /there\n\n", Some(302), "", true),
            (b"Status: 301 x\nLocation: /there\n\n", Some(301), "x", true),
            (b"Status: 500 Internal Server Error\r\nConten", Some(500), "Internal Server Error", false),
            (b"<html>\n\n", None, "", true),
            (b"", None, "", false),
        ];
        for (bytes, want, reason, done) in cases {
            assert_eq!(code(bytes), (want, reason.to_owned(), done), "{}", bytes.escape_ascii());
        }
    }
}
