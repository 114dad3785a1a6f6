// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The object: one concern per included file, all sharing the maps. */
#include "maps.bpf.h"
#include "data.bpf.h"
#include "state.bpf.h"
#include "process.bpf.h"
#include "list.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
