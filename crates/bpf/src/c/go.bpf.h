/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Contexts of goroutines. Threads say nothing in Go: what a goroutine has read, or what was handed to it, is what it works
 * on. Most of it is seen at socket calls; where one goroutine works for another, uprobes in the program tell.
 *
 * Not all that goes over a channel is work: connections come back to a pool that way, too, and from other requests. So who
 * has a request of its own in hands keeps it:
 *   - a goroutine that reads requests (OWNER) takes nothing;
 *   - one made by such a goroutine (MADE) takes something when it has handed its result on, or its request was answered;
 *   - one that was handed work (HANDED) takes more of it from where that came from, and otherwise as a MADE one does.
 */
#ifndef HADAL_GO_BPF_H
#define HADAL_GO_BPF_H

#include "maps.bpf.h"
#include "buffer.bpf.h"

struct goroutine {
	__u64 number;
	__u32 pid;
	__u32 reserved;
};

enum { GO_OWNER, GO_MADE, GO_HANDED };

struct goroutine_state {
	__u64 context;
	__u64 root; /* context of the request that it works on, 0 if none */
	__u64 channel; /* where work came from */
	__u32 source;
	__u32 released; /* it has handed something on since */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct goroutine);
	__type(value, struct goroutine_state);
} goroutines SEC(".maps");

/* What is sent over a pooled connection; the key's number is the connection's address in the program. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct goroutine);
	__type(value, struct goroutine_state);
} go_connections SEC(".maps");

/* Requests that were read and not answered yet, by context. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u32);
} go_open SEC(".maps");

/* A place in a channel's buffer. */
struct go_place {
	__u64 channel;
	__u32 index;
	__u32 pid;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct go_place);
	__type(value, struct goroutine_state);
} go_buffered SEC(".maps");

/* Numbers of the goroutine at `g` and of its maker. */
static __always_inline void read_goroutine(__u64 g, const struct hadal_go_layout *layout, __u64 *number, __u64 *parent)
{
	*parent = 0;
	if (bpf_probe_read_user(number, 8, (void *)(g + layout->goid)))
		*number = 0;
	else if (layout->parent_goid)
		bpf_probe_read_user(parent, 8, (void *)(g + layout->parent_goid));
}

/*
 * What a goroutine works on: its own, or when it has nothing yet what the one works on that made it. Those that serve
 * pooled connections are made by one that only dials, and so inherit nothing.
 */
static __always_inline struct goroutine_state *goroutine_state(struct goroutine *key, __u64 parent)
{
	struct goroutine_state *state = bpf_map_lookup_elem(&goroutines, key), made = { .source = GO_MADE };
	__u64 number = key->number;

	if (state || !parent)
		return state;
	key->number = parent;
	state = bpf_map_lookup_elem(&goroutines, key);
	key->number = number;
	if (!state)
		return 0;
	made.context = state->context;
	made.root = state->root;
	bpf_map_update_elem(&goroutines, key, &made, 0);
	return bpf_map_lookup_elem(&goroutines, key);
}

static __always_inline bool is_open(__u64 root)
{
	return root && bpf_map_lookup_elem(&go_open, &root);
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

/* A goroutine sends: the context of what it works on. */
COLD __u64 goroutine_sends(struct goroutine *key, __u64 parent, struct socket_state *socket, bool begins)
{
	struct goroutine_state *state;

	if (!key || !socket)
		return 0;
	state = goroutine_state(key, parent);
	if (begins && socket->role == HADAL_ROLE_SERVER)
		bpf_map_delete_elem(&go_open, &socket->context);
	else if (begins)
		note_call(key->pid, !state || !is_open(state->root));
	if (begins)
		socket->root = state ? state->root : 0;
	return state ? state->context : 0;
}

/* A goroutine has received: a request, which it owns, or an answer, which belongs to what was asked. */
COLD int goroutine_receives(struct goroutine *key, struct socket_state *socket, bool begins)
{
	struct goroutine_state *known, next = { .source = GO_OWNER };
	__u32 open = 1;

	if (!key || !socket)
		return 0;
	next.context = next.root = socket->context;
	if (socket->role == HADAL_ROLE_SERVER) {
		if (begins)
			bpf_map_update_elem(&go_open, &socket->context, &open, 0);
	} else {
		known = bpf_map_lookup_elem(&goroutines, key);
		next.root = socket->root;
		next.source = known ? known->source : GO_HANDED;
		next.channel = known ? known->channel : 0;
	}
	bpf_map_update_elem(&goroutines, key, &next, 0);
	return 0;
}

/* The goroutine that runs; false if the program is not known to be Go. */
static __always_inline struct hadal_go_layout *running_goroutine(struct pt_regs *regs, struct goroutine *key, __u64 *parent)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct hadal_go_layout *layout = bpf_map_lookup_elem(&go_processes, &pid);

	if (!layout)
		return 0;
	key->pid = pid;
	read_goroutine(UPROBE_GO_G(regs), layout, &key->number, parent);
	return key->number ? layout : 0;
}

/* net/http.(*persistConn).roundTrip: a request is given to a pooled connection. */
SEC("uprobe")
int go_round_trip(struct pt_regs *regs)
{
	struct goroutine key = {}, connection = {};
	struct goroutine_state *state, handed = { .source = GO_HANDED };
	__u64 parent;

	if (!running_goroutine(regs, &key, &parent))
		return 0;
	state = goroutine_state(&key, parent);
	if (state) {
		handed.context = state->context;
		handed.root = state->root;
	}
	connection.number = UPROBE_GO_ARG1(regs);
	connection.pid = key.pid;
	bpf_map_update_elem(&go_connections, &connection, &handed, 0);
	return 0;
}

/* net/http.persistConnWriter.Write: the connection's own goroutine is about to write it. */
SEC("uprobe")
int go_write(struct pt_regs *regs)
{
	struct goroutine key = {}, connection = {};
	struct goroutine_state *state, handed;
	__u64 parent;

	if (!running_goroutine(regs, &key, &parent))
		return 0;
	connection.number = UPROBE_GO_ARG1(regs);
	connection.pid = key.pid;
	state = bpf_map_lookup_elem(&go_connections, &connection);
	if (!state)
		return 0;
	handed = *state;
	bpf_map_update_elem(&goroutines, &key, &handed, 0);
	return 0;
}

/* Whether a goroutine takes what comes over a channel for its work; see the top of this file. */
static __always_inline bool takes_over(const struct goroutine_state *own, __u64 channel)
{
	if (!own)
		return true;
	if (own->source == GO_OWNER)
		return false;
	return (own->source == GO_HANDED && (!own->channel || own->channel == channel)) || own->released || !is_open(own->root);
}

/* `from` hands what it works on to `to`, over a channel. */
static __always_inline void hand_over(const struct goroutine_state *from, struct goroutine *to, __u64 channel)
{
	struct goroutine_state *own = bpf_map_lookup_elem(&goroutines, to);
	struct goroutine_state handed = { .source = GO_HANDED, .channel = channel };

	if (!takes_over(own, channel))
		return;
	if (from) {
		handed.context = from->context;
		handed.root = from->root;
	}
	bpf_map_update_elem(&goroutines, to, &handed, 0);
}

static __always_inline void note_release(struct goroutine *key, __u64 channel)
{
	struct goroutine_state *state = bpf_map_lookup_elem(&goroutines, key);

	if (state && state->channel != channel)
		state->released = 1;
}

/* Elements without a size carry nothing: signals, locks. */
static __always_inline bool carries(__u64 channel)
{
	__u16 size = 0;

	return !bpf_probe_read_user(&size, sizeof(size), (void *)(channel + 24)) && size;
}

static __always_inline __u64 user_word(__u64 address)
{
	__u64 word = 0;

	bpf_probe_read_user(&word, sizeof(word), (void *)address);
	return word;
}

/* Of a function whose arguments are a channel and who waits there, whose goroutine comes first: one gives, the other takes. */
static __always_inline int go_meet(struct pt_regs *regs, bool sends)
{
	struct goroutine running = {}, waiting = {}, *from = sends ? &running : &waiting, *to = sends ? &waiting : &running;
	__u64 own_parent, other_parent, channel = UPROBE_GO_ARG1(regs);
	struct hadal_go_layout *layout = running_goroutine(regs, &running, &own_parent);

	if (!layout || !carries(channel))
		return 0;
	waiting.pid = running.pid;
	read_goroutine(user_word(UPROBE_GO_ARG2(regs)), layout, &waiting.number, &other_parent);
	hand_over(goroutine_state(from, sends ? own_parent : other_parent), to, channel);
	note_release(from, channel);
	return 0;
}

/* runtime.send: there is a receiver that waits. */
SEC("uprobe")
int go_send(struct pt_regs *regs)
{
	return go_meet(regs, true);
}

/* runtime.recv: there is a sender that waits. */
SEC("uprobe")
int go_recv(struct pt_regs *regs)
{
	return go_meet(regs, false);
}

/* The head of a channel: how many elements it holds, and how many it has room for. */
struct go_channel {
	__u64 count, room;
};

/* runtime.chansend: if nobody waits the element goes to the buffer, if there is room. */
SEC("uprobe")
int go_chansend(struct pt_regs *regs)
{
	__u64 parent, channel = UPROBE_GO_ARG1(regs);
	struct goroutine_state *state, nothing = {};
	struct hadal_go_layout *layout;
	struct go_channel head = {};
	struct goroutine key = {};
	struct go_place place = {};

	layout = running_goroutine(regs, &key, &parent);
	if (!layout || bpf_probe_read_user(&head, sizeof(head), (void *)channel) || head.count >= head.room || !carries(channel))
		return 0;
	/* Who waits to receive stands behind the two indexes. */
	if (user_word(channel + layout->channel_sendx + 16))
		return 0;
	place.channel = channel;
	place.index = user_word(channel + layout->channel_sendx);
	place.pid = key.pid;
	state = goroutine_state(&key, parent);
	bpf_map_update_elem(&go_buffered, &place, state ? state : &nothing, 0);
	note_release(&key, channel);
	return 0;
}

/* runtime.chanrecv: if the buffer holds an element it is taken. */
SEC("uprobe")
int go_chanrecv(struct pt_regs *regs)
{
	__u64 unused, channel = UPROBE_GO_ARG1(regs);
	struct hadal_go_layout *layout;
	struct goroutine_state *state;
	struct go_channel head = {};
	struct goroutine key = {};
	struct go_place place = {};

	layout = running_goroutine(regs, &key, &unused);
	if (!layout || bpf_probe_read_user(&head, sizeof(head), (void *)channel) || !head.count)
		return 0;
	place.channel = channel;
	place.index = user_word(channel + layout->channel_sendx + 8);
	place.pid = key.pid;
	state = bpf_map_lookup_elem(&go_buffered, &place);
	if (!state)
		return 0;
	hand_over(state, &key, channel);
	bpf_map_delete_elem(&go_buffered, &place);
	return 0;
}

#endif
