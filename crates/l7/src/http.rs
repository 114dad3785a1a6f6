//! What HTTP means, whatever carries it: request targets and status codes (RFC 9110, RFC 9112).

use hadal_model::ResponseStatus;

use crate::contract::Options;
use crate::text::{text, truncate};

/// The parts of a request target.
pub(crate) struct Target<'a> {
    whole: &'a [u8],
    /// `http`, of a target with credentials (`http://user:password@host/`).
    hidden_after: Option<&'a [u8]>,
    /// Empty if the target has none.
    pub(crate) authority: &'a [u8],
    /// Path and query.
    pub(crate) path: &'a [u8],
}

impl<'a> Target<'a> {
    /// Origin form (`/a`), absolute form (`http://host/a`), authority form (`host:443`) and asterisk form.
    pub(crate) fn split(method: &[u8], whole: &'a [u8]) -> Self {
        if method == b"CONNECT" {
            return Self { whole, hidden_after: None, authority: whole, path: whole };
        }
        let colon = memchr::memmem::find(whole, b"://").filter(|_| !whole.starts_with(b"/"));
        let Some((scheme, rest)) = colon.and_then(|at| Some((whole.get(..at)?, whole.get(at + 3..)?))) else {
            return Self { whole, hidden_after: None, authority: b"", path: whole };
        };
        let (authority, path) = rest.split_at(memchr::memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len()));
        let at = memchr::memrchr(b'@', authority);
        Self {
            whole,
            hidden_after: at.map(|_| scheme),
            authority: at.and_then(|at| authority.get(at + 1..)).unwrap_or(authority),
            path: if path.is_empty() { b"/" } else { path },
        }
    }

    /// The target as it is recorded: never with credentials, and without the values of its query if so configured.
    pub(crate) fn resource(&self, options: &Options) -> String {
        let max = options.max_text;
        let mut resource = match self.hidden_after {
            None => text(self.whole, max),
            Some(scheme) => {
                format!("{}://{}{}", text(scheme, max), text(self.authority, max), text(self.path, max))
            }
        };
        if options.obfuscate
            && let Some((path, query)) = resource.split_once('?')
        {
            resource = hide_values(path, query);
        }
        truncate(&mut resource, max);
        resource
    }
}

/// `id=7&x=1` becomes `id=?&x=?`.
fn hide_values(path: &str, query: &str) -> String {
    let mut hidden = String::with_capacity(path.len() + 1 + query.len());
    hidden.push_str(path);
    for (index, field) in query.split('&').enumerate() {
        hidden.push(if index == 0 { '?' } else { '&' });
        match field.split_once('=') {
            Some((name, _)) => {
                hidden.push_str(name);
                hidden.push_str("=?");
            }
            // One value and no name (`?1590632942`).
            None if !field.is_empty() => hidden.push('?'),
            None => {}
        }
    }
    hidden
}

/// How a request with this status code ended.
pub(crate) fn status(code: u16) -> ResponseStatus {
    match code {
        400..=499 => ResponseStatus::ClientError,
        500..=999 => ResponseStatus::ServerError,
        _ => ResponseStatus::Ok,
    }
}
