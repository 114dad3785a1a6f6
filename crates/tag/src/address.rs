//! Entities of addresses that no observed process owns.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::entity::Entity;
use crate::key::hash;

/// Limits on entities made from addresses.
#[derive(Clone, Copy, Debug)]
pub struct AddressLimits {
    /// Private addresses with an entity of their own; further ones share one per subnet (/24, /64).
    pub private: usize,
    /// Public servers with an entity of their own; further ones share the Internet's.
    pub public_servers: usize,
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self { private: 256, public_servers: 512 }
    }
}

/// Which role an address plays in a record.
#[derive(Debug)]
pub struct Addresses {
    limits: AddressLimits,
    private: HashMap<IpAddr, ()>,
    public_servers: HashMap<IpAddr, ()>,
}

impl Addresses {
    /// No addresses met yet.
    pub fn new(limits: AddressLimits) -> Self {
        Self { limits, private: HashMap::new(), public_servers: HashMap::new() }
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
        if is_server && remember(&mut self.public_servers, address, self.limits.public_servers) {
            return by_address(address);
        }
        named(hash(&["internet"]), "internet", "internet", "")
    }

    fn private_entity(&mut self, address: IpAddr) -> Entity {
        if remember(&mut self.private, address, self.limits.private) {
            return by_address(address);
        }
        let subnet = subnet(address);
        named(hash(&["subnet", &subnet]), &subnet, "subnet", "")
    }
}

fn remember(known: &mut HashMap<IpAddr, ()>, address: IpAddr, limit: usize) -> bool {
    if known.len() < limit {
        known.insert(address, ());
    }
    known.contains_key(&address)
}

fn by_address(address: IpAddr) -> Entity {
    let text = address.to_string();
    named(hash(&["address", &text]), &text, "address", &text)
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
    fn limits_fold_into_subnets_and_the_internet() {
        let mut table = Addresses::new(AddressLimits { private: 1, public_servers: 1 });
        assert_eq!(name(&mut table, "10.0.0.1", true), "10.0.0.1");
        assert_eq!(name(&mut table, "10.0.0.2", true), "10.0.0.0/24");
        assert_eq!(name(&mut table, "10.0.0.1", true), "10.0.0.1");
        assert_eq!(name(&mut table, "1.1.1.1", true), "1.1.1.1");
        assert_eq!(name(&mut table, "8.8.8.8", true), "internet");
        assert_eq!(name(&mut table, "fd00:1:2:3:4::1", true), "fd00:1:2:3::/64");
    }
}
