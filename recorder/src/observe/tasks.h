/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * What a task is called in the recorder's pid namespace, which is a container's where the recorder runs in one. */
/* Its inode number; 0: the first one, whose numbers the kernel has at hand. */
const volatile u32 pid_namespace = 0;
/* Namespaces in one another; the kernel allows 32, containers in containers are few. */
#define MOST_LEVELS 8
#define UPID_BYTES 16

/* Its number there; 0 if it is outside. */
INLINE u32 number_of(struct pid *pid)
{
	u32 level = READ(pid, pid, level);
	for (int i = 0; i < MOST_LEVELS; i++) {
		if (i > level)
			break;
		/* As if the array began at this one. */
		const char *from = (const char *)pid + i * UPID_BYTES;
		struct pid_namespace *ns = READ(from, pid, numbers[0].ns);
		if (READ(ns, pid_namespace, ns.inum) == pid_namespace)
			return READ(from, pid, numbers[0].nr);
	}
	return 0;
}

INLINE u32 tid_of(struct task_struct *task)
{
	return pid_namespace ? number_of(FOLLOW(task, task_struct, thread_pid)) : task->pid;
}

INLINE u32 pid_of(struct task_struct *task)
{
	if (!pid_namespace)
		return task->tgid;
	struct task_struct *leader = FOLLOW(task, task_struct, group_leader);
	return number_of(FOLLOW(leader, task_struct, thread_pid));
}
