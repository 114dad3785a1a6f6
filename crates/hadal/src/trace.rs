//! `hadal trace`.

use std::collections::HashMap;
use std::fmt::Write as _;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::TraceOptions;

#[derive(Debug, Deserialize)]
struct Answer {
    /// What took the time; older servers do not say.
    #[serde(default)]
    sentence: String,
    spans: Vec<Span>,
    truncated: bool,
}

#[derive(Debug, Deserialize)]
struct Span {
    id: String,
    parent_id: Option<String>,
    evidence: Option<String>,
    confidence: Option<f64>,
    call: u32,
    self_us: u64,
    network_us: Option<u64>,
    row: Row,
}

#[derive(Debug, Deserialize)]
struct Row {
    client: String,
    server: String,
    #[serde(rename = "l7_protocol_str")]
    protocol: String,
    request_type: String,
    endpoint: String,
    response_status: String,
    response_duration_us: Option<u64>,
}

/// Asks the server and prints what took the time, and the tree.
pub(crate) fn run(options: &TraceOptions) -> anyhow::Result<()> {
    let text = ask(&options.url, &options.id)?;
    if options.json {
        println!("{text}");
        return Ok(());
    }
    let answer: Answer = serde_json::from_str(&text).context("the answer is not a trace")?;
    print!("{}", render(&answer, &options.id));
    Ok(())
}

fn ask(server: &str, id: &str) -> anyhow::Result<String> {
    if id.parse::<u64>().is_err() {
        bail!("the id of a request is a number: `_id` of a row of l7_flow_log");
    }
    let url = format!("{}/v1/trace/{id}", server.trim_end_matches('/'));
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let mut response = agent.get(&url).call().with_context(|| {
        format!("no server answers at {server}: start it with `hadal up`, or name another one with --url")
    })?;
    let text =
        response.body_mut().with_config().limit(1 << 28).read_to_string().context("the answer does not arrive")?;
    if response.status() != 200 {
        let why = serde_json::from_str::<Value>(&text).ok();
        let why = why.as_ref().and_then(|answer| answer["error"]["message"].as_str());
        bail!("{}", why.unwrap_or(&format!("{url} is not a Hadal server")));
    }
    Ok(text)
}

/// The rows of one call, in path order.
type Call<'a> = Vec<&'a Span>;

/// One line per call, under the call that caused it.
fn render(answer: &Answer, wanted: &str) -> String {
    let call_of: HashMap<&str, u32> = answer.spans.iter().map(|span| (span.id.as_str(), span.call)).collect();
    let mut calls: Vec<Call<'_>> = Vec::new();
    let mut places: HashMap<u32, usize> = HashMap::new();
    for span in &answer.spans {
        let place = *places.entry(span.call).or_insert_with(|| {
            calls.push(Vec::new());
            calls.len() - 1
        });
        calls[place].push(span);
    }
    let parent = |call: &Call<'_>| call[0].parent_id.as_deref().and_then(|id| call_of.get(id)).map(|call| places[call]);
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); calls.len()];
    let mut roots = Vec::new();
    for (place, call) in calls.iter().enumerate() {
        match parent(call) {
            Some(above) => children[above].push(place),
            None => roots.push(place),
        }
    }
    let mut out = Vec::new();
    roots.iter().for_each(|root| branch(*root, "", "", &calls, &children, wanted, &mut out));
    let sentence = if answer.sentence.is_empty() { String::new() } else { format!("{}\n\n", answer.sentence) };
    sentence
        + &aligned(&out)
        + if answer.truncated { "… there may be more: too many spans, or no time to look for them\n" } else { "" }
}

/// A line and those below it: the tree, and what is beside it.
fn branch(
    place: usize,
    own: &str,
    below: &str,
    calls: &[Call<'_>],
    children: &[Vec<usize>],
    wanted: &str,
    out: &mut Vec<[String; 5]>,
) {
    out.push(line(own, &calls[place], wanted));
    for (number, child) in children[place].iter().enumerate() {
        let is_last = number + 1 == children[place].len();
        let (branch_mark, space) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        branch(*child, &format!("{below}{branch_mark}"), &format!("{below}{space}"), calls, children, wanted, out);
    }
}

fn line(indent: &str, call: &Call<'_>, wanted: &str) -> [String; 5] {
    let (first, last) = (call[0], call[call.len() - 1]);
    let row = &last.row;
    let is_wanted = call.iter().any(|span| span.id == wanted);
    let verb = if row.request_type.is_empty() { &row.protocol } else { &row.request_type };
    let endpoint = if row.endpoint == *verb { "" } else { row.endpoint.as_str() };
    let mut name =
        format!("{indent}{}", if indent.is_empty() { format!("{} → ", first.row.client) } else { String::new() });
    let _ = write!(name, "{} {verb} {endpoint}", row.server);
    let name = name.trim_end().to_owned() + if is_wanted { " *" } else { "" };
    let duration = first.row.response_duration_us.map_or_else(|| "no answer".to_owned(), millis);
    let network = first.network_us.map(|network| format!("network {}", millis(network))).unwrap_or_default();
    let status = if row.response_status == "ok" { "" } else { row.response_status.as_str() };
    let why = first.evidence.as_deref().zip(first.confidence).map(|(kind, sure)| format!("{kind} {sure:.2}"));
    let more = [status.to_owned(), why.unwrap_or_default()].into_iter().filter(|text| !text.is_empty());
    [name, duration, format!("self {}", millis(last.self_us)), network, more.collect::<Vec<_>>().join("  ")]
}

fn millis(micros: u64) -> String {
    format!("{:.2} ms", micros as f64 / 1000.0)
}

/// The tree to the left, numbers to the right.
fn aligned(lines: &[[String; 5]]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let one = |line: &[String; 5]| {
        let cells = line.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if (1..4).contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn span(id: &str, parent: Option<&str>, call: u32, server: &str, endpoint: &str) -> Value {
        json!({
            "id": id, "parent_id": parent, "evidence": parent.map(|_| "task_context"), "confidence": parent.map(|_| 0.84),
            "call": call, "self_us": 250, "network_us": (id == "1").then_some(40),
            "row": {"client": "curl", "server": server, "l7_protocol_str": "HTTP1", "request_type": "GET", "endpoint": endpoint,
                    "response_status": "ok", "response_duration_us": 1250},
        })
    }

    #[test]
    fn a_line_per_call() {
        let spans = [
            span("1", None, 0, "nginx", "/cart/{}"),
            span("2", Some("1"), 0, "nginx", "/cart/{}"),
            span("3", Some("2"), 1, "shop", "/cart/{}"),
            span("4", Some("3"), 2, "redis", "GET"),
            span("5", Some("2"), 3, "shop", "/tax"),
        ];
        let answer =
            serde_json::from_value(json!({"sentence": "1.2 ms, in many places.", "spans": spans, "truncated": true}))
                .unwrap();
        let want = "\
1.2 ms, in many places.

curl → nginx GET /cart/{}     1.25 ms  self 0.25 ms  network 0.04 ms
├─ shop GET /cart/{}          1.25 ms  self 0.25 ms                   task_context 0.84
│  └─ redis GET *             1.25 ms  self 0.25 ms                   task_context 0.84
└─ shop GET /tax              1.25 ms  self 0.25 ms                   task_context 0.84
… there may be more: too many spans, or no time to look for them
";
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeeze(&render(&answer, "4")), squeeze(want));
    }
}
