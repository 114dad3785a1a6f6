//! Names of types, classes and codes, and what the data of each type is made of
//! (<https://www.iana.org/assignments/dns-parameters/>).

use std::borrow::Cow;

/// A part of a record's data, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A number of one byte.
    Byte,
    /// A number of two bytes.
    Short,
    /// A number of four bytes.
    Long,
    /// A name.
    Name,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A string with its length before it.
    Text,
    /// Such strings to the end.
    Texts,
    /// A word with its length before it, without quotes.
    Word,
    /// A string to the end.
    Rest,
    /// Bytes with their length before them, hexadecimal, `-` if there are none.
    Salt,
    /// Bytes with their length before them, in base 32 (RFC 4648 with extended hex).
    Hash,
    /// Bytes to the end, hexadecimal.
    Hex,
    /// Bytes to the end, in base 64.
    Base64,
    /// A type.
    Kind,
    /// A bit map of types to the end.
    Kinds,
    /// Parameters of a service to the end (RFC 9460).
    Parameters,
    /// A place on Earth (RFC 1876).
    Location,
}

/// A type of records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    code: u16,
    name: &'static str,
    fields: &'static [Field],
}

const fn kind(code: u16, name: &'static str, fields: &'static [Field]) -> Kind {
    Kind { code, name, fields }
}

pub(super) const A: u16 = 1;
pub(super) const CNAME: u16 = 5;
pub(super) const SOA: u16 = 6;
pub(super) const AAAA: u16 = 28;
pub(super) const NIMLOC: u16 = 32;
pub(super) const SRV: u16 = 33;
pub(super) const OPT: u16 = 41;
pub(super) const IXFR: u16 = 251;
pub(super) const AXFR: u16 = 252;

use Field::*;

/// All types with a name, by code. Those without fields are shown as unknown ones are.
const KINDS: &[Kind] = &[
    kind(1, "A", &[Ipv4]),
    kind(2, "NS", &[Name]),
    kind(3, "MD", &[Name]),
    kind(4, "MF", &[Name]),
    kind(5, "CNAME", &[Name]),
    kind(6, "SOA", &[Name, Name, Long, Long, Long, Long, Long]),
    kind(7, "MB", &[Name]),
    kind(8, "MG", &[Name]),
    kind(9, "MR", &[Name]),
    kind(10, "NULL", &[]),
    kind(11, "WKS", &[]),
    kind(12, "PTR", &[Name]),
    kind(13, "HINFO", &[Text, Text]),
    kind(14, "MINFO", &[Name, Name]),
    kind(15, "MX", &[Short, Name]),
    kind(16, "TXT", &[Texts]),
    kind(17, "RP", &[Name, Name]),
    kind(18, "AFSDB", &[Short, Name]),
    kind(19, "X25", &[Text]),
    kind(20, "ISDN", &[Texts]),
    kind(21, "RT", &[Short, Name]),
    kind(22, "NSAP", &[]),
    kind(23, "NSAP-PTR", &[Name]),
    kind(24, "SIG", &[Field::Kind, Byte, Byte, Long, Long, Long, Short, Name, Base64]),
    kind(25, "KEY", &[Short, Byte, Byte, Base64]),
    kind(26, "PX", &[Short, Name, Name]),
    kind(27, "GPOS", &[Text, Text, Text]),
    kind(28, "AAAA", &[Ipv6]),
    kind(29, "LOC", &[Location]),
    kind(30, "NXT", &[]),
    kind(31, "EID", &[]),
    kind(32, "NIMLOC", &[]),
    kind(33, "SRV", &[Short, Short, Short, Name]),
    kind(34, "ATMA", &[]),
    kind(35, "NAPTR", &[Short, Short, Text, Text, Text, Name]),
    kind(36, "KX", &[Short, Name]),
    kind(37, "CERT", &[Short, Short, Byte, Base64]),
    kind(38, "A6", &[]),
    kind(39, "DNAME", &[Name]),
    kind(40, "SINK", &[]),
    kind(41, "OPT", &[]),
    kind(42, "APL", &[]),
    kind(43, "DS", &[Short, Byte, Byte, Hex]),
    kind(44, "SSHFP", &[Byte, Byte, Hex]),
    kind(45, "IPSECKEY", &[]),
    kind(46, "RRSIG", &[Field::Kind, Byte, Byte, Long, Long, Long, Short, Name, Base64]),
    kind(47, "NSEC", &[Name, Kinds]),
    kind(48, "DNSKEY", &[Short, Byte, Byte, Base64]),
    kind(49, "DHCID", &[Base64]),
    kind(50, "NSEC3", &[Byte, Byte, Short, Salt, Hash, Kinds]),
    kind(51, "NSEC3PARAM", &[Byte, Byte, Short, Salt]),
    kind(52, "TLSA", &[Byte, Byte, Byte, Hex]),
    kind(53, "SMIMEA", &[Byte, Byte, Byte, Hex]),
    kind(55, "HIP", &[]),
    kind(56, "NINFO", &[Texts]),
    kind(57, "RKEY", &[Short, Byte, Byte, Base64]),
    kind(58, "TALINK", &[Name, Name]),
    kind(59, "CDS", &[Short, Byte, Byte, Hex]),
    kind(60, "CDNSKEY", &[Short, Byte, Byte, Base64]),
    kind(61, "OPENPGPKEY", &[Base64]),
    kind(62, "CSYNC", &[Long, Short, Kinds]),
    kind(63, "ZONEMD", &[Long, Byte, Byte, Hex]),
    kind(64, "SVCB", &[Short, Name, Parameters]),
    kind(65, "HTTPS", &[Short, Name, Parameters]),
    kind(66, "DSYNC", &[Field::Kind, Byte, Short, Name]),
    kind(99, "SPF", &[Texts]),
    kind(100, "UINFO", &[]),
    kind(101, "UID", &[]),
    kind(102, "GID", &[]),
    kind(103, "UNSPEC", &[]),
    kind(104, "NID", &[]),
    kind(105, "L32", &[Short, Ipv4]),
    kind(106, "L64", &[]),
    kind(107, "LP", &[Short, Name]),
    kind(108, "EUI48", &[Hex]),
    kind(109, "EUI64", &[Hex]),
    kind(128, "NXNAME", &[]),
    kind(249, "TKEY", &[]),
    kind(250, "TSIG", &[]),
    kind(251, "IXFR", &[]),
    kind(252, "AXFR", &[]),
    kind(253, "MAILB", &[]),
    kind(254, "MAILA", &[]),
    kind(255, "ANY", &[]),
    kind(256, "URI", &[Short, Short, Rest]),
    kind(257, "CAA", &[Byte, Word, Rest]),
    kind(258, "AVC", &[Texts]),
    kind(259, "DOA", &[]),
    kind(260, "AMTRELAY", &[]),
    kind(261, "RESINFO", &[Texts]),
    kind(262, "WALLET", &[Texts]),
    kind(32768, "TA", &[Short, Byte, Byte, Hex]),
    kind(32769, "DLV", &[Short, Byte, Byte, Hex]),
];

fn find(code: u16) -> Option<&'static Kind> {
    let at = KINDS.binary_search_by_key(&code, |kind| kind.code).ok()?;
    KINDS.get(at)
}

/// The name of a type; `TYPE1234` if it has none (RFC 3597).
pub(super) fn kind_name(code: u16) -> Cow<'static, str> {
    match find(code) {
        Some(kind) => Cow::Borrowed(kind.name),
        None => Cow::Owned(format!("TYPE{code}")),
    }
}

/// What the data of this type is made of; nothing if it is not known.
pub(super) fn fields(code: u16) -> &'static [Field] {
    find(code).map_or(&[], |kind| kind.fields)
}

/// Whether a class exists (of questions and records; RFC 1035, 2136).
pub(super) fn is_class(class: u16) -> bool {
    matches!(class, 1 | 3 | 4 | 254 | 255)
}

/// The name of a class; `CLASS1234` if it has none (RFC 3597).
pub(super) fn class_name(class: u16) -> Cow<'static, str> {
    match class {
        1 => "IN".into(),
        3 => "CH".into(),
        4 => "HS".into(),
        254 => "NONE".into(),
        255 => "ANY".into(),
        _ => format!("CLASS{class}").into(),
    }
}

const CODES: &[&str] = &[
    "NOERROR",
    "FORMERR",
    "SERVFAIL",
    "NXDOMAIN",
    "NOTIMP",
    "REFUSED",
    "YXDOMAIN",
    "YXRRSET",
    "NXRRSET",
    "NOTAUTH",
    "NOTZONE",
    "DSOTYPENI",
];

/// Codes from 16 on, which need EDNS.
const EXTENDED_CODES: &[&str] =
    &["BADVERS", "BADKEY", "BADTIME", "BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE"];

/// The name of a response code, as `dig` writes it.
pub(super) fn code_name(code: u16) -> Cow<'static, str> {
    let code_at = usize::from(code);
    let extended = || code_at.checked_sub(16).and_then(|at| EXTENDED_CODES.get(at));
    match CODES.get(code_at).or_else(extended) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("RCODE{code}")),
    }
}

/// Extended errors by code (RFC 8914).
const ERRORS: &[&str] = &[
    "Other Error",
    "Unsupported DNSKEY Algorithm",
    "Unsupported DS Digest Type",
    "Stale Answer",
    "Forged Answer",
    "DNSSEC Indeterminate",
    "DNSSEC Bogus",
    "Signature Expired",
    "Signature Not Yet Valid",
    "DNSKEY Missing",
    "RRSIGs Missing",
    "No Zone Key Bit Set",
    "NSEC Missing",
    "Cached Error",
    "Not Ready",
    "Blocked",
    "Censored",
    "Filtered",
    "Prohibited",
    "Stale NXDOMAIN Answer",
    "Not Authoritative",
    "Not Supported",
    "No Reachable Authority",
    "Network Error",
    "Invalid Data",
];

/// What an extended error means.
pub(super) fn error_name(code: u16) -> Cow<'static, str> {
    match ERRORS.get(usize::from(code)) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("EDE{code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(KINDS.is_sorted_by(|a, b| a.code < b.code));
        let kinds = [(A, "A"), (SRV, "SRV"), (65, "HTTPS"), (IXFR, "IXFR"), (65280, "TYPE65280")];
        assert!(kinds.iter().all(|&(code, name)| kind_name(code) == name));
        let codes =
            [(0, "NOERROR"), (3, "NXDOMAIN"), (11, "DSOTYPENI"), (12, "RCODE12"), (16, "BADVERS"), (23, "BADCOOKIE")];
        assert!(codes.iter().all(|&(code, name)| code_name(code) == name));
    }
}
