//! The protocols that inference tries, in this order. One line here is the registration of a protocol's parser.

use hadal_model::{Direction, L7Protocol};

use crate::contract::{Options, Parser, Probe, Transport};
use crate::protocols::{dns, fastcgi, http1, postgresql, redis};

/// What a probe looks at: the first bytes of a message, perhaps.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Their direction, if the roles of the two ends are known.
    pub direction: Option<Direction>,
    /// What they came in. Of [`Transport::Datagram`] they are one datagram from its first byte.
    pub transport: Transport,
    /// Bytes of the datagram that were not captured; 0 of a stream.
    pub missing: u32,
}

impl<'a> Sample<'a> {
    /// Bytes of a stream.
    pub const fn stream(bytes: &'a [u8], direction: Option<Direction>) -> Self {
        Self { bytes, direction, transport: Transport::Stream, missing: 0 }
    }

    /// A whole datagram.
    pub const fn datagram(bytes: &'a [u8], direction: Option<Direction>) -> Self {
        Self { bytes, direction, transport: Transport::Datagram, missing: 0 }
    }
}

/// How a protocol is recognised and parsed.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Its name.
    pub protocol: L7Protocol,
    /// What carries it; samples of anything else are not shown to the probe.
    pub transports: &'static [Transport],
    /// Whether these bytes start a message of it.
    pub probe: fn(Sample<'_>) -> Probe,
    /// A parser for a new connection.
    pub parser: fn(Options, Transport) -> Box<dyn Parser>,
}

const STREAM: &[Transport] = &[Transport::Stream];
const BOTH: &[Transport] = &[Transport::Stream, Transport::Datagram];

/// All protocols; those with the most specific probes come first, for the first `Yes` decides.
pub static PROTOCOLS: &[Protocol] = &[
    Protocol { protocol: L7Protocol::Http1, transports: STREAM, probe: http1::probe, parser: http1::parser },
    Protocol { protocol: L7Protocol::FastCgi, transports: STREAM, probe: fastcgi::probe, parser: fastcgi::parser },
    Protocol { protocol: L7Protocol::Redis, transports: STREAM, probe: redis::probe, parser: redis::parser },
    Protocol { protocol: L7Protocol::Dns, transports: BOTH, probe: dns::probe, parser: dns::parser },
    Protocol {
        protocol: L7Protocol::PostgreSql,
        transports: STREAM,
        probe: postgresql::probe,
        parser: postgresql::parser,
    },
];
