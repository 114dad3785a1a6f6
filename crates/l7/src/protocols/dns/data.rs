//! The data of records as text, in the way zone files have it.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::parser::{Fault, Reader, Record};
use super::types::{self, Field};

/// Appends the data of a record. What is not as its type says is shown as bytes (RFC 3597).
pub(super) fn show(message: &[u8], record: Record<'_>, max: usize, out: &mut String) {
    let start = out.len();
    // Names in the data may point backwards, so it is read in place.
    let end = record.data_at + record.data.len();
    let mut reader = Reader::new(message.get(..end).unwrap_or_default(), record.data_at);
    let fields = types::fields(record.kind);
    let shown = fields.iter().enumerate().try_for_each(|(at, &field)| {
        if at > 0 && out.len() <= start + max {
            out.push(' ');
        }
        show_field(&mut reader, field, max, out)
    });
    if fields.is_empty() || shown.is_err() {
        out.truncate(start);
        let _ = write!(out, "\\# {}", record.data.len());
        if !record.data.is_empty() {
            out.push(' ');
            hex(record.data, max, out);
        }
    }
    let shown = out.trim_end().len();
    out.truncate(shown.max(start));
}

/// The address in a record.
pub(super) fn address(record: Record<'_>) -> Option<IpAddr> {
    match record.kind {
        types::A => Some(Ipv4Addr::from(<[u8; 4]>::try_from(record.data).ok()?).into()),
        types::AAAA => Some(Ipv6Addr::from(<[u8; 16]>::try_from(record.data).ok()?).into()),
        _ => None,
    }
}

/// The serial number in the data of a SOA record.
pub(super) fn serial(message: &[u8], record: Record<'_>) -> Option<u32> {
    let mut reader = Reader::new(message, record.data_at);
    reader.name().ok()?;
    reader.name().ok()?;
    reader.long().ok()
}

fn show_field(reader: &mut Reader<'_>, field: Field, max: usize, out: &mut String) -> Result<(), Fault> {
    match field {
        Field::Byte => show_number(reader.byte()?.into(), out),
        Field::Short => show_number(reader.short()?.into(), out),
        Field::Long => show_number(reader.long()?, out),
        Field::Name => out.push_str(&reader.name()?),
        Field::Ipv4 => {
            let _ = write!(out, "{}", Ipv4Addr::from(reader.array::<4>()?));
        }
        Field::Ipv6 => {
            let _ = write!(out, "{}", Ipv6Addr::from(reader.array::<16>()?));
        }
        Field::Text => quote(counted(reader)?, max, out),
        Field::Texts => texts(reader, max, out)?,
        Field::Word => escape(counted(reader)?, max, out),
        Field::Rest => quote(reader.rest(), max, out),
        Field::Salt => match counted(reader)? {
            [] => out.push('-'),
            salt => hex(salt, max, out),
        },
        Field::Hash => base32(counted(reader)?, out),
        Field::Hex => hex(reader.rest(), max, out),
        Field::Base64 => base64(reader.rest(), max, out),
        Field::Kind => out.push_str(&types::kind_name(reader.short()?)),
        Field::Kinds => kinds(reader, max, out)?,
        Field::Parameters => parameters(reader, max, out)?,
        Field::Location => location(reader, out)?,
    }
    Ok(())
}

fn show_number(number: u32, out: &mut String) {
    let _ = write!(out, "{number}");
}

/// Bytes with their length before them.
fn counted<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Fault> {
    let length = reader.byte()?;
    reader.take(usize::from(length))
}

fn texts(reader: &mut Reader<'_>, max: usize, out: &mut String) -> Result<(), Fault> {
    let start = out.len();
    while !reader.rest().is_empty() && out.len() - start <= max {
        if out.len() > start {
            out.push(' ');
        }
        quote(counted(reader)?, max, out);
    }
    Ok(())
}

fn quote(bytes: &[u8], max: usize, out: &mut String) {
    out.push('"');
    escape(bytes, max, out);
    out.push('"');
}

/// Text stays readable where it is UTF-8; quotes and what is not printable are escaped as in zone files.
fn escape(bytes: &[u8], max: usize, out: &mut String) {
    for chunk in bytes.get(..max).unwrap_or(bytes).utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' | '\\' => out.extend(['\\', letter]),
                _ if letter.is_ascii_control() => {
                    let _ = write!(out, "\\{:03}", u32::from(letter));
                }
                _ => out.push(letter),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\{byte:03}");
        }
    }
}

fn hex(bytes: &[u8], max: usize, out: &mut String) {
    for byte in bytes.get(..max).unwrap_or(bytes) {
        let _ = write!(out, "{byte:02X}");
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";

fn base64(bytes: &[u8], max: usize, out: &mut String) {
    let bytes = bytes.get(..max).unwrap_or(bytes);
    encode(bytes, BASE64, 6, out);
    out.extend(std::iter::repeat_n('=', (3 - bytes.len() % 3) % 3));
}

fn base32(bytes: &[u8], out: &mut String) {
    encode(bytes, BASE32, 5, out);
}

/// Groups of so many bits, each as a letter of the alphabet.
fn encode(bytes: &[u8], alphabet: &[u8], width: u32, out: &mut String) {
    let letter = |group: u32| alphabet.get(group as usize & (alphabet.len() - 1)).map(|&letter| char::from(letter));
    let (mut bits, mut held) = (0u32, 0);
    for &byte in bytes {
        bits = bits << 8 & 0xffff | u32::from(byte);
        held += 8;
        while held >= width {
            held -= width;
            out.extend(letter(bits >> held));
        }
    }
    if held > 0 {
        out.extend(letter(bits << (width - held)));
    }
}

/// A bit map of types (RFC 4034 section 4.1.2).
fn kinds(reader: &mut Reader<'_>, max: usize, out: &mut String) -> Result<(), Fault> {
    let start = out.len();
    while !reader.rest().is_empty() {
        let window = reader.byte()?;
        for (at, byte) in counted(reader)?.iter().enumerate().take(32) {
            for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
                if out.len() - start > max {
                    return Ok(());
                }
                let separator = if out.len() > start { " " } else { "" };
                let kind = u16::from_be_bytes([window, at as u8 * 8 + bit]);
                let _ = write!(out, "{separator}{}", types::kind_name(kind));
            }
        }
    }
    Ok(())
}

/// Names of a service's parameters (RFC 9460 section 14.3.2).
const PARAMETERS: &[&str] =
    &["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];

fn parameter_name(key: u16, out: &mut String) {
    let _ = match PARAMETERS.get(usize::from(key)) {
        Some(name) => write!(out, "{name}"),
        None => write!(out, "key{key}"),
    };
}

fn parameters(reader: &mut Reader<'_>, max: usize, out: &mut String) -> Result<(), Fault> {
    let start = out.len();
    while !reader.rest().is_empty() && out.len() - start <= max {
        if out.len() > start {
            out.push(' ');
        }
        let (key, length) = (reader.short()?, reader.short()?);
        let value = reader.take(usize::from(length))?;
        parameter_name(key, out);
        if !value.is_empty() {
            out.push('=');
            parameter(key, value, max, out)?;
        }
    }
    Ok(())
}

fn parameter(key: u16, value: &[u8], max: usize, out: &mut String) -> Result<(), Fault> {
    let mut reader = Reader::new(value, 0);
    match key {
        5 => base64(value, max, out),
        0 | 1 | 3 | 4 | 6 => {
            let start = out.len();
            while !reader.rest().is_empty() {
                if out.len() > start {
                    out.push(',');
                }
                match key {
                    0 => parameter_name(reader.short()?, out),
                    1 => escape(counted(&mut reader)?, max, out),
                    3 => show_number(reader.short()?.into(), out),
                    4 => show_field(&mut reader, Field::Ipv4, max, out)?,
                    _ => show_field(&mut reader, Field::Ipv6, max, out)?,
                }
            }
        }
        _ => quote(value, max, out),
    }
    Ok(())
}

/// Latitude, longitude, altitude, size and precisions (RFC 1876).
fn location(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    let [version, size, horizontal, vertical] = reader.array()?;
    if version != 0 {
        return Err(Fault::Bad);
    }
    let (latitude, longitude, altitude) = (reader.long()?, reader.long()?, reader.long()?);
    angle(latitude, ['N', 'S'], out);
    out.push(' ');
    angle(longitude, ['E', 'W'], out);
    let centimetres = i64::from(altitude) - 10_000_000;
    let sign = if centimetres < 0 { "-" } else { "" };
    let _ = write!(out, " {sign}{}.{:02}m", centimetres.abs() / 100, centimetres.abs() % 100);
    for length in [size, horizontal, vertical] {
        let centimetres = u64::from(length >> 4) * 10u64.pow(u32::from(length & 0x0f).min(9));
        let _ = match centimetres % 100 {
            0 => write!(out, " {}m", centimetres / 100),
            rest => write!(out, " {}.{rest:02}m", centimetres / 100),
        };
    }
    Ok(())
}

/// Thousandths of a second of arc, counted from 2^31, as degrees, minutes and seconds.
fn angle(value: u32, [positive, negative]: [char; 2], out: &mut String) {
    let from_zero = i64::from(value) - (1 << 31);
    let side = if from_zero < 0 { negative } else { positive };
    let rest = from_zero.abs();
    let (degrees, minutes, seconds, thousandths) =
        (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
    let _ = write!(out, "{degrees} {minutes} {seconds}.{thousandths:03} {side}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: u16, data: &[u8], want: &str) {
        let message = [b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01a\x04test\x00", data].concat();
        let record = Record { name_at: 12, kind, class: 1, ttl: 0, data, data_at: message.len() - data.len() };
        let mut got = String::new();
        show(&message, record, 100, &mut got);
        assert_eq!(got, want);
        for end in 0..data.len() {
            let mut text = String::new();
            let cut = Record { data: &data[..end], ..record };
            show(&message[..message.len() - data.len() + end], cut, 100, &mut text);
        }
    }

    #[test]
    fn data_of_all_shapes() {
        check(1, &[192, 0, 2, 7], "192.0.2.7");
        check(1, &[192, 0, 2], r"\# 3 C00002");
        check(28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "2001:db8::1");
        check(2, b"\xc0\x0c", "a.test");
        check(
            6,
            b"\x02ns\xc0\x0e\xc0\x0c\0\0\0\x07\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04",
            "ns.test a.test 7 1 2 3 4",
        );
        check(15, b"\0\x0a\xc0\x0c", "10 a.test");
        check(16, b"\x05hello\x03a\"\xff\x00", r#""hello" "a\"\255" """#);
        check(16, b"", "");
        check(16, &[&b"\xf0"[..], &[b'x'; 240]].concat(), &format!("\"{}\"", "x".repeat(100)));
        check(
            29,
            b"\0\x12\x16\x13\x8b\x0d\x2c\x8c\x7f\xf8\xfc\xa5\0\x98\x8d\x18",
            "51 30 12.748 N 0 7 39.611 W -24.08m 1m 10000m 10m",
        );
        check(33, b"\0\x01\0\x02\x01\xbb\xc0\x0c", "1 2 443 a.test");
        check(35, b"\0\x01\0\x02\x01s\x07SIP+D2U\0\xc0\x0c", r#"1 2 "s" "SIP+D2U" "" a.test"#);
        check(43, b"\x30\x39\x0d\x02\xab\xcd", "12345 13 2 ABCD");
        check(
            47,
            b"\xc0\x0c\0\x07\x62\x01\x80\x08\x00\x03\x80\x01\x01\x40",
            "a.test A NS SOA MX TXT AAAA RRSIG NSEC DNSKEY CAA",
        );
        check(48, b"\x01\x01\x03\x0dabcd", "257 3 13 YWJjZA==");
        check(50, b"\x01\0\0\x0a\0\x05\x01\x02\x03\x04\x05\0\x01\x40", "1 0 10 - 04106105 A");
        check(51, b"\x01\0\0\x0a\x02\xab\xcd", "1 0 10 ABCD");
        check(64, b"\0\0\xc0\x0c", "0 a.test");
        check(
            65,
            b"\0\x01\0\0\x01\0\x06\x02h3\x02h2\0\x03\0\x02\x20\xfb\0\x04\0\x08\xc0\0\x02\x01\xc0\0\x02\x02\x02\x9a\0\x01x",
            r#"1 . alpn=h3,h2 port=8443 ipv4hint=192.0.2.1,192.0.2.2 key666="x""#,
        );
        check(256, b"\0\x01\0\x02https://a/", r#"1 2 "https://a/""#);
        check(257, b"\0\x05issueca.test", r#"0 issue "ca.test""#);
        check(65280, b"\x01\x02", r"\# 2 0102");
        check(65280, b"", r"\# 0");
    }
}
