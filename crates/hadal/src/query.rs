//! `hadal query`.

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cli::{OutputFormat, QueryOptions};

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(rename = "OPT_STATUS")]
    status: String,
    #[serde(rename = "DESCRIPTION")]
    description: String,
    result: Option<Table>,
}

#[derive(Debug, Deserialize)]
struct Table {
    columns: Vec<String>,
    values: Vec<Vec<Value>>,
}

/// Asks the server and prints the answer.
pub(crate) fn run(options: &QueryOptions) -> anyhow::Result<()> {
    print!("{}", render(&ask(&options.url, &options.db, &options.sql)?, options.format));
    Ok(())
}

/// The rows that a statement gives, as text.
pub(crate) fn rows(url: &str, db: &str, sql: &str) -> anyhow::Result<Vec<Vec<String>>> {
    Ok(ask(url, db, sql)?.values.iter().map(|row| row.iter().map(text).collect()).collect())
}

fn ask(server: &str, db: &str, sql: &str) -> anyhow::Result<Table> {
    let url = format!("{}/v1/query", server.trim_end_matches('/'));
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let body = json!({"db": db, "sql": sql}).to_string();
    let mut response = agent.post(&url).content_type("application/json").send(body).with_context(|| {
        format!("no server answers at {}: start it with `hadal up`, or name another one with --url", server)
    })?;
    let text =
        response.body_mut().with_config().limit(1 << 30).read_to_string().context("the answer does not arrive")?;
    let answer: Answer = serde_json::from_str(&text).with_context(|| format!("{url} is not a Hadal server"))?;
    let Some(table) = answer.result else { bail!("{}: {}", answer.status, answer.description) };
    Ok(table)
}

fn render(table: &Table, format: OutputFormat) -> String {
    match format {
        OutputFormat::Table => aligned(table),
        OutputFormat::Json => table.values.iter().map(|row| object(&table.columns, row) + "\n").collect(),
        OutputFormat::Csv => {
            let header = table.columns.iter().map(|name| csv_field(name)).collect::<Vec<_>>().join(",");
            let line = |row: &Vec<Value>| row.iter().map(|value| csv_field(&text(value))).collect::<Vec<_>>().join(",");
            std::iter::once(header).chain(table.values.iter().map(line)).map(|line| line + "\n").collect()
        }
    }
}

fn object(columns: &[String], row: &[Value]) -> String {
    let object: Map<String, Value> = columns.iter().cloned().zip(row.iter().cloned()).collect();
    Value::Object(object).to_string()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn csv_field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Numbers to the right, text to the left.
fn aligned(table: &Table) -> String {
    let cells: Vec<Vec<String>> =
        table.values.iter().map(|row| row.iter().map(|value| text(value).replace('\n', "\\n")).collect()).collect();
    let width = |column: usize| {
        let longest = cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        longest.unwrap_or(0).max(table.columns[column].chars().count())
    };
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let is_number: Vec<bool> = (0..table.columns.len())
        .map(|column| cells.iter().all(|row| row.get(column).is_some_and(|cell| cell.parse::<f64>().is_ok())))
        .collect();
    let line = |row: &[String]| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if is_number[column] { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let head = line(&table.columns) + &line(&rule);
    head + &cells.iter().map(|row| line(row)).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            columns: vec!["name".into(), "n".into()],
            values: vec![vec![json!("a,b"), json!("7")], vec![json!("é"), json!(12)]],
        }
    }

    #[test]
    fn formats() {
        assert_eq!(render(&table(), OutputFormat::Table), "name   n\n----  --\na,b    7\né     12\n");
        assert_eq!(render(&table(), OutputFormat::Csv), "name,n\n\"a,b\",7\né,12\n");
        assert_eq!(render(&table(), OutputFormat::Json), "{\"n\":\"7\",\"name\":\"a,b\"}\n{\"n\":12,\"name\":\"é\"}\n");
    }
}
