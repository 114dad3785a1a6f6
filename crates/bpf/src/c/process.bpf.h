/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Life of processes. Identity is taken at exec: a short process is gone before anyone could read /proc. */
#ifndef HADAL_PROCESS_BPF_H
#define HADAL_PROCESS_BPF_H

#include "maps.bpf.h"
#if HADAL_LEVEL != HADAL_LEVEL_C
#include "thread.bpf.h"
#endif

SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task, int old_pid, struct linux_binprm *binary)
{
	struct hadal_exec_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	struct mm_struct *mm = READ(task, mm);
	__u64 length;

	if (!event) {
		count(HADAL_COUNTER_RING_FULL_OTHER);
		return 0;
	}
	fill_header(&event->header, HADAL_EVENT_EXEC, current_task(), bpf_ktime_get_ns());
	event->parent = READ(task, real_parent, tgid);
	event->args_length = 0;
	bpf_probe_read_kernel_str(event->filename, sizeof(event->filename), READ(binary, filename));
	if (mm) {
		length = READ(mm, arg_end) - READ(mm, arg_start);
		if (length > HADAL_MAX_ARGS)
			length = HADAL_MAX_ARGS;
		if (length && !bpf_probe_read_user(event->args, length, (void *)READ(mm, arg_start)))
			event->args_length = length;
	}
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct hadal_process_event event = {};

	if (READ(child, pid) != READ(child, tgid)) {
#if HADAL_LEVEL != HADAL_LEVEL_C
		inherit_work(parent, child);
#endif
		return 0;
	}
	fill_header(&event.header, HADAL_EVENT_FORK, current_task(), bpf_ktime_get_ns());
	event.child = READ(child, tgid);
	emit(&event, sizeof(event), HADAL_COUNTER_RING_FULL_OTHER);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *task)
{
	struct hadal_process_event event = {};

	if (READ(task, pid) != READ(task, tgid))
		return 0;
	fill_header(&event.header, HADAL_EVENT_EXIT, current_task(), bpf_ktime_get_ns());
	emit(&event, sizeof(event), HADAL_COUNTER_RING_FULL_OTHER);
	return 0;
}

#endif
