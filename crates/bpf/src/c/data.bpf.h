/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* One finished socket call becomes one event. Every level ends here. */
#ifndef HADAL_DATA_BPF_H
#define HADAL_DATA_BPF_H

#include "socket.bpf.h"
#include "tcp.bpf.h"
#include "buffer.bpf.h"
#include "go.bpf.h"
#include "loop.bpf.h"
#if HADAL_LEVEL != HADAL_LEVEL_C
#include "python.bpf.h"
#include "thread.bpf.h"
#include "tokio.bpf.h"
#endif

/* How long bytes that are only counted wait to be reported. */
#define COUNT_INTERVAL_NS 1000000000ull

/* What a hook knows of a call. */
struct call {
	struct sock *sk;
	struct pt_regs *regs; /* 0 if they are to be asked for */
	const void *peer; /* sockaddr in the kernel's memory, 0 if none */
	const struct message *message; /* 0 if it is to be read from the registers */
	__u32 length;
	__u32 after; /* bytes that the same system call has moved since */
	__u32 scratch;
	int direction;
	bool discards; /* MSG_TRUNC: the bytes were not copied to the program */
};

/* The sender of the last datagram received, as noted by the control group's hook. */
struct datagram_peer {
	__u8 address[16];
	__u16 port;
	__u16 reserved;
	__u32 tid;
};

#if HADAL_LEVEL != HADAL_LEVEL_C
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct datagram_peer);
} datagram_peers SEC(".maps");
#endif

/* What user space decided is looked up when the direction changes, and kept with the socket in between. */
static __always_inline void refresh_policy(struct socket_state *state)
{
	if (state->policy == HADAL_POLICY_IGNORE || state->policy == HADAL_POLICY_COUNT)
		return;
	state->policy = decided_policy(state->cookie, state->policy);
	if (unlikely(state->policy == HADAL_POLICY_ANNOUNCE)) {
		state->announced = 0;
		state->policy = HADAL_POLICY_PREFIX;
	}
}

static __always_inline void meet_runtime(struct task_state *thread, __u32 pid)
{
	__u32 *runtime = bpf_map_lookup_elem(&runtimes, &pid);
	struct hadal_go_layout *go = bpf_map_lookup_elem(&go_processes, &pid);
	struct hadal_threads *threads = bpf_map_lookup_elem(&threaded_processes, &pid);

	thread->runtime_generation = controls.runtime_generation;
	thread->runtime = runtime ? *runtime : HADAL_RUNTIME_NONE;
	thread->go.goid = go ? go->goid : 0;
	thread->go.parent_goid = go ? go->parent_goid : 0;
	thread->work.reach = threads ? threads->reach : 0;
}

/* The numbers of a goroutine and its maker; see struct hadal_go_layout. */
static __always_inline void fill_goroutine(struct hadal_data_event *event, struct task_state *thread,
					   const struct call *call, struct task_struct *task)
{
	struct pt_regs *regs = call->regs ? call->regs : entry_registers(task, thread);

	if (regs)
		read_goroutine(GO_G(regs), &thread->go, &event->coroutine, &event->parent_coroutine);
}

/* A request weighs as much as so many that came one after the other. */
enum { OVERLAP_WEIGHT = 4, MOST_OVERLAPS = 64 };

/* What a thread that reads requests before it has answered others sends next may belong to any of them. */
static __always_inline void note_request(struct task_state *thread)
{
	if (thread->request) {
		thread->overlaps += OVERLAP_WEIGHT;
		if (thread->overlaps > MOST_OVERLAPS)
			thread->overlaps = MOST_OVERLAPS;
	} else if (thread->overlaps) {
		thread->overlaps -= 1;
	}
}

static __always_inline __u64 thread_sends(const struct hadal_data_event *event, struct socket_state *state,
					  struct task_state *thread)
{
	/* What is sent first on a new connection waited for it, and other messages were read meanwhile. */
	return event->counter || !state->connect_context ? thread_context(thread, event->header.tid) : state->connect_context;
}

/* What the thread has read opens a context for what it sends next, unless something tells better whose that is. */
static __always_inline void thread_receives(const struct hadal_data_event *event, struct socket_state *state,
					    struct task_state *thread, bool begins)
{
	bool is_request = begins && state->role == HADAL_ROLE_SERVER;
	__u64 nested = thread->is_nested ? HADAL_CONTEXT_NESTED : 0;

	if (is_request)
		note_request(thread);
	/* Of several messages on their way each read may bring others, and its callback does what follows from these. */
	if (begins || ((nested || thread->work.reach == HADAL_THREADS_FOLLOWED) && state->policy == HADAL_POLICY_WHOLE))
		state->context =
			new_context(event->header.time_ns, nested | (thread->overlaps >= OVERLAP_WEIGHT ? HADAL_CONTEXT_SHARED : 0));
	if (is_request)
		thread->request = state->context;
	thread->context = nested ? state->context : state->context & ~(__u64)HADAL_CONTEXT_NESTED;
}

/* Whether the thread has read in a callback of its loop; see loop.bpf.h. */
static __always_inline bool is_at_loop(const struct hadal_data_event *event, struct task_state *thread,
				       const struct call *call, struct task_struct *task)
{
	struct hadal_loop *loop = loop_of(thread, event->header.tid);
	struct pt_regs *regs;

	if (!loop)
		return false;
	regs = call->regs ? call->regs : entry_registers(task, thread);
	return regs && loop_reads(loop, SYSCALL_ARG1(regs));
}

static __always_inline __u64 goroutine_context(struct hadal_data_event *event, struct socket_state *state, bool begins)
{
	struct coroutine key = { .number = event->coroutine, .pid = event->header.pid };

	if (event->direction == HADAL_EGRESS)
		return coroutine_sends(&key, event->parent_coroutine, state, begins);
	if (begins)
		state->context = new_context(event->header.time_ns, 0);
	coroutine_receives(&key, state, begins);
	return state->context;
}

/* In a runtime that is followed: the context by what it says, 0 if by the thread. */
APART __u64 runtime_context(struct hadal_data_event *event, struct socket_state *state, __u64 thread_pointer, __u32 runtime,
			    bool begins)
{
	if (!event || !state)
		return 0;
#if HADAL_LEVEL != HADAL_LEVEL_C
	/* The verifiers of level C have less patience. */
	if (runtime == HADAL_RUNTIME_PYTHON)
		return python_context(event, state, thread_pointer, begins);
	if (runtime == HADAL_RUNTIME_TOKIO)
		return tokio_context(event, state, thread_pointer, begins);
#endif
	return 0;
}

#if HADAL_LEVEL != HADAL_LEVEL_C
/* Where threads hand requests to each other. */
static __always_inline __u64 thread_work_context(const struct hadal_data_event *event, struct socket_state *state,
						 struct task_state *thread, bool begins)
{
	__u64 pid_tid = (__u64)event->header.pid << 32 | event->header.tid;

	if (event->direction == HADAL_INGRESS) {
		thread_work_receives(thread, state, event->header.time_ns, pid_tid, begins);
		return state->context;
	}
	return thread_work_sends(thread, state, thread_sends(event, state, thread), pid_tid, begins);
}
#endif

/*
 * Evidence for tracing: a message's first receive opens a context on the thread or coroutine, later receives of the same
 * message keep it, sends carry it.
 */
static __always_inline __u64 follow_context(struct hadal_data_event *event, struct socket_state *state,
					    struct task_state *thread, const struct call *call, struct task_struct *task,
					    bool begins)
{
	bool is_followed, sends = event->direction == HADAL_EGRESS;
	__u64 own = 0;

	if (!thread) {
		count(HADAL_COUNTER_MAP_FULL);
		return 0;
	}
	is_followed = unlikely(controls.runtime_generation);
	if (is_followed && thread->runtime_generation != controls.runtime_generation)
		meet_runtime(thread, event->header.pid);
	if (is_followed && thread->runtime == HADAL_RUNTIME_GO) {
		fill_goroutine(event, thread, call, task);
		if (event->coroutine)
			return goroutine_context(event, state, begins);
	}
	if (!sends && is_followed)
		thread->is_nested = is_at_loop(event, thread, call, task);
	if (!sends)
		thread_receives(event, state, thread, begins);
	else if (begins && state->role == HADAL_ROLE_SERVER && thread->request == state->context)
		thread->request = 0;
	if (is_followed && thread->runtime)
		own = runtime_context(event, state, THREAD_POINTER(task), thread->runtime, begins);
	if (own)
		return own;
#if HADAL_LEVEL != HADAL_LEVEL_C
	if (is_followed && thread->work.reach)
		return thread_work_context(event, state, thread, begins);
#endif
	return sends ? thread_sends(event, state, thread) : state->context;
}

/* Counts the bytes of a direction, and says how many there are now. */
static __always_inline __u32 add_bytes(struct socket_state *state, int direction, __u32 length)
{
#if HADAL_LEVEL == HADAL_LEVEL_C
	/* These kernels cannot fetch what they add to. */
	__sync_fetch_and_add(&state->bytes[direction], length);
	return state->bytes[direction];
#else
	return __sync_fetch_and_add(&state->bytes[direction], length) + length;
#endif
}

static __always_inline __u64 number_of_call(struct socket_state *state)
{
#if HADAL_LEVEL == HADAL_LEVEL_C
	return state->counter++;
#else
	return __sync_fetch_and_add(&state->counter, 1);
#endif
}

/* Moves the end of what was reported forward, and says where it was. Threads may do so at once. */
static __always_inline __u32 move_end(__u32 *next, __u32 end)
{
	__u32 before = *next;

#if HADAL_LEVEL == HADAL_LEVEL_C
	if ((__s32)(end - before) > 0)
		*next = end;
#else
	for (int try = 0; try < 8; try++) {
		__u32 found;

		if ((__s32)(end - before) <= 0)
			return before;
		found = __sync_val_compare_and_swap(next, before, end);
		if (found == before)
			return before;
		before = found;
	}
#endif
	return before;
}

/* Numbers the bytes of the call. TCP numbers them itself; of other sockets they are counted. */
static __always_inline void fill_sequence(struct hadal_data_event *event, struct socket_state *state,
					  struct task_state *thread, const struct call *call, const struct tcp_sock *tcp)
{
	int direction = call->direction & 1;
	__u32 end;

	if (tcp) {
		end = next_sequence(call->sk, tcp, direction) - call->after;
		if (direction == HADAL_EGRESS && thread && thread->send_socket == (__u64)call->sk) {
			end = thread->send_seq + call->length;
			event->start_ns = thread->send_start_ns;
			event->flags |= HADAL_FLAG_ORDERED;
			thread->send_socket = 0;
		}
	} else {
		end = add_bytes(state, direction, call->length);
	}
	event->seq = end - call->length;
	if (unlikely(!state->met[direction])) {
		state->next[direction] = end;
		state->met[direction] = 1;
		return;
	}
	event->skipped = event->seq - move_end(&state->next[direction], end);
	if (unlikely((__s32)event->skipped < 0) && !(event->flags & HADAL_FLAG_ORDERED)) {
		event->flags |= HADAL_FLAG_OVERLAP;
		count(HADAL_COUNTER_OVERLAPS);
	}
}

/* True if the bytes were only added up. */
static __always_inline bool only_count(struct socket_state *state, const struct call *call)
{
	int direction = call->direction & 1;
	__u64 now;

	if (state->policy != HADAL_POLICY_COUNT)
		return false;
	now = bpf_ktime_get_ns();
	if (now - state->counted_ns[direction] >= COUNT_INTERVAL_NS) {
		state->counted_ns[direction] = now;
		return false;
	}
	if (state->transport != HADAL_TRANSPORT_TCP)
		add_bytes(state, direction, call->length);
	count(HADAL_COUNTER_COUNTED);
	return true;
}

/* How many bytes of the call are wanted, before pressure. */
static __always_inline __u64 policy_payload(struct socket_state *state, bool begins)
{
	__u64 limit = settings.payload_limit;

	switch (state->policy) {
	case HADAL_POLICY_WHOLE:
		return HADAL_MAX_PAYLOAD;
	case HADAL_POLICY_COUNT:
		return 0;
	case HADAL_POLICY_FLIPS:
		if (begins)
			state->run = 0;
		return state->run < limit ? limit - state->run : 0;
	default:
		if (state->counter < HADAL_FIRST_CALLS && limit < HADAL_FIRST_PAYLOAD)
			return HADAL_FIRST_PAYLOAD;
		return limit;
	}
}

static __always_inline __u64 wanted_payload(struct socket_state *state, const struct call *call, bool begins, __u32 *flags)
{
	__u64 want = call->discards ? 0 : policy_payload(state, begins);
	__u64 shed = controls.shed_payload;

	if (want > call->length)
		want = call->length;
	if (unlikely(shed && want > shed)) {
		want = shed;
		*flags |= HADAL_FLAG_SHED;
		count(HADAL_COUNTER_PAYLOAD_SHED);
	}
	return want;
}

static __always_inline bool fill_address(struct hadal_data_event *event, const struct user_sockaddr *address)
{
	if (address->family == AF_INET)
		map_ipv4(event->peer_address, address->ipv4);
	else if (address->family == AF_INET6)
		__builtin_memcpy(event->peer_address, address->ipv6, 16);
	else
		return false;
	event->peer_port = __builtin_bswap16(address->port);
	return true;
}

/* Who a datagram of an unconnected socket is from or for. */
static __always_inline void fill_peer(struct hadal_data_event *event, const struct call *call, __u64 user_peer)
{
	struct user_sockaddr address = {};
	/* As far as the smaller form goes, and then the rest of the larger one. */
	const __u32 head = 8;

	if (call->peer) {
		if (!bpf_probe_read_kernel(&address, head, call->peer) && address.family == AF_INET6)
			bpf_probe_read_kernel(&address, sizeof(address), call->peer);
	} else if (user_peer && (HADAL_LEVEL == HADAL_LEVEL_C || call->direction == HADAL_EGRESS)) {
		if (!bpf_probe_read_user(&address, head, (void *)user_peer) && address.family == AF_INET6)
			bpf_probe_read_user(&address, sizeof(address), (void *)user_peer);
	}
	if (fill_address(event, &address))
		return;
#if HADAL_LEVEL != HADAL_LEVEL_C
	if (call->direction == HADAL_INGRESS) {
		struct datagram_peer *noted = bpf_sk_storage_get(&datagram_peers, call->sk, 0, 0);

		if (noted && noted->tid == event->header.tid) {
			__builtin_memcpy(event->peer_address, noted->address, 16);
			event->peer_port = noted->port;
		}
	}
#endif
}

static __always_inline void fill_data(struct hadal_data_event *event, struct socket_state *state, struct task_state *thread,
				      const struct call *call, struct task_struct *task, bool begins, __u32 flags)
{
	__u64 now = bpf_ktime_get_ns();
	struct tcp_sock *tcp = 0;

	__builtin_memset(event, 0, sizeof(*event));
	fill_header(&event->header, HADAL_EVENT_DATA, task, now);
	event->cookie = state->cookie;
	event->length = call->length;
	event->direction = call->direction;
	event->flags = flags;
	if (state->transport == HADAL_TRANSPORT_TCP) {
		tcp = tcp_of(call->sk);
		if (tcp)
			fill_tcp(event, tcp);
	}
	fill_sequence(event, state, thread, call, tcp);
	event->counter = number_of_call(state);
	event->context = follow_context(event, state, thread, call, task, begins);
}

static __always_inline void read_message(struct message *message, struct task_state *thread, const struct call *call,
					 struct task_struct *task)
{
	struct pt_regs *regs;

	if (call->message) {
		*message = *call->message;
		return;
	}
	regs = call->regs ? call->regs : entry_registers(task, thread);
	if (regs)
		message_of_call(message, regs, task, thread, call->direction);
}

#if HADAL_LEVEL != HADAL_LEVEL_C
/* A short payload out of one buffer goes straight into the ring. Level C does without: its verifiers have less patience. */
struct short_record {
	struct hadal_data_event event;
	__u8 payload[HADAL_SHORT_PAYLOAD];
};

static __always_inline bool is_short(const struct message *message, __u64 want)
{
	return message->shape == BUFFER_PLAIN && want > 0 && want <= HADAL_SHORT_PAYLOAD && want <= message->count;
}

/* False if the ring had no room. */
static __always_inline bool emit_short(struct socket_state *state, struct task_state *thread, const struct call *call,
				       struct task_struct *task, const struct message *message, __u64 want, bool begins,
				       bool unconnected, __u32 flags)
{
	struct short_record *record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);

	if (!record)
		return false;
	fill_data(&record->event, state, thread, call, task, begins, flags);
	if (unlikely(unconnected))
		fill_peer(&record->event, call, message->peer);
	barrier_var(want);
	if (want <= HADAL_SHORT_PAYLOAD && !bpf_probe_read_user(record->payload, want, (void *)message->address)) {
		record->event.captured = want;
		count(HADAL_COUNTER_PAYLOADS);
	} else {
		count(HADAL_COUNTER_USER_COPY_FAILED);
	}
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return true;
}
#endif

static __always_inline void emit_data(struct socket_state *state, const struct call *call)
{
	struct task_struct *task = current_task();
	struct task_state *thread = task_state(task);
	bool begins = state->last_direction != call->direction || is_datagram(state->transport);
	bool unconnected = state->transport == HADAL_TRANSPORT_UDP && !(state->ports & 0xffff);
	struct message message = {};
	__u32 flags = 0, index = call->scratch;
	struct scratch *scratch;
	__u64 want, captured;

	/* A stream that turns round begins a new call, and so a new vector. */
	if (thread && begins && !is_datagram(state->transport))
		thread->vector = 0;
	want = wanted_payload(state, call, begins, &flags);
	if (want || unconnected)
		read_message(&message, thread, call, task);
	flags |= message.flags;
	state->last_direction = call->direction;
#if HADAL_LEVEL != HADAL_LEVEL_C
	if (is_short(&message, want)) {
		state->run += want;
		if (emit_short(state, thread, call, task, &message, want, begins, unconnected, flags))
			return;
		/* Without room the event is made all the same: numbers go on. */
		want = 0;
	}
#endif
	scratch = bpf_map_lookup_elem(&scratches, &index);
	if (!scratch)
		return;
	fill_data(&scratch->event, state, thread, call, task, begins, flags);
	if (unlikely(unconnected))
		fill_peer(&scratch->event, call, message.peer);
	captured = copy_payload(&message, index, want);
	state->run += captured;
	scratch->event.captured = captured;
	if (captured)
		count(HADAL_COUNTER_PAYLOADS);
	emit(&scratch->event, sizeof(scratch->event) + captured, HADAL_COUNTER_RING_FULL_DATA);
}

static __always_inline void emit_end(struct socket_state *state)
{
	struct hadal_close_event event = { .cookie = state->cookie };

	fill_header(&event.header, HADAL_EVENT_END, current_task(), bpf_ktime_get_ns());
	emit(&event, sizeof(event), HADAL_COUNTER_RING_FULL_OTHER);
}

/* Whether the governor wants nothing of the socket, which is counted. */
static __always_inline bool is_shed(const struct socket_state *state, __u32 transport)
{
	if (!state && controls.shed_new) {
		count(HADAL_COUNTER_SHED);
		return true;
	}
	if (controls.shed_unimportant &&
	    (is_unix(transport) || (state && state->policy == HADAL_POLICY_COUNT))) {
		count(HADAL_COUNTER_SOCKET_SHED);
		return true;
	}
	return false;
}

/* The state of a socket that has something to say, met and announced; 0 if it is not to be recorded. */
static __always_inline struct socket_state *recorded_socket(struct sock *sk, __u32 transport, const struct call *call)
{
	struct socket_state *state = socket_state(sk);

	if (unlikely(is_shed(state, transport)))
		return 0;
	if (unlikely(!state)) {
		state = new_socket_state(sk, HADAL_ROLE_UNKNOWN);
		if (!state)
			return 0;
	}
	if (unlikely(!state->owner))
		meet_owner(state);
	name_socket(state, sk);
	if (state->last_direction != call->direction)
		refresh_policy(state);
	if (unlikely(!state->announced || (transport == HADAL_TRANSPORT_UDP && state->ports != ports_of(sk))))
		announce(state, sk, 0, call->scratch);
	if (unlikely(state->policy == HADAL_POLICY_IGNORE)) {
		if (call->length)
			count(HADAL_COUNTER_IGNORED);
		return 0;
	}
	/* Bytes of a socket that nobody knows say nothing. */
	if (unlikely(!state->announced)) {
		if (call->length)
			count(HADAL_COUNTER_UNANNOUNCED);
		return 0;
	}
	return state;
}

/* `length` bytes were moved; 0 received is the end of a stream. */
static __always_inline void record_call(const struct call *call)
{
	struct sock *sk = call->sk;
	__u32 transport = transport_of(sk);
	struct socket_state *state;

	if (transport == HADAL_TRANSPORT_OTHER)
		return;
	if (call->length)
		count(HADAL_COUNTER_CALLS);
	state = recorded_socket(sk, transport, call);
	if (!state)
		return;
	if (call->length) {
		if (!only_count(state, call))
			emit_data(state, call);
	} else if (call->direction == HADAL_INGRESS && !is_datagram(transport) && READ(sk, sk_shutdown) & RCV_SHUTDOWN) {
		emit_end(state);
	}
}

#if HADAL_LEVEL != HADAL_LEVEL_C
/* A vector of datagrams ends with the message that fails. */
static __always_inline void end_vector(const struct sock *sk)
{
	struct task_state *thread;

	if (!is_datagram(transport_of(sk)))
		return;
	thread = bpf_task_storage_get(&tasks, current_task(), 0, 0);
	if (thread)
		thread->vector = 0;
}
#endif

/* What does not move bytes of the stream: looking ahead, urgent data, errors of earlier sends. */
static __always_inline bool moves_bytes(int flags, int direction)
{
	return direction == HADAL_EGRESS || !(flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE));
}

#endif
