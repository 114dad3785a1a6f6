/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Requests that one thread of a process hands to another: through a queue whose consumer waits, to a loop that waits for events,
 * to a new thread. Who wakes a thread that waits for work hands it what it works on itself. A program's own queues are not
 * known, so where a thread waits for work is learned: it is where it waited when it had nothing in hands.
 *
 *   - A thread that has nothing in hands, or whose request was answered, takes what wakes it.
 *   - One that was handed work takes more where it was handed that, which it knows by its stack.
 *   - Wherever else it waits it waits for a lock, a connection, or what it has handed on: it keeps what it has. If who wakes
 *     it works on another request, what it sends next is not sure.
 *   - Who wakes the one that handed it work has done it, and has nothing in hands any more.
 *   - What was handed over is sent once. A loop sends more than one thread gave it, and only woke up for the first.
 */
#ifndef HADAL_THREAD_BPF_H
#define HADAL_THREAD_BPF_H

#include "coroutine.bpf.h"

#if HADAL_LEVEL != HADAL_LEVEL_C
/* In a channel: what waits there waits for events, and may work on several requests. */
enum { IS_LOOP = 1 };
/* What a futex is asked for. */
enum { FUTEX_COMMAND = 0x7f, FUTEX_WAIT = 0, FUTEX_LOCK_PI = 6, FUTEX_MUTEX_CONTENDED = 2 };

static __always_inline bool is_futex(long nr)
{
	return nr == NR_FUTEX;
}

static __always_inline bool waits_for_events(long nr)
{
	return nr == NR_EPOLL_PWAIT || nr == NR_EPOLL_PWAIT2 || nr == NR_READ || nr == NR_PPOLL || IS_OLD_POLL(nr);
}

/* A mutex of the C library is no queue. */
static __always_inline bool waits_for_lock(struct pt_regs *regs, const struct hadal_threads *threads)
{
	__u64 address = SYSCALL_ARG1(regs), command = SYSCALL_ARG2(regs) & FUTEX_COMMAND;

	if (address >= threads->locks_start && address < threads->locks_end)
		return true;
	return command == FUTEX_LOCK_PI || (command == FUTEX_WAIT && (__u32)SYSCALL_ARG3(regs) == FUTEX_MUTEX_CONTENDED);
}

/* Whether the running thread writes to something that only wakes others: an eventfd or a pipe. */
static __always_inline bool writes_no_socket(struct task_struct *task, __u64 descriptor)
{
	struct fdtable *table = READ(task, files, fdt);
	struct file *file = 0;
	struct inode *inode = 0;
	unsigned short mode = 0;

	bpf_probe_read_kernel(&file, sizeof(file), READ(table, fd) + descriptor);
	if (!file || bpf_core_read(&inode, sizeof(inode), &file->f_inode) || bpf_core_read(&mode, sizeof(mode), &inode->i_mode))
		return false;
	return (mode & S_IFMT) != S_IFSOCK;
}

/* Where the woken thread waited, if the running one woke it on purpose and it may have waited for work; else 0. */
static __always_inline __u64 channel_of(struct task_struct *task, struct pt_regs *wakes, struct pt_regs *waits,
					const struct hadal_threads *threads)
{
	long nr = SYSCALL_NR(wakes), waiting = SYSCALL_NR(waits);

	if (is_futex(nr) && is_futex(waiting) && !waits_for_lock(waits, threads))
		return (STACK_POINTER(waits) ^ SYSCALL_ARG1(waits) << 16) & ~(__u64)IS_LOOP;
	if (nr == NR_WRITE && waits_for_events(waiting) && writes_no_socket(task, SYSCALL_ARG1(wakes)))
		return STACK_POINTER(waits) | IS_LOOP;
	return 0;
}

/* The last that happened in a process, so many of each kind. */
enum { RECENT = 8 };
/* What a thread read may be on its way to a queue for so long. */
enum { ON_ITS_WAY_NS = 300 * 1000 };
/* One of so many threads that were woken did not send anything: it works on something before, or others took its work. */
enum { MOST_VAIN = 10 };

struct recent {
	__u64 time_ns;
	__u64 root;
	__u32 tid; /* 0: it is not waited for any more */
	__u32 reserved;
};

/* Of a process: what its threads have read, and what was handed to those that have not sent since. */
struct thread_traffic {
	__u32 reads_next;
	__u32 gifts_next;
	__u32 vain; /* of 256 gifts so many were not sent, of late */
	__u32 reserved;
	struct recent reads[RECENT];
	struct recent gifts[RECENT];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct thread_traffic);
} thread_traffics SEC(".maps");

/* What a process begins with, which is too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct thread_traffic);
} no_traffic SEC(".maps");

static __always_inline bool has_work(const struct thread_work *work)
{
	return is_open(work->root);
}

/* The same, where it is not sure what that is, but it has handed something on. */
static __always_inline bool may_have_work(const struct thread_work *work)
{
	return has_work(work) || (work->is_unsure_root && work->has_given);
}

/* Whether another request was read since then, and may be on its way. */
COLD int others_were_read(struct thread_traffic *traffic, __u64 root, __u64 since_ns)
{
	if (!traffic)
		return 1;
	for (int i = 0; i < RECENT; i++) {
		if (traffic->reads[i].time_ns > since_ns - ON_ITS_WAY_NS && traffic->reads[i].root != root)
			return 1;
	}
	return 0;
}

/* Whether since then a thread was handed another request and has not sent yet: somebody else may have taken that. */
COLD int others_were_handed(struct thread_traffic *traffic, __u64 root, __u64 since_ns)
{
	if (!traffic)
		return 1;
	for (int i = 0; i < RECENT; i++) {
		if (traffic->gifts[i].tid && traffic->gifts[i].time_ns > since_ns && traffic->gifts[i].root != root)
			return 1;
	}
	return 0;
}

/* A thread has sent: what it was handed is not for others. */
COLD int note_sent(struct thread_traffic *traffic, __u32 tid)
{
	if (!traffic)
		return 0;
	for (int i = 0; i < RECENT; i++) {
		if (traffic->gifts[i].tid == tid)
			traffic->gifts[i].tid = 0;
	}
	return 0;
}

static __always_inline void note_vain(struct thread_traffic *traffic, bool is_vain)
{
	traffic->vain = traffic->vain - traffic->vain / 16 + (is_vain ? 16 : 0);
}

/* The thread has taken what another one works on; nothing is known of it if that has nothing in hands. */
static __always_inline void take_work(struct task_state *to, const struct task_state *from, __u32 giver, __u64 channel,
				      struct thread_traffic *traffic, __u32 tid, bool is_loop)
{
	bool passes_on = from->work.source == HANDED && !from->work.is_spent;
	bool is_known = has_work(&from->work);
	struct recent gift = { .time_ns = bpf_ktime_get_ns(), .root = from->work.root, .tid = tid };

	if (traffic && to->work.source == HANDED && to->context)
		note_vain(traffic, !to->work.is_spent);
	to->context = is_known ? from->context | HADAL_CONTEXT_HANDED : 0;
	to->work.root = is_known ? from->work.root : 0;
	to->work.channel = channel;
	/* Who only passes on what it was handed is not waited for. */
	to->work.giver = passes_on ? from->work.giver : giver;
	to->work.since_ns = gift.time_ns;
	to->work.source = HANDED;
	to->work.is_spent = to->work.has_given = 0;
	to->work.is_loop = is_loop;
	/* What it passes on was in the queue behind what it took, and may be somebody else's. */
	to->work.is_unsure = passes_on && (from->work.is_unsure || others_were_read(traffic, from->work.root, from->work.since_ns));
	to->work.is_unsure_root = to->work.is_unsure || from->work.is_unsure_root;
	if (traffic)
		traffic->gifts[traffic->gifts_next++ & (RECENT - 1)] = gift;
}

/*
 * Whether `from` has done what `to` waited for at `channel`: because that handed it the work, or because it waits where it has
 * waited for such before. It has read an answer since it was handed something.
 */
static __always_inline bool has_done(const struct task_state *from, struct task_state *to, __u32 woken, __u64 channel)
{
	if (from->work.source != HANDED || from->work.is_loop || !from->context || from->context & HADAL_CONTEXT_HANDED)
		return false;
	if (from->work.giver == woken)
		to->work.joins_at = channel;
	return to->work.joins_at == channel;
}

/* What `from` did was done for what `to` works on. */
static __always_inline void emit_joined(struct task_struct *task, const struct task_state *from, const struct task_state *to)
{
	struct hadal_joined_event event = { .from = from->context, .to = to->context };

	fill_header(&event.header, HADAL_EVENT_JOINED, task, bpf_ktime_get_ns());
	emit(&event, sizeof(event), HADAL_COUNTER_RING_FULL_OTHER);
}

/* `from` wakes `to`, which waited at `channel`. */
static __always_inline void pass_work(struct task_struct *task, struct task_state *from, struct task_state *to, __u32 woken,
				      __u64 channel, struct thread_traffic *traffic)
{
	bool at_work = to->work.source == HANDED && to->work.channel == channel;

	if (at_work || !may_have_work(&to->work)) {
		take_work(to, from, READ(task, pid), channel, traffic, woken, channel & IS_LOOP);
		from->work.has_given = 1;
		if (from->request == from->work.root)
			from->request = 0;
	} else if (has_done(from, to, woken, channel)) {
		emit_joined(task, from, to);
		from->context = from->work.root = from->work.is_unsure_root = 0;
	} else if (has_work(&from->work) && to->work.root != from->work.root && (to->work.source != HANDED || to->work.is_spent)) {
		to->work.is_unsure = 1;
	}
}

SEC("?tp_btf/sched_waking")
int BPF_PROG(thread_wakes, struct task_struct *woken)
{
	struct task_struct *task = current_task();
	__u32 pid = READ(task, tgid), tid = READ(task, pid), woken_tid = READ(woken, pid);
	struct pt_regs *wakes, *waits;
	struct hadal_threads *threads;
	struct task_state *from, *to;
	__u64 channel;

	if ((__u32)READ(woken, tgid) != pid || woken_tid == tid)
		return 0;
	threads = bpf_map_lookup_elem(&threaded_processes, &pid);
	if (!threads || threads->reach != HADAL_THREADS_FOLLOWED)
		return 0;
	from = bpf_task_storage_get(&tasks, task, 0, 0);
	to = bpf_task_storage_get(&tasks, woken, 0, 0);
	if (!from || !to)
		return 0;
	wakes = entry_registers(task, from);
	waits = entry_registers(woken, to);
	if (!wakes || !waits)
		return 0;
	channel = channel_of(task, wakes, waits, threads);
	if (channel)
		pass_work(task, from, to, woken_tid, channel, bpf_map_lookup_elem(&thread_traffics, &pid));
	return 0;
}

/* A new thread begins with what the one works on that made it. */
static __always_inline void inherit_work(struct task_struct *maker, struct task_struct *made)
{
	__u32 pid = READ(made, tgid);
	struct hadal_threads *threads = bpf_map_lookup_elem(&threaded_processes, &pid);
	struct task_state *from, *to;

	if (!threads || threads->reach != HADAL_THREADS_FOLLOWED)
		return;
	from = bpf_task_storage_get(&tasks, maker, 0, 0);
	to = bpf_task_storage_get(&tasks, made, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (from && to)
		take_work(to, from, READ(maker, pid), 0, bpf_map_lookup_elem(&thread_traffics, &pid), READ(made, pid), false);
}

/* Calls for no request that is open tell that requests get to other threads. */
static __always_inline void note_thread_call(__u32 pid, bool is_stray)
{
	struct hadal_threads *threads = bpf_map_lookup_elem(&threaded_processes, &pid);

	if (!threads)
		return;
	threads->calls += 1;
	threads->strays += is_stray;
}

static __always_inline bool is_doubtful(const struct thread_work *work, struct thread_traffic *traffic)
{
	/* Some take what they were not woken for. */
	if (work->source == HANDED && !work->is_spent)
		return !traffic || (traffic->vain > 256 / MOST_VAIN && others_were_read(traffic, work->root, work->since_ns));
	return work->source == HANDED && others_were_handed(traffic, work->root, work->since_ns);
}

/* A thread sends in `context`: whether that still holds, and how surely. */
COLD __u64 thread_work_sends(struct task_state *thread, struct socket_state *socket, __u64 context, __u64 pid_tid, bool begins)
{
	__u32 pid = pid_tid >> 32;
	struct thread_traffic *traffic;
	struct thread_work *work;
	__u64 request;

	if (!thread || !socket)
		return 0;
	work = &thread->work;
	work->has_given = 0;
	request = socket->context;
	if (begins && socket->role == HADAL_ROLE_SERVER) {
		bpf_map_delete_elem(&open_requests, &request);
		if (work->is_unsure_root)
			work->root = work->is_unsure_root = 0;
	} else if (begins) {
		if (work->reach == HADAL_THREADS_COUNTED)
			note_thread_call(pid, !has_work(work));
		socket->root = work->root;
	}
	if (work->reach != HADAL_THREADS_FOLLOWED)
		return context;
	traffic = bpf_map_lookup_elem(&thread_traffics, &pid);
	work->is_unsure |= is_doubtful(work, traffic);
	if (context & HADAL_CONTEXT_HANDED && work->source == HANDED) {
		if (work->is_spent)
			return 0;
		work->is_spent = 1;
	}
	note_sent(traffic, pid_tid);
	return context && work->is_unsure ? context | HADAL_CONTEXT_SHARED : context;
}

/* Who never calls others has nothing to hand over. */
static __always_inline bool has_called(__u32 pid)
{
	struct hadal_threads *threads = bpf_map_lookup_elem(&threaded_processes, &pid);

	return threads && threads->calls;
}

/* A thread has received: a request, or an answer that belongs to what was asked. */
COLD int thread_work_receives(struct task_state *thread, struct socket_state *socket, __u64 time_ns, __u64 pid_tid, bool begins)
{
	__u32 pid = pid_tid >> 32, open = 1, zero = 0;
	struct thread_traffic *traffic;
	struct thread_work *work;
	struct recent read = {};
	__u64 root;

	if (!thread || !socket)
		return 0;
	work = &thread->work;
	work->has_given = 0;
	root = socket->context;
	/* What it was handed and has not sent yet may still be sent: it is a loop. */
	work->is_unsure = work->source == HANDED && !work->is_spent && has_work(work);
	work->root = socket->root;
	work->since_ns = time_ns;
	if (socket->role == HADAL_ROLE_SERVER) {
		if (begins && (work->reach == HADAL_THREADS_FOLLOWED || has_called(pid)))
			bpf_map_update_elem(&open_requests, &root, &open, 0);
		work->root = root;
		work->source = OWNER;
		work->is_unsure = work->is_unsure_root = 0;
	}
	if (work->reach != HADAL_THREADS_FOLLOWED)
		return 0;
	traffic = bpf_map_lookup_elem(&thread_traffics, &pid);
	if (!traffic) {
		traffic = bpf_map_lookup_elem(&no_traffic, &zero);
		if (traffic)
			bpf_map_update_elem(&thread_traffics, &pid, traffic, BPF_NOEXIST);
		return 0;
	}
	read.time_ns = time_ns;
	read.root = work->root;
	read.tid = pid_tid;
	traffic->reads[traffic->reads_next++ & (RECENT - 1)] = read;
	return 0;
}
#endif

#endif
