// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Level A: sock_send_length and sock_recv_length fire after each socket call, for socket I/O only, with a trusted
 * socket, the result and the flags.
 */
#define HADAL_LEVEL 1
#include "data.bpf.h"
#include "state.bpf.h"
#include "process.bpf.h"
#include "list.bpf.h"
#include "uring.bpf.h"
#include "cgroup.bpf.h"

static __always_inline void on_call(struct sock *sk, int result, int flags, int direction, __u32 scratch)
{
	struct call call = { .sk = sk, .length = result, .direction = direction, .scratch = scratch };

	if (!moves_bytes(flags, direction))
		return;
	if (result < 0)
		return end_vector(sk);
	call.discards = direction == HADAL_INGRESS && flags & MSG_TRUNC && is_tcp(sk);
	record_call(&call);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(sock_send_length, struct sock *sk, int result, int flags)
{
	on_call(sk, result, flags, HADAL_EGRESS, SCRATCH_SEND);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(sock_recv_length, struct sock *sk, int result, int flags)
{
	on_call(sk, result, flags, HADAL_INGRESS, SCRATCH_RECEIVE);
	return 0;
}

/* Kernel 6.16 and newer: runs under the socket's lock, so the first byte is sure whatever other threads do. */
SEC("?tp_btf/tcp_sendmsg_locked")
int BPF_PROG(tcp_sendmsg_locked, struct sock *sk)
{
	struct task_state *thread = bpf_task_storage_get(&tasks, current_task(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	struct tcp_sock *tcp;

	/* It fires for each segment of a call; the end of the call clears it. */
	if (!thread || thread->send_socket == (__u64)sk)
		return 0;
	tcp = tcp_of(sk);
	if (!tcp)
		return 0;
	thread->send_socket = (__u64)sk;
	thread->send_seq = tcp->write_seq;
	thread->send_start_ns = bpf_ktime_get_ns();
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
