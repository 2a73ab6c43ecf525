/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * Reports each system call that touches a traced mount, and which FUSE requests it took: its beginning and end come from the
 * syscall tracepoints, its requests from fuse_request_send, which runs in the caller's context. Knows descriptors and numbers;
 * no paths, which the recorder has. Which calls there are is told by the loader, in `calls`.
 *
 * Two ways to read kernel memory: with CASTS pointers become typed by bpf_rdonly_cast, which costs nothing (Linux 6.2); else by
 * a helper, some 40 ns a pointer. */
#include "kernel.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Above the highest number of x86-64. */
#define CALLS 512
/* Anonymous devices are numbered from the lowest free on, so two of our mounts never share these bits in practice; the loader
 * refuses if they do. */
#define MOUNTS 4096
/* Kernel stacks that are far from each other share a slot; then the second goes to `crowded`. */
#define SLOTS 16384
#define STACK_SHIFT 14

/* How a call names files: bits of `calls`. */
#define FD_MASK 7
#define FD_DI 1
#define FD_SI 2
#define FD_R8 3
#define FD_DX 4
#define OTHER_MASK 0x18
#define OTHER_SI 0x08
#define OTHER_DX 0x10
/* Worth reporting if it took requests, also without a descriptor of ours. */
#define BY_REQUESTS 0x20
/* Its second argument is a vector of buffers. */
#define VECTOR 0x40

/* record.kind */
#define KIND_CALL 0
#define KIND_REQUEST 1
#define KIND_IO_URING 2
/* Added: `file` is a node, not a handle. */
#define IS_NODE 0x10
#define OTHER_IS_NODE 0x20

const volatile u32 self_tgid = 0;
const volatile u32 ring_mask = 0;
const volatile u8 calls[CALLS] = {0};

/* What the recorder reads; mirrored in ring.rs. */
struct record {
	u64 start_ns;
	u64 duration_ns;
	s64 result;
	/* A FUSE handle (or node) of ours, 0 if there is none; of a request its `unique`. */
	u64 file;
	u64 other;
	u64 position;
	u64 si, dx, r10, r8;
	u32 requests;
	u32 file_flags;
	u32 tid;
	u32 pid;
	u32 uid;
	u32 gid;
	char comm[16];
	u16 nr;
	u8 kind;
	u8 connection;
	/* The low half of the record's number plus one, written last. */
	u32 commit;
};

/* A call under way. `tag`: its pt_regs, the same pointer at both ends. */
struct slot {
	u64 tag;
	u64 opened;
	struct record record;
};

struct mount {
	u32 dev;
	u32 connection;
};

struct control {
	u64 head;
	u64 dropped;
	u64 crowded;
	u64 unplaced;
	u64 pad[4];
	/* The reader's. */
	u64 tail;
	u64 pad2[7];
};

struct {
	MAP_UINT(type, MAP_ARRAY);
	MAP_UINT(max_entries, MOUNTS);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct mount);
} mounts SEC(".maps");

struct {
	MAP_UINT(type, MAP_ARRAY);
	MAP_UINT(max_entries, SLOTS);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct slot);
} slots SEC(".maps");

struct {
	MAP_UINT(type, MAP_HASH);
	MAP_UINT(max_entries, SLOTS);
	MAP_TYPE(key, u64);
	MAP_TYPE(value, struct slot);
} crowded SEC(".maps");

/* Their sizes depend on the machine: set by the loader. */
struct {
	MAP_UINT(type, MAP_ARRAY);
	MAP_UINT(map_flags, MAP_MMAPABLE);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct record);
} records SEC(".maps");

struct {
	MAP_UINT(type, MAP_ARRAY);
	MAP_UINT(map_flags, MAP_MMAPABLE);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct control);
} controls SEC(".maps");

/* Reads and writes of io_uring under way, by their request. */
struct {
	MAP_UINT(type, MAP_HASH);
	MAP_UINT(map_flags, MAP_NO_PREALLOC);
	MAP_UINT(max_entries, 65536);
	MAP_TYPE(key, u64);
	MAP_TYPE(value, struct record);
} submitted SEC(".maps");

/* Calls that are in `crowded` now: mostly none, and then nobody looks there. */
u64 crowd = 0;

#ifdef CASTS
/* bpf_rdonly_cast(pointer, type): a kernel function whose BTF id the loader puts in place of the number below. The verifier
 * makes a move of it. */
INLINE void *cast(const void *pointer, u64 type)
{
	void *typed;
	asm volatile("r1 = %1; r2 = %2; .byte 0x85,0x20,0,0; .long 0x7a7a7a01; %0 = r0"
		     : "=r"(typed)
		     : "r"(pointer), "r"(type)
		     : "r0", "r1", "r2", "r3", "r4", "r5");
	return typed;
}
/* BPF_TYPE_ID_TARGET */
#define KERNEL_TYPE(type) __builtin_btf_type_id(*(struct type *)0, 1)
#define AS(pointer, type) ((struct type *)cast((const void *)(pointer), KERNEL_TYPE(type)))
#define READ(pointer, type, field) (AS(pointer, type)->field)
#else
#define READ(pointer, type, field) \
	({ \
		typeof(((struct type *)0)->field) value = 0; \
		bpf_probe_read_kernel(&value, sizeof value, \
				      __builtin_preserve_access_index(&((struct type *)(pointer))->field)); \
		value; \
	})
#endif

INLINE struct mount *mount_of(u32 dev)
{
	u32 key = dev & (MOUNTS - 1);
	struct mount *mount = bpf_map_lookup_elem(&mounts, &key);
	return mount && mount->dev == dev && dev ? mount : 0;
}

/* The open file behind a descriptor, whatever it is; no reference is taken, so what is read of it may be of a file that is just
 * being closed, never more. */
INLINE struct file *file_of(struct task_struct *task, u32 fd)
{
	struct fdtable *table = task->files->fdt;
	if (fd >= table->max_fds)
		return 0;
	return READ(table->fd + fd, kiocb, ki_filp);
}

/* One of our files: FUSE's handle, or the node where `private_data` is another driver's (fifos, devices). */
struct ours {
	u64 file;
	u32 is_node;
	u32 connection;
};

INLINE int find(struct file *file, struct ours *ours)
{
	struct inode *inode = READ(file, file, f_inode);
	struct super_block *sb = READ(inode, inode, i_sb);
	struct mount *mount = mount_of(READ(sb, super_block, s_dev));
	if (!mount)
		return 0;
	u32 type = READ(inode, inode, i_mode) & S_IFMT;
	void *opened = READ(file, file, private_data);
	/* An O_PATH descriptor has opened nothing. */
	ours->is_node = (type != S_IFREG && type != S_IFDIR) || !opened;
	ours->file = ours->is_node ? READ(inode, fuse_inode, nodeid) : READ(opened, fuse_file, fh);
	ours->connection = mount->connection;
	return 1;
}

/* The low half is enough. Copied by one 32-bit move, which makes a number of it; on pointers the verifier allows no shift. */
INLINE u32 key_of(struct pt_regs *regs)
{
	u32 low;
	asm volatile("%0 = %1" : "=w"(low) : "w"((u32)(u64)regs));
	return (low >> STACK_SHIFT) & (SLOTS - 1);
}

/* Where the call with these registers is, or is to be, remembered. */
INLINE struct slot *slot_of(struct pt_regs *regs)
{
	u32 key = key_of(regs);
	struct slot *slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot || slot->tag == (u64)regs || !crowd)
		return slot;
	u64 tag = (u64)regs;
	struct slot *other = bpf_map_lookup_elem(&crowded, &tag);
	return other ? other : slot;
}

INLINE struct control *control_of(u32 cpu)
{
	return bpf_map_lookup_elem(&controls, &cpu);
}

/* A slot that no other call under way has. */
INLINE struct slot *free_slot(struct pt_regs *regs)
{
	u32 key = key_of(regs);
	struct slot *slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot || !slot->tag || slot->tag == (u64)regs)
		return slot;
	struct control *control = control_of(bpf_get_smp_processor_id());
	static const struct slot empty;
	u64 tag = (u64)regs;
	if (bpf_map_update_elem(&crowded, &tag, &empty, NOEXIST)) {
		if (control)
			control->unplaced++;
		return 0;
	}
	__sync_fetch_and_add(&crowd, 1);
	if (control)
		control->crowded++;
	return bpf_map_lookup_elem(&crowded, &tag);
}

INLINE void release(struct slot *slot, struct pt_regs *regs)
{
	u32 key = key_of(regs);
	slot->tag = 0;
	if (!crowd || slot == bpf_map_lookup_elem(&slots, &key))
		return;
	u64 tag = (u64)regs;
	bpf_map_delete_elem(&crowded, &tag);
	__sync_fetch_and_add(&crowd, -1);
}

INLINE void who(struct record *record, struct task_struct *task)
{
	record->tid = task->pid;
	record->pid = task->tgid;
	record->uid = task->cred->fsuid.val;
	record->gid = task->cred->fsgid.val;
	__builtin_memcpy(record->comm, task->comm, sizeof record->comm);
}

/* Puts a record into this CPU's ring. The tracepoints cannot be preempted, but the number is taken and the record completed as
 * if they could. */
INLINE void put(struct record *record)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct control *control = control_of(cpu);
	if (!control)
		return;
	/* Some room for those that have seen the same head. */
	if (control->head - control->tail + 64 > ring_mask) {
		__sync_fetch_and_add(&control->dropped, 1);
		return;
	}
	u64 number = __sync_fetch_and_add(&control->head, 1);
	u32 key = cpu * (ring_mask + 1) + (number & ring_mask);
	struct record *place = bpf_map_lookup_elem(&records, &key);
	if (!place)
		return;
	/* Word by word: all but the last eight bytes, which hold the commit. */
	u64 *to = (u64 *)place, *from = (u64 *)record;
#pragma unroll
	for (int i = 0; i < sizeof(struct record) / 8 - 1; i++)
		to[i] = from[i];
	u64 last = from[sizeof(struct record) / 8 - 1];
	last = (last & 0xffffffff) | (number + 1) << 32;
	asm volatile("" ::: "memory");
	*(volatile u64 *)&to[sizeof(struct record) / 8 - 1] = last;
}

/* struct iovec */
struct buffer {
	u64 base;
	u64 len;
};
#define MOST_BUFFERS 8
#define UNKNOWN (~0ull)

/* What the buffers of a vector hold together; unknown if there are many, or if they are not in memory. */
INLINE u64 length_of(const void *vector, u64 count)
{
	struct buffer buffers[MOST_BUFFERS];
	u64 sum = 0;
	if (!count || count > MOST_BUFFERS)
		return count ? UNKNOWN : 0;
	if (bpf_probe_read_user(buffers, (count & (2 * MOST_BUFFERS - 1)) * sizeof(struct buffer), vector))
		return UNKNOWN;
#pragma unroll
	for (int i = 0; i < MOST_BUFFERS; i++)
		if (i < count)
			sum += buffers[i].len;
	return sum;
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
	if (task->thread_info.status & TS_COMPAT || task->tgid == self_tgid)
		return 0;
	struct ours ours = {}, other = {};
	struct file *file = 0;
	u32 fd = (how & FD_MASK) == FD_DI ? regs->di :
		 (how & FD_MASK) == FD_SI ? regs->si :
		 (how & FD_MASK) == FD_R8 ? regs->r8 :
		 (how & FD_MASK) == FD_DX ? regs->dx : -1;
	u64 position = 0;
	u32 flags = 0;
	file = file_of(task, fd);
	if (file && find(file, &ours)) {
		position = READ(file, file, f_pos);
		flags = READ(file, file, f_flags);
	}
	if (how & OTHER_MASK) {
		struct file *second = file_of(task, (how & OTHER_MASK) == OTHER_SI ? regs->si : regs->dx);
		if (second && find(second, &other)) {
			/* Of a transfer: where it reads from, if the program names no place. */
			if (!ours.file || nr == 40)
				position = READ(second, file, f_pos);
		}
	}
	if (!ours.file && !other.file && !(how & BY_REQUESTS))
		return 0;
	struct slot *slot = free_slot(regs);
	if (!slot)
		return 0;
	struct record *record = &slot->record;
	record->file = ours.file;
	record->other = (how & VECTOR) ? length_of((const void *)regs->si, regs->dx) : other.file;
	record->position = nr == 9 ? regs->r9 : position;
	record->si = regs->si;
	record->dx = regs->dx;
	record->r10 = regs->r10;
	record->r8 = regs->r8;
	record->requests = 0;
	record->file_flags = flags;
	record->nr = nr;
	record->kind = KIND_CALL | (ours.is_node ? IS_NODE : 0) | (other.is_node ? OTHER_IS_NODE : 0);
	record->connection = ours.file ? ours.connection : other.connection;
	slot->opened = (u64)file;
	slot->tag = (u64)regs;
	record->start_ns = bpf_ktime_get_ns();
	return 0;
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
	if (nr >= CALLS || !calls[nr])
		return 0;
	struct slot *slot = slot_of(regs);
	if (!slot || slot->tag != (u64)regs)
		return 0;
	struct record *record = &slot->record;
	if (record->file || record->other || record->requests) {
		record->duration_ns = bpf_ktime_get_ns() - record->start_ns;
		record->result = result;
		if (is_append(record) && result > 0 && slot->opened)
			record->position = end_of(slot->opened) ? end_of(slot->opened) - result : UNKNOWN;
		who(record, bpf_get_current_task_btf());
		put(record);
	}
	release(slot, regs);
	return 0;
}

/* In the context of whoever needs it: a program's call, a page fault, a kernel thread. */
SEC("tp_btf/fuse_request_send") int request_sent(u64 *ctx)
{
	struct fuse_req *request = (void *)ctx[0];
	struct mount *mount = mount_of(request->fm->fc->dev);
	if (!mount)
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	struct record record = {};
	struct slot *slot = slot_of(regs);
	if (slot && slot->tag == (u64)regs) {
		slot->record.requests++;
		slot->record.connection = mount->connection;
		record.start_ns = slot->record.start_ns;
	}
	record.file = request->in.h.unique;
	record.kind = KIND_REQUEST;
	record.connection = mount->connection;
	record.tid = task->pid;
	record.pid = task->tgid;
	put(&record);
	return 0;
}

/* enum io_uring_op: readv, writev, read_fixed, write_fixed, read, write. */
#define MOVES_DATA(opcode) \
	((opcode) == 1 || (opcode) == 2 || (opcode) == 4 || (opcode) == 5 || (opcode) == 22 || (opcode) == 23)

/* The file is not known yet. */
SEC("tp_btf/io_uring_submit_req") int io_submitted(u64 *ctx)
{
	struct io_kiocb *request = (void *)ctx[0];
	u32 opcode = request->opcode;
	struct task_struct *task = bpf_get_current_task_btf();
	if (!MOVES_DATA(opcode) || task->tgid == self_tgid)
		return 0;
	struct record record = {};
	u64 key = (u64)request;
	record.kind = KIND_IO_URING;
	record.nr = opcode;
	record.position = READ(request, io_rw, kiocb.ki_pos);
	record.si = READ(request, io_rw, len);
	who(&record, task);
	record.start_ns = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&submitted, &key, &record, ANY)) {
		struct control *control = control_of(bpf_get_smp_processor_id());
		if (control)
			control->unplaced++;
	}
	return 0;
}

SEC("tp_btf/io_uring_complete") int io_completed(u64 *ctx)
{
	u64 key = ctx[1];
	struct io_uring_cqe *cqe = (void *)ctx[2];
	struct record *record = bpf_map_lookup_elem(&submitted, &key);
	if (!record)
		return 0;
	struct ours ours = {};
	struct file *file = READ(key, io_kiocb, file);
	if (file && find(file, &ours)) {
		record->file = ours.file;
		record->kind |= ours.is_node ? IS_NODE : 0;
		record->connection = ours.connection;
		record->result = cqe->res;
		record->duration_ns = bpf_ktime_get_ns() - record->start_ns;
		put(record);
	}
	bpf_map_delete_elem(&submitted, &key);
	return 0;
}
