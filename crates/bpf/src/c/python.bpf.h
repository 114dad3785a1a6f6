/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What CPython runs: tasks of asyncio, and greenlets.
 *
 * A task of asyncio reads nothing itself: the event loop does, and wakes it later. But who answers a request is a task, and
 * so is who makes a call for it: either the same one, or one that it waits for, at the end. So all that such a task and
 * those it waits for send until it answers has one context.
 *
 * A greenlet reads and sends as a thread does.
 *
 * Structures: CPython 3.8 - 3.13. Only memory is read, and what does not fit ends the search.
 */
#ifndef HADAL_PYTHON_BPF_H
#define HADAL_PYTHON_BPF_H

#include "coroutine.bpf.h"

enum {
	OBJECT_TYPE = 8,
	TYPE_BASE = 256,
	SEQUENCE_LENGTH = 16,
	TUPLE_ITEMS = 24,
	DICT_USED = 16,
	DICT_KEYS = 32,
	CELL_CONTENT = 16,
	FUTURE_CALLBACK = 24,
	FUTURE_CALLBACKS = 40, /* a list of further ones, each with its context */
	LIST_ITEMS = 24,
	PARTIAL_ARGUMENTS = 24,
	/* How far is looked. */
	MOST_WAITERS = 10,
	MOST_CELLS = 8,
	MOST_VALUES = 12,
	MOST_DIGITS = 9,
	MOST_CHUNKS = 48,
	MOST_THREADS = 16,
};

static __always_inline __u64 type_of(__u64 object)
{
	return user_word(object + OBJECT_TYPE);
}

/* The last entry of the dictionary of current tasks: one is taken out when it stops running. 0 if several loops run one. */
static __always_inline __u64 last_task(const struct hadal_python_layout *python)
{
	__u64 keys, entries, count;
	__u8 sizes[4] = {};

	if (user_word(python->current_tasks + DICT_USED) != 1)
		return 0;
	keys = user_word(python->current_tasks + DICT_KEYS);
	if (python->minor >= 11) {
		/* Logarithms of the size of the index, in entries and in bytes, and the kind of the keys. */
		if (bpf_probe_read_user(sizes, sizeof(sizes), (void *)(keys + 8)))
			return 0;
		count = user_word(keys + 24);
		entries = keys + 32 + (1ull << (sizes[1] & 31));
		return user_word(sizes[2] ? entries + count * 16 - 8 : entries + count * 24 - 8);
	}
	count = user_word(keys + 32);
	entries = user_word(keys + 8);
	entries = keys + 40 + (entries <= 0xff ? entries : entries <= 0xffff ? entries * 2 : entries * 4);
	return user_word(entries + count * 24 - 8);
}

/* Whether the task's coroutine is the outermost one that this very thread runs. */
static __always_inline bool is_run_by(__u64 task, __u64 thread_pointer, const struct hadal_python_layout *python)
{
	__u64 coroutine = user_word(task + python->task_coroutine);
	__u64 thread = user_word(coroutine + python->coroutine_above) - python->thread_exceptions;

	return user_word(thread + python->thread_id) == thread_pointer;
}

/* Memory is used again, but the number in a task's name is not. */
static __always_inline __u64 number_of_task(__u64 task, const struct hadal_python_layout *python)
{
	__u64 name = user_word(task + python->task_coroutine + 8), number = 0;
	char text[5 + MOST_DIGITS] = {};

	if (type_of(name) != python->text_type) {
		/* Not asked for yet: a whole number, whose lowest digits stand here. */
		number = user_word(name + 24) & 0x3fffffff;
	} else if (!bpf_probe_read_user(text, sizeof(text), (void *)(name + python->text))) {
		for (int i = 5; i < (int)sizeof(text); i++) {
			if (text[i] < '0' || text[i] > '9')
				break;
			number = number * 10 + text[i] - '0';
		}
	}
	return task ^ number << 40;
}

static __always_inline bool is_future(__u64 object, const struct hadal_python_layout *python)
{
	__u64 type = type_of(object), base;

	if (type == python->task_type || type == python->future_type)
		return true;
	base = user_word(type + TYPE_BASE);
	return base == python->future_type || base == python->task_type;
}

/* The task or future in a tuple, or in the cells of one. */
APART __u64 future_among(__u64 tuple, bool in_cells, const struct hadal_python_layout *python)
{
	__u64 length = user_word(tuple + SEQUENCE_LENGTH);

	if (!python)
		return 0;
	for (__u32 i = 0; i < MOST_CELLS && i < length; i++) {
		__u64 object = user_word(tuple + TUPLE_ITEMS + i * 8);

		if (in_cells)
			object = user_word(object + CELL_CONTENT);
		if (object && is_future(object, python))
			return object;
	}
	return 0;
}

/* The first task among the attributes of an object: that of a task group is who waits for it. */
APART __u64 task_of_object(__u64 object, const struct hadal_python_layout *python)
{
	__u64 values;

	if (!python || python->minor < 11)
		return 0;
	if (python->minor == 11)
		values = user_word(object - 32);
	else if (python->minor == 12)
		/* One less, which tells it from a dictionary. */
		values = user_word(object - 24) + 1;
	else
		values = object + 24;
	for (__u32 i = 0; i < MOST_VALUES; i++) {
		__u64 value = user_word(values + i * 8);

		if (value && type_of(value) == python->task_type)
			return value;
	}
	return 0;
}

/* The future or task that a callback of a finished task goes on with. */
APART __u64 waiter_of(__u64 callback, const struct hadal_python_layout *python)
{
	__u64 type = type_of(callback), first, second;

	if (!python)
		return 0;
	if (type == python->function_type)
		return future_among(user_word(callback + python->closure), true, python);
	if (type == python->partial_type)
		return future_among(user_word(callback + PARTIAL_ARGUMENTS), false, python);
	/* A method: what it belongs to is the first or the second in it. */
	first = user_word(callback + 16);
	second = user_word(callback + 24);
	if (type_of(first) == python->task_type)
		return first;
	if (type_of(second) == python->task_type)
		return second;
	return task_of_object(second, python);
}

/* The callback of a future that was added as the second one; 0 if there is none. */
static __always_inline __u64 second_callback(__u64 future)
{
	__u64 list = user_word(future + FUTURE_CALLBACKS), pair;

	if (!list || !user_word(list + SEQUENCE_LENGTH))
		return 0;
	pair = user_word(user_word(list + LIST_ITEMS));
	return pair ? user_word(pair + TUPLE_ITEMS) : 0;
}

/* The future or task that waits for this one, unless it is the one before, as with a shield; 0 if there is none. */
static __always_inline __u64 next_waiter(__u64 future, __u64 before, const struct hadal_python_layout *python)
{
	__u64 callback = user_word(future + FUTURE_CALLBACK), waiter;

	if (!python || !callback)
		return 0;
	waiter = waiter_of(callback, python);
	if (waiter && waiter != before)
		return waiter;
	callback = second_callback(future);
	return callback ? waiter_of(callback, python) : 0;
}

/* The task that waits for this one, at the end; itself if there is none. */
APART __u64 root_task(__u64 task, const struct hadal_python_layout *python)
{
	__u64 future = task, before = 0, root = task;

	if (!python)
		return 0;
	for (int i = 0; i < MOST_WAITERS; i++) {
		__u64 next = next_waiter(future, before, python);

		if (!next)
			break;
		before = future;
		future = next;
		if (type_of(future) == python->task_type)
			root = future;
	}
	return root;
}

/* The context of all that is sent for a task until it answers. */
static __always_inline __u64 context_of_task(__u64 root, const struct hadal_data_event *event, bool answers,
					     const struct hadal_python_layout *python)
{
	struct coroutine key = { .number = number_of_task(root, python), .pid = event->header.pid };
	struct coroutine_state *state = bpf_map_lookup_elem(&coroutines, &key), made = {};
	__u64 context = state ? state->context : new_context(event->header.time_ns, HADAL_CONTEXT_OWN);

	if (answers) {
		bpf_map_delete_elem(&coroutines, &key);
	} else if (!state) {
		made.context = context;
		bpf_map_update_elem(&coroutines, &key, &made, 0);
	}
	return context;
}

/* What a task sends; 0 if no task does. */
static __always_inline __u64 task_sends(struct hadal_data_event *event, struct socket_state *socket, __u64 thread_pointer, bool begins,
		      const struct hadal_python_layout *python)
{
	__u64 task;

	if (!event || !socket || !python)
		return 0;
	task = last_task(python);
	if (begins)
		socket->root = 0;
	if (!task || type_of(task) != python->task_type || !is_run_by(task, thread_pointer, python))
		return 0;
	event->coroutine = number_of_task(task, python);
	if (begins) {
		socket->root = task;
		socket->sender = event->coroutine;
	}
	return context_of_task(root_task(task, python), event, begins && socket->role == HADAL_ROLE_SERVER, python);
}

/* The answer to what a task has sent, which may be waited for only now; 0 if that is not known. */
static __always_inline __u64 task_is_answered(struct hadal_data_event *event, struct socket_state *socket,
			    const struct hadal_python_layout *python)
{
	if (!event || !socket || !python || !socket->root || socket->role == HADAL_ROLE_SERVER)
		return 0;
	if (type_of(socket->root) != python->task_type || number_of_task(socket->root, python) != socket->sender)
		return 0;
	return context_of_task(root_task(socket->root, python), event, false, python);
}

/* The greenlet that the thread runs: each has a stack of frames of its own. 0 if it is not known. */
APART __u64 running_greenlet(__u64 thread_pointer, const struct hadal_python_layout *python)
{
	__u64 thread, chunk, below;

	if (!python)
		return 0;
	thread = user_word(python->threads);
	for (int i = 0; i < MOST_THREADS && thread && user_word(thread + python->thread_id) != thread_pointer; i++)
		thread = user_word(thread + 8);
	if (!thread)
		return 0;
	chunk = user_word(thread + python->thread_stack);
	for (int i = 0; i < MOST_CHUNKS && chunk; i++) {
		below = user_word(chunk + python->stack_below);
		if (!below)
			return chunk;
		chunk = below;
	}
	return 0;
}

/* A greenlet that reads requests sends for the one that it read last, until that is answered. Of others nothing is known. */
static __always_inline __u64 greenlet_context(struct hadal_data_event *event, struct socket_state *socket, bool begins)
{
	struct coroutine key = { .number = event->coroutine, .pid = event->header.pid };
	struct coroutine_state *state = bpf_map_lookup_elem(&coroutines, &key), owner = { .source = OWNER };
	bool is_server = socket->role == HADAL_ROLE_SERVER;
	__u64 context = socket->context | HADAL_CONTEXT_OWN;
	__u32 open = 1;

	if (event->direction == HADAL_INGRESS && is_server) {
		if (begins) {
			owner.context = owner.root = context;
			bpf_map_update_elem(&coroutines, &key, &owner, 0);
			bpf_map_update_elem(&open_requests, &context, &open, 0);
		}
		return context;
	}
	if (!state || !is_open(state->root))
		return 0;
	if (event->direction == HADAL_INGRESS)
		return state->context = context;
	context = state->context;
	if (is_server && begins)
		bpf_map_delete_elem(&open_requests, &state->root);
	return context;
}

/* The context by what Python runs; 0 if that is not known. */
static __always_inline __u64 python_context(struct hadal_data_event *event, struct socket_state *socket, __u64 thread_pointer, bool begins)
{
	struct hadal_python_layout *python;
	__u64 context = 0;
	__u32 pid;

	if (!event || !socket)
		return 0;
	pid = event->header.pid;
	python = bpf_map_lookup_elem(&python_processes, &pid);
	if (!python)
		return 0;
	if (python->current_tasks)
		context = event->direction == HADAL_EGRESS ? task_sends(event, socket, thread_pointer, begins, python)
							   : task_is_answered(event, socket, python);
	if (context || !python->threads)
		return context;
	event->coroutine = running_greenlet(thread_pointer, python);
	return event->coroutine ? greenlet_context(event, socket, begins) : 0;
}

#endif
