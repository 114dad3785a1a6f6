//! Rows of metrics become nodes and edges. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hadal_model::ObservationPoint;
use serde::Serialize;
use utoipa::ToSchema;

use super::fetch::Row;
use super::stats::Stats;

/// A service, or whatever entities are grouped by.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `client`, `proxy`, `service`, `store` or `world`.
    pub(crate) kind: &'static str,
    pub(crate) tags: HashMap<String, String>,
    pub(crate) protocols: Vec<String>,
    /// Entity ids.
    pub(crate) members: Vec<String>,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) request_rate: f64,
    pub(crate) error_ratio: f64,
    pub(crate) p50_us: Option<u64>,
    pub(crate) p99_us: Option<u64>,
    /// Requests per second, by bucket.
    pub(crate) sparkline: Vec<f64>,
}

/// Calls from one node to another.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Edge {
    pub(crate) id: String,
    pub(crate) client: String,
    pub(crate) server: String,
    pub(crate) protocols: Vec<String>,
    pub(crate) requests: u64,
    pub(crate) client_errors: u64,
    pub(crate) server_errors: u64,
    pub(crate) timeouts: u64,
    pub(crate) errors: u64,
    pub(crate) request_rate: f64,
    pub(crate) error_ratio: f64,
    pub(crate) p50_us: Option<u64>,
    pub(crate) p99_us: Option<u64>,
    pub(crate) observation_point: String,
    pub(crate) connections: u64,
    pub(crate) bytes_rate: f64,
    pub(crate) sparkline: Vec<f64>,
}

/// Observation points in the order in which they are preferred for counting: each edge counts one.
const PREFERENCE: &[ObservationPoint] = &[
    ObservationPoint::ServerProcess,
    ObservationPoint::ClientProcess,
    ObservationPoint::Server,
    ObservationPoint::Client,
    ObservationPoint::ServerNode,
    ObservationPoint::ClientNode,
    ObservationPoint::Local,
    ObservationPoint::Rest,
];

fn rank(point: &str) -> usize {
    PREFERENCE.iter().position(|candidate| candidate.as_str() == point).unwrap_or(PREFERENCE.len())
}

/// Keeps the rows of one observation point per pair of entities, so that a call seen at both ends counts once.
pub(crate) fn one_point_per_edge(rows: Vec<Row>) -> Vec<Row> {
    let mut best: HashMap<(u32, u32), usize> = HashMap::new();
    for row in &rows {
        let entry = best.entry((row.client_entity, row.server_entity)).or_insert(usize::MAX);
        *entry = (*entry).min(rank(&row.point));
    }
    rows.into_iter().filter(|row| best[&(row.client_entity, row.server_entity)] == rank(&row.point)).collect()
}

#[derive(Default)]
struct Sums {
    stats: Stats,
    protocols: BTreeSet<String>,
    spark: BTreeMap<u32, u64>,
    connections: u64,
    bytes: u64,
    point: String,
}

impl Sums {
    fn add(&mut self, row: &Row) {
        self.stats.add(&row.stats());
        if !row.protocol.is_empty() {
            self.protocols.insert(row.protocol.clone());
        }
        for (bucket, count) in &row.spark {
            *self.spark.entry(*bucket).or_default() += count;
        }
        self.connections += row.connections;
        self.bytes += row.bytes;
        if self.point.is_empty() || rank(&row.point) < rank(&self.point) {
            self.point.clone_from(&row.point);
        }
    }

    fn sparkline(&self, buckets: u32, step: u32) -> Vec<f64> {
        let count = |bucket| self.spark.get(&bucket).copied().unwrap_or(0);
        (0..buckets).map(|bucket| count(bucket) as f64 / f64::from(step)).collect()
    }
}

/// Length of the range, of what was watched of it, and of its buckets, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) seconds: u32,
    pub(crate) watched: u32,
    pub(crate) step: u32,
}

impl Scale {
    fn buckets(self) -> u32 {
        self.seconds.div_ceil(self.step.max(1))
    }
}

/// Builds the map. `requests` and `connections` may hold several observation points per pair.
pub(crate) fn assemble(
    requests: Vec<Row>,
    connections: Vec<Row>,
    tags: &HashMap<u32, HashMap<String, String>>,
    scale: Scale,
) -> (Vec<Node>, Vec<Edge>) {
    let rows: Vec<Row> = one_point_per_edge(requests).into_iter().chain(one_point_per_edge(connections)).collect();
    let mut edges: BTreeMap<(String, String), Sums> = BTreeMap::new();
    let mut nodes: BTreeMap<String, Sums> = BTreeMap::new();
    let mut members: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for row in &rows {
        edges.entry((row.client.clone(), row.server.clone())).or_default().add(row);
        nodes.entry(row.client.clone()).or_default();
        nodes.entry(row.server.clone()).or_default().add(row);
        members.entry(row.client.clone()).or_default().insert(row.client_entity);
        members.entry(row.server.clone()).or_default().insert(row.server_entity);
    }
    let callers: BTreeSet<&String> = edges.keys().map(|(client, _)| client).collect();
    let nodes = nodes.iter().map(|(name, sums)| {
        let ids: Vec<u32> = members.get(name).into_iter().flatten().copied().collect();
        node(name, sums, &ids, tags, callers.contains(name), scale)
    });
    (nodes.collect(), edges.iter().map(|((client, server), sums)| edge(client, server, sums, scale)).collect())
}

fn node(
    name: &str,
    sums: &Sums,
    ids: &[u32],
    tags: &HashMap<u32, HashMap<String, String>>,
    calls: bool,
    scale: Scale,
) -> Node {
    let tags = common_tags(ids, tags);
    let protocols: Vec<String> = sums.protocols.iter().cloned().collect();
    Node {
        id: name.to_owned(),
        name: if name.is_empty() { "(none)".to_owned() } else { name.to_owned() },
        kind: kind(&tags, &protocols, calls, sums.stats.requests > 0 || sums.connections > 0),
        tags,
        protocols,
        members: ids.iter().map(u32::to_string).collect(),
        requests: sums.stats.requests,
        errors: sums.stats.errors(),
        request_rate: sums.stats.requests as f64 / f64::from(scale.watched),
        error_ratio: sums.stats.error_ratio(),
        p50_us: sums.stats.quantile(0.5),
        p99_us: sums.stats.quantile(0.99),
        sparkline: sums.sparkline(scale.buckets(), scale.step),
    }
}

fn edge(client: &str, server: &str, sums: &Sums, scale: Scale) -> Edge {
    Edge {
        id: format!("{client}→{server}"),
        client: client.to_owned(),
        server: server.to_owned(),
        protocols: sums.protocols.iter().cloned().collect(),
        requests: sums.stats.requests,
        client_errors: sums.stats.client_errors,
        server_errors: sums.stats.server_errors,
        timeouts: sums.stats.timeouts,
        errors: sums.stats.errors(),
        request_rate: sums.stats.requests as f64 / f64::from(scale.watched),
        error_ratio: sums.stats.error_ratio(),
        p50_us: sums.stats.quantile(0.5),
        p99_us: sums.stats.quantile(0.99),
        observation_point: sums.point.clone(),
        connections: sums.connections,
        bytes_rate: sums.bytes as f64 / f64::from(scale.watched),
        sparkline: sums.sparkline(scale.buckets(), scale.step),
    }
}

/// Tags on which all members agree.
fn common_tags(ids: &[u32], tags: &HashMap<u32, HashMap<String, String>>) -> HashMap<String, String> {
    let mut all = ids.iter().filter_map(|id| tags.get(id));
    let mut common = all.next().cloned().unwrap_or_default();
    for other in all {
        common.retain(|name, value| other.get(name) == Some(value));
    }
    common
}

const PROXIES: &[&str] = &["nginx", "haproxy", "envoy", "traefik", "caddy", "apache2", "httpd", "varnishd"];
const STORES: &[&str] = &["Redis", "MySQL", "PostgreSQL", "MongoDB", "Kafka", "Memcached"];

fn kind(tags: &HashMap<String, String>, protocols: &[String], calls: bool, serves: bool) -> &'static str {
    let kind = tags.get("auto_service_type").map(String::as_str).unwrap_or_default();
    if matches!(kind, "internet" | "address" | "subnet" | "other") {
        return "world";
    }
    let process = tags.get("process_name").map(String::as_str).unwrap_or_default();
    if PROXIES.contains(&process) {
        return "proxy";
    }
    if serves && !protocols.is_empty() && protocols.iter().all(|protocol| STORES.contains(&protocol.as_str())) {
        return "store";
    }
    if calls && !serves { "client" } else { "service" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(client: (u32, &str), server: (u32, &str), point: &str, protocol: &str, requests: u64) -> Row {
        let json = serde_json::json!({
            "client_entity": client.0, "client": client.1, "server_entity": server.0, "server": server.1,
            "point": point, "protocol": protocol, "requests": requests, "server_errors": requests / 10,
            "sketch": {"350": requests}, "spark": {"0": requests}, "connections": 1,
        });
        serde_json::from_value(json).unwrap()
    }

    const SCALE: Scale = Scale { seconds: 10, watched: 10, step: 5 };

    #[test]
    fn a_call_seen_at_both_ends_counts_once() {
        let rows = vec![
            row((1, "web"), (2, "db"), "c-p", "Redis", 100),
            row((1, "web"), (2, "db"), "s-p", "Redis", 90),
            row((3, "curl"), (1, "web"), "c-p", "HTTP1", 10),
        ];
        let (nodes, edges) = assemble(rows, vec![], &HashMap::new(), SCALE);
        let counts: Vec<_> = edges.iter().map(|edge| (edge.id.as_str(), edge.requests, edge.errors)).collect();
        assert_eq!(counts, [("curl→web", 10, 1), ("web→db", 90, 9)]);
        let kinds: Vec<_> = nodes.iter().map(|node| (node.name.as_str(), node.kind)).collect();
        assert_eq!(kinds, [("curl", "client"), ("db", "store"), ("web", "service")]);
        assert_eq!(edges[1].sparkline, [18.0, 0.0]);
        assert_eq!(edges[1].observation_point, "s-p");
    }

    #[test]
    fn groups_fold_entities_and_keep_common_tags() {
        let rows = vec![row((1, "a"), (2, "b"), "s-p", "HTTP1", 1), row((1, "a"), (3, "b"), "s-p", "HTTP1", 2)];
        let tag =
            |host: &str| HashMap::from([("host".to_owned(), host.to_owned()), ("zone".to_owned(), "z".to_owned())]);
        let tags = HashMap::from([(2, tag("x")), (3, tag("y"))]);
        let (nodes, edges) = assemble(rows, vec![], &tags, SCALE);
        assert_eq!((edges.len(), edges[0].requests), (1, 3));
        assert_eq!(nodes[1].tags.keys().collect::<Vec<_>>(), ["zone"]);
        assert_eq!(nodes[1].members, ["2", "3"]);
    }

    #[test]
    fn connections_without_requests_are_edges() {
        let (_, edges) = assemble(vec![], vec![row((1, "a"), (2, "b"), "c-p", "", 0)], &HashMap::new(), SCALE);
        assert_eq!((edges[0].requests, edges[0].connections, edges[0].p50_us), (0, 1, None));
    }
}
