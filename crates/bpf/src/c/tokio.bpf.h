/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Contexts of tokio's tasks. A task's number is in a variable of the thread that runs it. Whoever answers a request is a task, and
 * calls others through tasks that own the connections: what it sends them goes over a channel, and a channel tells
 * its receiver through a waker, which is where a probe sees both.
 *
 * Nothing else that wakes a task hands it work: answers come back that way, connections become free, time passes. And of what
 * comes over channels, who has a request of its own in hands takes nothing:
 *   - a task that reads requests (OWNER) never;
 *   - one made by another (MADE) takes something if it has not handed anything on yet, or if its request was answered;
 *   - one that was handed work (HANDED) takes more from the same channel, and otherwise when its request was answered.
 *
 * A connection with several requests at the same time sends what it was handed in that order, often several messages at
 * once. So what a task was handed waits in a queue until it sends. That a receiver waits for the channel tells that it
 * has taken all that came before; if it does not, and has neither sent what it works on for another request, then nothing is
 * claimed.
 */
#ifndef HADAL_TOKIO_BPF_H
#define HADAL_TOKIO_BPF_H

#include "coroutine.bpf.h"

enum {
	/* In a task: what all tasks of its type have in common, and there where its number is. */
	TASK_TYPE = 16,
	TYPE_NUMBER_AT = 72,
	/* A number may be at most so far behind the start of a task. */
	MOST_NUMBER_AT = 4096,
	/* So often the number of the running task is looked at twice. */
	TOKIO_CHECKS = 256,
};

/* Who receives from a channel; the key's number is its address in the program. */
struct tokio_receiver {
	__u64 task;
	__u64 is_shared; /* several tasks do, by turns */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct coroutine);
	__type(value, struct tokio_receiver);
} tokio_receivers SEC(".maps");

struct tokio_handed {
	__u64 context;
	__u64 root;
	__u64 waited;
};

/* What a task was handed and has not sent yet. */
struct tokio_queue {
	__u32 added;
	__u32 taken;
	struct tokio_handed last; /* taken */
	struct tokio_handed handed[HADAL_MAX_HANDED];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct coroutine);
	__type(value, struct tokio_queue);
} tokio_queues SEC(".maps");

/* New queues, which are too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tokio_queue);
} tokio_empty SEC(".maps");

/* Whether a number can be one of a task, by the number that the next one gets. */
static __always_inline bool is_task_number(struct hadal_tokio_layout *tokio, __u64 number)
{
	if (tokio->checks >= TOKIO_CHECKS)
		return true;
	tokio->checks += 1;
	if (number < user_word(tokio->last_task))
		return true;
	tokio->failures += 1;
	return false;
}

/* The number of the task that the thread runs; 0 if there is none, or if it is not known. */
static __always_inline __u64 running_task(struct hadal_tokio_layout *tokio, __u64 thread_pointer)
{
	__u64 number;

	if (tokio->failures)
		return 0;
	number = user_word(thread_pointer + tokio->task);
	return number && is_task_number(tokio, number) ? number : 0;
}

/* The number of the task that lies there; 0 if it is not known. */
static __always_inline __u64 number_of(struct hadal_tokio_layout *tokio, __u64 task)
{
	__u64 at = user_word(user_word(task + TASK_TYPE) + TYPE_NUMBER_AT), number;

	if (!at || at > MOST_NUMBER_AT)
		return 0;
	number = user_word(task + at);
	return number && is_task_number(tokio, number) ? number : 0;
}

/* The task whose waker is among three words, of which the others are its address and a number below 4; 0 if there is none. */
static __always_inline __u64 task_of_waker(const struct hadal_tokio_layout *tokio, const __u64 *words)
{
	if (words[0] == tokio->waker)
		return words[1];
	if (words[1] == tokio->waker)
		return words[0] > 3 ? words[0] : words[2];
	return words[2] == tokio->waker ? words[1] : 0;
}

/* Who receives from a channel; `waits` says that it waits for it. 0 if it is not known. */
static __always_inline __u64 receiver_of(struct hadal_tokio_layout *tokio, struct coroutine *channel, bool *waits)
{
	struct tokio_receiver *known = bpf_map_lookup_elem(&tokio_receivers, channel), receiver = {};
	__u64 words[3] = {}, task;

	if (bpf_probe_read_user(words, sizeof(words), (void *)channel->number))
		return 0;
	task = task_of_waker(tokio, words);
	*waits = task != 0;
	if (!task)
		return known && !known->is_shared ? known->task : 0;
	receiver.task = number_of(tokio, task);
	if (!receiver.task || (known && known->task == receiver.task))
		return receiver.task;
	receiver.is_shared = known != 0;
	bpf_map_update_elem(&tokio_receivers, channel, &receiver, 0);
	return receiver.task;
}

/* Whether a task takes what comes over a channel for its work; see the top of this file. */
static __always_inline bool task_takes(const struct coroutine_state *own, __u64 channel)
{
	if (!own)
		return true;
	if (own->source == OWNER)
		return false;
	if (own->source == HANDED ? !own->channel || own->channel == channel : !own->released)
		return true;
	return !is_open(own->root);
}

static __always_inline struct tokio_queue *queue_of(struct coroutine *task)
{
	struct tokio_queue *queue = bpf_map_lookup_elem(&tokio_queues, task), *empty;
	__u32 zero = 0;

	if (queue)
		return queue;
	empty = bpf_map_lookup_elem(&tokio_empty, &zero);
	if (!empty)
		return 0;
	bpf_map_update_elem(&tokio_queues, task, empty, BPF_NOEXIST);
	return bpf_map_lookup_elem(&tokio_queues, task);
}

static __always_inline void put_into_queue(struct coroutine *task, const struct tokio_handed *handed)
{
	struct tokio_queue *queue = queue_of(task);
	__u32 at;

	if (!queue)
		return;
	at = __sync_fetch_and_add(&queue->added, 1);
	queue->handed[at & (HADAL_MAX_HANDED - 1)] = *handed;
}

/* Whether a task was handed something that it has not sent. */
static __always_inline bool is_busy(struct coroutine *task)
{
	struct tokio_queue *queue = bpf_map_lookup_elem(&tokio_queues, task);

	return queue && queue->added != queue->taken;
}

/* `from` hands what it works on to `to`, over a channel. */
static __always_inline void hand_to_task(const struct coroutine_state *from, struct coroutine *to, __u64 channel, bool waits)
{
	struct coroutine_state *own = bpf_map_lookup_elem(&coroutines, to), next = { .source = HANDED, .channel = channel };
	struct tokio_handed handed = { .waited = waits };
	bool is_sure;

	if (!task_takes(own, channel))
		return;
	if (from) {
		handed.context = from->context;
		handed.root = from->root;
	}
	/* Otherwise it has something else in hands, and what it does until it waits again may be for either. */
	is_sure = waits || !own || own->root == handed.root || (own->root && !is_open(own->root) && !is_busy(to));
	if (is_sure) {
		next.context = handed.context;
		next.root = handed.root;
	}
	put_into_queue(to, &handed);
	bpf_map_update_elem(&coroutines, to, &next, 0);
}

/* Of the program that runs: where it keeps what tokio runs, and the task. 0 if there is none. */
static __always_inline struct hadal_tokio_layout *running_tokio(struct coroutine *task)
{
	struct hadal_tokio_layout *tokio;

	task->pid = bpf_get_current_pid_tgid() >> 32;
	tokio = bpf_map_lookup_elem(&tokio_processes, &task->pid);
	if (tokio)
		task->number = running_task(tokio, THREAD_POINTER(current_task()));
	return tokio && task->number ? tokio : 0;
}

/* AtomicWaker::wake of tokio and of futures: something was put into a channel, or its end was reached. */
SEC("uprobe")
int tokio_wake(struct pt_regs *regs)
{
	struct coroutine from = {}, to = {}, channel = { .number = UPROBE_ARG1(regs) };
	struct hadal_tokio_layout *tokio = running_tokio(&from);
	struct coroutine_state *state;
	bool waits = false;

	if (!tokio)
		return 0;
	channel.pid = to.pid = from.pid;
	to.number = receiver_of(tokio, &channel, &waits);
	if (!to.number || to.number == from.number)
		return 0;
	state = bpf_map_lookup_elem(&coroutines, &from);
	hand_to_task(state, &to, channel.number, waits);
	if (state && state->channel != channel.number)
		state->released = 1;
	return 0;
}

/* OwnedTasks::bind_inner, Spawner::spawn_task: a task is made by the one that runs. */
SEC("uprobe")
int tokio_spawn(struct pt_regs *regs)
{
	struct coroutine maker = {}, task = {};
	struct hadal_tokio_layout *tokio = running_tokio(&maker);
	struct coroutine_state *state, made = { .source = MADE };

	if (!tokio)
		return 0;
	state = bpf_map_lookup_elem(&coroutines, &maker);
	task.pid = maker.pid;
	task.number = number_of(tokio, UPROBE_ARG2(regs));
	if (!state || !task.number)
		return 0;
	made.context = state->context;
	made.root = state->root;
	bpf_map_update_elem(&coroutines, &task, &made, BPF_NOEXIST);
	return 0;
}

/* Says of each message that is sent now whose it is. */
static __always_inline void tell_handed(struct hadal_data_event *event, const struct tokio_queue *queue, __u32 many)
{
	struct hadal_handed_event *handed = bpf_ringbuf_reserve(&events, sizeof(*handed), 0);

	if (!handed) {
		count(HADAL_COUNTER_RING_FULL_OTHER);
		return;
	}
	event->flags |= HADAL_FLAG_HANDED;
	handed->header = event->header;
	handed->header.kind = HADAL_EVENT_HANDED;
	handed->cookie = event->cookie;
	handed->seq = event->seq;
	handed->length = event->length;
	handed->count = many;
	handed->waited = 0;
	for (__u32 i = 0; i < HADAL_MAX_HANDED; i++) {
		const struct tokio_handed *one = &queue->handed[(queue->taken + i) & (HADAL_MAX_HANDED - 1)];

		handed->contexts[i] = i < many ? one->context : 0;
		handed->waited |= i < many && one->waited ? 1u << i : 0;
	}
	bpf_ringbuf_submit(handed, BPF_RB_NO_WAKEUP);
}

/* Whether all that waits belongs to one request. */
static __always_inline bool is_for_one(const struct tokio_queue *queue, __u32 many)
{
	__u64 root = queue->handed[queue->taken & (HADAL_MAX_HANDED - 1)].root;

	for (__u32 i = 1; i < HADAL_MAX_HANDED && i < many; i++) {
		if (queue->handed[(queue->taken + i) & (HADAL_MAX_HANDED - 1)].root != root)
			return false;
	}
	return true;
}

/* A task sends what it was handed. What it works on from now on is the last of that, if it is sure. */
COLD int send_handed(struct coroutine *task, struct hadal_data_event *event)
{
	struct tokio_queue *queue = task ? bpf_map_lookup_elem(&tokio_queues, task) : 0;
	struct coroutine_state *state = task ? bpf_map_lookup_elem(&coroutines, task) : 0;
	const struct tokio_handed *first, *last;
	struct tokio_handed sent = {};
	__u32 many;

	if (!queue || !state || !event || queue->added == queue->taken)
		return 0;
	many = queue->added - queue->taken;
	first = &queue->handed[queue->taken & (HADAL_MAX_HANDED - 1)];
	last = &queue->handed[(queue->added - 1) & (HADAL_MAX_HANDED - 1)];
	if (many <= HADAL_MAX_HANDED && (first->waited || first->root == queue->last.root || !is_open(queue->last.root))) {
		if (is_for_one(queue, many))
			sent = *last;
		else
			tell_handed(event, queue, many);
	}
	queue->last = *last;
	queue->taken += many;
	state->context = sent.context;
	state->root = sent.root;
	return 0;
}

/* Calls for no request that is open tell that requests get to other tasks in ways that are not followed yet. */
static __always_inline void note_task_call(struct hadal_tokio_layout *tokio, struct coroutine *task)
{
	struct coroutine_state *state = bpf_map_lookup_elem(&coroutines, task);

	tokio->calls += 1;
	tokio->strays += !state || !is_open(state->root);
	if (state && state->source == MADE)
		state->released = 1;
}

/* The context by the task that runs; 0 if there is none. */
COLD __u64 tokio_context(struct hadal_data_event *event, struct socket_state *socket, __u64 thread_pointer, bool begins)
{
	struct hadal_tokio_layout *tokio;
	struct coroutine task = {};
	__u64 context;

	if (!event || !socket)
		return 0;
	task.pid = event->header.pid;
	tokio = bpf_map_lookup_elem(&tokio_processes, &task.pid);
	if (!tokio)
		return 0;
	task.number = event->coroutine = running_task(tokio, thread_pointer);
	if (!task.number)
		return 0;
	if (event->direction == HADAL_INGRESS) {
		if (begins)
			socket->context = new_context(event->header.time_ns, 0);
		coroutine_receives(&task, socket, begins);
		return socket->context;
	}
	if (socket->role != HADAL_ROLE_SERVER) {
		send_handed(&task, event);
		if (begins)
			note_task_call(tokio, &task);
	}
	context = coroutine_sends(&task, 0, socket, begins);
	/* Nothing is known of its work, and the thread knows even less. */
	return context ? context : new_context(event->header.time_ns, HADAL_CONTEXT_OWN);
}

#endif
