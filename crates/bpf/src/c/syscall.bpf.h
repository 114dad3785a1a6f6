/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where a socket call's bytes lie in the program's memory, read from the registers with which the thread entered the
 * kernel. They are unchanged until the call returns, so no entry probe and no stash is needed.
 */
#ifndef HADAL_SYSCALL_BPF_H
#define HADAL_SYSCALL_BPF_H

#include "maps.bpf.h"

enum buffer_shape { BUFFER_NONE, BUFFER_PLAIN, BUFFER_IOVEC, BUFFER_MSGHDR };

struct user_buffer {
	__u64 address;
	__u64 count; /* iovecs */
	enum buffer_shape shape;
};

#if defined(__TARGET_ARCH_x86)
enum {
	NR_READ = 0, NR_WRITE = 1, NR_READV = 19, NR_WRITEV = 20, NR_SENDTO = 44, NR_RECVFROM = 45, NR_SENDMSG = 46,
	NR_RECVMSG = 47,
	USER32_CS = 0x23,
};
#define SYSCALL_NR(regs) ((long)(regs)->orig_ax)
#define SYSCALL_ARG2(regs) ((__u64)(regs)->si)
#define SYSCALL_ARG3(regs) ((__u64)(regs)->dx)
/* A 32-bit program has other numbers and layouts: its calls are seen without payload. */
#define SYSCALL_IS_NATIVE(regs) ((regs)->cs != USER32_CS)
#elif defined(__TARGET_ARCH_arm64)
enum {
	NR_READ = 63, NR_WRITE = 64, NR_READV = 65, NR_WRITEV = 66, NR_SENDTO = 206, NR_RECVFROM = 207, NR_SENDMSG = 211,
	NR_RECVMSG = 212,
};
#define SYSCALL_NR(regs) ((long)(regs)->syscallno)
#define SYSCALL_ARG2(regs) ((__u64)(regs)->regs[1])
#define SYSCALL_ARG3(regs) ((__u64)(regs)->regs[2])
#define SYSCALL_IS_NATIVE(regs) 1
#endif

static __always_inline struct user_buffer syscall_buffer(int direction)
{
	struct user_buffer buffer = { .shape = BUFFER_NONE };
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	long nr;

	if (!SYSCALL_IS_NATIVE(regs))
		return buffer;
	nr = SYSCALL_NR(regs);
	buffer.address = SYSCALL_ARG2(regs);
	if (direction == HADAL_EGRESS) {
		if (nr == NR_WRITE || nr == NR_SENDTO)
			buffer.shape = BUFFER_PLAIN;
		else if (nr == NR_WRITEV)
			buffer.shape = BUFFER_IOVEC;
		else if (nr == NR_SENDMSG)
			buffer.shape = BUFFER_MSGHDR;
	} else {
		if (nr == NR_READ || nr == NR_RECVFROM)
			buffer.shape = BUFFER_PLAIN;
		else if (nr == NR_READV)
			buffer.shape = BUFFER_IOVEC;
		else if (nr == NR_RECVMSG)
			buffer.shape = BUFFER_MSGHDR;
	}
	if (buffer.shape == BUFFER_IOVEC)
		buffer.count = SYSCALL_ARG3(regs);
	return buffer;
}

/* Turns a msghdr into its iovecs; false if it could not be read. */
static __always_inline bool resolve_msghdr(struct user_buffer *buffer)
{
	struct user_msghdr message;

	if (bpf_probe_read_user(&message, sizeof(message), (void *)buffer->address))
		return false;
	buffer->address = message.iov;
	buffer->count = message.iov_count;
	return true;
}

/*
 * Copies up to `want` bytes of consecutive iovecs to `payload`, which has room for twice the largest payload. Lengths
 * are 64 bits wide and hidden from the optimiser where the verifier must see the very register that was checked.
 */
static __always_inline __u64 copy_iovecs(const struct user_buffer *buffer, __u8 *payload, __u64 want)
{
	struct user_iovec iovec;
	__u64 done = 0;

	for (__u64 i = 0; i < HADAL_MAX_IOVECS; i++) {
		__u64 part;

		if (i >= buffer->count || done >= want || done >= HADAL_MAX_PAYLOAD)
			break;
		if (bpf_probe_read_user(&iovec, sizeof(iovec), (void *)(buffer->address + i * sizeof(iovec)))) {
			count(HADAL_COUNTER_USER_COPY_FAILED);
			break;
		}
		part = want - done;
		if (iovec.length < part)
			part = iovec.length;
		barrier_var(part);
		if (part == 0)
			continue;
		if (part > HADAL_MAX_PAYLOAD)
			break;
		if (bpf_probe_read_user(payload + done, part, (void *)iovec.base)) {
			count(HADAL_COUNTER_USER_COPY_FAILED);
			break;
		}
		done += part;
	}
	return done;
}

static __always_inline __u64 copy_payload(int direction, __u8 *payload, __u64 want)
{
	struct user_buffer buffer = syscall_buffer(direction);

	if (buffer.shape == BUFFER_NONE || want == 0 || want > HADAL_MAX_PAYLOAD)
		return 0;
	if (buffer.shape == BUFFER_PLAIN) {
		if (bpf_probe_read_user(payload, want, (void *)buffer.address)) {
			count(HADAL_COUNTER_USER_COPY_FAILED);
			return 0;
		}
		return want;
	}
	if (buffer.shape == BUFFER_MSGHDR && !resolve_msghdr(&buffer)) {
		count(HADAL_COUNTER_USER_COPY_FAILED);
		return 0;
	}
	return copy_iovecs(&buffer, payload, want);
}

#endif
