/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * The little of the kernel that program.bpf.c reads. Offsets are the running kernel's: the loader moves each access to where
 * its BTF has the field (CO-RE), so only names and kinds matter here. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef short s16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

/* Maps are described by a struct's types; enum bpf_map_type and map flags, include/uapi/linux/bpf.h. */
#define MAP_UINT(name, value) int(*name)[value]
#define MAP_TYPE(name, type) typeof(type) *name
enum { MAP_HASH = 1, MAP_ARRAY = 2, MAP_PERCPU_HASH = 5, MAP_PERCPU_ARRAY = 6 };
enum { MAP_NO_PREALLOC = 1, MAP_MMAPABLE = 1 << 10 };
enum { ANY = 0, NOEXIST = 1 };

/* Helpers by number, from the same header. */
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
static long (*bpf_probe_read_user)(void *into, u32 size, const void *from) = (void *)112;
static long (*bpf_probe_read_kernel)(void *into, u32 size, const void *from) = (void *)113;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block {
	u32 s_dev;
};
struct inode {
	u16 i_mode;
	struct super_block *i_sb;
};
struct file {
	struct inode *f_inode;
	void *private_data;
	u32 f_flags;
	s64 f_pos;
};
struct dentry {
	struct inode *d_inode;
};
struct path {
	struct dentry *dentry;
};
/* What a map of a file that the kernel serves itself is on: `file` is the one below, `user_path` ours. */
struct backing_file {
	struct file file;
	struct path user_path;
};
struct fdtable {
	u32 max_fds;
	struct file **fd;
};
struct files_struct {
	struct fdtable *fdt;
};
/* Only for its first member: a slot of a descriptor table, seen as a struct whose member points to a file. */
struct kiocb {
	struct file *ki_filp;
	s64 ki_pos;
};
struct kernel_id {
	u32 val;
};
struct cred {
	struct kernel_id fsuid;
	struct kernel_id fsgid;
};
struct thread_info {
	u32 status;
};
struct ns_common {
	u32 inum;
};
struct pid_namespace {
	struct ns_common ns;
};
struct upid {
	s32 nr;
	struct pid_namespace *ns;
};
struct pid {
	u32 level;
	struct upid numbers[1];
};
struct counted {
	s32 counter;
};
struct signal_struct {
	struct counted live;
};
struct mm_struct;
struct task_struct {
	struct thread_info thread_info;
	s32 pid;
	s32 tgid;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct mm_struct *mm;
	struct signal_struct *signal;
	struct files_struct *files;
	const struct cred *cred;
	char comm[16];
};
struct pt_regs {
	unsigned long di, si, dx, r10, r8, r9, bx, cx, bp, orig_ax;
};
struct fuse_file {
	u64 fh;
};
struct fuse_inode {
	struct inode inode;
	u64 nodeid;
};
struct fuse_conn {
	u32 dev;
};
struct fuse_mount {
	struct fuse_conn *fc;
};
struct fuse_in_header {
	u64 unique;
};
struct fuse_req {
	struct fuse_mount *fm;
	struct {
		struct fuse_in_header h;
	} in;
};
struct io_cqe {
	u64 user_data;
	s32 res;
};
struct io_kiocb {
	struct file *file;
	u8 opcode;
};
struct io_rw {
	struct kiocb kiocb;
	u32 len;
};
struct io_uring_cqe {
	u64 user_data;
	s32 res;
};
struct vm_area_struct {
	struct file *vm_file;
};

#pragma clang attribute pop

static struct task_struct *(*bpf_get_current_task_btf)(void) = (void *)158;
static long (*bpf_task_pt_regs)(struct task_struct *task) = (void *)175;
static long (*bpf_find_vma)(struct task_struct *task, u64 at, void *each, void *context, u64 flags) = (void *)180;
static long (*bpf_loop)(u32 turns, void *each, void *context, u64 flags) = (void *)181;

/* thread_info.status: the call came in by the 32-bit way, so its number means something else. */
#define TS_COMPAT 2

#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_IFDIR 0040000
#define O_APPEND 02000
#define AT_REMOVEDIR 0x200
#define EBUSY 16
