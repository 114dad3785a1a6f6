/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A socket's identity and state. */
#ifndef HADAL_SOCKET_BPF_H
#define HADAL_SOCKET_BPF_H

#include "maps.bpf.h"

static __always_inline bool is_tcp(const struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	return (family == AF_INET || family == AF_INET6) && sk->sk_protocol == IPPROTO_TCP;
}

static __always_inline void map_ipv4(__u8 *address, __be32 ipv4)
{
	__builtin_memset(address, 0, 10);
	address[10] = 0xff;
	address[11] = 0xff;
	__builtin_memcpy(address + 12, &ipv4, 4);
}

/* Fills everything but the header. */
static __always_inline void fill_socket(struct hadal_socket_event *event, const struct sock *sk, __u64 cookie)
{
	event->cookie = cookie;
	event->netns = sk->__sk_common.skc_net.net->ns.inum;
	event->family = sk->__sk_common.skc_family;
	event->state = sk->__sk_common.skc_state;
	event->local_port = sk->__sk_common.skc_num;
	event->remote_port = __builtin_bswap16(sk->__sk_common.skc_dport);
	if (event->family == AF_INET) {
		map_ipv4(event->local_address, sk->__sk_common.skc_rcv_saddr);
		map_ipv4(event->remote_address, sk->__sk_common.skc_daddr);
		return;
	}
	BPF_CORE_READ_INTO(&event->local_address, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
	BPF_CORE_READ_INTO(&event->remote_address, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
}

static __always_inline void announce(struct socket_state *state, struct sock *sk, __u32 connect_us)
{
	struct hadal_socket_event event = {};

	fill_header(&event.header, HADAL_EVENT_SOCKET);
	/* A handshake ends in softirq, on some other task's back. */
	event.header.pid = state->owner;
	fill_socket(&event, sk, state->cookie);
	event.role = state->role;
	event.policy = state->policy;
	event.connect_us = connect_us;
	event.from_start = state->from_start;
	event.send_seq = state->send_seq;
	event.receive_seq = state->receive_seq;
	/* Without room it is tried again with the next call. */
	state->announced = emit(&event, sizeof(event));
}

static __always_inline struct socket_state *socket_state(struct sock *sk)
{
	return bpf_sk_storage_get(&sockets, sk, 0, 0);
}

static __always_inline struct socket_state *new_socket_state(struct sock *sk, __u8 role)
{
	struct socket_state *state = bpf_sk_storage_get(&sockets, sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!state) {
		count(HADAL_COUNTER_MAP_FULL);
		return 0;
	}
	state->cookie = bpf_get_socket_cookie(sk);
	state->role = role;
	state->last_direction = NO_DIRECTION;
	return state;
}

/* The running process connects, listens or makes the first call: it owns the socket, and may be one of ours. */
static __always_inline void meet_owner(struct socket_state *state)
{
	state->owner = bpf_get_current_task_btf()->tgid;
	if (bpf_map_lookup_elem(&ignored_processes, &state->owner))
		state->policy = HADAL_POLICY_IGNORE;
}

#endif
