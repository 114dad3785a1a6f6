/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The sockets that are older than the agent: every open file of every process, written as socket events. */
#ifndef HADAL_LIST_BPF_H
#define HADAL_LIST_BPF_H

#include "socket.bpf.h"

static __always_inline struct sock *listed_socket(struct file *file)
{
#if HADAL_LEVEL == HADAL_LEVEL_C
	return socket_of_file(file);
#else
	struct socket *socket = bpf_sock_from_file(file);

	return socket ? socket->sk : 0;
#endif
}

static __always_inline __u64 listed_cookie(struct sock *sk)
{
#if HADAL_LEVEL == HADAL_LEVEL_C
	struct socket_state *state = socket_state(sk);

	if (!state)
		state = new_socket_state(sk, HADAL_ROLE_UNKNOWN);
	if (!state)
		return 0;
	name_socket(state, sk);
	return state->cookie;
#else
	return bpf_get_socket_cookie(sk);
#endif
}

SEC("iter/task_file")
int list_sockets(struct bpf_iter__task_file *ctx)
{
	struct hadal_socket_event event = {};
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	__u32 transport;
	struct sock *sk;

	/* Threads share their files with the first one. */
	if (!task || !file || READ(task, pid) != READ(task, tgid))
		return 0;
	sk = listed_socket(file);
	if (!sk)
		return 0;
	transport = transport_of(sk);
	if (transport == HADAL_TRANSPORT_OTHER)
		return 0;
	event.header.time_ns = bpf_ktime_get_ns();
	event.header.kind = HADAL_EVENT_SOCKET;
	event.header.pid = READ(task, tgid);
	event.header.tid = READ(task, pid);
	fill_socket(&event, sk, listed_cookie(sk));
	if (!is_datagram(transport) && event.state == TCP_LISTEN)
		event.role = HADAL_ROLE_LISTENER;
	bpf_seq_write(ctx->meta->seq, &event, sizeof(event));
	return 0;
}

#endif
