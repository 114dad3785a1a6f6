//! The directory under load.

use super::*;

fn event(cookie: u64, transport: u32, role: u32, local_port: u16, remote_port: u16) -> abi::SocketEvent {
    let address = std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
    let zeroes: abi::SocketEvent = abi::read(&[0; 1024]).unwrap();
    abi::SocketEvent {
        header: abi::Header { pid: cookie as u32, ..zeroes.header },
        cookie,
        transport,
        role,
        local_address: address,
        remote_address: if remote_port == 0 { [0; 16] } else { address },
        local_port,
        remote_port,
        ..zeroes
    }
}

fn meet(sockets: &mut Sockets, event: &abi::SocketEvent, now_us: u64) -> Met {
    sockets.meet(event, &Arc::default(), now_us)
}

fn peer(sockets: &mut Sockets, cookie: u64, port: u16, now_us: u64) -> Option<u64> {
    let address = std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
    sockets.peer_socket(cookie, (address, port), &Arc::default(), now_us)
}

#[test]
fn a_socket_that_is_connected_elsewhere_leaves_nothing_behind() {
    let mut sockets = Sockets::new(10);
    for port in 1..100 {
        meet(&mut sockets, &event(1, abi::TRANSPORT_UDP, abi::ROLE_UNKNOWN, 5000, port), 0);
    }
    assert_eq!((sockets.by_cookie.len(), sockets.by_tuple.len()), (1, 1));
}

#[test]
fn listeners_are_forgotten_and_the_port_stays_with_the_others() {
    let mut sockets = Sockets::new(10);
    let client = event(3, abi::TRANSPORT_TCP, abi::ROLE_CLIENT, 40_000, 80);
    for cookie in [1, 2] {
        assert_eq!(meet(&mut sockets, &event(cookie, abi::TRANSPORT_TCP, abi::ROLE_LISTENER, 80, 0), 0), Met::Listener);
    }
    meet(&mut sockets, &client, 0);
    let listener = |sockets: &Sockets| sockets.listener_of_remote(sockets.get(3).unwrap());
    assert_eq!(listener(&sockets), Some(2));
    sockets.close_listener(2, 10);
    assert_eq!(listener(&sockets), Some(1));
    sockets.close_listener(1, 10);
    assert!(listener(&sockets).is_some());
    sockets.expire(10 + LINGER_US);
    assert_eq!(listener(&sockets), None);
}

#[test]
fn listeners_that_closed_unseen_and_those_beyond_the_limit() {
    let mut sockets = Sockets::new(10);
    let listen = |port| event(u64::from(port), abi::TRANSPORT_TCP, abi::ROLE_LISTENER, port, 0);
    let met: Vec<_> = (1..=12).map(|port| meet(&mut sockets, &listen(port), 0)).collect();
    assert_eq!(met.iter().filter(|&met| *met == Met::Full).count(), 2);
    sockets.reconcile_listeners(&Set::from_iter([1]), 1, 5);
    sockets.expire(5 + LINGER_US);
    assert_eq!(
        (2..=12).map(|port| meet(&mut sockets, &listen(port), 9)).filter(|met| *met == Met::Listener).count(),
        9
    );
}

#[test]
fn what_is_closed_goes_first_then_silent_peers_and_never_a_connection() {
    let mut sockets = Sockets::new(4);
    meet(&mut sockets, &event(1, abi::TRANSPORT_UDP, abi::ROLE_UNKNOWN, 53, 0), 0);
    meet(&mut sockets, &event(2, abi::TRANSPORT_TCP, abi::ROLE_CLIENT, 40_000, 80), 0);
    let silent = peer(&mut sockets, 1, 7000, 5).unwrap();
    meet(&mut sockets, &event(3, abi::TRANSPORT_TCP, abi::ROLE_CLIENT, 40_001, 80), 0);
    assert!(sockets.is_full() && peer(&mut sockets, 1, 7001, 6).is_none());
    sockets.close(3, 100);
    assert_eq!(sockets.dispensable(), (vec![3], false));
    sockets.forget(3);
    assert_eq!(sockets.dispensable(), (vec![silent], false));
    sockets.forget(silent);
    assert_eq!(sockets.dispensable(), (vec![], true));
    assert!(sockets.children_of(1).is_empty());
}

#[test]
fn both_ends_of_a_unix_pair_go_with_the_one_that_was_met() {
    let mut sockets = Sockets::new(4);
    let mut event = event(1, abi::TRANSPORT_UNIX_STREAM, abi::ROLE_CLIENT, 0, 0);
    event.peer_cookie = 9;
    meet(&mut sockets, &event, 0);
    sockets.close(1, 0);
    sockets.expire(LINGER_US);
    assert!(sockets.pairs.is_empty());
}

#[test]
fn memory_is_given_back_after_a_rush() {
    let mut sockets = Sockets::new(1 << 16);
    for cookie in 0..20_000 {
        meet(&mut sockets, &event(cookie, abi::TRANSPORT_TCP, abi::ROLE_CLIENT, cookie as u16, 80), 0);
        sockets.close(cookie, 0);
    }
    sockets.expire(LINGER_US);
    assert!(sockets.by_cookie.capacity() <= 1024 && sockets.by_tuple.capacity() <= 1024);
}
