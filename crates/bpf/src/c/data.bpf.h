/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Level A data hooks: sock_send_length and sock_recv_length fire after each socket call, for socket I/O only, with a
 * trusted socket, the result and the flags.
 */
#ifndef HADAL_DATA_BPF_H
#define HADAL_DATA_BPF_H

#include "socket.bpf.h"
#include "syscall.bpf.h"

/* What user space decided is looked up when the direction changes, and kept with the socket in between. */
static __always_inline void refresh_policy(struct socket_state *state)
{
	__u32 *policy = bpf_map_lookup_elem(&policies, &state->cookie);

	if (policy)
		state->policy = *policy;
}

/*
 * Evidence for tracing: a message's first receive opens a context on the thread, later receives of the same message
 * keep it, sends carry it.
 */
static __always_inline __u64 follow_context(struct socket_state *state, int direction, bool flipped)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *thread = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!thread) {
		count(HADAL_COUNTER_MAP_FULL);
		return 0;
	}
	if (direction == HADAL_EGRESS)
		return thread->context;
	if (flipped)
		state->context = bpf_ktime_get_ns() << 8 | (bpf_get_smp_processor_id() & 0xff);
	thread->context = state->context;
	return state->context;
}

/* The sequence number after the last byte the program has written or read. */
static __always_inline __u32 next_sequence(const struct sock *sk, const struct tcp_sock *tcp, int direction)
{
	if (direction == HADAL_EGRESS)
		return tcp->write_seq;
	/* A FIN that was consumed with the data counts for one. */
	if (sk->sk_shutdown & RCV_SHUTDOWN && tcp->copied_seq == tcp->rcv_nxt)
		return tcp->copied_seq - 1;
	return tcp->copied_seq;
}

static __always_inline void fill_tcp(struct hadal_data_event *event, const struct sock *sk, const struct tcp_sock *tcp,
				     int direction)
{
	event->seq = next_sequence(sk, tcp, direction) - event->length;
	event->srtt_us = tcp->srtt_us >> 3;
	event->min_rtt_us = tcp->rtt_min.s[0].v;
	event->retransmits = tcp->total_retrans;
	event->send_window = tcp->snd_wnd;
	event->receive_window = tcp->rcv_wnd;
}

static __always_inline void emit_end(struct socket_state *state)
{
	struct hadal_close_event event = { .cookie = state->cookie };

	fill_header(&event.header, HADAL_EVENT_END);
	emit(&event, sizeof(event));
}

static __always_inline __u64 wanted_payload(const struct socket_state *state)
{
	if (state->policy == HADAL_POLICY_WHOLE)
		return HADAL_MAX_PAYLOAD;
	if (state->counter < HADAL_FIRST_CALLS && payload_limit < HADAL_FIRST_PAYLOAD)
		return HADAL_FIRST_PAYLOAD;
	return payload_limit;
}

static __always_inline void emit_data(struct socket_state *state, struct sock *sk, __u32 length, int direction)
{
	__u32 zero = 0;
	__u64 limit = wanted_payload(state);
	__u64 want = length < limit ? length : limit;
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &zero);
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	struct hadal_data_event *event;
	bool flipped = state->last_direction != direction;
	__u64 captured = 0;

	if (!scratch || !tcp)
		return;
	event = &scratch->event;
	state->last_direction = direction;
	fill_header(&event->header, HADAL_EVENT_DATA);
	event->cookie = state->cookie;
	event->context = follow_context(state, direction, flipped);
	event->counter = state->counter++;
	event->length = length;
	event->direction = direction;
	fill_tcp(event, sk, tcp, direction);
	if (state->policy != HADAL_POLICY_NO_PAYLOAD)
		captured = copy_payload(direction, scratch->payload, want);
	if (captured > HADAL_MAX_PAYLOAD)
		captured = 0;
	event->captured = captured;
	emit(event, sizeof(*event) + captured);
}

static __always_inline void socket_call(struct sock *sk, int result, int flags, int direction)
{
	struct socket_state *state;

	if (result < 0 || (flags & MSG_PEEK && direction == HADAL_INGRESS) || !is_tcp(sk))
		return;
	state = socket_state(sk);
	if (!state)
		state = new_socket_state(sk, HADAL_ROLE_UNKNOWN);
	if (!state)
		return;
	if (!state->owner)
		meet_owner(state);
	if (state->last_direction != direction)
		refresh_policy(state);
	if (!state->announced)
		announce(state, sk, 0);
	if (state->policy == HADAL_POLICY_IGNORE) {
		count(HADAL_COUNTER_IGNORED);
		return;
	}
	/* Bytes of a socket that nobody knows say nothing. */
	if (!state->announced) {
		count(HADAL_COUNTER_RING_FULL);
		return;
	}
	if (result > 0)
		emit_data(state, sk, result, direction);
	else if (direction == HADAL_INGRESS)
		emit_end(state);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(sock_send_length, struct sock *sk, int result, int flags)
{
	socket_call(sk, result, flags, HADAL_EGRESS);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(sock_recv_length, struct sock *sk, int result, int flags)
{
	socket_call(sk, result, flags, HADAL_INGRESS);
	return 0;
}

#endif
