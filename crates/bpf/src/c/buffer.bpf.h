/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where a socket call's bytes lie in the program's memory, read from the registers with which the thread entered the
 * kernel. They are unchanged until the call returns, so no entry probe and no stash is needed.
 */
#ifndef HADAL_BUFFER_BPF_H
#define HADAL_BUFFER_BPF_H

#include "maps.bpf.h"

#if defined(__TARGET_ARCH_x86)
enum {
	NR_READ = 0, NR_WRITE = 1, NR_READV = 19, NR_WRITEV = 20, NR_SENDTO = 44, NR_RECVFROM = 45, NR_SENDMSG = 46,
	NR_RECVMSG = 47, NR_SENDFILE = 40, NR_SPLICE = 275, NR_RECVMMSG = 299, NR_SENDMMSG = 307,
	NR_URING_SETUP = 425, NR_URING_REGISTER = 427, NR_FUTEX = 202, NR_PPOLL = 271, NR_EPOLL_PWAIT = 281,
	NR_EPOLL_PWAIT2 = 441, NR_POLL = 7, NR_SELECT = 23, NR_EPOLL_WAIT = 232,
	USER32_CS = 0x23,
};
#define SYSCALL_NR(regs) ((long)READ(regs, orig_ax))
#define IS_OLD_POLL(nr) ((nr) == NR_EPOLL_WAIT || (nr) == NR_POLL || (nr) == NR_SELECT)
#define STACK_POINTER(regs) ((__u64)READ(regs, sp))
#define SYSCALL_ARG1(regs) ((__u64)READ(regs, di))
#define SYSCALL_ARG2(regs) ((__u64)READ(regs, si))
#define SYSCALL_ARG3(regs) ((__u64)READ(regs, dx))
#define SYSCALL_ARG4(regs) ((__u64)READ(regs, r10))
#define SYSCALL_ARG5(regs) ((__u64)READ(regs, r8))
#define GO_G(regs) ((__u64)READ(regs, r14))
/* What a thread of the C library goes by. */
#define THREAD_POINTER(task) ((__u64)READ(task, thread.fsbase))
/* In a program's own registers: those that a uprobe gets. */
#define UPROBE_GO_G(regs) ((regs)->r14)
#define UPROBE_GO_ARG1(regs) ((regs)->ax)
#define UPROBE_GO_ARG2(regs) ((regs)->bx)
#define UPROBE_ARG1(regs) ((regs)->di)
#define UPROBE_ARG2(regs) ((regs)->si)
/* A 32-bit program has other numbers and layouts: its calls are seen without payload. */
#define SYSCALL_IS_NATIVE(regs) (READ(regs, cs) != USER32_CS)
#elif defined(__TARGET_ARCH_arm64)
enum {
	NR_READ = 63, NR_WRITE = 64, NR_READV = 65, NR_WRITEV = 66, NR_SENDTO = 206, NR_RECVFROM = 207, NR_SENDMSG = 211,
	NR_RECVMSG = 212, NR_SENDFILE = 71, NR_SPLICE = 76, NR_RECVMMSG = 243, NR_SENDMMSG = 269,
	NR_URING_SETUP = 425, NR_URING_REGISTER = 427, NR_FUTEX = 98, NR_PPOLL = 73, NR_EPOLL_PWAIT = 22,
	NR_EPOLL_PWAIT2 = 441,
};
#define SYSCALL_NR(regs) ((long)READ(regs, syscallno))
#define IS_OLD_POLL(nr) 0
#define STACK_POINTER(regs) ((__u64)READ(regs, sp))
#define SYSCALL_ARG1(regs) ((__u64)READ(regs, orig_x0))
#define SYSCALL_ARG2(regs) ((__u64)READ(regs, regs[1]))
#define SYSCALL_ARG3(regs) ((__u64)READ(regs, regs[2]))
#define SYSCALL_ARG4(regs) ((__u64)READ(regs, regs[3]))
#define SYSCALL_ARG5(regs) ((__u64)READ(regs, regs[4]))
#define GO_G(regs) ((__u64)READ(regs, regs[28]))
#define THREAD_POINTER(task) ((__u64)READ(task, thread.uw.tp_value))
#define UPROBE_GO_G(regs) ((regs)->regs[28])
#define UPROBE_GO_ARG1(regs) ((regs)->regs[0])
#define UPROBE_GO_ARG2(regs) ((regs)->regs[1])
#define UPROBE_ARG1(regs) ((regs)->regs[0])
#define UPROBE_ARG2(regs) ((regs)->regs[1])
#define SYSCALL_IS_NATIVE(regs) 1
#endif

enum buffer_shape { BUFFER_NONE, BUFFER_PLAIN, BUFFER_IOVEC, BUFFER_MSGHDR };

/* One message: its bytes, and who it is from or for. */
struct message {
	__u64 address;
	__u64 count; /* iovecs, or bytes of a plain buffer */
	__u64 peer; /* sockaddr in the program's memory, 0 if none */
	__u32 shape; /* enum buffer_shape */
	__u32 flags; /* enum hadal_flag */
};

#if HADAL_LEVEL == HADAL_LEVEL_A
/* They lie at the end of the thread's kernel stack, always at the same place: asked for once, and then without a call. */
static __always_inline struct pt_regs *entry_registers(struct task_struct *task, struct task_state *thread)
{
	if (!thread)
		return (struct pt_regs *)bpf_task_pt_regs(task);
	if (!thread->registers)
		thread->registers = bpf_task_pt_regs(task);
	return bpf_rdonly_cast((void *)thread->registers, bpf_core_type_id_kernel(struct pt_regs));
}
#elif HADAL_LEVEL == HADAL_LEVEL_B
static __always_inline struct pt_regs *entry_registers(struct task_struct *task, struct task_state *thread)
{
	return (struct pt_regs *)bpf_task_pt_regs(task);
}
#else
/* Given by the hook. */
static __always_inline struct pt_regs *entry_registers(struct task_struct *task, struct task_state *thread)
{
	return 0;
}
#endif

/* Turns a msghdr into its iovecs; false if it could not be read. */
static __always_inline bool resolve_header(struct message *message)
{
	struct user_msghdr header;

	if (bpf_probe_read_user(&header, sizeof(header), (void *)message->address)) {
		message->shape = BUFFER_NONE;
		return false;
	}
	message->address = header.iov;
	message->count = header.iov_count;
	message->shape = BUFFER_IOVEC;
	/* A receiver's name is set only if there is one. */
	message->peer = header.name_length >= 8 ? header.name : 0;
	return true;
}

/*
 * Entry of a vector of messages (sendmmsg, recvmmsg) that is done now. The hook fires per message, so the entries are
 * counted; a call that ended early leaves the count, which the next failure or another vector takes back.
 */
static __always_inline __u64 entry_of_vector(struct task_state *thread, __u64 vector, __u32 length)
{
	__u32 at = 0;

	if (!thread)
		return vector;
	if (thread->vector == vector && thread->vector_next < length)
		at = thread->vector_next;
	thread->vector = vector;
	thread->vector_next = at + 1;
	return vector + at * sizeof(struct user_mmsghdr);
}

static __always_inline void message_of_call(struct message *message, struct pt_regs *regs, struct task_struct *task,
					    struct task_state *thread, int direction)
{
	long nr;

	message->address = 0;
	message->count = 0;
	message->peer = 0;
	message->shape = BUFFER_NONE;
	message->flags = 0;
	if (READ(task, flags) & PF_KTHREAD) {
		message->flags = HADAL_FLAG_KERNEL;
		return;
	}
	if (!SYSCALL_IS_NATIVE(regs))
		return;
	nr = SYSCALL_NR(regs);
	if (READ(task, flags) & PF_IO_WORKER || (nr >= NR_URING_SETUP && nr <= NR_URING_REGISTER)) {
		message->flags = settings.uring_payload ? HADAL_FLAG_URING : HADAL_FLAG_KERNEL;
		return;
	}
	message->address = SYSCALL_ARG2(regs);
	message->count = SYSCALL_ARG3(regs);
	if (direction == HADAL_EGRESS) {
		if (nr == NR_WRITE || nr == NR_SENDTO)
			message->shape = BUFFER_PLAIN;
		else if (nr == NR_WRITEV)
			message->shape = BUFFER_IOVEC;
		else if (nr == NR_SENDMSG || nr == NR_SENDMMSG)
			message->shape = BUFFER_MSGHDR;
	} else {
		if (nr == NR_READ || nr == NR_RECVFROM)
			message->shape = BUFFER_PLAIN;
		else if (nr == NR_READV)
			message->shape = BUFFER_IOVEC;
		else if (nr == NR_RECVMSG || nr == NR_RECVMMSG)
			message->shape = BUFFER_MSGHDR;
	}
	if (nr == NR_SENDTO || nr == NR_RECVFROM)
		message->peer = SYSCALL_ARG5(regs);
	if (nr == NR_SENDMMSG || nr == NR_RECVMMSG)
		message->address = entry_of_vector(thread, message->address, SYSCALL_ARG3(regs));
	if (nr == NR_SENDFILE || nr == NR_SPLICE)
		message->flags = HADAL_FLAG_KERNEL;
	if (message->shape == BUFFER_MSGHDR && !resolve_header(message))
		count(HADAL_COUNTER_USER_COPY_FAILED);
}

/* A vector being copied. */
struct copy {
	__u64 iovecs;
	__u64 count;
	__u64 want;
	__u64 done;
	__u32 scratch;
	__u32 failed;
};

/*
 * Appends up to `length` bytes to the payload; false if they could not be read. Lengths are 64 bits wide and hidden
 * from the optimiser, for the verifier must see the very register that was checked.
 */
static __always_inline bool copy_part(struct copy *copy, __u8 *payload, __u64 address, __u64 length)
{
	for (int step = 0; step < HADAL_MAX_PAYLOAD / HADAL_PAYLOAD_STEP; step++) {
		__u64 done = copy->done;
		__u64 part = copy->want - done;

		if (done >= copy->want || done >= HADAL_MAX_PAYLOAD || length == 0)
			return true;
		if (length < part)
			part = length;
		if (part > HADAL_PAYLOAD_STEP)
			part = HADAL_PAYLOAD_STEP;
		barrier_var(part);
		if (part == 0 || part > HADAL_PAYLOAD_STEP)
			return true;
		if (bpf_probe_read_user(payload + done, part, (void *)address))
			return false;
		address += part;
		length -= part;
		copy->done = done + part;
	}
	return true;
}

static long copy_iovec(__u32 index, struct copy *copy)
{
	__u32 key = copy->scratch;
	__u64 at = index + 4;
	struct user_iovec iovec;
	struct scratch *scratch;

	if (at >= copy->count || copy->done >= copy->want)
		return 1;
	scratch = bpf_map_lookup_elem(&scratches, &key);
	if (!scratch)
		return 1;
	if (bpf_probe_read_user(&iovec, sizeof(iovec), (void *)(copy->iovecs + at * sizeof(iovec))) ||
	    !copy_part(copy, scratch->payload, iovec.base, iovec.length)) {
		copy->failed = 1;
		return 1;
	}
	return 0;
}

/* Most calls have few iovecs: the first four are read at once. */
static __always_inline void copy_iovecs(struct copy *copy, __u8 *payload)
{
	struct user_iovec first[4];
	__u64 read = copy->count < 4 ? copy->count : 4;

	barrier_var(read);
	if (read == 0 || read > 4)
		return;
	if (bpf_probe_read_user(first, read * sizeof(first[0]), (void *)copy->iovecs)) {
		copy->failed = 1;
		return;
	}
	for (__u64 at = 0; at < 4; at++) {
		if (at >= read)
			break;
		if (!copy_part(copy, payload, first[at].base, first[at].length)) {
			copy->failed = 1;
			return;
		}
	}
	if (copy->count <= 4 || copy->done >= copy->want)
		return;
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_loop)) {
		bpf_loop(HADAL_MAX_IOVECS - 4, copy_iovec, copy, 0);
		return;
	}
	for (__u32 index = 0; index < 28; index++) {
		if (copy_iovec(index, copy))
			return;
	}
	if (copy->done < copy->want)
		count(HADAL_COUNTER_VECTOR_CUT);
}

/*
 * Copies up to `want` bytes to the payload of a scratch, and says how many. A function of its own for the verifier, which so
 * looks at it once and not in each state of its callers.
 */
__noinline int copy_to_scratch(__u64 address, __u64 size, __u32 shape, __u32 index, __u32 wanted)
{
	struct copy copy = { .iovecs = address, .count = size, .want = wanted, .scratch = index };
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &index);
	__u64 want = wanted;

	if (!scratch)
		return 0;
	if (shape == BUFFER_PLAIN) {
		/* A longer result is a datagram that was cut. */
		if (want > size)
			want = size;
		barrier_var(want);
		if (want == 0 || want > HADAL_MAX_PAYLOAD)
			return 0;
		if (!bpf_probe_read_user(scratch->payload, want, (void *)address))
			return want;
		count(HADAL_COUNTER_USER_COPY_FAILED);
		return 0;
	}
	copy_iovecs(&copy, scratch->payload);
	if (copy.failed)
		count(HADAL_COUNTER_USER_COPY_FAILED);
	return copy.done;
}

static __always_inline __u64 copy_payload(const struct message *message, __u32 index, __u64 want)
{
	__u64 copied;

	if (want == 0 || (message->shape != BUFFER_PLAIN && message->shape != BUFFER_IOVEC))
		return 0;
	copied = copy_to_scratch(message->address, message->count, message->shape, index, want);
	barrier_var(copied);
	if (copied > HADAL_MAX_PAYLOAD)
		return 0;
	return copied;
}

#endif
