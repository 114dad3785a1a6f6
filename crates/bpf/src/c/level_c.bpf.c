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

enum {
	HOW_DIRECTION = 1,
	HOW_NO_BUFFER = 2, /* the arguments name no buffer of this side */
	HOW_DISCARDS = 4, /* MSG_TRUNC */
};

/*
 * One call, or one message of a vector if `entry` is its place there. Verified on its own, so that the loop over messages
 * stays small. `lengths` holds its bytes and, above them, those that were moved behind it by the same system call.
 */
__noinline int one_call(__u64 sk, __u64 registers, __u64 lengths, __u32 how, __u64 entry)
{
	struct pt_regs *regs = (struct pt_regs *)registers;
	struct message message = {};
	struct call call = {
		.sk = (struct sock *)sk, .regs = regs, .message = &message, .length = lengths, .after = lengths >> 32,
		.direction = how & HOW_DIRECTION, .scratch = how & HOW_DIRECTION,
	};

	if (entry) {
		message.address = entry;
		message.shape = BUFFER_MSGHDR;
		if (!resolve_header(&message))
			count(HADAL_COUNTER_USER_COPY_FAILED);
	} else {
		message_of_call(&message, regs, current_task(), 0, call.direction);
	}
	if (how & HOW_NO_BUFFER)
		message.shape = BUFFER_NONE;
	if (how & HOW_DISCARDS)
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
		__u64 length = length_of_message(vector, i);

		after -= length;
		one_call((__u64)sk, registers, (__u64)after << 32 | length, direction, vector + i * sizeof(struct user_mmsghdr));
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
			one_call((__u64)sk, registers, (__u32)result, HADAL_INGRESS | HOW_NO_BUFFER, 0);
		sk = socket_of_descriptor(SYSCALL_ARG3(regs));
	} else {
		sk = socket_of_descriptor(SYSCALL_ARG1(regs));
	}
	if (!sk)
		return 0;
	if (nr != NR_SENDMMSG && nr != NR_RECVMMSG) {
		one_call((__u64)sk, registers, (__u32)result,
			 direction | (nr == NR_SPLICE ? HOW_NO_BUFFER : 0) | (flags & MSG_TRUNC ? HOW_DISCARDS : 0), 0);
		return 0;
	}
	for_each_message(sk, SYSCALL_ARG2(regs), registers, direction, result);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
