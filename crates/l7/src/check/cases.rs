//! Dialogues and the messages expected of them, as text.
//!
//! ```text
//! ## a name
//! ! options separated by blanks: plain (obfuscate off), whole (not fed in pieces), max_text=N, max_head=N,
//! !   datagrams (each line of bytes is one; a gap behind it is the rest of it)
//! # a comment
//! > bytes to the server, with the escapes \r \n \t \\ \xNN
//! < bytes to the client
//! >+N  <+N  N bytes that were not captured
//! >.   <.   the end of that direction
//! ~    silence
//! = an expected message, or `lost N`
//! ```
//!
//! With the environment variable `UPDATE_EXPECT` set, the expected messages are written anew.

use std::fmt::Write as _;
use std::path::Path;

use hadal_model::{Direction, ResponseStatus};

use super::{Outcome, Step, drive_over};
use crate::contract::{Half, Message, Options, Pairing, Parser, Transport};

/// Makes the parser of a case.
pub type NewParser = fn(Options, Transport) -> Box<dyn Parser>;

/// One dialogue.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Options of the parser.
    pub options: Options,
    /// What carries it.
    pub transport: Transport,
    /// What happens.
    pub steps: Vec<Step>,
    whole: bool,
    head: String,
    want: String,
}

/// Runs all cases of a folder.
///
/// # Panics
/// If a parser breaks the contract, gives other messages than expected, or other messages when the bytes come in other
/// pieces.
pub fn check_folder(folder: &str, parser: NewParser) {
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("no folder of cases").flatten().collect();
    files.sort_by_key(|file| file.path());
    assert!(!files.is_empty(), "no cases in {folder}");
    for file in files {
        check_file(&file.path(), parser);
    }
}

fn check_file(path: &Path, parser: NewParser) {
    let text = std::fs::read_to_string(path).expect("a file of cases cannot be read");
    let (mut cases, mut failed, mut anew) = (0, String::new(), String::new());
    for case in parse(&text) {
        cases += 1;
        let got = render(&run(&case, &case.steps, parser));
        if got != case.want {
            let _ = writeln!(failed, "## {}\nwant\n{}got\n{got}", case.name, case.want);
        }
        let _ = writeln!(anew, "{}{got}", case.head);
        pieces(&case, parser);
        prefixes(&case, parser);
    }
    assert!(cases > 0, "no case in {}", path.display());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, format!("{}\n", anew.trim_end())).expect("a file of cases cannot be written");
    } else {
        assert!(failed.is_empty(), "{}:\n{failed}", path.display());
    }
}

/// Any two pieces, and single bytes, give the same messages (and where a parser got lost, it may do so more often).
fn pieces(case: &Case, parser: NewParser) {
    if case.whole || case.transport == Transport::Datagram {
        return;
    }
    let messages = |steps: &[Step]| render(&Outcome { lost: 0, ..run(case, steps, parser) });
    let want = messages(&case.steps);
    let bytes = case.steps.iter().enumerate().filter_map(|(index, step)| match step {
        Step::Bytes(direction, bytes) => Some((index, *direction, bytes)),
        _ => None,
    });
    for (index, direction, bytes) in bytes.clone() {
        for at in 1..bytes.len() {
            let mut steps = case.steps.clone();
            let pieces = [&bytes[..at], &bytes[at..]].map(|piece| Step::Bytes(direction, piece.to_vec()));
            steps.splice(index..=index, pieces);
            assert_eq!(messages(&steps), want, "{}: step {index} split at {at}", case.name);
        }
    }
    let singly = |step: &Step| match step {
        Step::Bytes(direction, bytes) => bytes.iter().map(|&byte| Step::Bytes(*direction, vec![byte])).collect(),
        other => vec![other.clone()],
    };
    let steps: Vec<_> = case.steps.iter().flat_map(singly).collect();
    assert_eq!(messages(&steps), want, "{}: byte by byte", case.name);
}

/// Each prefix of the dialogue keeps the contract, whatever ends it.
fn prefixes(case: &Case, parser: NewParser) {
    for (index, step) in case.steps.iter().enumerate() {
        let Step::Bytes(direction, bytes) = step else {
            continue;
        };
        for at in 0..bytes.len() {
            for end in [Step::Close(*direction), Step::Gap(*direction, 7), Step::Settle] {
                let mut steps = case.steps[..index].to_vec();
                steps.extend([Step::Bytes(*direction, bytes[..at].to_vec()), end]);
                steps.extend(case.steps[index + 1..].iter().cloned());
                run(case, &steps, parser);
            }
        }
    }
}

fn run(case: &Case, steps: &[Step], parser: NewParser) -> Outcome {
    drive_over(case.transport, &mut *parser(case.options, case.transport), &case.options, steps)
}

/// The cases of a file.
pub fn parse(text: &str) -> impl Iterator<Item = Case> + '_ {
    text.split("\n## ")
        .map(|case| case.strip_prefix("## ").unwrap_or(case))
        .filter(|case| !case.trim().is_empty())
        .map(parse_case)
}

fn parse_case(text: &str) -> Case {
    let (name, rest) = text.split_once('\n').unwrap_or((text, ""));
    let mut case = Case {
        name: name.to_owned(),
        options: Options::default(),
        transport: Transport::Stream,
        steps: Vec::new(),
        whole: false,
        head: format!("## {name}\n"),
        want: String::new(),
    };
    for line in rest.lines() {
        match line.strip_prefix("= ") {
            Some(_) => {
                let _ = writeln!(case.want, "{line}");
            }
            None if line.trim().is_empty() => {}
            None => {
                let _ = writeln!(case.head, "{line}");
                parse_line(line, &mut case);
            }
        }
    }
    case
}

fn parse_line(line: &str, case: &mut Case) {
    let (mark, rest) = line.split_at_checked(1).unwrap_or((line, ""));
    let direction = if mark == ">" { Direction::ToServer } else { Direction::ToClient };
    match mark {
        "#" => {}
        "!" => rest.split_whitespace().for_each(|word| parse_option(word, case)),
        "~" => case.steps.push(Step::Settle),
        ">" | "<" => case.steps.push(match rest.split_at_checked(1) {
            Some((".", _)) => Step::Close(direction),
            Some(("+", length)) => Step::Gap(direction, length.trim().parse().expect("a gap is a number")),
            Some((" ", bytes)) => Step::Bytes(direction, unescape(bytes)),
            _ => panic!("{}: what is `{line}`?", case.name),
        }),
        _ => panic!("{}: what is `{line}`?", case.name),
    }
}

fn parse_option(word: &str, case: &mut Case) {
    let number = |text: &str| text.parse().expect("an option's value is a number");
    match word.split_once('=') {
        Some(("max_text", value)) => case.options.max_text = number(value),
        Some(("max_head", value)) => case.options.max_head = number(value),
        None if word == "plain" => case.options.obfuscate = false,
        None if word == "whole" => case.whole = true,
        None if word == "datagrams" => case.transport = Transport::Datagram,
        _ => panic!("{}: unknown option {word}", case.name),
    }
}

/// The bytes that a text with escapes stands for.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let digits: String = rest.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&digits, 16).expect("\\x takes two hexadecimal digits")
                }
                other => other.expect("a backslash at the end of a line"),
            },
            other => other,
        });
    }
    bytes
}

fn render(outcome: &Outcome) -> String {
    let mut text = String::new();
    for message in &outcome.messages {
        let _ = writeln!(text, "= {}", line(message));
    }
    if outcome.lost > 0 {
        let _ = writeln!(text, "= lost {}", outcome.lost);
    }
    text
}

/// A message as one line: what is not empty.
pub fn line(message: &Message) -> String {
    let mut line = String::from(if message.half == Half::Request { "request" } else { "response" });
    let _ = write!(line, " {}..{}", message.first.seq, message.last.seq);
    match message.pairing {
        Pairing::Order => {}
        Pairing::Id(id) => {
            let _ = write!(line, " pairs={id}");
        }
        Pairing::OneWay => line.push_str(" one-way"),
    }
    for (flag, set) in [("blocking", message.blocking), ("truncated", message.truncated)] {
        if set {
            let _ = write!(line, " {flag}");
        }
    }
    if message.status != ResponseStatus::Unknown {
        let _ = write!(line, " {}", message.status);
    }
    let numbers = [("code", message.response_code.map(i64::from)), ("id", message.request_id.map(u64::cast_signed))];
    for (name, number) in numbers {
        if let Some(number) = number {
            let _ = write!(line, " {name}={number}");
        }
    }
    let texts = [
        ("version", message.version),
        ("type", &message.request_type),
        ("domain", &message.request_domain),
        ("resource", &message.request_resource),
        ("endpoint", &message.endpoint),
        ("exception", &message.response_exception),
        ("result", &message.response_result),
        ("x_request_id", &message.x_request_id),
        ("trace", &message.trace_id),
        ("span", &message.span_id),
    ];
    let names: Vec<_> = message.names.iter().map(|(name, address)| format!("{name}={address}")).collect();
    let names = names.join(" ");
    let attributes = message.attributes.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in
        texts.into_iter().chain(attributes).chain([("names", &*names)]).filter(|(_, value)| !value.is_empty())
    {
        let quoted = value.contains([' ', '"']) || value.chars().any(char::is_control);
        let _ = if quoted { write!(line, " {name}={value:?}") } else { write!(line, " {name}={value}") };
    }
    line
}
