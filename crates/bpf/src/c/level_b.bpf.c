// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Level B: the protocols' own send and receive functions, at their return. */
#define HADAL_LEVEL 2
#include "data.bpf.h"
#include "state.bpf.h"
#include "process.bpf.h"
#include "list.bpf.h"
#include "uring.bpf.h"
#include "cgroup.bpf.h"

enum { SCRATCH_DATAGRAM_SEND = 3, SCRATCH_DATAGRAM_RECEIVE = 8 };

static __always_inline void on_call(struct socket *socket, struct msghdr *message, int result, int flags, int direction,
				    __u32 scratch)
{
	struct sock *sk = socket->sk;
	struct call call = {
		.sk = sk, .length = result, .direction = direction, .scratch = SCRATCH_LEVEL_B + scratch,
	};

	if (!sk || !moves_bytes(flags, direction))
		return;
	if (result < 0)
		return end_vector(sk);
	if (message)
		call.peer = message->msg_name;
	call.discards = direction == HADAL_INGRESS && flags & MSG_TRUNC && is_tcp(sk);
	record_call(&call);
}

/* Functions of datagrams that those of sequenced packets call, on some kernels only. */
static __always_inline bool is_called_by_seqpacket(const struct socket *socket)
{
	return socket->sk && socket->sk->sk_type == SOCK_SEQPACKET;
}

#define SEND_HOOK(name, scratch)                                                                                       \
	SEC("?fexit/" #name)                                                                                           \
	int BPF_PROG(name, struct socket *socket, struct msghdr *message, size_t size, int result)                     \
	{                                                                                                              \
		if (scratch == SCRATCH_DATAGRAM_SEND && is_called_by_seqpacket(socket))                                \
			return 0;                                                                                      \
		on_call(socket, message, result, message->msg_flags, HADAL_EGRESS, scratch);                           \
		return 0;                                                                                              \
	}

#define RECEIVE_HOOK(name, scratch)                                                                                    \
	SEC("?fexit/" #name)                                                                                           \
	int BPF_PROG(name, struct socket *socket, struct msghdr *message, size_t size, int flags, int result)          \
	{                                                                                                              \
		if (scratch == SCRATCH_DATAGRAM_RECEIVE && is_called_by_seqpacket(socket))                             \
			return 0;                                                                                      \
		on_call(socket, message, result, flags, HADAL_INGRESS, scratch);                                       \
		return 0;                                                                                              \
	}

SEND_HOOK(inet_sendmsg, 0)
SEND_HOOK(inet6_sendmsg, 1)
SEND_HOOK(unix_stream_sendmsg, 2)
SEND_HOOK(unix_dgram_sendmsg, SCRATCH_DATAGRAM_SEND)
SEND_HOOK(unix_seqpacket_sendmsg, 4)
RECEIVE_HOOK(inet_recvmsg, 5)
RECEIVE_HOOK(inet6_recvmsg, 6)
RECEIVE_HOOK(unix_stream_recvmsg, 7)
RECEIVE_HOOK(unix_dgram_recvmsg, SCRATCH_DATAGRAM_RECEIVE)
RECEIVE_HOOK(unix_seqpacket_recvmsg, 9)

/* Before kernel 6.5, sendfile and splice come this way. */
#define PAGE_HOOK(name, scratch)                                                                                       \
	SEC("?fexit/" #name)                                                                                           \
	int BPF_PROG(name, struct socket *socket, void *page, int offset, size_t size, int flags, long result)         \
	{                                                                                                              \
		on_call(socket, 0, result, 0, HADAL_EGRESS, scratch);                                                  \
		return 0;                                                                                              \
	}

PAGE_HOOK(inet_sendpage, 10)
PAGE_HOOK(unix_stream_sendpage, 11)

char LICENSE[] SEC("license") = "Dual BSD/GPL";
