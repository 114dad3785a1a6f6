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

#include "coroutine.bpf.h"

/* What is sent over a pooled connection; the key's number is the connection's address in the program. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct coroutine);
	__type(value, struct coroutine_state);
} go_connections SEC(".maps");

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
	__type(value, struct coroutine_state);
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

/* The goroutine that runs; false if the program is not known to be Go. */
static __always_inline struct hadal_go_layout *running_goroutine(struct pt_regs *regs, struct coroutine *key, __u64 *parent)
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
	struct coroutine key = {}, connection = {};
	struct coroutine_state *state, handed = { .source = HANDED };
	__u64 parent;

	if (!running_goroutine(regs, &key, &parent))
		return 0;
	state = coroutine_state(&key, parent);
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
	struct coroutine key = {}, connection = {};
	struct coroutine_state *state, handed;
	__u64 parent;

	if (!running_goroutine(regs, &key, &parent))
		return 0;
	connection.number = UPROBE_GO_ARG1(regs);
	connection.pid = key.pid;
	state = bpf_map_lookup_elem(&go_connections, &connection);
	if (!state)
		return 0;
	handed = *state;
	bpf_map_update_elem(&coroutines, &key, &handed, 0);
	return 0;
}

/* Whether a goroutine takes what comes over a channel for its work; see the top of this file. */
static __always_inline bool takes_over(const struct coroutine_state *own, __u64 channel)
{
	if (!own)
		return true;
	if (own->source == OWNER)
		return false;
	return (own->source == HANDED && (!own->channel || own->channel == channel)) || own->released || !is_open(own->root);
}

/* `from` hands what it works on to `to`, over a channel. */
static __always_inline void hand_over(const struct coroutine_state *from, struct coroutine *to, __u64 channel)
{
	struct coroutine_state *own = bpf_map_lookup_elem(&coroutines, to);
	struct coroutine_state handed = { .source = HANDED, .channel = channel };

	if (!takes_over(own, channel))
		return;
	if (from) {
		handed.context = from->context;
		handed.root = from->root;
	}
	bpf_map_update_elem(&coroutines, to, &handed, 0);
}

static __always_inline void note_release(struct coroutine *key, __u64 channel)
{
	struct coroutine_state *state = bpf_map_lookup_elem(&coroutines, key);

	if (state && state->channel != channel)
		state->released = 1;
}

/* Elements without a size carry nothing: signals, locks. */
static __always_inline bool carries(__u64 channel)
{
	__u16 size = 0;

	return !bpf_probe_read_user(&size, sizeof(size), (void *)(channel + 24)) && size;
}

/* Of a function whose arguments are a channel and who waits there, whose goroutine comes first: one gives, the other takes. */
static __always_inline int go_meet(struct pt_regs *regs, bool sends)
{
	struct coroutine running = {}, waiting = {}, *from = sends ? &running : &waiting, *to = sends ? &waiting : &running;
	__u64 own_parent, other_parent, channel = UPROBE_GO_ARG1(regs);
	struct hadal_go_layout *layout = running_goroutine(regs, &running, &own_parent);

	if (!layout || !carries(channel))
		return 0;
	waiting.pid = running.pid;
	read_goroutine(user_word(UPROBE_GO_ARG2(regs)), layout, &waiting.number, &other_parent);
	hand_over(coroutine_state(from, sends ? own_parent : other_parent), to, channel);
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
	struct coroutine_state *state, nothing = {};
	struct hadal_go_layout *layout;
	struct go_channel head = {};
	struct coroutine key = {};
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
	state = coroutine_state(&key, parent);
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
	struct coroutine_state *state;
	struct go_channel head = {};
	struct coroutine key = {};
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
