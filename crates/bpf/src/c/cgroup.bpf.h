/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What only control groups are told: who a datagram came from, and that a UDP socket is gone. Attached to the root of
 * the second hierarchy where there is one. The programs read and always let pass.
 */
#ifndef HADAL_CGROUP_BPF_H
#define HADAL_CGROUP_BPF_H

#include "data.bpf.h"

enum { LET_PASS = 1 };

static __always_inline struct datagram_peer *sender_of(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct datagram_peer *peer;

	if (!sk)
		return 0;
	peer = bpf_sk_storage_get(&datagram_peers, sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!peer)
		return 0;
	peer->tid = bpf_get_current_pid_tgid();
	peer->port = __builtin_bswap16(ctx->user_port);
	return peer;
}

SEC("?cgroup/recvmsg4")
int note_sender4(struct bpf_sock_addr *ctx)
{
	struct datagram_peer *peer = sender_of(ctx);

	if (peer)
		map_ipv4(peer->address, ctx->user_ip4);
	return LET_PASS;
}

SEC("?cgroup/recvmsg6")
int note_sender6(struct bpf_sock_addr *ctx)
{
	struct datagram_peer *peer = sender_of(ctx);
	__u32 address[4];

	if (!peer)
		return LET_PASS;
	address[0] = ctx->user_ip6[0];
	address[1] = ctx->user_ip6[1];
	address[2] = ctx->user_ip6[2];
	address[3] = ctx->user_ip6[3];
	__builtin_memcpy(peer->address, address, 16);
	return LET_PASS;
}

SEC("?cgroup/sock_release")
int udp_released(struct bpf_sock *ctx)
{
	struct hadal_close_event event = {};
	struct socket_state *state;

	if (ctx->protocol != IPPROTO_UDP)
		return LET_PASS;
	state = bpf_sk_storage_get(&sockets, ctx, 0, 0);
	if (!state || !state->announced)
		return LET_PASS;
	event.header.time_ns = bpf_ktime_get_ns();
	event.header.kind = HADAL_EVENT_CLOSE;
	event.cookie = state->cookie;
	event.unseen_egress = state->bytes[HADAL_EGRESS] - state->next[HADAL_EGRESS];
	event.unseen_ingress = state->bytes[HADAL_INGRESS] - state->next[HADAL_INGRESS];
	state->announced = 0;
	emit(&event, sizeof(event), HADAL_COUNTER_RING_FULL_OTHER);
	return LET_PASS;
}

#endif
