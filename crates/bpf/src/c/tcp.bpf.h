/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What a TCP socket tells: sequence numbers and the figures of the connection. */
#ifndef HADAL_TCP_BPF_H
#define HADAL_TCP_BPF_H

#include "maps.bpf.h"

static __always_inline struct tcp_sock *tcp_of(struct sock *sk)
{
#if HADAL_LEVEL == HADAL_LEVEL_A
	/* The caller knows that it is TCP; this costs no call. */
	return bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock));
#elif HADAL_LEVEL == HADAL_LEVEL_B
	return bpf_skc_to_tcp_sock(sk);
#else
	return (struct tcp_sock *)sk;
#endif
}

/* The sequence number after the last byte the program has written or read. */
static __always_inline __u32 next_sequence(const struct sock *sk, const struct tcp_sock *tcp, int direction)
{
	__u32 copied;

	if (direction == HADAL_EGRESS)
		return READ(tcp, write_seq);
	copied = READ(tcp, copied_seq);
	/* A FIN that was consumed with the data counts for one. */
	if (READ(sk, sk_shutdown) & RCV_SHUTDOWN && copied == READ(tcp, rcv_nxt))
		return copied - 1;
	return copied;
}

static __always_inline void fill_tcp(struct hadal_data_event *event, const struct tcp_sock *tcp)
{
	event->srtt_us = READ(tcp, srtt_us) >> 3;
	event->min_rtt_us = READ(tcp, rtt_min.s[0].v);
	event->retransmits = READ(tcp, total_retrans);
	event->send_window = READ(tcp, snd_wnd);
	event->receive_window = READ(tcp, rcv_wnd);
}

#endif
