//! Entities of processes, and the bounded table of all entities an agent has met.

use std::collections::HashMap;

use crate::key::hash;
use crate::naming::{base, naming_argument, program_name};

/// Name of the entity that stands for all beyond the limit.
pub const OTHER: &str = "~other";

/// What is known of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Path of the executable.
    pub executable: String,
    /// Arguments, the program's own name first.
    pub args: Vec<String>,
    /// Full id of its container.
    pub container_id: Option<String>,
    /// Its systemd unit.
    pub systemd_unit: Option<String>,
}

/// One side of a record: a stable key and tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Key on the wire.
    pub key: u64,
    /// Tag name (`hadal_model::catalog::TAGS`) and value; empty ones are left out.
    pub tags: Vec<(&'static str, String)>,
}

impl Entity {
    pub(crate) fn new(key: u64, tags: Vec<(&'static str, String)>) -> Self {
        Self { key, tags: tags.into_iter().filter(|(_, value)| !value.is_empty()).collect() }
    }

    /// Value of a tag.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|(tag, _)| *tag == name).map(|(_, value)| value.as_str())
    }
}

/// The entity of a process. Its key is (agent, container or unit, executable, naming argument): never a pid, a port or
/// a time, so forks and restarts stay one entity.
pub fn process_entity(agent: &str, host: &str, facts: &ProcessFacts) -> Entity {
    let args: Vec<_> = facts.args.iter().map(String::as_str).collect();
    let executable = facts.executable.trim_end_matches(" (deleted)");
    let naming = naming_argument(executable, &args).unwrap_or_default();
    let container = facts.container_id.as_deref().unwrap_or_default();
    let unit = facts.systemd_unit.as_deref().unwrap_or_default();
    let scope = if container.is_empty() { unit } else { container };
    let name = program_name(executable, &args);
    let (service, kind) = if container.is_empty() && !unit.is_empty() {
        (unit.trim_end_matches(".service").to_owned(), "unit")
    } else {
        (name.clone(), if container.is_empty() { "process" } else { "container" })
    };
    let short = container.get(..12).unwrap_or(container);
    Entity::new(
        hash(&["process", agent, scope, executable, naming]),
        vec![
            ("auto_service", service),
            (
                "auto_instance",
                if short.is_empty() { format!("{name} on {host}") } else { format!("{name} in {short}") },
            ),
            ("auto_service_type", kind.to_owned()),
            ("process_name", name),
            ("executable", executable.to_owned()),
            ("host", host.to_owned()),
            ("agent", agent.to_owned()),
            ("container_id", short.to_owned()),
            ("systemd_unit", base(unit).to_owned()),
        ],
    )
}

/// Entities met, up to a limit; the rest is counted under [`OTHER`].
#[derive(Debug)]
pub struct Entities {
    known: HashMap<u64, Entity>,
    unsent: Vec<u64>,
    limit: usize,
    other: u64,
    refused: u64,
}

impl Entities {
    /// An empty table that holds `limit` entities and the one for the rest.
    pub fn new(agent: &str, limit: usize) -> Self {
        let other = Entity::new(
            hash(&["other", agent]),
            vec![
                ("auto_service", OTHER.to_owned()),
                ("auto_instance", OTHER.to_owned()),
                ("auto_service_type", "other".to_owned()),
                ("agent", agent.to_owned()),
            ],
        );
        let key = other.key;
        Self { known: HashMap::from([(key, other)]), unsent: vec![key], limit, other: key, refused: 0 }
    }

    /// The key to put into rows for this entity: its own, or that of [`OTHER`] beyond the limit.
    pub fn intern(&mut self, entity: Entity) -> u64 {
        if self.known.contains_key(&entity.key) {
            return entity.key;
        }
        if self.known.len() > self.limit {
            self.refused += 1;
            return self.other;
        }
        let key = entity.key;
        self.unsent.push(key);
        self.known.insert(key, entity);
        key
    }

    /// Entities that were not taken yet, each once.
    pub fn take_unsent(&mut self) -> Vec<Entity> {
        std::mem::take(&mut self.unsent).iter().filter_map(|key| self.known.get(key).cloned()).collect()
    }

    /// All entities, for a server that has forgotten them.
    pub fn all(&self) -> Vec<Entity> {
        self.known.values().cloned().collect()
    }

    /// How often the limit was hit since the last call.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(executable: &str, args: &[&str]) -> ProcessFacts {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        ProcessFacts { executable: executable.to_owned(), args, ..ProcessFacts::default() }
    }

    #[test]
    fn pids_ports_and_restarts_stay_one_entity() {
        let first = process_entity("a", "h", &facts("/usr/bin/python3", &["python3", "app.py", "--port", "1"]));
        let second = process_entity("a", "h", &facts("/usr/bin/python3", &["python3", "app.py", "--port", "2"]));
        assert_eq!(first, second);
        assert_eq!(first.tag("auto_service"), Some("app.py"));
    }

    #[test]
    fn containers_and_units_separate() {
        let plain = facts("/usr/sbin/nginx", &["nginx"]);
        let unit = ProcessFacts { systemd_unit: Some("web.service".into()), ..plain.clone() };
        let container = ProcessFacts { container_id: Some("0123456789abcdef".into()), ..plain.clone() };
        let entities = [plain, unit, container].map(|facts| process_entity("a", "h", &facts));
        assert_eq!(entities.each_ref().map(|entity| entity.tag("auto_service").unwrap()), ["nginx", "web", "nginx"]);
        assert_eq!(entities[2].tag("container_id"), Some("0123456789ab"));
        let mut keys = entities.map(|entity| entity.key).to_vec();
        keys.dedup();
        assert_eq!(keys.len(), 3);
    }

    #[test]
    fn the_limit_is_counted() {
        let mut table = Entities::new("a", 2);
        let keys: Vec<_> =
            ["/a", "/b", "/c", "/d"].map(|exe| table.intern(process_entity("a", "h", &facts(exe, &[])))).to_vec();
        assert_eq!(keys[2], keys[3]);
        assert_eq!(table.take_refused(), 2);
        assert_eq!(table.take_unsent().len(), 3);
        assert!(table.take_unsent().is_empty());
    }
}
