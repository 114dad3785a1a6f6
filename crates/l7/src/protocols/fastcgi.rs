//! FastCGI 1.0 (<https://fastcgi-archives.github.io/FastCGI_Specification.html>), and CGI responses (RFC 3875).
//!
//! One request is what a web server hands over by `BEGIN_REQUEST`, parameters and input; its response is output, errors and
//! `END_REQUEST`. Web servers use one number for all requests of a connection, one after the other, so messages are paired
//! by a count of their own.

mod exchange;
mod gap;
mod head;
mod params;
mod parser;
mod request;
mod response;
mod session;
#[cfg(test)]
mod tests;

pub use parser::probe;
pub use session::{FastCgi, parser};
