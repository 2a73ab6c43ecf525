/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * What the program is told by the loader, what it remembers of calls under way, and what it reports. Knows no tracepoint. */
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
/* It submits reads and writes, or fetches what came of them. */
#define AIO 0x80
/* As a 32-bit program numbers them, it is a call to look up in `calls_of_32_bits`. */
#define OF_32_BITS 0x100
#define AIO_OF_32_BITS 0x200

/* record.kind */
#define KIND_MASK 0x0f
#define KIND_CALL 0
#define KIND_REQUEST 1
#define KIND_IO_URING 2
#define KIND_AIO 3
/* Of a process that has made calls of ours: `nr` says what became of it. */
#define KIND_TASK 4
#define TASK_ENDED 0
#define TASK_EXECUTED 1
#define TASK_RENAMED 2
/* Added: `file` is a node, not a handle. */
#define IS_NODE 0x10
#define OTHER_IS_NODE 0x20

const volatile u32 self_tgid = 0;
const volatile u32 ring_mask = 0;
const volatile u32 slot_mask = SLOTS - 1;
const volatile u16 calls[CALLS] = {0};
const volatile u16 calls_of_32_bits[CALLS] = {0};

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

/* One a CPU. */
struct control {
	u64 head;
	/* Calls that the ring refused; of those, how many `sheds` had no room for. */
	u64 shed;
	u64 uncounted;
	/* Who is adding to each half of `sheds` now. */
	u64 adding[2];
	/* Requests that the ring refused. */
	u64 unjoined;
	/* Calls of which only the beginning was seen: no slot was free, or somebody found it still taken. */
	u64 unended;
	u64 crowded;
	/* The reader's. */
	u64 tail;
	/* Of `sheds`, the half to add to. */
	u64 half;
	s64 wall_minus_mono_ns;
	/* Reads and writes in `flying`, of all CPUs together. */
	s64 flying;
	u64 pad[4];
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

/* What a full ring refuses, added up. The half that the reader takes is not the one that is added to. */
#define SHED_HAS_FILE 0x10
#define SHED_HAS_OTHER 0x20
#define SHED_REMOVES_DIRECTORY 0x40
struct shed_key {
	/* Of its start, by the wall clock. */
	u64 second;
	u16 nr;
	u16 error;
	/* Of the histogram: a sum holds one bucket. */
	s16 bucket;
	/* As record.kind, and what else its name depends on: SHED_... */
	u8 kind;
	u8 half;
};
struct shed {
	u64 count;
	u64 bytes;
	u64 duration_ns;
	u64 min_ns;
	u64 max_ns;
};

/* Four calls, each with durations of 100 different buckets, make 400 keys a second: a reader may be away for 20 s. */
struct {
	MAP_UINT(type, MAP_PERCPU_HASH);
	MAP_UINT(max_entries, 8192);
	MAP_TYPE(key, struct shed_key);
	MAP_TYPE(value, struct shed);
} sheds SEC(".maps");

/* Reads and writes of io_uring under way, by their request. */
struct {
	MAP_UINT(type, MAP_HASH);
	MAP_UINT(map_flags, MAP_NO_PREALLOC);
	MAP_UINT(max_entries, 65536);
	MAP_TYPE(key, u64);
	MAP_TYPE(value, struct record);
} submitted SEC(".maps");

/* Files that have or had a shared map, by connection and node (`note_map`): bits are set and never cleared. Mirrored in maps.rs. */
#define MAPPED_BITS 65536
struct {
	MAP_UINT(type, MAP_ARRAY);
	MAP_UINT(map_flags, MAP_MMAPABLE);
	MAP_UINT(max_entries, MAPPED_BITS / 64);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u64);
} mapped SEC(".maps");

/* Reads and writes by libaio under way, by whose they are and their iocb. */
struct flying {
	u64 mm;
	u64 iocb;
};
struct {
	MAP_UINT(type, MAP_HASH);
	MAP_UINT(map_flags, MAP_NO_PREALLOC);
	MAP_UINT(max_entries, 65536);
	MAP_TYPE(key, struct flying);
	MAP_TYPE(value, struct record);
} flying SEC(".maps");

/* A bit for each process that has made calls of ours, by its number. */
#define MOST_PROCESSES (1 << 22)
struct {
	MAP_UINT(type, MAP_ARRAY);
	MAP_UINT(max_entries, MOST_PROCESSES / 64);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u64);
} touched SEC(".maps");

/* Calls that are in `crowded` now: mostly none, and then nobody looks there. */
u64 crowd = 0;
