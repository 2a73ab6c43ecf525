/* Calls by the numbers and arguments of 32-bit programs; no library. Built as a 32-bit program or, so that only the way in is
 * theirs, as a 64-bit one: what the kernel gets lies below 4 GB in both. */
#include <asm/unistd_32.h>

typedef unsigned u32;
typedef unsigned long long u64;

static char folder[256], path[256], other_path[256], new_path[256], buffer[8192];

static int raw(u32 nr, const u32 *argument)
{
	int result;
#ifdef __i386__
	u32 its[7] = { nr, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5] };
	__asm__ volatile("push %%ebx; push %%ebp; mov 4(%%eax), %%ebx; mov 24(%%eax), %%ebp; mov (%%eax), %%eax; int $0x80;"
			 "pop %%ebp; pop %%ebx"
			 : "=a"(result)
			 : "a"(its), "c"(argument[1]), "d"(argument[2]), "S"(argument[3]), "D"(argument[4])
			 : "memory");
#else
	register u64 sixth __asm__("r12") = argument[5];
	__asm__ volatile("push %%rbp; mov %%r12, %%rbp; int $0x80; pop %%rbp"
			 : "=a"(result)
			 : "a"(nr), "b"(argument[0]), "c"(argument[1]), "d"(argument[2]), "S"(argument[3]), "D"(argument[4]),
			   "r"(sixth)
			 : "memory", "r8", "r9", "r10", "r11");
#endif
	return result;
}

#define AT(pointer) ((u32)(unsigned long)(pointer))
#define LOW(value) ((u32)(u64)(value))
#define HIGH(value) ((u32)((u64)(value) >> 32))
#define CALL(name, ...) raw(__NR_##name, (u32[6]){ __VA_ARGS__ })

#define FAR (5ull << 30)
#define O_RDWR 2
#define O_CREAT 0100
#define O_LARGEFILE 0100000
#define O_DIRECTORY 0200000

struct vector {
	u32 base, length;
};

struct request {
	u64 data;
	u32 key, rw_flags;
	unsigned short opcode, priority;
	u32 fd;
	u64 buffer, length, offset, reserved;
	u32 flags, event_fd;
};

static struct vector vectors[3] = { { 0, 100 }, { 0, 200 }, { 0, 300 } };
static u64 place, second_place;
static u32 block[6];

static void data(int fd)
{
	vectors[0].base = vectors[1].base = vectors[2].base = AT(buffer);
	CALL(write, fd, AT(buffer), 1000);
	CALL(_llseek, fd, 0, 10, AT(&place), 0);
	CALL(_llseek, fd, HIGH(FAR), LOW(FAR), AT(&place), 0);
	CALL(lseek, fd, 0, 0);
	CALL(lseek, fd, -10, 2);
	CALL(lseek, fd, -10, 0);
	CALL(lseek, fd, 0, 0);
	CALL(read, fd, AT(buffer), 300);
	CALL(readv, fd, AT(vectors), 3);
	CALL(writev, fd, AT(vectors), 2);
	CALL(pwrite64, fd, AT(buffer), 50, LOW(FAR), HIGH(FAR));
	CALL(pread64, fd, AT(buffer), 80, LOW(FAR + 10), HIGH(FAR + 10));
	CALL(preadv, fd, AT(vectors), 3, LOW(FAR), HIGH(FAR));
	CALL(pwritev, fd, AT(vectors), 1, LOW(FAR + 1000), HIGH(FAR + 1000));
	CALL(preadv2, fd, AT(vectors), 2, LOW(FAR), HIGH(FAR), 0);
	CALL(pwritev2, fd, AT(vectors), 2, LOW(-1ll), HIGH(-1ll), 0);
	CALL(read, 1000, AT(buffer), 10);
	CALL(read, fd, 8, 10);
}

static void places(int fd, int second)
{
	CALL(ftruncate, fd, 100000);
	CALL(ftruncate64, fd, LOW(FAR), HIGH(FAR));
	CALL(truncate64, AT(path), LOW(FAR + 5000), HIGH(FAR + 5000));
	CALL(fallocate, fd, 1, LOW(FAR), HIGH(FAR), LOW(4096), 0);
	CALL(fadvise64_64, fd, LOW(FAR), HIGH(FAR), 100, 0, 4);
	CALL(fadvise64, fd, LOW(FAR), HIGH(FAR), 100, 4);
	CALL(sync_file_range, fd, LOW(FAR), HIGH(FAR), 4096, 0, 2);
	CALL(readahead, fd, 4096, 0, 4096);
	CALL(sendfile, second, fd, 0, 100);
	place = 50;
	CALL(sendfile64, second, fd, AT(&place), 100);
	place = 0;
	second_place = 500;
	CALL(copy_file_range, fd, AT(&place), second, AT(&second_place), 70, 0);
	int at = CALL(mmap2, 0, 8192, 1, 1, fd, 2);
	CALL(munmap, at, 8192);
	block[1] = 4096, block[2] = 1, block[3] = 1, block[4] = fd, block[5] = 4096;
	at = CALL(mmap, AT(block));
	CALL(munmap, at, 4096);
}

static void names(int directory)
{
	CALL(stat64, AT(path), AT(buffer));
	CALL(lstat64, AT(other_path), AT(buffer));
	CALL(fstat64, directory, AT(buffer));
	CALL(fstatat64, -100, AT(path), AT(buffer), 0);
	CALL(access, AT(path), 4);
	CALL(chmod, AT(path), 0600);
	CALL(rename, AT(path), AT(other_path));
	CALL(link, AT(other_path), AT(path));
	CALL(chown32, AT(path), 0, 0);
	CALL(statx, -100, AT(path), 0, 0x7ff, AT(buffer));
	CALL(getdents64, directory, AT(buffer), sizeof buffer);
	CALL(getdents64, directory, AT(buffer), sizeof buffer);
	CALL(statfs64, AT(path), 84, AT(buffer));
	CALL(mkdir, AT(new_path), 0700);
	CALL(rmdir, AT(new_path));
	CALL(unlink, AT(other_path));
	CALL(open, AT(other_path), 0);
}

static void asynchronous(int fd)
{
	static struct request requests[2];
	static u32 list[2], context;
	static u64 events[8];
	CALL(io_setup, 8, AT(&context));
	for (int i = 0; i < 2; i++) {
		requests[i] = (struct request){ .opcode = i, .fd = fd, .buffer = AT(buffer), .length = 600, .offset = FAR };
		list[i] = AT(&requests[i]);
	}
	CALL(io_submit, context, 2, AT(list));
	CALL(io_getevents, context, 2, 2, AT(events), 0);
}

static void join(char *to, const char *directory, const char *name)
{
	while (*directory)
		*to++ = *directory++;
	while (*name)
		*to++ = *name++;
	*to = 0;
}

void start(long *stack)
{
	const char *traced = (const char *)stack[2];
	join(folder, traced, "");
	join(path, traced, "/f");
	join(other_path, traced, "/g");
	join(new_path, traced, "/m");
	CALL(chdir, AT(folder));
	int fd = CALL(open, AT(path), O_RDWR | O_CREAT | O_LARGEFILE, 0644);
	int second = CALL(openat, -100, AT(other_path), O_RDWR | O_CREAT | O_LARGEFILE, 0644);
	data(fd);
	places(fd, second);
	asynchronous(fd);
	CALL(fsync, fd);
	CALL(fcntl64, fd, 3);
	int copy = CALL(dup, fd);
	CALL(close, copy);
	int directory = CALL(open, AT(folder), O_DIRECTORY);
	names(directory);
	CALL(close, fd);
	CALL(close, second);
	CALL(close, directory);
	CALL(exit, 0);
}

#ifdef __i386__
__asm__(".globl _start; _start: mov %esp, %eax; and $-16, %esp; sub $12, %esp; push %eax; call start");
#else
__asm__(".globl _start; _start: mov %rsp, %rdi; and $-16, %rsp; call start");
#endif
