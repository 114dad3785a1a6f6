//! Tags of entities. Each becomes a column of the entity dictionary and, with `_0` and `_1`, of every signal table.

/// A tag.
#[derive(Clone, Copy, Debug)]
pub struct Tag {
    /// Name in queries, without suffix.
    pub name: &'static str,
    /// What it holds; a sentence.
    pub doc: &'static str,
}

/// All tags, in the order they are shown.
pub const TAGS: &[Tag] = &[
    Tag {
        name: "auto_service",
        doc: "Best name of the service: custom, Kubernetes service, workload, process or address.",
    },
    Tag { name: "auto_instance", doc: "Best name of the instance: pod, process on its host, or address." },
    Tag {
        name: "auto_service_type",
        doc: "What auto_service names: process, container, unit, local, address, subnet, internet, other.",
    },
    Tag { name: "process_name", doc: "Name of the program: its executable, or what its interpreter runs." },
    Tag { name: "executable", doc: "Path of the executable." },
    Tag { name: "host", doc: "Name of the host." },
    Tag { name: "agent", doc: "Agent that observes the entity." },
    Tag { name: "container_id", doc: "Id of the container, 12 characters." },
    Tag { name: "systemd_unit", doc: "Systemd unit." },
    Tag { name: "address", doc: "Address, for entities that are known by address only." },
];

/// The tag with this name.
pub fn tag(name: &str) -> Option<&'static Tag> {
    TAGS.iter().find(|tag| tag.name == name)
}
