/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Contexts of coroutines: of what a runtime runs on threads by turns, such as goroutines and greenlets. Threads say nothing
 * there: what a coroutine has read, or what was handed to it, is what it works on.
 */
#ifndef HADAL_COROUTINE_BPF_H
#define HADAL_COROUTINE_BPF_H

#include "maps.bpf.h"
#include "buffer.bpf.h"

struct coroutine {
	__u64 number;
	__u32 pid;
	__u32 reserved;
};

enum { OWNER, MADE, HANDED };

struct coroutine_state {
	__u64 context;
	__u64 root; /* context of the request that it works on, 0 if none */
	__u64 channel; /* where work came from */
	__u32 source;
	__u32 released; /* it has handed something on since */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct coroutine);
	__type(value, struct coroutine_state);
} coroutines SEC(".maps");

/* Requests that were read and not answered yet, by context. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u32);
} open_requests SEC(".maps");

static __always_inline __u64 new_context(__u64 time_ns, __u64 marks)
{
	return time_ns << 8 | marks | (bpf_get_smp_processor_id() & HADAL_CONTEXT_CPU);
}

static __always_inline __u64 user_word(__u64 address)
{
	__u64 word = 0;

	bpf_probe_read_user(&word, sizeof(word), (void *)address);
	return word;
}

/*
 * What a coroutine works on: its own, or when it has nothing yet what the one works on that made it. Those that serve
 * pooled connections are made by one that only dials, and so inherit nothing.
 */
static __always_inline struct coroutine_state *coroutine_state(struct coroutine *key, __u64 parent)
{
	struct coroutine_state *state = bpf_map_lookup_elem(&coroutines, key), made = { .source = MADE };
	__u64 number = key->number;

	if (state || !parent)
		return state;
	key->number = parent;
	state = bpf_map_lookup_elem(&coroutines, key);
	key->number = number;
	if (!state)
		return 0;
	made.context = state->context;
	made.root = state->root;
	bpf_map_update_elem(&coroutines, key, &made, 0);
	return bpf_map_lookup_elem(&coroutines, key);
}

static __always_inline bool is_open(__u64 root)
{
	return root && bpf_map_lookup_elem(&open_requests, &root);
}

/* Calls for no request that is open tell that requests get to other goroutines in ways that are not followed yet. */
static __always_inline void note_call(__u32 pid, bool is_stray)
{
	struct hadal_go_layout *process = bpf_map_lookup_elem(&go_processes, &pid);

	if (!process)
		return;
	process->calls += 1;
	process->strays += is_stray;
}

/* A coroutine sends: the context of what it works on. */
COLD __u64 coroutine_sends(struct coroutine *key, __u64 parent, struct socket_state *socket, bool begins)
{
	struct coroutine_state *state;
	__u64 request;

	if (!key || !socket)
		return 0;
	request = socket->context;
	state = coroutine_state(key, parent);
	if (begins && socket->role == HADAL_ROLE_SERVER)
		bpf_map_delete_elem(&open_requests, &request);
	else if (begins)
		note_call(key->pid, !state || !is_open(state->root));
	if (begins)
		socket->root = state ? state->root : 0;
	return state ? state->context : 0;
}

/* A coroutine has received: a request, which it owns, or an answer, which belongs to what was asked. */
COLD int coroutine_receives(struct coroutine *key, struct socket_state *socket, bool begins)
{
	struct coroutine_state *known, next = { .source = OWNER };
	__u32 open = 1;

	if (!key || !socket)
		return 0;
	next.context = next.root = socket->context;
	if (socket->role == HADAL_ROLE_SERVER) {
		if (begins)
			bpf_map_update_elem(&open_requests, &next.root, &open, 0);
	} else {
		known = bpf_map_lookup_elem(&coroutines, key);
		next.root = socket->root;
		next.source = known ? known->source : HANDED;
		next.channel = known ? known->channel : 0;
	}
	bpf_map_update_elem(&coroutines, key, &next, 0);
	return 0;
}

#endif
