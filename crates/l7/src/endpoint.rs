//! Endpoints: paths with their variable segments replaced by `{}`, so that a service has few of them.

/// Longest endpoint kept, in bytes; the rest is cut.
pub const MAX_LENGTH: usize = 256;

/// Most segments kept; what is deeper becomes one `*`.
pub const MAX_DEPTH: usize = 10;

/// Shortest run of hexadecimal digits taken for an id.
const MIN_HEX: usize = 8;

/// Shortest token of letters and digits taken for an id.
const MIN_TOKEN: usize = 16;

/// The endpoint of a path: `/cart/7/items?x=1` becomes `/cart/{}/items`.
pub fn cluster(path: &str) -> String {
    let path = until(path, |byte| matches!(byte, b'?' | b'#'));
    let mut endpoint = String::with_capacity(path.len().min(MAX_LENGTH));
    for (depth, segment) in path.split('/').enumerate() {
        if depth > 0 {
            endpoint.push('/');
        }
        if depth > MAX_DEPTH {
            endpoint.push('*');
            break;
        }
        // Path parameters (`;jsessionid=…`) identify a session and not an endpoint.
        let segment = until(segment, |byte| byte == b';');
        endpoint.push_str(if is_variable(segment) { "{}" } else { segment });
    }
    crate::text::truncate(&mut endpoint, MAX_LENGTH);
    endpoint
}

/// What is before the first such byte, an ASCII one.
fn until(text: &str, ends: impl Fn(u8) -> bool) -> &str {
    let end = text.bytes().position(ends);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Whether a path segment looks like an id and not like a name.
pub fn is_variable(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    digits > 0 && (is_number(bytes) || is_hex(bytes) || is_token(bytes, digits))
}

/// Numbers, dates and ranges: digits and what separates them.
fn is_number(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b':' | b','))
}

/// Hashes and UUIDs. The caller has seen a digit, without which `deadbeef` might be a word.
fn is_hex(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"0x").unwrap_or(bytes);
    let uuid = bytes.len() == 36 && [8, 13, 18, 23].iter().all(|&at| bytes.get(at) == Some(&b'-'));
    let hex = |byte: &u8| byte.is_ascii_hexdigit() || (uuid && *byte == b'-');
    bytes.len() >= MIN_HEX && bytes.iter().all(hex)
}

/// Long tokens that alternate between letters and digits as names do not (`page-2-of-the-manual` is a name).
fn is_token(bytes: &[u8], digits: usize) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphabetic();
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=' | b'.' | b'~');
    let changes = bytes.windows(2).filter(|pair| match pair {
        [a, b] => (letter(a) && b.is_ascii_digit()) || (a.is_ascii_digit() && letter(b)),
        _ => false,
    });
    bytes.len() >= MIN_TOKEN
        && bytes.iter().all(token)
        && bytes.iter().any(letter)
        && (digits >= 6 || changes.count() >= 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters() {
        let cases = [
            ("/", "/"),
            ("", ""),
            ("*", "*"),
            ("/cart/7/items", "/cart/{}/items"),
            ("/cart/7/items?id=9#top", "/cart/{}/items"),
            ("/a//b/", "/a//b/"),
            ("/v1/users/-12", "/v1/users/{}"),
            ("/u/550e8400-e29b-41d4-a716-446655440000/x", "/u/{}/x"),
            ("/h/deadbeef/feedface1", "/h/deadbeef/{}"),
            ("/day/2026-01-31", "/day/{}"),
            ("/t/eyJhbGciOiJIUzI1NiIsInR5cCI6", "/t/{}"),
            ("/docs/page-2-of-the-manual", "/docs/page-2-of-the-manual"),
            ("/s;jsessionid=1A2B/next", "/s/next"),
            ("/0x52908400098527886E0F7030069857D2E4169EE7", "/{}"),
            ("/a/b/c/d/e/f/g/h/i/j/k/l", "/a/b/c/d/e/f/g/h/i/j/*"),
            ("/größe/1", "/größe/{}"),
        ];
        for (path, want) in cases {
            assert_eq!(cluster(path), want, "{path}");
        }
        assert!(cluster(&format!("/{}", "é".repeat(1000))).len() <= MAX_LENGTH);
    }
}
