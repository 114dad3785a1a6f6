//! The protocols that inference tries, in this order. One line here is the registration of a protocol's parser.

use hadal_model::{Direction, L7Protocol};

use crate::contract::{Options, Parser, Probe};
use crate::protocols::{http1, postgresql, redis};

/// What a probe looks at: the first bytes of a message, perhaps.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Their direction, if the roles of the two ends are known.
    pub direction: Option<Direction>,
}

/// How a protocol is recognised and parsed.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Its name.
    pub protocol: L7Protocol,
    /// Whether these bytes start a message of it.
    pub probe: fn(Sample<'_>) -> Probe,
    /// A parser for a new connection.
    pub parser: fn(Options) -> Box<dyn Parser>,
}

/// All protocols; those with the most specific probes come first, for the first `Yes` decides.
pub static PROTOCOLS: &[Protocol] = &[
    Protocol { protocol: L7Protocol::Http1, probe: http1::probe, parser: http1::parser },
    Protocol { protocol: L7Protocol::Redis, probe: redis::probe, parser: redis::parser },
    Protocol { protocol: L7Protocol::PostgreSql, probe: postgresql::probe, parser: postgresql::parser },
];
