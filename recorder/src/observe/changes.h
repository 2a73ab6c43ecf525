/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * What becomes of processes that have made calls of ours: their end, another program, another name. Of all others each of these
 * costs the look at one bit. */

INLINE int is_touched(struct task_struct *task)
{
	u64 *bits = touched_of(task);
	return bits && *bits & BIT_OF(task);
}

/* What finds no room is found by the recorder's own looks, later. */
INLINE void tell_change(struct task_struct *task, u32 change, const char *comm)
{
	struct record record = {
		.start_ns = bpf_ktime_get_ns(),
		.kind = KIND_TASK,
		.nr = change,
		.tid = tid_of(task),
		.pid = pid_of(task),
	};
	if (comm)
		bpf_probe_read_kernel(record.comm, sizeof record.comm, comm);
	else
		__builtin_memcpy(record.comm, task->comm, sizeof record.comm);
	u32 cpu = bpf_get_smp_processor_id();
	struct control *control = control_of(cpu);
	if (control)
		put(control, cpu, &record, 0);
}

/* Of each thread; a process ends with its last one. */
SEC("tp_btf/sched_process_exit") int task_ends(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	if (!is_touched(task) || FOLLOW(task, task_struct, signal)->live.counter)
		return 0;
	u64 *bits = touched_of(task);
	if (bits)
		__sync_fetch_and_and(bits, ~BIT_OF(task));
	tell_change(task, TASK_ENDED, 0);
	return 0;
}

SEC("tp_btf/sched_process_exec") int task_executes(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	if (is_touched(task))
		tell_change(task, TASK_EXECUTED, 0);
	return 0;
}

#define EXECVE 59
#define EXECVEAT 322

SEC("tp_btf/task_rename") int task_renamed(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	if (!is_touched(task))
		return 0;
	struct task_struct *current = bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs(current);
	struct slot *slot = slot_of(regs);
	/* An exec renames too, and is told as a whole. */
	if (slot && slot->tag == (u64)regs && (slot->record.nr == EXECVE || slot->record.nr == EXECVEAT))
		return 0;
	tell_change(task, TASK_RENAMED, (const char *)ctx[1]);
	return 0;
}
