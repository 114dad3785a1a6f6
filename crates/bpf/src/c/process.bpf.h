/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Life of processes. Identity is taken at exec: a short process is gone before anyone could read /proc. */
#ifndef HADAL_PROCESS_BPF_H
#define HADAL_PROCESS_BPF_H

#include "maps.bpf.h"

SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task, int old_pid, struct linux_binprm *binary)
{
	struct hadal_exec_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	struct mm_struct *mm = task->mm;
	__u64 length;

	if (!event) {
		count(HADAL_COUNTER_RING_FULL);
		return 0;
	}
	fill_header(&event->header, HADAL_EVENT_EXEC);
	event->parent = task->real_parent->tgid;
	event->args_length = 0;
	bpf_probe_read_kernel_str(event->filename, sizeof(event->filename), binary->filename);
	if (mm) {
		length = mm->arg_end - mm->arg_start;
		if (length > HADAL_MAX_ARGS)
			length = HADAL_MAX_ARGS;
		if (length && !bpf_probe_read_user(event->args, length, (void *)mm->arg_start))
			event->args_length = length;
	}
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	count(HADAL_COUNTER_EVENTS);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct hadal_process_event event = {};

	if (child->pid != child->tgid)
		return 0;
	fill_header(&event.header, HADAL_EVENT_FORK);
	event.child = child->tgid;
	emit(&event, sizeof(event));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *task)
{
	struct hadal_process_event event = {};

	if (task->pid != task->tgid)
		return 0;
	fill_header(&event.header, HADAL_EVENT_EXIT);
	emit(&event, sizeof(event));
	return 0;
}

#endif
