/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Whether a call is made by the callback of the read before it, in programs on libuv (Node.js).
 *
 * The loop asks epoll for events, and calls back for each: the callback reads, and JavaScript runs below that read with all
 * that it puts off to the end of the callback. The frames of the loop lie on the stack meanwhile. So while they are as they
 * were at the read, the loop is still at that event, and what is sent is sent because of what was read. Timers, deferred
 * work and results of other threads come from elsewhere. Where the frames lie was found by user space.
 */
#ifndef HADAL_LOOP_BPF_H
#define HADAL_LOOP_BPF_H

#include "maps.bpf.h"

/* Reads in a row that were not what the loop was at, after which the layout is not believed any more. */
enum { LOOP_MISSES = 100 };
/* struct epoll_event: a mask, and the file descriptor that libuv keeps with it. */
enum { LOOP_EVENTS_SIZE = 12 * 1024, LOOP_EVENT_DESCRIPTOR = 4 };

/* Threads that run a loop. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct hadal_loop);
} loops SEC(".maps");

/* The loop that a thread runs; 0 if none is known. */
static __always_inline struct hadal_loop *loop_of(struct task_state *thread, __u32 tid)
{
	struct hadal_loop *loop = thread->runtime == HADAL_RUNTIME_LOOP ? bpf_map_lookup_elem(&loops, &tid) : 0;

	return loop && loop->misses <= LOOP_MISSES ? loop : 0;
}

static __always_inline bool read_frames(const struct hadal_loop *loop, __u64 *frames)
{
	return !bpf_probe_read_user(frames, sizeof(loop->frames), (void *)(loop->callback - 8 * (HADAL_LOOP_WORDS - 1)));
}

static __always_inline bool is_event_of(__u64 event, __u32 descriptor)
{
	__u32 found = 0;

	return !bpf_probe_read_user(&found, sizeof(found), (void *)(event + LOOP_EVENT_DESCRIPTOR)) && found == descriptor;
}

/* The thread has read from `descriptor`: remembers what the loop is at, if it is at that, and says whether. */
COLD int loop_reads(struct hadal_loop *loop, __u32 descriptor)
{
	if (!loop)
		return 0;
	loop->event = 0;
	loop->descriptor = descriptor;
	if (!read_frames(loop, loop->frames))
		return 0;
	for (int i = 0; i < HADAL_LOOP_WORDS; i++) {
		__u64 word = loop->frames[i];

		if (word - loop->events < LOOP_EVENTS_SIZE && is_event_of(word, descriptor)) {
			loop->event = word;
			loop->misses = 0;
			return 1;
		}
	}
	loop->misses += 1;
	return 0;
}

/* Whether the loop is still at what the thread read last. */
COLD int is_nested(struct hadal_loop *loop)
{
	__u64 polls = 0, differ = 0;

	if (!loop || !loop->event || !read_frames(loop, loop->now))
		return 0;
	for (int i = 0; i < HADAL_LOOP_WORDS; i++)
		differ |= loop->frames[i] ^ loop->now[i];
	if (differ || bpf_probe_read_user(&polls, sizeof(polls), (void *)loop->poll))
		return 0;
	return polls == loop->poll_return && is_event_of(loop->event, loop->descriptor);
}

/* What the thread has read last; without the mark if what it does now does not come of it. */
static __always_inline __u64 thread_context(struct task_state *thread, __u32 tid)
{
	struct hadal_loop *loop;

	if (likely(!(thread->context & HADAL_CONTEXT_NESTED)))
		return thread->context;
	loop = loop_of(thread, tid);
	return loop && is_nested(loop) ? thread->context : thread->context & ~(__u64)HADAL_CONTEXT_NESTED;
}

#endif
