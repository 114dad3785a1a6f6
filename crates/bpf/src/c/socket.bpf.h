/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A socket's identity and state. */
#ifndef HADAL_SOCKET_BPF_H
#define HADAL_SOCKET_BPF_H

#include "maps.bpf.h"

/* enum hadal_transport; OTHER is not recorded. */
static __always_inline __u32 transport_of(const struct sock *sk)
{
	__u16 family = READ(sk, __sk_common.skc_family);
	__u16 protocol;

	if (family == AF_UNIX)
		return READ(sk, sk_type) == SOCK_STREAM ? HADAL_TRANSPORT_UNIX_STREAM : HADAL_TRANSPORT_UNIX_DATAGRAM;
	if (family != AF_INET && family != AF_INET6)
		return HADAL_TRANSPORT_OTHER;
	protocol = READ(sk, sk_protocol);
	if (protocol == IPPROTO_TCP)
		return HADAL_TRANSPORT_TCP;
	if (protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE)
		return HADAL_TRANSPORT_UDP;
	return protocol == IPPROTO_MPTCP ? HADAL_TRANSPORT_STREAM : HADAL_TRANSPORT_OTHER;
}

static __always_inline bool is_tcp(const struct sock *sk)
{
	return transport_of(sk) == HADAL_TRANSPORT_TCP;
}

static __always_inline bool is_unix(__u32 transport)
{
	return transport == HADAL_TRANSPORT_UNIX_STREAM || transport == HADAL_TRANSPORT_UNIX_DATAGRAM;
}

static __always_inline bool is_datagram(__u32 transport)
{
	return transport == HADAL_TRANSPORT_UDP || transport == HADAL_TRANSPORT_UNIX_DATAGRAM;
}

static __always_inline void map_ipv4(__u8 *address, __be32 ipv4)
{
	__builtin_memset(address, 0, 10);
	address[10] = 0xff;
	address[11] = 0xff;
	__builtin_memcpy(address + 12, &ipv4, 4);
}

static __always_inline __u32 ports_of(const struct sock *sk)
{
	return (__u32)READ(sk, __sk_common.skc_num) << 16 | READ(sk, __sk_common.skc_dport);
}

/* The name both ends go by: that of the listener, which the accepted socket shares and the client does not have. */
static __always_inline void fill_unix(struct hadal_socket_event *event, const struct sock *sk)
{
	const struct unix_sock *own = (const struct unix_sock *)sk;
	const struct unix_sock *peer = (const struct unix_sock *)BPF_CORE_READ(own, peer);
	struct unix_address *own_address = BPF_CORE_READ(own, addr);
	struct unix_address *named = own_address;
	struct pid *peer_pid = BPF_CORE_READ(sk, sk_peer_pid);
	int length;

	if (peer_pid)
		event->peer_pid = BPF_CORE_READ(peer_pid, numbers[0].nr);
	if (peer) {
		event->peer_cookie = BPF_CORE_READ((const struct sock *)peer, __sk_common.skc_cookie.counter);
		if (!named)
			named = BPF_CORE_READ(peer, addr);
		if (event->role == HADAL_ROLE_UNKNOWN && named)
			event->role = own_address ? HADAL_ROLE_SERVER : HADAL_ROLE_CLIENT;
	}
	if (!named)
		return;
	/* Without the family. */
	length = BPF_CORE_READ(named, len) - 2;
	if (length <= 0 || length > HADAL_MAX_UNIX_PATH)
		return;
	if (!bpf_probe_read_kernel(event->unix_path, length, &named->name[0].sun_path))
		event->unix_path_length = length;
}

/* Fills everything but the header and what the state knows. */
static __always_inline void fill_socket(struct hadal_socket_event *event, const struct sock *sk, __u64 cookie)
{
	event->cookie = cookie;
	event->netns = READ(sk, __sk_common.skc_net.net, ns.inum);
	event->family = READ(sk, __sk_common.skc_family);
	event->state = READ(sk, __sk_common.skc_state);
	event->transport = transport_of(sk);
	if (event->family == AF_UNIX)
		return fill_unix(event, sk);
	event->local_port = READ(sk, __sk_common.skc_num);
	event->remote_port = __builtin_bswap16(READ(sk, __sk_common.skc_dport));
	if (event->family == AF_INET) {
		map_ipv4(event->local_address, READ(sk, __sk_common.skc_rcv_saddr));
		map_ipv4(event->remote_address, READ(sk, __sk_common.skc_daddr));
		return;
	}
	BPF_CORE_READ_INTO(&event->local_address, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
	BPF_CORE_READ_INTO(&event->remote_address, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
}

static __always_inline struct sock *socket_of_file(struct file *file)
{
	struct socket *socket;

	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

#if HADAL_LEVEL == HADAL_LEVEL_C
static __always_inline __u64 inode_of(const struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_socket, file, f_inode, i_ino);
}

static __always_inline struct socket_state *socket_state(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct socket_state *state = bpf_map_lookup_elem(&sockets, &key);
	__u64 inode;

	/* An accepted socket has no file before it is accepted, and none after it was closed. */
	if (!state)
		return 0;
	inode = inode_of(sk);
	if (state->inode && inode && state->inode != inode) {
		bpf_map_delete_elem(&sockets, &key);
		return 0;
	}
	if (inode)
		state->inode = inode;
	return state;
}

static __always_inline struct socket_state *new_socket_state(struct sock *sk, __u8 role)
{
	__u64 key = (__u64)sk;
	struct socket_state fresh = {};

	fresh.role = role;
	fresh.transport = transport_of(sk);
	fresh.last_direction = NO_DIRECTION;
	fresh.inode = inode_of(sk);
	if (bpf_map_update_elem(&sockets, &key, &fresh, 0)) {
		count(HADAL_COUNTER_MAP_FULL);
		return 0;
	}
	return bpf_map_lookup_elem(&sockets, &key);
}

/* The kernel's cookie where someone has asked for it, else a number of ours; it counts from 1, so the highest bit is free. */
static __always_inline void name_socket(struct socket_state *state, struct sock *sk)
{
	if (!state->cookie)
		state->cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	if (!state->cookie)
		state->cookie = 1ull << 63 | bpf_ktime_get_ns() << 8 | (bpf_get_smp_processor_id() & 0xff);
}

static __always_inline void forget_socket_state(struct sock *sk)
{
	__u64 key = (__u64)sk;

	bpf_map_delete_elem(&sockets, &key);
}

static __always_inline struct task_state *task_state(struct task_struct *task)
{
	__u64 key = bpf_get_current_pid_tgid();
	struct task_state *state = bpf_map_lookup_elem(&tasks, &key);
	struct task_state fresh = {};

	if (state)
		return state;
	if (bpf_map_update_elem(&tasks, &key, &fresh, 0))
		return 0;
	return bpf_map_lookup_elem(&tasks, &key);
}
#else
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
	state->transport = transport_of(sk);
	state->last_direction = NO_DIRECTION;
	return state;
}

/* It has its cookie from the start. */
static __always_inline void name_socket(struct socket_state *state, struct sock *sk)
{
}

/* Goes with the socket. */
static __always_inline void forget_socket_state(struct sock *sk)
{
}

static __always_inline struct task_state *task_state(struct task_struct *task)
{
	return bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}
#endif

/* Made in a scratch: the stack has no room for it. */
COLD int announce(struct socket_state *state, struct sock *sk, __u32 connect_us, __u32 index)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &index);
	struct hadal_socket_event *event;

	if (!scratch)
		return 0;
	event = (struct hadal_socket_event *)scratch->payload;
	__builtin_memset(event, 0, sizeof(*event));
	name_socket(state, sk);
	fill_header(&event->header, HADAL_EVENT_SOCKET, current_task(), bpf_ktime_get_ns());
	/* A handshake ends in softirq, on some other task's back. */
	event->header.pid = state->owner;
	event->role = state->role;
	fill_socket(event, sk, state->cookie);
	event->policy = state->policy;
	event->connect_us = connect_us;
	event->from_start = state->from_start;
	event->send_seq = state->send_seq;
	event->receive_seq = state->receive_seq;
	state->ports = ports_of(sk);
	/* Without room it is tried again with the next call. */
	state->announced = emit(event, sizeof(*event), HADAL_COUNTER_RING_FULL_OTHER);
	return 0;
}

/* The running process connects, listens or makes the first call: it owns the socket, and may be one of ours. */
static __always_inline void meet_owner(struct socket_state *state)
{
	state->owner = READ(current_task(), tgid);
	if (bpf_map_lookup_elem(&ignored_processes, &state->owner))
		state->policy = HADAL_POLICY_IGNORE;
}

#endif
