/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What differs between the capture levels: how kernel memory is read, and where state lives. Each object defines
 * HADAL_LEVEL before anything else.
 */
#ifndef HADAL_LEVEL_BPF_H
#define HADAL_LEVEL_BPF_H

#define HADAL_LEVEL_A 1 /* socket tracepoints, kernel 6.3 and newer */
#define HADAL_LEVEL_B 2 /* fexit on the protocols' functions, kernel 5.15 and newer */
#define HADAL_LEVEL_C 3 /* exit of system calls, kernel 5.8 and newer */

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <hadal/event.h>

#if HADAL_LEVEL == HADAL_LEVEL_A
/* Kernel 6.2 and newer: a pointer of another type, to read through. Costs no call. */
extern void *bpf_rdonly_cast(const void *object, __u32 btf_id) __ksym;
#endif

/* Rare paths lie apart: what every call runs through should fit in few cache lines. */
#define COLD static __attribute__((noinline))
/* The same, and looked at by the verifier once, not for each way that leads there; kernel 5.13 and newer. */
#if HADAL_LEVEL == HADAL_LEVEL_C
#define APART COLD
#else
#define APART __attribute__((noinline))
#endif

/* READ(pointer, member, member of what that points to, …) */
#if HADAL_LEVEL == HADAL_LEVEL_C
#define READ(...) BPF_CORE_READ(__VA_ARGS__)
#else
#define READ(...) ___arrow(__VA_ARGS__)
#endif

static __always_inline struct task_struct *current_task(void)
{
#if HADAL_LEVEL == HADAL_LEVEL_C
	return (struct task_struct *)bpf_get_current_task();
#else
	return bpf_get_current_task_btf();
#endif
}

#endif
