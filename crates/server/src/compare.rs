//! What some requests have in common that the others have not. Pure: makes the statements and ranks their answers.

use hadal_model::catalog::L7_FLOW_LOG;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// SQL of a size in classes.
macro_rules! size {
    ($column:literal) => {
        concat!(
            "multiIf(",
            $column,
            " < 1000, 'below 1 kB', ",
            $column,
            " < 10000, '1 to 10 kB', ",
            $column,
            " < 100000, \
             '10 to 100 kB', ",
            $column,
            " < 1000000, '100 kB to 1 MB', 'above 1 MB')"
        )
    };
}

/// What requests are compared by: a name that people read, the key of the filter line (empty if it has none), SQL of the
/// value. An empty value is none.
const ATTRIBUTES: &[(&str, &str, &str)] = &[
    ("endpoint", "endpoint", "endpoint"),
    ("client", "auto_service_0", "auto_service_0"),
    ("client instance", "auto_instance_0", "auto_instance_0"),
    ("client host", "host_0", "host_0"),
    ("client address", "", "replaceOne(toString(ip_0), '::ffff:', '')"),
    ("server", "auto_service_1", "auto_service_1"),
    ("server instance", "auto_instance_1", "auto_instance_1"),
    ("server host", "host_1", "host_1"),
    ("server process", "", "if(process_id_1 = 0, '', toString(process_id_1))"),
    ("agent", "agent", "toString(log.agent)"),
    ("protocol", "protocol", "l7_protocol_str"),
    ("method", "method", "request_type"),
    ("domain", "domain", "request_domain"),
    ("resource", "resource", "request_resource"),
    ("status", "status", "response_status"),
    ("code", "code", "ifNull(toString(response_code), '')"),
    ("exception", "exception", "response_exception"),
    ("request size", "", size!("request_length")),
    ("response size", "", size!("response_length")),
    ("packets sent again", "", "if(retransmissions > 0, 'some', 'none')"),
];

/// The attribute that only the traces of some requests tell.
pub(crate) const TAKES_TIME: &str = "where the time goes";

/// Which requests are set against the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// Those that took longer, in microseconds.
    SlowerThan(u64),
    /// Those that failed.
    Failed,
}

impl Chosen {
    /// As a condition on rows of the log.
    pub(crate) fn condition(self) -> String {
        match self {
            Self::SlowerThan(micros) => format!("(type = 'session' AND response_duration > {micros})"),
            Self::Failed => "(response_status IN ('client_error', 'server_error', 'timeout'))".to_owned(),
        }
    }
}

/// Which rows are compared: a condition, and one in how many of them is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Population {
    pub(crate) condition: String,
    pub(crate) one_in: u64,
}

impl Population {
    fn rows(&self) -> String {
        let sample = match self.one_in {
            0 | 1 => String::new(),
            // Ids are numbered one by one, which the hash mixes.
            one_in => format!(" AND intHash64(log._id) % {one_in} = 0"),
        };
        format!("FROM {} AS log WHERE {}{sample}", L7_FLOW_LOG.sql_name(""), self.condition)
    }
}

/// Most values that the store answers with.
const MOST_VALUES: usize = 500;

/// How many of the population there are, and the response time that a share of them exceeds.
pub(crate) fn size_sql(condition: &str) -> String {
    let all = Population { condition: condition.to_owned(), one_in: 1 };
    format!(
        "SELECT count() AS total, countIf(response_status IN ('client_error', 'server_error', 'timeout')) AS failed, \
         countIf(type = 'session') AS answered, \
         if(answered = 0, 0, toUInt64(quantileTDigestIf(0.95)(response_duration, type = 'session'))) AS p95_us {}",
        all.rows()
    )
}

/// Of each value, how many of the chosen and of the other requests have it. The totals have an empty name.
pub(crate) fn values_sql(population: &Population, chosen: Chosen) -> String {
    // That what failed has failed says nothing.
    let told = ATTRIBUTES.iter().filter(|(name, ..)| chosen != Chosen::Failed || *name != "status");
    let attributes: Vec<_> = told.map(|(name, _, sql)| format!("('{name}', toString({sql}))")).collect();
    format!(
        "SELECT attribute.1 AS name, attribute.2 AS value, countIf(is_chosen) AS chosen, countIf(NOT is_chosen) AS rest \
         FROM (SELECT {} AS is_chosen, arrayConcat([('', 'all'), {}], arrayMap((key, value) -> (key, value), \
         mapKeys(attribute), mapValues(attribute))) AS attributes {}) \
         ARRAY JOIN attributes AS attribute WHERE value != '' GROUP BY name, value ORDER BY name = '' DESC, chosen DESC, name, value \
         LIMIT {MOST_VALUES}",
        chosen.condition(),
        attributes.join(", "),
        population.rows(),
    )
}

/// Some of the chosen or of the other requests, whose traces are looked at.
pub(crate) fn samples_sql(population: &Population, chosen: Chosen, is_chosen: bool, limit: usize) -> String {
    let not = if is_chosen { "" } else { "NOT " };
    format!(
        "SELECT toString(log._id) AS id, toUnixTimestamp64Micro(start_time) AS start_us {} AND {not}{} \
         ORDER BY intHash64(log._id) LIMIT {limit}",
        population.rows(),
        chosen.condition(),
    )
}

/// How many requests have a value.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) chosen: u64,
    pub(crate) rest: u64,
}

/// A value that more of the chosen requests have than of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Difference {
    /// Name of the attribute.
    pub(crate) name: String,
    /// Key of the filter line; empty if it has none.
    pub(crate) key: String,
    pub(crate) value: String,
    /// Chosen requests that have the value, of `chosen_total`.
    pub(crate) chosen: u64,
    pub(crate) chosen_total: u64,
    /// Other requests that have it, of `rest_total`.
    pub(crate) rest: u64,
    pub(crate) rest_total: u64,
    /// Values of other attributes that as many have, and that so are probably the same requests.
    pub(crate) along: Vec<String>,
}

/// Differences below this share say little, however sure they are.
const LEAST_SHARE: f64 = 0.05;
/// How many standard deviations a difference must be away from chance.
const LEAST_DEVIATIONS: f64 = 3.0;
/// Chosen requests that a value must have.
const LEAST_CHOSEN: u64 = 3;
/// Most values of one attribute, and of all.
const MOST_OF_ONE: usize = 3;
const MOST: usize = 12;

/// Splits the totals from the counts; `None` if there was no row.
pub(crate) fn totals(counts: Vec<Count>) -> Option<(Count, Vec<Count>)> {
    let (totals, values): (Vec<_>, Vec<_>) = counts.into_iter().partition(|count| count.name.is_empty());
    totals.into_iter().next().map(|total| (total, values))
}

/// The values by how much they set the chosen requests apart, the most telling first.
pub(crate) fn differences(counts: &[Count], chosen_total: u64, rest_total: u64) -> Vec<Difference> {
    let mut told: Vec<(f64, &Count)> = counts
        .iter()
        .filter(|count| count.chosen >= LEAST_CHOSEN.min(chosen_total))
        .map(|count| (share(count.chosen, chosen_total) - share(count.rest, rest_total), count))
        .filter(|(more, count)| *more >= LEAST_SHARE && deviations(count, chosen_total, rest_total) >= LEAST_DEVIATIONS)
        .collect();
    told.sort_by(|one, other| {
        other
            .0
            .total_cmp(&one.0)
            .then_with(|| place(&one.1.name).cmp(&place(&other.1.name)))
            .then_with(|| one.1.value.cmp(&other.1.value))
    });
    let mut kept: Vec<Difference> = Vec::new();
    for (_, count) in told {
        let is_same = |difference: &&mut Difference| {
            (difference.chosen, difference.rest) == (count.chosen, count.rest) && difference.name != count.name
        };
        if let Some(same) = kept.iter_mut().find(is_same) {
            same.along.push(format!("{} {}", count.name, count.value));
            continue;
        }
        let of_one = kept.iter().filter(|difference| difference.name == count.name).count();
        if of_one < MOST_OF_ONE && kept.len() < MOST {
            kept.push(difference(count, chosen_total, rest_total));
        }
    }
    kept
}

fn difference(count: &Count, chosen_total: u64, rest_total: u64) -> Difference {
    let Count { name, value, chosen, rest } = count.clone();
    let key = ATTRIBUTES.iter().find(|(known, ..)| *known == name).map_or("", |(_, key, _)| key).to_owned();
    Difference { name, key, value, chosen, chosen_total, rest, rest_total, along: Vec::new() }
}

/// Where the attribute stands in the list, which begins with what tells most.
fn place(name: &str) -> usize {
    ATTRIBUTES.iter().position(|(known, ..)| *known == name).unwrap_or(ATTRIBUTES.len())
}

fn share(count: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { count as f64 / total as f64 }
}

/// How far two shares are apart, in standard deviations of their difference if both were the same (pooled z test).
fn deviations(count: &Count, chosen_total: u64, rest_total: u64) -> f64 {
    if chosen_total == 0 || rest_total == 0 {
        return 0.0;
    }
    let together = share(count.chosen + count.rest, chosen_total + rest_total);
    let spread = (together * (1.0 - together) * (1.0 / chosen_total as f64 + 1.0 / rest_total as f64)).sqrt();
    let more = share(count.chosen, chosen_total) - share(count.rest, rest_total);
    if spread > 0.0 { more / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str, value: &str, chosen: u64, rest: u64) -> Count {
        Count { name: name.to_owned(), value: value.to_owned(), chosen, rest }
    }

    /// Names and values, in order.
    fn told(counts: &[Count], totals: (u64, u64)) -> Vec<String> {
        let differences = differences(counts, totals.0, totals.1);
        differences.iter().map(|difference| format!("{}={}", difference.name, difference.value)).collect()
    }

    #[test]
    fn what_sets_apart_comes_first() {
        let counts = [
            count("method", "GET", 100, 1900),
            count("server instance", "b", 90, 400),
            count("server instance", "a", 10, 1500),
            count("client", "mobile", 60, 600),
        ];
        assert_eq!(told(&counts, (100, 1900)), ["server instance=b", "client=mobile"]);
    }

    #[test]
    fn chance_says_nothing() {
        assert_eq!(told(&[count("client", "mobile", 3, 40)], (5, 100)), Vec::<String>::new());
        assert_eq!(told(&[count("client", "mobile", 5, 5)], (5, 5)), Vec::<String>::new());
        assert_eq!(told(&[count("client", "mobile", 5, 0)], (5, 0)), Vec::<String>::new());
        assert_eq!(told(&[], (0, 0)), Vec::<String>::new());
        assert_eq!(told(&[count("client", "mobile", 8, 1)], (10, 10)), ["client=mobile"]);
    }

    #[test]
    fn what_the_same_requests_have_is_one_line() {
        let counts = [count("client instance", "load on vm", 40, 100), count("client", "load", 40, 100)];
        let differences = differences(&counts, 50, 1000);
        assert_eq!((differences.len(), differences[0].name.as_str()), (1, "client"));
        assert_eq!(differences[0].along, ["client instance load on vm"]);
    }

    #[test]
    fn one_attribute_does_not_fill_the_list() {
        let counts: Vec<_> = (0..9).map(|number| count("resource", &format!("/{number}"), 10, 0)).collect();
        assert_eq!(told(&counts, (100, 1000)).len(), MOST_OF_ONE);
    }

    #[test]
    fn totals_have_no_name() {
        let (total, values) = totals(vec![count("", "all", 5, 9), count("client", "a", 1, 1)]).unwrap();
        assert_eq!((total.chosen, total.rest, values.len()), (5, 9, 1));
        assert_eq!(totals(Vec::new()), None);
    }

    #[test]
    fn statements_name_the_sample() {
        let of = |one_in| Population { condition: "1".to_owned(), one_in };
        assert!(!values_sql(&of(1), Chosen::Failed).contains("intHash64"));
        let sql = samples_sql(&of(7), Chosen::SlowerThan(5000), false, 10);
        assert!(
            sql.contains("% 7 = 0") && sql.contains("NOT (type = 'session' AND response_duration > 5000)"),
            "{sql}"
        );
    }
}
