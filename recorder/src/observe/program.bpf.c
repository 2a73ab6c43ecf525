/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * Reports each system call that touches a traced mount, and which FUSE requests it took: its beginning and end come from the
 * syscall tracepoints, its requests from fuse_request_send, which runs in the caller's context. Knows descriptors and numbers;
 * no paths, which the recorder has. Which calls there are is told by the loader, in `calls`. */
#include "kernel.h"
#include "state.h"
#include "files.h"
#include "tasks.h"
#include "bucket.h"
#include "shed.h"
#include "compat.h"
#include "places.h"
#include "slots.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Where the process has its bit in `touched`. */
INLINE u64 *touched_of(struct task_struct *task)
{
	u32 key = (u32)task->tgid / 64 & (MOST_PROCESSES / 64 - 1);
	return bpf_map_lookup_elem(&touched, &key);
}
#define BIT_OF(task) (1ull << ((task)->tgid & 63))

INLINE void who(struct record *record, struct task_struct *task)
{
	u64 *bits = touched_of(task);
	if (bits && !(*bits & BIT_OF(task)))
		__sync_fetch_and_or(bits, BIT_OF(task));
	const struct cred *cred = FOLLOW(task, task_struct, cred);
	/* In words, as they are read again at once by `put`: a load of what two stores have left waits for both. */
	*(u64 *)&record->tid = tid_of(task) | (u64)pid_of(task) << 32;
	*(u64 *)&record->uid = cred->fsuid.val | (u64)cred->fsgid.val << 32;
	u64 *comm = (u64 *)record->comm, *its = (u64 *)task->comm;
	comm[0] = its[0];
	comm[1] = its[1];
}

/* Puts a record into this CPU's ring and leaves room for some more; 0: there is none. The tracepoints cannot be preempted, but
 * the number is taken and the record completed as if they could. */
INLINE int put(struct control *control, u32 cpu, struct record *record, u64 room)
{
	/* Some room for those that have seen the same head. */
	if (control->head - control->tail + 64 + room > ring_mask)
		return 0;
	u64 number = __sync_fetch_and_add(&control->head, 1);
	u32 key = cpu * (ring_mask + 1) + (number & ring_mask);
	struct record *place = bpf_map_lookup_elem(&records, &key);
	if (!place)
		return 1;
	/* Word by word: all but the last eight bytes, which hold the commit. */
	u64 *to = (u64 *)place, *from = (u64 *)record;
#pragma unroll
	for (int i = 0; i < sizeof(struct record) / 8 - 1; i++)
		to[i] = from[i];
	u64 last = from[sizeof(struct record) / 8 - 1];
	last = (last & 0xffffffff) | (number + 1) << 32;
	asm volatile("" ::: "memory");
	*(volatile u64 *)&to[sizeof(struct record) / 8 - 1] = last;
	return 1;
}

/* A call that has ended. The last eighth of a ring is for what took requests: that is rare, and worth more. */
INLINE void report(struct record *record)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct control *control = control_of(cpu);
	if (control && !put(control, cpu, record, record->requests ? 0 : ring_mask >> 3))
		shed(control, record);
}

#include "aio.h"

#define MSYNC 26

/* Of the registers that a call's arguments come in, the one that holds a descriptor. */
#define DESCRIPTOR(how, of) \
	(((how) & FD_MASK) == FD_DI ? (of)->di : \
	 ((how) & FD_MASK) == FD_SI ? (of)->si : \
	 ((how) & FD_MASK) == FD_R8 ? (of)->r8 : \
	 ((how) & FD_MASK) == FD_DX ? (of)->dx : -1)

/* What is known of a call when it begins, if it is about the file behind its descriptor and no other. */
INLINE void remember(struct slot *slot, u32 nr, struct arguments *its, struct opened *first)
{
	struct record *record = &slot->record;
	record->file = first->ours.file;
	record->other = 0;
	record->position = first->position;
	record->si = its->si;
	record->dx = its->dx;
	record->r10 = its->r10;
	record->r8 = its->r8;
	record->requests = 0;
	record->file_flags = first->flags;
	record->nr = nr;
	record->kind = KIND_CALL | (first->ours.is_node ? IS_NODE : 0);
	record->connection = first->ours.connection;
	slot->opened = first->file;
}

/* A call that may be about one of our files; `first` is what its descriptor stands for. A function of its own to the verifier,
 * which then looks at it once and not for each world that a call comes from. */
__attribute__((noinline)) int begins(u32 nr, u32 how, struct arguments *its, struct opened *first)
{
	if (!its || !first)
		return 0;
	struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	if (nr == MMAP && first->ours.file && its->r10 & MAP_SHARED)
		note_map(first->node, first->ours.connection);
	struct ours other = {};
	if (how & OTHER_MASK) {
		struct opened second = {};
		int is_ours = look_up((how & OTHER_MASK) == OTHER_SI ? its->si : its->dx, &second);
		/* A transfer is about the file written, if that is ours. */
		int is_second = is_ours && (!first->ours.file || nr != SENDFILE);
		other = second.ours;
		if (is_second)
			first->position = second.position;
		u64 told = 0;
		if (nr == SENDFILE)
			told = is_second ? its->dx : 0;
		else if (nr == SPLICE || nr == COPY_FILE_RANGE)
			told = is_second ? its->r10 : its->si;
		first->position = place_in(told, first->position, its->has_short_place);
	}
	if (!first->ours.file && !other.file && !(how & BY_REQUESTS))
		return 0;
	struct slot *slot = take_slot(regs, first->ours.file || other.file);
	if (!slot)
		return 0;
	struct record *record = &slot->record;
	remember(slot, nr, its, first);
	record->other = (how & VECTOR) ? length_of(its->si, its->dx, its->has_32_bits) : other.file;
	if (nr == MMAP)
		record->position = its->r9;
	if (nr == PWRITEV2 && its->r9 & RWF_APPEND)
		record->file_flags |= O_APPEND;
	if (other.is_node)
		record->kind |= OTHER_IS_NODE;
	if (!first->ours.file)
		record->connection = other.connection;
	if (how & BY_REQUESTS && nr == MSYNC)
		slot->opened = find_mapped(record, its->di) < 0;
	record->start_ns = bpf_ktime_get_ns();
	return 0;
}

/* Apart, so that it does not lie between the others' instructions. */
static __attribute__((noinline)) int begins_with_32_bits(u32 nr)
{
	struct arguments its = {};
	struct opened first = {};
	if (!arguments_of_32_bits(nr, &its))
		return 0;
	u32 its_nr = its.nr & (CALLS - 1);
	u32 how = calls[its_nr];
	if (how & AIO)
		return its_nr == IO_SUBMIT ? aio_begins(its_nr) : 0;
	look_up(DESCRIPTOR(how, &its), &first);
	return begins(its_nr, how, &its, &first);
}

SEC("tp_btf/sys_enter") int call_begins(u64 *ctx)
{
	struct pt_regs *regs = (void *)ctx[0];
	u64 nr = ctx[1];
	if (nr >= CALLS)
		return 0;
	u32 how = calls[nr];
	if (!how)
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	if (task->tgid == self_tgid)
		return 0;
	if (task->thread_info.status & TS_COMPAT)
		return begins_with_32_bits(nr);
	if (!(how & ~(OF_32_BITS | AIO_OF_32_BITS)))
		return 0;
	if (how & AIO)
		return nr == IO_SUBMIT ? aio_begins(nr) : 0;
	struct opened first = {};
	struct arguments its = { regs->di, regs->si, regs->dx, regs->r10, regs->r8, regs->r9, nr, 0, 0 };
	/* Most calls, and what the whole machine pays for: calling a function would cost more than what it does. */
	if ((how & ~(OF_32_BITS | AIO_OF_32_BITS)) == FD_DI) {
		if (!look_at(task, its.di, &first))
			return 0;
		struct slot *slot = take_slot(regs, 1);
		if (!slot)
			return 0;
		remember(slot, nr, &its, &first);
		slot->record.start_ns = bpf_ktime_get_ns();
		return 0;
	}
	if (!look_up(DESCRIPTOR(how, regs), &first) && !(how & (OTHER_MASK | BY_REQUESTS)))
		return 0;
	return begins(nr, how, &its, &first);
}

/* Calls that wrote where the file ended: the place is known only now. */
INLINE int is_append(struct record *record)
{
	return record->file_flags & O_APPEND && (record->nr == 1 || record->nr == 20);
}

/* Where a file's position is now. Without casts it stays unknown: the compiler makes an access of it that cannot be relocated. */
INLINE u64 end_of(u64 file)
{
#ifdef CASTS
	return READ(file, file, f_pos);
#else
	return 0;
#endif
}

SEC("tp_btf/sys_exit") int call_ends(u64 *ctx)
{
	struct pt_regs *regs = (void *)ctx[0];
	s64 result = ctx[1];
	u64 nr = regs->orig_ax;
	/* An exec may end under the number of the other world. */
	if (nr >= CALLS)
		return 0;
	u32 how = calls[nr];
	if (!how || (how & (AIO | AIO_OF_32_BITS) && aio_ends(result)))
		return 0;
	struct slot *slot = slot_of(regs);
	if (!slot || slot->tag != (u64)regs)
		return 0;
	struct record *record = &slot->record;
	struct arguments its = {};
	if (record->nr == MSYNC && slot->opened && arguments_of_any(regs, &its))
		find_mapped(record, its.di);
	if (record->file || record->other || record->requests) {
		record->duration_ns = bpf_ktime_get_ns() - record->start_ns;
		record->result = result;
		if (is_append(record) && result > 0 && slot->opened)
			record->position = end_of(slot->opened) ? end_of(slot->opened) - result : UNKNOWN;
		who(record, bpf_get_current_task_btf());
		report(record);
	}
	release(slot, regs);
	return 0;
}

/* In the context of whoever needs it: a program's call, a page fault, a kernel thread. */
SEC("tp_btf/fuse_request_send") int request_sent(u64 *ctx)
{
	struct fuse_req *request = (void *)ctx[0];
	struct fuse_mount *of = FOLLOW(request, fuse_req, fm);
	struct fuse_conn *connection = FOLLOW(of, fuse_mount, fc);
	struct mount *mount = mount_of(connection->dev);
	if (!mount)
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	struct record record = {};
	struct slot *slot = slot_of(regs);
	/* What io_submit sends belongs to the reads and writes, which go on after it. */
	if (slot && slot->tag == (u64)regs && slot->record.nr != IO_SUBMIT) {
		slot->record.requests++;
		slot->record.connection = mount->connection;
		record.start_ns = slot->record.start_ns;
	}
	record.file = request->in.h.unique;
	record.kind = KIND_REQUEST;
	record.connection = mount->connection;
	record.tid = tid_of(task);
	record.pid = pid_of(task);
	u32 cpu = bpf_get_smp_processor_id();
	struct control *control = control_of(cpu);
	if (control && !put(control, cpu, &record, 0))
		__sync_fetch_and_add(&control->unjoined, 1);
	return 0;
}

#include "uring.h"
#include "changes.h"
