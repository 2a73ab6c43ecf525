/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * From a descriptor to one of our files.
 *
 * Two ways to read kernel memory: with CASTS pointers become typed by bpf_rdonly_cast, which costs nothing (Linux 6.2); else by
 * a helper, some 40 ns a pointer. */
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
/* A pointer out of something that the verifier trusts. Whether to trust that too it finds out by the names of all the kernel's
 * types, a third of a start's time; of what is cast it does not ask. */
#define FOLLOW(pointer, type, field) READ(pointer, type, field)
#else
#define FOLLOW(pointer, type, field) ((pointer)->field)
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
	struct files_struct *files = FOLLOW(task, task_struct, files);
	struct fdtable *table = FOLLOW(files, files_struct, fdt);
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

/* Known by its node alone. */
INLINE void find_node(struct inode *inode, struct ours *ours)
{
	struct super_block *sb = READ(inode, inode, i_sb);
	struct mount *mount = mount_of(READ(sb, super_block, s_dev));
	if (!mount)
		return;
	ours->is_node = 1;
	ours->file = READ(inode, fuse_inode, nodeid);
	ours->connection = mount->connection;
}

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

static long look_at_map(struct task_struct *task, struct vm_area_struct *vma, struct ours *ours)
{
	struct file *file = vma->vm_file;
	if (!file || find(file, ours))
		return 0;
	/* Whether it is such a file is told by a bit that has moved between versions. Of another, what lies there leads to no
	 * inode of ours. */
	struct dentry *dentry = READ(file, backing_file, user_path.dentry);
	struct inode *inode = dentry ? READ(dentry, dentry, d_inode) : 0;
	if (inode && (READ(inode, inode, i_mode) & S_IFMT) == S_IFREG)
		find_node(inode, ours);
	return 0;
}

/* The file of the map there, into the report of a call on that map. -1: not now, somebody is changing the maps. */
static __attribute__((noinline)) int find_mapped(struct record *record, u64 at)
{
	struct ours ours = {};
	long result = bpf_find_vma(bpf_get_current_task_btf(), at, look_at_map, &ours, 0);
	if (ours.file) {
		record->file = ours.file;
		record->kind |= ours.is_node ? IS_NODE : 0;
		record->connection = ours.connection;
	}
	return result == -EBUSY ? -1 : 0;
}

/* What a descriptor of the caller's stands for. */
struct opened {
	struct ours ours;
	/* The open file, whosever it is. */
	u64 file;
	u64 position;
	u64 node;
	u32 flags;
};

/* Whether it is one of our files. */
INLINE int look_at(struct task_struct *task, u32 fd, struct opened *opened)
{
	struct file *file = file_of(task, fd);
	opened->file = (u64)file;
	if (!file || !find(file, &opened->ours))
		return 0;
	struct inode *inode = READ(file, file, f_inode);
	opened->position = READ(file, file, f_pos);
	opened->flags = READ(file, file, f_flags);
	opened->node = READ(inode, fuse_inode, nodeid);
	return 1;
}

/* The same as a function of its own to the verifier, which then looks at its many ways once. */
__attribute__((noinline)) int look_up(u32 fd, struct opened *opened)
{
	return opened ? look_at(bpf_get_current_task_btf(), fd, opened) : 0;
}
