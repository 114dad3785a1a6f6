/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the kernel programs send to the agent. The Rust side is generated from this file by `cargo xtask generate`. */
#ifndef HADAL_EVENT_H
#define HADAL_EVENT_H

enum hadal_event_kind {
	HADAL_EVENT_DATA = 1,
	HADAL_EVENT_SOCKET = 2,
	HADAL_EVENT_CLOSE = 3,
	HADAL_EVENT_END = 4,
	HADAL_EVENT_EXEC = 5,
	HADAL_EVENT_FORK = 6,
	HADAL_EVENT_EXIT = 7,
	HADAL_EVENT_PAYLOAD = 8,
	HADAL_EVENT_HANDED = 9,
	HADAL_EVENT_JOINED = 10,
};

enum hadal_role {
	HADAL_ROLE_UNKNOWN = 0,
	HADAL_ROLE_CLIENT = 1,
	HADAL_ROLE_SERVER = 2,
	HADAL_ROLE_LISTENER = 3,
};

enum hadal_direction {
	HADAL_INGRESS = 0,
	HADAL_EGRESS = 1,
};

/* How a socket carries its bytes. */
enum hadal_transport {
	HADAL_TRANSPORT_OTHER = 0,
	HADAL_TRANSPORT_TCP = 1,
	HADAL_TRANSPORT_UDP = 2,
	HADAL_TRANSPORT_UNIX_STREAM = 3,
	HADAL_TRANSPORT_UNIX_DATAGRAM = 4,
	HADAL_TRANSPORT_STREAM = 5, /* another Internet stream, such as MPTCP */
};

/* What user space wants of a socket; written to the policy map by cookie. */
enum hadal_policy {
	HADAL_POLICY_PREFIX = 0, /* every call with the usual prefix */
	HADAL_POLICY_COUNT = 1, /* bytes only, at most one event per second and direction; final */
	HADAL_POLICY_IGNORE = 2, /* nothing; final */
	HADAL_POLICY_WHOLE = 3, /* every call up to HADAL_MAX_PAYLOAD: many messages may be in one */
	HADAL_POLICY_FLIPS = 4, /* the usual prefix of what comes after a change of direction, lengths of the rest */
	HADAL_POLICY_ANNOUNCE = 5, /* the identity was lost: send it again, and go on with PREFIX */
};

enum hadal_counter {
	HADAL_COUNTER_CALLS = 0, /* socket calls that moved bytes, recorded or not */
	HADAL_COUNTER_PAYLOADS = 1, /* of these, with payload */
	HADAL_COUNTER_RING_FULL_DATA = 2, /* data events without room in the ring */
	HADAL_COUNTER_RING_FULL_OTHER = 3, /* other events without room */
	HADAL_COUNTER_UNANNOUNCED = 4, /* calls of sockets whose identity had no room */
	HADAL_COUNTER_USER_COPY_FAILED = 5,
	HADAL_COUNTER_MAP_FULL = 6,
	HADAL_COUNTER_IGNORED = 7, /* calls of ignored sockets */
	HADAL_COUNTER_COUNTED = 8, /* calls of sockets of which only bytes are wanted, without an event of their own */
	HADAL_COUNTER_OVERLAPS = 9, /* calls that ran at the same time as another on the socket: their order is not sure */
	HADAL_COUNTER_PAYLOAD_SHED = 10, /* calls whose payload the governor cut */
	HADAL_COUNTER_SOCKET_SHED = 11, /* calls of unimportant sockets that the governor left out */
	HADAL_COUNTER_SHED = 12, /* calls of new sockets that the governor left out */
	HADAL_COUNTER_VECTOR_CUT = 13, /* messages and vectors beyond what this level can walk */
	HADAL_COUNTER_LAST = 14,
};

enum hadal_limit {
	HADAL_MAX_PAYLOAD = 16384,
	HADAL_SHORT_PAYLOAD = 256, /* copied without a detour */
	HADAL_PAYLOAD_STEP = 8192, /* largest single copy out of a vector */
	HADAL_FIRST_CALLS = 8, /* calls of a new socket that are copied up to HADAL_FIRST_PAYLOAD, before anything is decided */
	HADAL_FIRST_PAYLOAD = 4096,
	HADAL_MAX_IOVECS = 1024, /* UIO_MAXIOV */
	HADAL_MAX_FILENAME = 256,
	HADAL_MAX_ARGS = 512,
	HADAL_MAX_UNIX_PATH = 108,
	HADAL_POLICY_SLOTS = 65536, /* a power of two */
	HADAL_MAX_HANDED = 16, /* a power of two */
};

/* What is special about a data event. */
enum hadal_flag {
	HADAL_FLAG_URING = 1, /* an io_uring request: its payload follows as an event of its own */
	HADAL_FLAG_OVERLAP = 2, /* begins before the end of an earlier one: the order of both is not sure */
	HADAL_FLAG_ORDERED = 4, /* seq is exact even when calls of several threads overlap */
	HADAL_FLAG_KERNEL = 8, /* sent by a kernel thread, or spliced: no payload to be had */
	HADAL_FLAG_SHED = 16, /* the governor cut the payload */
	HADAL_FLAG_HANDED = 32, /* of several messages, an event of its own says whose each of them is */
};

/* Every event starts with this. */
struct hadal_header {
	__u64 time_ns; /* CLOCK_MONOTONIC, at the end of a call */
	__u32 kind;
	__u32 pid; /* thread group, 0 outside a process */
	__u32 tid;
	__u32 reserved;
};

/*
 * DATA: finished socket calls that moved bytes, one as a rule; `captured` bytes follow. PAYLOAD: the bytes of the oldest
 * earlier data event of io_uring with this cookie, direction and length; the rest is zero.
 */
struct hadal_data_event {
	struct hadal_header header;
	__u64 cookie;
	__u64 context;
	__u64 counter; /* per socket, consecutive */
	__u64 start_ns; /* start of the call, 0 if no hook gives it */
	__u64 coroutine; /* goroutine, greenlet, task of a runtime; 0 if none is known */
	__u64 parent_coroutine; /* who made it; 0 if not known */
	__u32 seq; /* first byte: TCP's number, or bytes of this direction since the socket was first seen */
	__u32 length;
	__u32 captured;
	__u32 skipped; /* bytes between the end of the last event of this direction and `seq`; negative if they overlap */
	__u16 direction;
	__u16 flags;
	__u32 srtt_us;
	__u32 retransmits;
	__u32 send_window;
	__u32 receive_window;
	__u32 min_rtt_us; /* smallest of the last minutes: srtt of a quiet connection counts delayed acknowledgements */
	__u8 peer_address[16]; /* of a datagram of an unconnected socket; IPv4 as ::ffff:a.b.c.d */
	__u16 peer_port; /* 0 if the socket is connected, or the peer is not known */
	__u16 reserved16;
	__u32 reserved;
};

/* A socket's identity: sent once, before its first data event, and by the list of sockets older than the agent. */
struct hadal_socket_event {
	struct hadal_header header;
	__u64 cookie;
	__u64 peer_cookie; /* the other end of a pair of Unix sockets, 0 if not known */
	__u32 netns;
	__u16 family;
	__u16 policy; /* enum hadal_policy; IGNORE marks the agent's and the server's own sockets */
	__u32 role;
	__u32 state;
	__u32 transport;
	__u32 peer_pid; /* process at the other end of a Unix socket when it connected or listened */
	__u8 local_address[16]; /* IPv4 as ::ffff:a.b.c.d */
	__u8 remote_address[16];
	__u16 local_port;
	__u16 remote_port;
	__u32 connect_us; /* SYN to ESTABLISHED, 0 if not seen */
	__u32 from_start; /* 1 if the connection was seen from its start, then the next two are known */
	__u32 send_seq; /* first byte to send */
	__u32 receive_seq; /* first byte to receive */
	__u8 unix_path[108]; /* name of the Unix socket or of its peer; abstract names start with NUL */
	__u32 unix_path_length;
	__u32 reserved;
};

/* CLOSE: the socket is gone. END: the peer's end of stream was read. */
struct hadal_close_event {
	struct hadal_header header;
	__u64 cookie;
	__u32 retransmits;
	__u32 srtt_us;
	__u32 unseen_egress; /* bytes after the last event of each direction */
	__u32 unseen_ingress;
};

struct hadal_exec_event {
	struct hadal_header header;
	__u32 parent;
	__u32 args_length;
	__u8 filename[256];
	__u8 args[512]; /* separated by NUL, cut at 512 bytes */
};

/* FORK: `child` is a new process of `header.pid`. EXIT: the process is gone, `child` is 0. */
struct hadal_process_event {
	struct hadal_header header;
	__u32 child;
	__u32 reserved;
};

/* What the loader sets before load; one constant of the object. */
struct hadal_settings {
	__u32 payload_limit; /* usual prefix of a call, in bytes */
	__u32 uring_payload; /* 1: payload of io_uring requests comes with their completion */
};

/* What user space may change while the programs run; one global of the object. */
struct hadal_controls {
	__u32 shed_payload; /* longest payload under pressure, 0 for no limit */
	__u32 shed_unimportant; /* 1: nothing of sockets that are only counted, nor of Unix sockets */
	__u32 shed_new; /* 1: nothing of sockets not met yet */
	__u32 runtime_generation; /* changes with what is known of the runtimes of processes; 0 if nothing is */
};

/* What user space wants of one socket; the slot is the cookie modulo HADAL_POLICY_SLOTS. */
struct hadal_decision {
	__u64 cookie;
	__u32 policy;
	__u32 reserved;
};

/*
 * In a context. SHARED: the thread works on several requests at the same time. OWN: only what works on the same request has
 * this context, whatever the thread does. NESTED: it was read by a callback of an event loop, and what is sent in it is sent
 * by that same callback. HANDED: the thread got it from another one. The rest is the time and the CPU's number.
 */
enum { HADAL_CONTEXT_SHARED = 0x80, HADAL_CONTEXT_OWN = 0x40, HADAL_CONTEXT_NESTED = 0x20, HADAL_CONTEXT_HANDED = 0x10,
       HADAL_CONTEXT_CPU = 0x0f };

/* What runs the code of a process, if requests are followed through it. */
enum hadal_runtime { HADAL_RUNTIME_NONE = 0, HADAL_RUNTIME_GO = 1, HADAL_RUNTIME_PYTHON = 2, HADAL_RUNTIME_LOOP = 3,
			 HADAL_RUNTIME_TOKIO = 4 };

/*
 * Where a Go program keeps the numbers of goroutines in its g structure, and the state of a channel in its hchan structure;
 * and how often goroutines called others for no request that they were known to work on.
 */
struct hadal_go_layout {
	__u32 goid;
	__u32 parent_goid; /* 0 if there is none */
	__u32 channel_sendx;
	__u32 calls;
	__u32 strays; /* of these */
	__u32 reserved;
};

/* Where CPython keeps what it runs: addresses in the process, and offsets in its structures. */
struct hadal_python_layout {
	__u64 current_tasks; /* dictionary of the tasks that event loops run now; 0 if there are none */
	__u64 task_type;
	__u64 future_type;
	__u64 partial_type;
	__u64 function_type;
	__u64 text_type;
	__u64 threads; /* where the first thread's state is; 0 if there are no greenlets */
	__u16 minor; /* of Python 3 */
	__u16 task_coroutine; /* the task's name follows */
	__u16 coroutine_above; /* in a coroutine: the state of the exceptions of who runs it */
	__u16 thread_exceptions; /* in a thread's state: its own state of exceptions */
	__u16 thread_id;
	__u16 thread_stack; /* the last chunk of its stack, or its last frame */
	__u16 stack_below; /* in a chunk or frame: the one before */
	__u16 closure; /* in a function */
	__u16 text; /* in a string of ASCII characters */
	__u16 reserved[3];
};

/*
 * Where a program keeps what tokio runs: addresses in the process. And how often its tasks called others, and of these for no
 * request that they were known to work on; how often the number of a task was looked at twice, and did not hold.
 */
struct hadal_tokio_layout {
	__u64 task; /* number of the running task, from the thread pointer on */
	__u64 last_task; /* the number that the next task gets */
	__u64 waker; /* what tells wakers of tasks from others */
	__u32 calls;
	__u32 strays;
	__u32 checks;
	__u32 failures;
};

/* How far requests are followed from one thread of a process to another. */
enum hadal_thread_reach { HADAL_THREADS_COUNTED = 1, HADAL_THREADS_FOLLOWED = 2 };

/*
 * A process whose threads may hand requests to each other: how often they called others, and of these for no request that
 * they were known to work on. What waits at an address within `locks` waits for a lock, not for work.
 */
struct hadal_threads {
	__u64 locks_start;
	__u64 locks_end;
	__u32 reach; /* enum hadal_thread_reach */
	__u32 calls;
	__u32 strays;
	__u32 reserved;
};

/* HANDED: whose work a task has in hands that sends several messages at once: contexts, in the order in which it got them. */
struct hadal_handed_event {
	struct hadal_header header;
	__u64 cookie;
	__u32 seq; /* of the first byte */
	__u32 length;
	__u32 count;
	__u32 waited; /* a bit for each: the task waited for it, so it had nothing else in hands that it had not begun */
	__u64 contexts[16];
};

/* JOINED: what the thread has done in `from`, the context of an answer, was done for a thread that works in `to` and waited. */
struct hadal_joined_event {
	struct hadal_header header;
	__u64 from;
	__u64 to;
};

/* Words of the stack that are compared: the return address of a callback, and what lies below it. */
enum { HADAL_LOOP_WORDS = 17 };

/* A thread that runs a loop of libuv: addresses in its stack, and what it was at when it read last. */
struct hadal_loop {
	__u64 events; /* the array that epoll fills */
	__u64 callback; /* where the return address of an event's callback lies */
	__u64 poll; /* the same of the function that calls back */
	__u64 poll_return; /* what lies there while it does */
	__u64 event; /* address of the event whose callback read last, 0 if it is not known */
	__u32 descriptor; /* what was read */
	__u32 misses; /* reads in a row that were not what the loop was at */
	__u64 frames[17]; /* at the last read */
	__u64 now[17];
};

_Static_assert(sizeof(struct hadal_header) == 24, "hadal_header");
_Static_assert(sizeof(struct hadal_data_event) == 136, "hadal_data_event");
_Static_assert(sizeof(struct hadal_socket_event) == 232, "hadal_socket_event");
_Static_assert(sizeof(struct hadal_close_event) == 48, "hadal_close_event");
_Static_assert(sizeof(struct hadal_exec_event) == 800, "hadal_exec_event");
_Static_assert(sizeof(struct hadal_process_event) == 32, "hadal_process_event");
_Static_assert(sizeof(struct hadal_settings) == 8, "hadal_settings");
_Static_assert(sizeof(struct hadal_controls) == 16, "hadal_controls");
_Static_assert(sizeof(struct hadal_decision) == 16, "hadal_decision");
_Static_assert(sizeof(struct hadal_go_layout) == 24, "hadal_go_layout");
_Static_assert(sizeof(struct hadal_loop) == 320, "hadal_loop");
_Static_assert(sizeof(struct hadal_python_layout) == 80, "hadal_python_layout");
_Static_assert(sizeof(struct hadal_tokio_layout) == 40, "hadal_tokio_layout");
_Static_assert(sizeof(struct hadal_threads) == 32, "hadal_threads");
_Static_assert(sizeof(struct hadal_handed_event) == 176, "hadal_handed_event");
_Static_assert(sizeof(struct hadal_joined_event) == 40, "hadal_joined_event");

#endif
