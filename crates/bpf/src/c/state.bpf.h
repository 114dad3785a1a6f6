/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Life of a TCP socket: who connected to whom, how long it took, and its end. */
#ifndef HADAL_STATE_BPF_H
#define HADAL_STATE_BPF_H

#include "socket.bpf.h"
#include "tcp.bpf.h"
#include "loop.bpf.h"

/* What the running thread works on. */
static __always_inline __u64 running_context(void)
{
	struct task_struct *task = current_task();
	struct task_state *thread = task_state(task);

	return thread ? thread_context(thread, READ(task, pid)) : 0;
}

/* connect() runs in the program's own context: the place to see that it is one of ours. */
static __always_inline void on_connect(struct sock *sk)
{
	struct socket_state *state = new_socket_state(sk, HADAL_ROLE_CLIENT);

	if (!state)
		return;
	state->syn_sent_ns = bpf_ktime_get_ns();
	state->connect_context = running_context();
	meet_owner(state);
}

static __always_inline void on_listen(struct sock *sk)
{
	struct socket_state *state = new_socket_state(sk, HADAL_ROLE_LISTENER);

	if (!state)
		return;
	meet_owner(state);
	announce(state, sk, 0, SCRATCH_STATE);
}

/* At the end of the handshake nothing was sent or read yet. */
static __always_inline void note_start(struct socket_state *state, struct sock *sk)
{
	struct tcp_sock *tcp = tcp_of(sk);

	if (!tcp)
		return;
	state->send_seq = READ(tcp, write_seq);
	state->receive_seq = READ(tcp, copied_seq);
	state->from_start = 1;
	state->next[HADAL_EGRESS] = state->send_seq;
	state->next[HADAL_INGRESS] = state->receive_seq;
	state->met[HADAL_EGRESS] = state->met[HADAL_INGRESS] = 1;
}

static __always_inline void on_established(struct sock *sk, int old_state)
{
	struct socket_state *state = socket_state(sk);
	__u32 connect_us;

	if (old_state == TCP_SYN_SENT) {
		if (!state)
			return;
		note_start(state, sk);
		connect_us = (bpf_ktime_get_ns() - state->syn_sent_ns) / 1000;
		/* The local port and address are only sure now. */
		announce(state, sk, connect_us ? connect_us : 1, SCRATCH_STATE);
		return;
	}
	/* Accepted. Softirq runs on some other task's back, so who owns it is learned at the first socket call. */
	if (!state)
		state = new_socket_state(sk, HADAL_ROLE_SERVER);
	if (!state)
		return;
	state->role = HADAL_ROLE_SERVER;
	note_start(state, sk);
}

/* Bytes of a direction that no event has told of: spliced away, or only counted. */
static __always_inline __u32 unseen_bytes(const struct socket_state *state, struct sock *sk, struct tcp_sock *tcp,
					  int direction)
{
	__s32 unseen;

	if (!state->met[direction])
		return 0;
	unseen = next_sequence(sk, tcp, direction) - state->next[direction];
	/* A FIN that was sent counts for one. */
	if (direction == HADAL_EGRESS && unseen > 0)
		unseen--;
	return unseen > 0 ? unseen : 0;
}

static __always_inline void on_close(struct sock *sk)
{
	struct socket_state *state = socket_state(sk);
	struct hadal_close_event event = {};
	struct tcp_sock *tcp;

	if (state && state->announced) {
		tcp = tcp_of(sk);
		if (tcp) {
			event.retransmits = READ(tcp, total_retrans);
			event.srtt_us = READ(tcp, srtt_us) >> 3;
			event.unseen_egress = unseen_bytes(state, sk, tcp, HADAL_EGRESS);
			event.unseen_ingress = unseen_bytes(state, sk, tcp, HADAL_INGRESS);
		}
		event.cookie = state->cookie;
		fill_header(&event.header, HADAL_EVENT_CLOSE, current_task(), bpf_ktime_get_ns());
		emit(&event, sizeof(event), HADAL_COUNTER_RING_FULL_OTHER);
		state->announced = 0;
	}
	forget_socket_state(sk);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *sk, int old_state, int new_state)
{
	if (!is_tcp(sk))
		return 0;
	if (new_state == TCP_SYN_SENT)
		on_connect(sk);
	else if (new_state == TCP_LISTEN)
		on_listen(sk);
	else if (new_state == TCP_ESTABLISHED)
		on_established(sk, old_state);
	else if (new_state == TCP_CLOSE)
		on_close(sk);
	return 0;
}

#endif
