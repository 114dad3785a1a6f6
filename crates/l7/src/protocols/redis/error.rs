//! What the error codes of Redis mean.
//!
//! The first word of an error is its code. `ERR` and the codes not listed are the client's fault: they come from wrong
//! commands and from scripts. Redirections of a cluster are part of its normal work, so they count as ok and are kept
//! as the result.

use hadal_model::ResponseStatus;

/// Codes that tell of the server's state and not of the command.
const SERVER: &[&str] = &[
    "BUSY",
    "CLUSTERDOWN",
    "INPROG",
    "IOERR",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOGOODSLAVE",
    "NOMASTERLINK",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNKNOWN",
    "UNBLOCKED",
];

/// Codes that send the client elsewhere.
const REDIRECTIONS: &[&str] = &["ASK", "MOVED"];

/// Texts of `ERR` that tell of the server's state.
const SERVER_TEXTS: &[&str] = &["ERR max number of clients", "ERR BUSY", "ERR Proxy error", "ERR internal"];

/// Codes by which a connection is recognised; `ERR` is shared with other protocols.
const SPECIFIC: &[&str] = &[
    "WRONGTYPE",
    "NOAUTH",
    "WRONGPASS",
    "NOPERM",
    "EXECABORT",
    "NOSCRIPT",
    "BUSYGROUP",
    "BUSYKEY",
    "NOGROUP",
    "CROSSSLOT",
    "NOPROTO",
];

/// The status that an error stands for.
pub(super) fn status(error: &str) -> ResponseStatus {
    let code = code(error);
    if REDIRECTIONS.contains(&code) {
        ResponseStatus::Ok
    } else if SERVER.contains(&code) || SERVER_TEXTS.iter().any(|text| error.starts_with(text)) {
        ResponseStatus::ServerError
    } else {
        ResponseStatus::ClientError
    }
}

/// Whether only Redis has this error.
pub(super) fn is_specific(error: &[u8]) -> bool {
    let error = std::str::from_utf8(error).unwrap_or_default();
    [SERVER, REDIRECTIONS, SPECIFIC].iter().any(|codes| codes.contains(&code(error)))
}

fn code(error: &str) -> &str {
    error.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let cases = [
            ("ERR unknown command 'x'", ResponseStatus::ClientError),
            ("ERR max number of clients reached", ResponseStatus::ServerError),
            ("WRONGTYPE Operation against a key", ResponseStatus::ClientError),
            ("NOAUTH Authentication required.", ResponseStatus::ClientError),
            ("EXECABORT Transaction discarded", ResponseStatus::ClientError),
            ("OOM command not allowed", ResponseStatus::ServerError),
            ("READONLY You can't write", ResponseStatus::ServerError),
            ("MOVED 3999 127.0.0.1:6381", ResponseStatus::Ok),
            ("MYSCRIPT failed", ResponseStatus::ClientError),
            ("", ResponseStatus::ClientError),
        ];
        for (error, want) in cases {
            assert_eq!(status(error), want, "{error}");
        }
    }
}
