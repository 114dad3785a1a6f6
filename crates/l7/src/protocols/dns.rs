//! Domain Name System (RFC 1035, EDNS of RFC 6891) over datagrams and streams, and its relatives on the local network,
//! mDNS (RFC 6762) and LLMNR (RFC 4795).

mod contents;
mod data;
mod message;
mod name;
mod parser;
mod probe;
mod session;
#[cfg(test)]
mod tests;
mod transfer;
mod types;

pub use probe::probe;
pub use session::{Dns, parser};
