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

/* What user space wants of a socket; written to the policy map by cookie. */
enum hadal_policy {
	HADAL_POLICY_PREFIX = 0, /* every call with the usual prefix */
	HADAL_POLICY_NO_PAYLOAD = 1, /* lengths only */
	HADAL_POLICY_IGNORE = 2, /* nothing */
	HADAL_POLICY_WHOLE = 3, /* every call up to HADAL_MAX_PAYLOAD: many messages may be in one */
};

enum hadal_counter {
	HADAL_COUNTER_EVENTS = 0,
	HADAL_COUNTER_RING_FULL = 1,
	HADAL_COUNTER_USER_COPY_FAILED = 2,
	HADAL_COUNTER_MAP_FULL = 3,
	HADAL_COUNTER_IGNORED = 4,
	HADAL_COUNTER_LAST = 5,
};

enum hadal_limit {
	HADAL_MAX_PAYLOAD = 8192,
	HADAL_FIRST_CALLS = 8, /* calls of a new socket that are copied up to HADAL_FIRST_PAYLOAD, before anything is decided */
	HADAL_FIRST_PAYLOAD = 4096,
	HADAL_MAX_IOVECS = 16,
	HADAL_MAX_FILENAME = 256,
	HADAL_MAX_ARGS = 512,
};

/* Every event starts with this. */
struct hadal_header {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 kind;
	__u32 pid; /* thread group, 0 outside a process */
	__u32 tid;
	__u32 reserved;
};

/* One finished socket call that moved bytes; `captured` bytes follow. */
struct hadal_data_event {
	struct hadal_header header;
	__u64 cookie;
	__u64 context;
	__u64 counter; /* per socket, consecutive */
	__u32 seq; /* first byte */
	__u32 length;
	__u32 captured;
	__u32 direction;
	__u32 srtt_us;
	__u32 retransmits;
	__u32 send_window;
	__u32 receive_window;
	__u32 min_rtt_us; /* smallest of the last minutes: srtt of a quiet connection counts delayed acknowledgements */
	__u32 reserved;
};

/* A socket's identity: sent once, before its first data event, and by the list of sockets older than the agent. */
struct hadal_socket_event {
	struct hadal_header header;
	__u64 cookie;
	__u32 netns;
	__u16 family;
	__u16 policy; /* enum hadal_policy; IGNORE marks the agent's and the server's own sockets */
	__u32 role;
	__u32 state;
	__u8 local_address[16]; /* IPv4 as ::ffff:a.b.c.d */
	__u8 remote_address[16];
	__u16 local_port;
	__u16 remote_port;
	__u32 connect_us; /* SYN to ESTABLISHED, 0 if not seen */
	__u32 from_start; /* 1 if the connection was seen from its start, then the next two are known */
	__u32 send_seq; /* first byte to send */
	__u32 receive_seq; /* first byte to receive */
	__u32 reserved;
};

/* CLOSE: the socket is gone. END: the peer's end of stream was read. */
struct hadal_close_event {
	struct hadal_header header;
	__u64 cookie;
	__u32 retransmits;
	__u32 srtt_us;
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

_Static_assert(sizeof(struct hadal_header) == 24, "hadal_header");
_Static_assert(sizeof(struct hadal_data_event) == 88, "hadal_data_event");
_Static_assert(sizeof(struct hadal_socket_event) == 104, "hadal_socket_event");
_Static_assert(sizeof(struct hadal_close_event) == 40, "hadal_close_event");
_Static_assert(sizeof(struct hadal_exec_event) == 800, "hadal_exec_event");
_Static_assert(sizeof(struct hadal_process_event) == 32, "hadal_process_event");

#endif
