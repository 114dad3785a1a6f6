/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The sockets that are older than the agent: every open file of every process, written as socket events. */
#ifndef HADAL_LIST_BPF_H
#define HADAL_LIST_BPF_H

#include "socket.bpf.h"

SEC("iter/task_file")
int list_sockets(struct bpf_iter__task_file *ctx)
{
	struct hadal_socket_event event = {};
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;

	/* Threads share their files with the first one. */
	if (!task || !file || task->pid != task->tgid)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || !is_tcp(sk))
		return 0;
	event.header.time_ns = bpf_ktime_get_ns();
	event.header.kind = HADAL_EVENT_SOCKET;
	event.header.pid = task->tgid;
	event.header.tid = task->pid;
	fill_socket(&event, sk, bpf_get_socket_cookie(sk));
	event.role = event.state == TCP_LISTEN ? HADAL_ROLE_LISTENER : HADAL_ROLE_UNKNOWN;
	bpf_seq_write(ctx->meta->seq, &event, sizeof(event));
	return 0;
}

#endif
