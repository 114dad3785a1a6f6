/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The few kernel types the programs read, with only the members they read. CO-RE relocates every access against the
 * running kernel's BTF, so order and offsets here mean nothing. Kernel renames are quarantined in this file.
 */
#ifndef HADAL_KERNEL_H
#define HADAL_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
typedef unsigned long size_t;

enum { false = 0, true = 1 };

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum {
	BPF_NOEXIST = 1,
	BPF_F_NO_PREALLOC = 1,
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0,
	BPF_RB_RING_SIZE = 1,
};

/* include/net/tcp_states.h */
enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_SYN_RECV = 3, TCP_CLOSE = 7, TCP_LISTEN = 10, TCP_NEW_SYN_RECV = 12 };

enum {
	AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10,
	SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_SEQPACKET = 5,
	IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_UDPLITE = 136, IPPROTO_MPTCP = 262,
	MSG_OOB = 1, MSG_PEEK = 2, MSG_TRUNC = 0x20, MSG_ERRQUEUE = 0x2000,
	RCV_SHUTDOWN = 1,
	PF_IO_WORKER = 0x10, PF_KTHREAD = 0x00200000,
	S_IFMT = 00170000, S_IFSOCK = 0140000,
};

/* The helpers that some levels do without. The values are those of uapi/linux/bpf.h, asked for by CO-RE. */
enum bpf_func_id {
	BPF_FUNC_loop = 181,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

typedef struct {
	__s64 counter;
} atomic64_t;

struct inode {
	unsigned short i_mode;
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
	void *private_data;
};

struct socket {
	struct file *file;
	struct sock *sk;
};

struct upid {
	int nr;
};

struct pid {
	struct upid numbers[1];
};

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
	__u8 sk_shutdown;
	struct socket *sk_socket;
	struct pid *sk_peer_pid;
};

struct sockaddr_un {
	unsigned short sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[0];
};

struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};

struct inet_connection_sock;

struct minmax_sample {
	__u32 v;
};

struct minmax {
	struct minmax_sample s[3];
};

struct tcp_sock {
	struct minmax rtt_min;
	__u32 write_seq;
	__u32 copied_seq;
	__u32 rcv_nxt;
	__u32 srtt_us;
	__u32 total_retrans;
	__u32 snd_wnd;
	__u32 rcv_wnd;
};

struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct thread_struct {
#if defined(__TARGET_ARCH_x86)
	unsigned long fsbase;
#elif defined(__TARGET_ARCH_arm64)
	struct {
		unsigned long tp_value;
	} uw;
#endif
};

struct task_struct {
	struct thread_struct thread;
	int pid;
	int tgid;
	unsigned int flags;
	struct task_struct *real_parent;
	struct mm_struct *mm;
	struct files_struct *files;
};

struct msghdr {
	void *msg_name;
	int msg_namelen;
	unsigned int msg_flags;
};

struct io_uring_cqe;

struct io_cqe {
	__s32 res;
};

struct io_kiocb {
	struct file *file;
	__u8 opcode;
	struct io_cqe cqe;
};

struct io_sr_msg {
	void *buf;
	unsigned int msg_flags;
};

struct io_rw {
	__u64 addr;
	__u32 len;
};

enum io_uring_op {
	IORING_OP_READV = 1,
	IORING_OP_WRITEV = 2,
	IORING_OP_SENDMSG = 9,
	IORING_OP_RECVMSG = 10,
	IORING_OP_READ = 22,
	IORING_OP_WRITE = 23,
	IORING_OP_SEND = 26,
	IORING_OP_RECV = 27,
};

struct linux_binprm {
	const char *filename;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r14, bx, r10, r8, r9, di, si, dx, ax, orig_ax, cs, sp;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 orig_x0;
	__s32 syscallno;
};
#endif

#pragma clang attribute pop

/* Contexts of control group programs, by uapi/linux/bpf.h. */
struct bpf_sock {
	__u32 bound_dev_if;
	__u32 family;
	__u32 type;
	__u32 protocol;
};

struct bpf_sock_addr {
	__u32 user_family;
	__u32 user_ip4;
	__u32 user_ip6[4];
	__u32 user_port;
	__u32 family;
	__u32 type;
	__u32 protocol;
	__u32 msg_src_ip4;
	__u32 msg_src_ip6[4];
	struct bpf_sock *sk __attribute__((aligned(8)));
};

/* User-space layouts, stable by the system call interface; read with bpf_probe_read_user, so not relocated. */
struct user_iovec {
	__u64 base;
	__u64 length;
};

struct user_msghdr {
	__u64 name;
	__u32 name_length;
	__u32 padding;
	__u64 iov;
	__u64 iov_count;
	__u64 control;
	__u64 control_length;
	__u32 flags;
	__u32 padding_end;
};

struct user_mmsghdr {
	struct user_msghdr header;
	__u32 length;
	__u32 padding;
};

/* sockaddr_in and sockaddr_in6 begin alike. */
struct user_sockaddr {
	__u16 family;
	__be16 port;
	__be32 ipv4; /* flow information of IPv6 */
	__u8 ipv6[16];
};

#endif
