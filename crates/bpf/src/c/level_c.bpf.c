// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Level C: the exit of system calls. The registers still hold the arguments then, so nothing is kept from the entry;
 * the socket is found from the file descriptor. What kernel threads and io_uring do is not seen.
 */
#define HADAL_LEVEL 3
#include "data.bpf.h"
#include "state.bpf.h"
#include "process.bpf.h"
#include "list.bpf.h"

/* Messages of one sendmmsg or recvmmsg that are recorded. */
#define MAX_MESSAGES 64

static __always_inline struct sock *socket_of_descriptor(int descriptor)
{
	struct fdtable *table = BPF_CORE_READ(current_task(), files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = 0;

	if (descriptor < 0 || (__u32)descriptor >= BPF_CORE_READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), files + descriptor);
	return socket_of_file(file);
}

/* Verified on its own, so that the loop over messages stays small. `after` bytes were moved behind this message. */
__noinline int one_message(__u64 sk, __u64 entry, __u64 registers, __u32 direction, __u32 after)
{
	struct user_mmsghdr header;
	struct message message = { .address = entry, .shape = BUFFER_MSGHDR };
	struct call call = {
		.sk = (struct sock *)sk, .regs = (struct pt_regs *)registers, .message = &message, .direction = direction & 1,
		.scratch = direction & 1, .after = after,
	};

	if (bpf_probe_read_user(&header, sizeof(header), (void *)entry) || !resolve_header(&message)) {
		count(HADAL_COUNTER_USER_COPY_FAILED);
		return 0;
	}
	call.length = header.length;
	record_call(&call);
	return 0;
}

__noinline int one_call(__u64 sk, __u64 registers, __u64 length, __u32 how)
{
	struct message message = {};
	struct pt_regs *regs = (struct pt_regs *)registers;
	struct call call = {
		.sk = (struct sock *)sk, .regs = regs, .message = &message, .length = length, .direction = how & 1,
		.scratch = how & 1,
	};

	message_of_call(&message, regs, current_task(), 0, call.direction);
	/* splice names two files; the other end is known to the caller only. */
	if (how & 2)
		message.shape = BUFFER_NONE;
	if (how & 4)
		call.discards = is_tcp(call.sk);
	record_call(&call);
	return 0;
}

static __always_inline __u32 length_of_message(__u64 vector, int index)
{
	struct user_mmsghdr *entry = (struct user_mmsghdr *)vector + index;
	__u32 length = 0;

	bpf_probe_read_user(&length, sizeof(length), &entry->length);
	return length;
}

/* All were moved before the first one is looked at. */
static __always_inline void for_each_message(struct sock *sk, __u64 vector, __u64 registers, int direction, long messages)
{
	__u32 after = 0;

	for (int i = 0; i < MAX_MESSAGES && i < messages; i++)
		after += length_of_message(vector, i);
	for (int i = 0; i < MAX_MESSAGES && i < messages; i++) {
		after -= length_of_message(vector, i);
		one_message((__u64)sk, vector + i * sizeof(struct user_mmsghdr), registers, direction, after);
	}
	if (messages > MAX_MESSAGES)
		count(HADAL_COUNTER_VECTOR_CUT);
}

static __always_inline int flags_of_call(long nr, struct pt_regs *regs)
{
	if (nr == NR_RECVFROM || nr == NR_RECVMMSG)
		return SYSCALL_ARG4(regs);
	if (nr == NR_RECVMSG)
		return SYSCALL_ARG3(regs);
	return 0;
}

static __always_inline bool is_data_call(long nr)
{
	return nr == NR_READ || nr == NR_WRITE || nr == NR_READV || nr == NR_WRITEV || nr == NR_SENDTO || nr == NR_RECVFROM ||
	       nr == NR_SENDMSG || nr == NR_RECVMSG || nr == NR_SENDFILE || nr == NR_SPLICE || nr == NR_RECVMMSG ||
	       nr == NR_SENDMMSG;
}

static __always_inline int direction_of(long nr)
{
	return nr == NR_READ || nr == NR_READV || nr == NR_RECVFROM || nr == NR_RECVMSG || nr == NR_RECVMMSG ?
		       HADAL_INGRESS :
		       HADAL_EGRESS;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
	long nr = SYSCALL_NR(regs);
	int direction, flags;
	__u64 registers;
	struct sock *sk;

	if (!is_data_call(nr) || result < 0 || !SYSCALL_IS_NATIVE(regs))
		return 0;
	/* As a number: functions that are verified on their own take no pointers of this kind. */
	bpf_probe_read_kernel(&registers, sizeof(registers), ctx);
	direction = direction_of(nr);
	flags = flags_of_call(nr, regs);
	if (!moves_bytes(flags, direction))
		return 0;
	if (nr == NR_SPLICE) {
		/* From a socket into a pipe; the way into a socket is the one below. */
		sk = socket_of_descriptor(SYSCALL_ARG1(regs));
		if (sk)
			one_call((__u64)sk, registers, result, HADAL_INGRESS | 2);
		sk = socket_of_descriptor(SYSCALL_ARG3(regs));
	} else {
		sk = socket_of_descriptor(SYSCALL_ARG1(regs));
	}
	if (!sk)
		return 0;
	if (nr != NR_SENDMMSG && nr != NR_RECVMMSG) {
		one_call((__u64)sk, registers, result, direction | (nr == NR_SPLICE ? 2 : 0) | (flags & MSG_TRUNC ? 4 : 0));
		return 0;
	}
	for_each_message(sk, SYSCALL_ARG2(regs), registers, direction, result);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
