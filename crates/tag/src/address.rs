//! Entities of addresses that no observed process owns.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;

use crate::entity::Entity;
use crate::key::hash;

/// Limits on entities made from addresses.
#[derive(Clone, Copy, Debug)]
pub struct AddressLimits {
    /// Private addresses with an entity of their own; further ones share one per subnet (/24, /64).
    pub private: usize,
    /// Public servers with an entity of their own, by name or address; further ones share the Internet's.
    pub public_servers: usize,
    /// Public addresses whose name was seen and is remembered; the next one takes the place of the oldest.
    pub names: usize,
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self { private: 256, public_servers: 512, names: 8192 }
    }
}

/// Which role an address plays in a record.
#[derive(Debug)]
pub struct Addresses {
    limits: AddressLimits,
    private: HashMap<IpAddr, ()>,
    public_servers: HashMap<String, ()>,
    names: HashMap<IpAddr, String>,
    /// Addresses in the order their names were first seen.
    named: VecDeque<IpAddr>,
}

impl Addresses {
    /// No addresses met yet.
    pub fn new(limits: AddressLimits) -> Self {
        Self {
            limits,
            private: HashMap::new(),
            public_servers: HashMap::new(),
            names: HashMap::new(),
            named: VecDeque::new(),
        }
    }

    /// The entity of an address. `agent` scopes loopback addresses, which mean another program on each host.
    pub fn entity(&mut self, agent: &str, address: IpAddr, is_server: bool) -> Entity {
        let address = address.to_canonical();
        if address.is_loopback() || address.is_unspecified() {
            return named(hash(&["loopback", agent]), "localhost", "local", "");
        }
        if is_private(address) {
            return self.private_entity(address);
        }
        let name = self.names.get(&address).cloned();
        let text = name.clone().unwrap_or_else(|| address.to_string());
        if is_server && remember(&mut self.public_servers, text.clone(), self.limits.public_servers) {
            return name.map_or_else(|| by_address(address), |name| by_name(&name));
        }
        named(hash(&["internet"]), "internet", "internet", "")
    }

    /// A DNS answer gave this address for a name: a public server there goes by that name from now on.
    pub fn learn(&mut self, address: IpAddr, name: &str) {
        let address = address.to_canonical();
        let is_public = !(address.is_loopback() || address.is_unspecified() || is_private(address));
        if !is_public || name.is_empty() || self.limits.names == 0 {
            return;
        }
        if let Some(known) = self.names.get_mut(&address) {
            name.clone_into(known);
            return;
        }
        if self.names.len() >= self.limits.names
            && let Some(oldest) = self.named.pop_front()
        {
            self.names.remove(&oldest);
        }
        self.names.insert(address, name.to_owned());
        self.named.push_back(address);
    }

    fn private_entity(&mut self, address: IpAddr) -> Entity {
        if remember(&mut self.private, address, self.limits.private) {
            return by_address(address);
        }
        let subnet = subnet(address);
        named(hash(&["subnet", &subnet]), &subnet, "subnet", "")
    }
}

fn remember<K: Eq + Hash>(known: &mut HashMap<K, ()>, key: K, limit: usize) -> bool {
    if known.contains_key(&key) {
        return true;
    }
    let has_room = known.len() < limit;
    if has_room {
        known.insert(key, ());
    }
    has_room
}

fn by_address(address: IpAddr) -> Entity {
    let text = address.to_string();
    named(hash(&["address", &text]), &text, "address", &text)
}

/// A service on the Internet, whichever of its addresses answers.
fn by_name(name: &str) -> Entity {
    named(hash(&["name", name]), name, "internet", "")
}

fn named(key: u64, name: &str, kind: &str, ip: &str) -> Entity {
    Entity::new(
        key,
        vec![
            ("auto_service", name.to_owned()),
            ("auto_instance", name.to_owned()),
            ("auto_service_type", kind.to_owned()),
            ("address", ip.to_owned()),
        ],
    )
}

/// Private, link-local, shared (RFC 6598) and unique local (RFC 4193) addresses.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6.segments()[0] & 0xfe00 == 0xfc00 || v6.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn subnet(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{}/64", std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(addresses: &mut Addresses, address: &str, is_server: bool) -> String {
        let entity = addresses.entity("a", address.parse().unwrap(), is_server);
        entity.tag("auto_service").unwrap().to_owned()
    }

    #[test]
    fn kinds_of_addresses() {
        let mut table = Addresses::new(AddressLimits::default());
        for (address, is_server, want) in [
            ("127.0.0.1", true, "localhost"),
            ("::ffff:10.0.0.1", false, "10.0.0.1"),
            ("100.64.3.4", false, "100.64.3.4"),
            ("fd00::1", true, "fd00::1"),
            ("93.184.216.34", true, "93.184.216.34"),
            ("93.184.216.34", false, "internet"),
        ] {
            assert_eq!(name(&mut table, address, is_server), want);
        }
    }

    #[test]
    fn public_servers_go_by_the_name_they_were_looked_up_by() {
        let limits = AddressLimits { names: 2, ..AddressLimits::default() };
        let mut table = Addresses::new(limits);
        let learn = |table: &mut Addresses, address: &str, name: &str| table.learn(address.parse().unwrap(), name);
        learn(&mut table, "93.184.216.34", "example.org");
        learn(&mut table, "2606:2800::1", "example.org");
        learn(&mut table, "10.0.0.1", "db.internal");
        assert_eq!(name(&mut table, "93.184.216.34", true), "example.org");
        assert_eq!(name(&mut table, "93.184.216.34", false), "internet");
        assert_eq!(name(&mut table, "10.0.0.1", true), "10.0.0.1");
        let key = |table: &mut Addresses, address: &str| table.entity("a", address.parse().unwrap(), true).key;
        assert_eq!(key(&mut table, "93.184.216.34"), key(&mut table, "2606:2800::1"));
        learn(&mut table, "1.1.1.1", "one.test");
        assert_eq!(name(&mut table, "93.184.216.34", true), "93.184.216.34");
        assert_eq!(name(&mut table, "1.1.1.1", true), "one.test");
    }

    #[test]
    fn limits_fold_into_subnets_and_the_internet() {
        let mut table = Addresses::new(AddressLimits { private: 1, public_servers: 1, names: 1 });
        assert_eq!(name(&mut table, "10.0.0.1", true), "10.0.0.1");
        assert_eq!(name(&mut table, "10.0.0.2", true), "10.0.0.0/24");
        assert_eq!(name(&mut table, "10.0.0.1", true), "10.0.0.1");
        assert_eq!(name(&mut table, "1.1.1.1", true), "1.1.1.1");
        assert_eq!(name(&mut table, "8.8.8.8", true), "internet");
        assert_eq!(name(&mut table, "fd00:1:2:3:4::1", true), "fd00:1:2:3::/64");
    }
}
