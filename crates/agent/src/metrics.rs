//! Metrics per second, computed from every request and every socket event before any sampling of logs.

use std::rc::Rc;

use hadal_flow::Session;
use hadal_model::sketch::Sketch;
use hadal_model::{L7Protocol, MessageType, ObservationPoint, ResponseStatus, Transport};

use crate::hash::{Map, Set};

/// Name of the endpoint that stands for all beyond the limit.
pub(crate) const OTHER_ENDPOINT: &str = "~other";

/// Which pair of entities, seen from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Edge {
    pub(crate) client: u64,
    pub(crate) server: u64,
    pub(crate) point: ObservationPoint,
    pub(crate) server_port: u16,
}

/// Key of a row of `application_map`, without its second.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ApplicationKey {
    pub(crate) edge: Edge,
    pub(crate) protocol: L7Protocol,
    pub(crate) endpoint: Rc<str>,
}

/// Values of a row of `application_map`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Application {
    pub(crate) request: u64,
    pub(crate) response: u64,
    pub(crate) client_error: u64,
    pub(crate) server_error: u64,
    pub(crate) timeout: u64,
    pub(crate) rrt_sum: u64,
    pub(crate) rrt_max: u64,
    pub(crate) rrt_count: u64,
    pub(crate) sketch: Sketch,
}

impl Application {
    fn add(&mut self, session: &Session) {
        self.request += u64::from(session.kind != MessageType::Response);
        self.response += u64::from(session.kind != MessageType::Request);
        match session.status {
            ResponseStatus::ClientError => self.client_error += 1,
            ResponseStatus::ServerError => self.server_error += 1,
            ResponseStatus::Timeout => self.timeout += 1,
            ResponseStatus::Ok | ResponseStatus::Unknown => {}
        }
        if let Some(duration) = session.duration_us {
            self.rrt_sum += duration;
            self.rrt_count += 1;
            self.rrt_max = self.rrt_max.max(duration);
            self.sketch.add(duration);
        }
    }
}

/// Values of a row of `network_map`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Network {
    pub(crate) byte_tx: u64,
    pub(crate) byte_rx: u64,
    pub(crate) new_flow: u64,
    pub(crate) closed_flow: u64,
    pub(crate) active_flow: u64,
    pub(crate) retrans: u64,
    pub(crate) connect_sum: u64,
    pub(crate) connect_count: u64,
    pub(crate) rtt_sum: u64,
    pub(crate) rtt_count: u64,
}

/// A row of `application_map`: second, key, values.
pub(crate) type ApplicationRow = (u32, ApplicationKey, Application);
/// Key of a row of `network_map`, without its second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NetworkKey {
    pub(crate) edge: Edge,
    pub(crate) transport: Transport,
}

/// A row of `network_map`: second, key, values.
pub(crate) type NetworkRow = (u32, NetworkKey, Network);

/// Most memory of the names of endpoints of all services.
const MAX_NAMES: usize = 16 << 20;
/// What a name of a service takes beside its text.
const NAME_OVERHEAD: usize = 64;

/// Names of endpoints by service, bounded per service and in all.
struct Endpoints {
    names: Set<Rc<str>>,
    by_service: Map<u64, Set<Rc<str>>>,
    other: Rc<str>,
    limit: usize,
    /// Memory that is left.
    room: usize,
    refused: u64,
}

impl Endpoints {
    fn intern(&mut self, service: u64, endpoint: &str) -> Rc<str> {
        let known = self.by_service.entry(service).or_default();
        if let Some(name) = known.get(endpoint) {
            return Rc::clone(name);
        }
        let size = endpoint.len() + NAME_OVERHEAD;
        if known.len() >= self.limit || size > self.room {
            self.refused += 1;
            return Rc::clone(&self.other);
        }
        self.room -= size;
        let name = self.names.get(endpoint).cloned().unwrap_or_else(|| Rc::from(endpoint));
        self.names.insert(Rc::clone(&name));
        known.insert(Rc::clone(&name));
        name
    }
}

/// Metrics being collected.
pub(crate) struct Metrics {
    application: Map<(u32, ApplicationKey), Application>,
    network: Map<(u32, NetworkKey), Network>,
    endpoints: Endpoints,
}

impl Metrics {
    pub(crate) fn new(max_endpoints: usize) -> Self {
        Self {
            application: Map::default(),
            network: Map::default(),
            endpoints: Endpoints {
                names: Set::default(),
                by_service: Map::default(),
                other: Rc::from(OTHER_ENDPOINT),
                limit: max_endpoints,
                room: MAX_NAMES,
                refused: 0,
            },
        }
    }

    /// The name under which an endpoint of a service is counted and logged.
    pub(crate) fn endpoint(&mut self, service: u64, endpoint: &str) -> Rc<str> {
        self.endpoints.intern(service, endpoint)
    }

    pub(crate) fn session(&mut self, second: u32, key: ApplicationKey, session: &Session) {
        self.application.entry((second, key)).or_default().add(session);
    }

    pub(crate) fn network(&mut self, second: u32, key: NetworkKey) -> &mut Network {
        self.network.entry((second, key)).or_default()
    }

    /// Rows of the seconds before `second`.
    pub(crate) fn take_before(&mut self, second: u32) -> (Vec<ApplicationRow>, Vec<NetworkRow>) {
        let application = self.application.extract_if(|(time, _), _| *time < second);
        let application = application.map(|((time, key), values)| (time, key, values)).collect();
        let network = self.network.extract_if(|(time, _), _| *time < second);
        (application, network.map(|((time, key), values)| (time, key, values)).collect())
    }

    /// How often the limit of endpoints was hit since the last call.
    pub(crate) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.endpoints.refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_bounded_per_service_and_in_memory() {
        let mut metrics = Metrics::new(3);
        let names: Vec<_> = (0..5).map(|name| metrics.endpoint(1, &name.to_string())).collect();
        assert_eq!(
            names.iter().map(|name| &**name).collect::<Vec<_>>(),
            ["0", "1", "2", OTHER_ENDPOINT, OTHER_ENDPOINT]
        );
        assert_eq!(metrics.take_refused(), 2);
        let long = "x".repeat(MAX_NAMES / 4);
        let known = (0..10).filter(|service| *metrics.endpoint(2 + service, &long) == *long).count();
        assert_eq!((known, metrics.take_refused()), (3, 7));
        assert_eq!(&*metrics.endpoint(1, "1"), "1");
    }
}
