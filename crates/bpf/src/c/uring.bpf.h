/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Payload of io_uring requests. The socket's own hook sees their length and sequence, but no registers that tell where
 * the bytes are; the completion knows the request. Multishot receives post no request and stay lengths.
 */
#ifndef HADAL_URING_BPF_H
#define HADAL_URING_BPF_H

#include "buffer.bpf.h"
#include "socket.bpf.h"

static __always_inline int uring_direction(__u8 opcode)
{
	switch (opcode) {
	case IORING_OP_READ:
	case IORING_OP_READV:
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
		return HADAL_INGRESS;
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV:
	case IORING_OP_SEND:
	case IORING_OP_SENDMSG:
		return HADAL_EGRESS;
	default:
		return -1;
	}
}

static __always_inline void message_of_request(struct message *message, const struct io_kiocb *request, __u8 opcode,
					       __u32 length)
{
	/* The request's own part lies over its start. */
	const struct io_sr_msg *transfer = (const struct io_sr_msg *)request;
	const struct io_rw *rw = (const struct io_rw *)request;

	message->count = length;
	if (opcode == IORING_OP_READ || opcode == IORING_OP_WRITE || opcode == IORING_OP_READV || opcode == IORING_OP_WRITEV) {
		message->address = BPF_CORE_READ(rw, addr);
		message->shape = BUFFER_PLAIN;
		if (opcode == IORING_OP_READV || opcode == IORING_OP_WRITEV) {
			message->shape = BUFFER_IOVEC;
			message->count = BPF_CORE_READ(rw, len);
		}
		return;
	}
	if (BPF_CORE_READ(transfer, msg_flags) & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE))
		return;
	message->address = (__u64)BPF_CORE_READ(transfer, buf);
	message->shape = BUFFER_PLAIN;
	if (opcode == IORING_OP_SENDMSG || opcode == IORING_OP_RECVMSG) {
		message->shape = BUFFER_MSGHDR;
		resolve_header(message);
	}
}

SEC("?tp_btf/io_uring_complete")
int BPF_PROG(io_uring_complete, void *ring, struct io_kiocb *request)
{
	__u32 index = SCRATCH_URING, pid, policy;
	struct task_struct *task = current_task();
	struct hadal_data_event *event;
	struct message message = {};
	struct scratch *scratch;
	struct sock *sk;
	__u64 cookie, want, limit, captured;
	int direction, length;
	__u8 opcode;

	/* Older kernels pass no request. */
	if (!bpf_core_field_exists(struct io_kiocb, cqe) || !request)
		return 0;
	opcode = BPF_CORE_READ(request, opcode);
	direction = uring_direction(opcode);
	length = BPF_CORE_READ(request, cqe.res);
	if (direction < 0 || length <= 0)
		return 0;
	sk = socket_of_file(BPF_CORE_READ(request, file));
	if (!sk)
		return 0;
	cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	pid = task->tgid;
	scratch = bpf_map_lookup_elem(&scratches, &index);
	if (!cookie || !scratch || bpf_map_lookup_elem(&ignored_processes, &pid))
		return 0;
	policy = decided_policy(cookie, HADAL_POLICY_PREFIX);
	if (policy == HADAL_POLICY_IGNORE || policy == HADAL_POLICY_COUNT)
		return 0;
	message_of_request(&message, request, opcode, length);
	limit = policy == HADAL_POLICY_WHOLE ? HADAL_MAX_PAYLOAD : settings.payload_limit;
	if (controls.shed_payload && limit > controls.shed_payload)
		limit = controls.shed_payload;
	want = length;
	if (want > limit)
		want = limit;
	event = &scratch->event;
	__builtin_memset(event, 0, sizeof(*event));
	fill_header(&event->header, HADAL_EVENT_PAYLOAD, task, bpf_ktime_get_ns());
	event->cookie = cookie;
	event->length = length;
	event->direction = direction;
	captured = copy_payload(&message, index, want);
	event->captured = captured;
	emit(event, sizeof(*event) + captured, HADAL_COUNTER_RING_FULL_OTHER);
	return 0;
}

#endif
