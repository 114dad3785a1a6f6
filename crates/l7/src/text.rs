//! Bytes from the wire as bounded text.

use std::borrow::Cow;

/// At most `max` bytes of text; what is not UTF-8 becomes `U+FFFD`.
pub(crate) fn text(bytes: &[u8], max: usize) -> String {
    borrowed(bytes, max).into_owned()
}

/// The same, without a copy if it is UTF-8.
pub(crate) fn borrowed(bytes: &[u8], max: usize) -> Cow<'_, str> {
    let kept = bytes.get(..max).unwrap_or(bytes);
    match std::str::from_utf8(kept) {
        Ok(text) => Cow::Borrowed(text),
        Err(error) if error.error_len().is_none() && kept.len() < bytes.len() => {
            borrowed(kept.get(..error.valid_up_to()).unwrap_or_default(), max)
        }
        Err(_) => Cow::Owned(lossy(kept, max)),
    }
}

/// Cuts a text to at most `max` bytes, between characters.
pub(crate) fn truncate(text: &mut String, max: usize) {
    if text.len() > max {
        let end = (0..=max).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
    }
}

/// `U+FFFD` takes three bytes, so the text has to be cut once more.
fn lossy(bytes: &[u8], max: usize) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    truncate(&mut text, max);
    text
}

/// Without blanks (space, tab, CR, LF) at both ends.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

/// An unsigned decimal number, nothing else; `None` if it is none or does not fit.
pub(crate) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_valid() {
        assert_eq!(text(b"hello", 3), "hel");
        assert_eq!(text("aé".as_bytes(), 2), "a");
        assert_eq!(text(b"a\xffb", 10), "a\u{fffd}b");
        assert_eq!(text(b"\xff\xff\xff", 3), "\u{fffd}");
        assert_eq!(text(b"\xc3", 10), "\u{fffd}");
    }

    #[test]
    fn decimals() {
        let cases: [(&[u8], Option<u64>); 5] =
            [(b"", None), (b"0", Some(0)), (b"42", Some(42)), (b"4 2", None), (b"99999999999999999999", None)];
        for (bytes, want) in cases {
            assert_eq!(decimal(bytes), want);
        }
    }
}
