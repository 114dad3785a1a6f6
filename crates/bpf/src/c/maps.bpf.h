/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps and switches shared by all programs of an object. */
#ifndef HADAL_MAPS_BPF_H
#define HADAL_MAPS_BPF_H

#include "level.bpf.h"

/* Set by the loader before load. */
const volatile struct hadal_settings settings = { .payload_limit = 1024 };

/* Changed by user space while the programs run. */
volatile struct hadal_controls controls SEC(".data.controls") = {};

/* A socket's state, freed with the socket. Arrays are indexed by direction. */
struct socket_state {
	__u64 cookie;
	__u64 counter;
	__u64 context;
	__u64 connect_context; /* of the task that connected, for what is sent first */
	__u64 root; /* of coroutines: the request that the last message sent here belongs to; of Python: the task that sent it */
	__u64 sender; /* of Python: the task's number */
	__u64 syn_sent_ns;
	__u64 counted_ns[2]; /* when bytes that are only counted were last reported */
	__u64 inode; /* level C: tells that the kernel's memory was reused for another socket */
	__u32 bytes[2]; /* bytes of this direction so far, of what is not TCP */
	__u32 next[2]; /* end of what was reported */
	__u32 send_seq; /* first bytes of both directions, if `from_start` */
	__u32 receive_seq;
	__u32 owner; /* process that connected, listened or first used it */
	__u32 ports; /* as announced */
	__u32 run; /* payload bytes copied since the direction changed */
	__u8 role;
	__u8 policy;
	__u8 transport;
	__u8 last_direction; /* HADAL_INGRESS, HADAL_EGRESS or NO_DIRECTION */
	__u8 announced;
	__u8 from_start;
	__u8 met[2]; /* `next` is known */
};

enum { NO_DIRECTION = 2 };

/* What a thread works on, where requests are followed from one thread to another; see thread.bpf.h. */
struct thread_work {
	__u64 root; /* context of the request, 0 if none is known */
	__u64 channel; /* where it waited when it was handed that */
	__u64 joins_at; /* where it waited for what it had handed to others */
	__u64 since_ns; /* when it was handed that, or has read last */
	__u32 giver; /* the thread that handed it that */
	__u8 reach; /* how far this process is followed */
	__u8 source;
	__u8 is_spent; /* it has sent in the context that it was handed */
	__u8 is_unsure; /* what it sends may belong to something else */
	__u8 is_unsure_root; /* so may all that it does */
	__u8 is_loop; /* it waits for events, and may work on several requests */
	__u8 has_given; /* it has handed work over since it read or sent anything */
	__u8 reserved;
};

struct task_state {
	__u64 context;
	__u64 request; /* context of the last request that it read and has not answered */
	__u64 vector; /* of messages being sent or received one by one */
	__u64 send_socket; /* a send under way: its socket, first byte and start */
	__u64 send_start_ns;
	__u64 registers; /* where those of its system calls lie, once asked for */
	__u32 send_seq;
	__u32 vector_next;
	__u32 runtime_generation;
	__u16 runtime; /* enum hadal_runtime */
	__u16 is_nested; /* what it read last was read by a callback of its loop */
	struct hadal_go_layout go;
	struct thread_work work;
	__u32 overlaps; /* requests that it read before it had answered others, of late */
};

/* One event being built. A vector is copied in steps, so that the verifier is sure of `payload + offset`. */
struct scratch {
	struct hadal_data_event event;
	__u8 payload[HADAL_MAX_PAYLOAD + HADAL_PAYLOAD_STEP];
};

/* Programs that may interrupt each other do not share a scratch; a program never interrupts itself. */
enum { SCRATCH_RECEIVE, SCRATCH_SEND, SCRATCH_URING, SCRATCH_STATE, SCRATCH_LEVEL_B, SCRATCH_LAST = SCRATCH_LEVEL_B + 12 };

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} events SEC(".maps");

#if HADAL_LEVEL == HADAL_LEVEL_C
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64); /* address of the socket */
	__type(value, struct socket_state);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64); /* thread group and thread */
	__type(value, struct task_state);
} tasks SEC(".maps");
#else
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
#endif

/*
 * Decisions of user space by socket cookie. The kernel counts cookies, so those of sockets that live at the same time
 * rarely meet in a slot, and a look-up costs no call. A decision that another one displaces before the socket reads it is
 * lost: the socket keeps what it had.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HADAL_POLICY_SLOTS);
	__type(key, __u32);
	__type(value, struct hadal_decision);
} policies SEC(".maps");

/* Thread groups whose sockets are never recorded: the agent's and the server's own. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} ignored_processes SEC(".maps");

/* What runs the code of a thread group: enum hadal_runtime. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, __u32);
} runtimes SEC(".maps");

/* Thread groups that run Go. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct hadal_go_layout);
} go_processes SEC(".maps");

/* Thread groups that run Python. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct hadal_python_layout);
} python_processes SEC(".maps");

/* Thread groups that run tokio. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct hadal_tokio_layout);
} tokio_processes SEC(".maps");

/* Thread groups whose requests are followed from one thread to another. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct hadal_threads);
} threaded_processes SEC(".maps");

/* Indexed by enum hadal_counter. */
struct counts {
	__u64 value[HADAL_COUNTER_LAST];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counts);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_LAST);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline void count(__u32 counter)
{
	__u32 zero = 0;
	struct counts *counts = bpf_map_lookup_elem(&counters, &zero);

	if (counts)
		counts->value[counter] += 1;
}

/* What user space decided about a socket; PREFIX if nothing. */
static __always_inline __u32 decided_policy(__u64 cookie, __u32 otherwise)
{
	__u32 slot = cookie & (HADAL_POLICY_SLOTS - 1);
	struct hadal_decision *decision = bpf_map_lookup_elem(&policies, &slot);

	return decision && decision->cookie == cookie ? decision->policy : otherwise;
}

/* False if the ring had no room. */
static __always_inline bool emit(void *event, __u64 size, __u32 lost)
{
	if (!bpf_ringbuf_output(&events, event, size, BPF_RB_NO_WAKEUP))
		return true;
	count(lost);
	return false;
}

/* `pid` and `tid` of the running task, zero for kernel threads and interrupts that run on another task's back. */
static __always_inline void fill_header(struct hadal_header *header, __u32 kind, struct task_struct *task, __u64 time_ns)
{
	header->time_ns = time_ns;
	header->kind = kind;
	header->pid = READ(task, tgid);
	header->tid = READ(task, pid);
	header->reserved = 0;
}

#endif
