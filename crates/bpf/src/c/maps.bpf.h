/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps and switches shared by all programs of the object. */
#ifndef HADAL_MAPS_BPF_H
#define HADAL_MAPS_BPF_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <hadal/event.h>

/* Set by the loader before load. */
const volatile __u32 payload_limit = 1024;

/* A socket's state, freed with the socket. */
struct socket_state {
	__u64 cookie;
	__u64 counter;
	__u64 context;
	__u64 syn_sent_ns;
	__u32 send_seq; /* first bytes of both directions, if `from_start` */
	__u32 receive_seq;
	__u32 owner; /* process that connected, listened or first used it */
	__u8 role;
	__u8 policy;
	__u8 last_direction; /* HADAL_INGRESS, HADAL_EGRESS or NO_DIRECTION */
	__u8 announced;
	__u8 from_start;
};

enum { NO_DIRECTION = 2 };

struct task_state {
	__u64 context;
};

/* One event being built; the second half keeps the verifier sure of `payload + offset`. */
struct scratch {
	struct hadal_data_event event;
	__u8 payload[2 * HADAL_MAX_PAYLOAD];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_state);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_state);
} tasks SEC(".maps");

/* Decisions of user space by socket cookie (enum hadal_policy). */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u32);
} policies SEC(".maps");

/* Thread groups whose sockets are never recorded: the agent's and the server's own. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} ignored_processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HADAL_COUNTER_LAST);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Tracepoints run with preemption off, so one per CPU is enough. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline void count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		*value += 1;
}

/* False if the ring had no room. */
static __always_inline bool emit(void *event, __u64 size)
{
	bool sent = bpf_ringbuf_output(&events, event, size, BPF_RB_NO_WAKEUP) == 0;

	count(sent ? HADAL_COUNTER_EVENTS : HADAL_COUNTER_RING_FULL);
	return sent;
}

/* `pid` and `tid` of the running task, zero for kernel threads and interrupts that run on another task's back. */
static __always_inline void fill_header(struct hadal_header *header, __u32 kind)
{
	struct task_struct *task = bpf_get_current_task_btf();

	header->time_ns = bpf_ktime_get_ns();
	header->kind = kind;
	header->pid = task->tgid;
	header->tid = task->pid;
	header->reserved = 0;
}

#endif
