/* Reads and writes by libaio's system calls, and says what came of each: "OP OFFSET RESULT", one a line.
 * With "ring" the results are taken from the shared ring, as QEMU and Seastar do, past io_getevents. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define TURNS 200
#define BLOCK 4096

struct ring {
	unsigned id, nr;
	volatile unsigned head, tail;
	unsigned magic, compat, incompat, header_length;
	struct io_event events[];
};

static int from_ring;

static long submit(aio_context_t context, long count, struct iocb **list)
{
	long taken = syscall(SYS_io_submit, context, count, list);
	return taken < 0 ? -errno : taken;
}

static struct io_event fetch(aio_context_t context)
{
	struct io_event event;
	struct ring *ring = (void *)context;
	if (!from_ring) {
		if (syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1)
			exit(1);
		return event;
	}
	while (ring->head == ring->tail)
		;
	event = ring->events[ring->head];
	ring->head = (ring->head + 1) % ring->nr;
	return event;
}

static aio_context_t context_of(unsigned events)
{
	aio_context_t context = 0;
	if (syscall(SYS_io_setup, events, &context))
		exit(1);
	/* The ring's pages, so that it is in memory. */
	if (from_ring && ((struct ring *)context)->magic != 0xa10a10a1)
		exit(1);
	return context;
}

static void one(aio_context_t context, int fd, int opcode, void *buffer, size_t length, long long offset)
{
	struct iocb iocb = { .aio_lio_opcode = opcode, .aio_fildes = fd, .aio_buf = (unsigned long)buffer };
	struct iocb *list[] = { &iocb };
	iocb.aio_nbytes = length;
	iocb.aio_offset = offset;
	long taken = submit(context, 1, list);
	if (taken != 1) {
		printf("refused %lld %ld\n", offset, taken);
		return;
	}
	struct io_event event = fetch(context);
	if (event.obj != (unsigned long)&iocb)
		exit(1);
	printf("%s %lld %lld\n", opcode == 0 || opcode == 7 ? "read" : opcode == 2 ? "fsync" : "write", offset,
	       (long long)event.res);
}

static void *many(void *path)
{
	static _Thread_local char buffer[8][BLOCK];
	struct iocb iocbs[8], *list[8];
	aio_context_t context = context_of(64);
	int fd = open(path, O_RDWR);
	for (int turn = 0; turn < TURNS / 8; turn++) {
		for (int i = 0; i < 8; i++) {
			long long offset = (turn * 8 + i) * BLOCK;
			iocbs[i] = (struct iocb){ .aio_lio_opcode = i % 2, .aio_fildes = fd, .aio_nbytes = BLOCK };
			iocbs[i].aio_buf = (unsigned long)buffer[i];
			iocbs[i].aio_offset = offset;
			list[i] = &iocbs[i];
		}
		/* A descriptor that is none: the kernel takes only those before it. */
		if (turn == 5)
			iocbs[6].aio_fildes = 1000;
		long taken = submit(context, 8, list);
		for (long i = 0; i < taken; i++) {
			struct io_event event = fetch(context);
			struct iocb *iocb = (void *)event.obj;
			printf("%s %lld %lld\n", iocb->aio_lio_opcode ? "write" : "read", (long long)iocb->aio_offset,
			       (long long)event.res);
		}
	}
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	static char buffer[BLOCK];
	struct iovec halves[] = { { buffer, 1000 }, { buffer + 1000, 500 } };
	const char *path = argv[1];
	from_ring = argc > 2 && !strcmp(argv[2], "ring");
	aio_context_t context = context_of(16);
	int fd = open(path, O_RDWR | O_CREAT, 0644), only_write = open(path, O_WRONLY);
	if (ftruncate(fd, (TURNS + 10) * BLOCK))
		return 1;
	one(context, fd, IOCB_CMD_PWRITE, buffer, 3000, 100);
	one(context, fd, IOCB_CMD_PREAD, buffer, BLOCK, 0);
	one(context, fd, IOCB_CMD_PWRITEV, halves, 2, 5000);
	one(context, fd, IOCB_CMD_PREADV, halves, 2, 7000);
	/* Short at the end of the file, nothing behind it. */
	one(context, fd, IOCB_CMD_PREAD, buffer, BLOCK, (TURNS + 10) * BLOCK - 100);
	one(context, fd, IOCB_CMD_PREAD, buffer, BLOCK, (TURNS + 20) * BLOCK);
	/* Into memory that is not there. */
	one(context, fd, IOCB_CMD_PREAD, (void *)BLOCK, BLOCK, 0);
	/* Refused before the file is reached. */
	one(context, only_write, IOCB_CMD_PREAD, buffer, BLOCK, 0);
	one(context, -1, IOCB_CMD_PREAD, buffer, BLOCK, 0);
	one(context, fd, IOCB_CMD_FSYNC, NULL, 0, 0);
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, many, (void *)path);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
