/* Metadata storm: COUNT files in DIR: create, write 4 KiB, close; stat; rename; unlink. Prints the seconds it took.
 * In C, since an interpreter's own cost would hide the filesystem's. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void need(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    char block[4096], name[64], other[64];
    struct stat facts;
    need(argc == 3 && chdir(argv[1]) == 0, "storm DIR COUNT");
    int count = atoi(argv[2]);
    memset(block, 'x', sizeof block);
    double start = now();
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "file-%d", i);
        int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
        need(fd >= 0, "open");
        need(write(fd, block, sizeof block) == (ssize_t)sizeof block, "write");
        need(close(fd) == 0, "close");
    }
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "file-%d", i);
        need(stat(name, &facts) == 0, "stat");
    }
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "file-%d", i);
        snprintf(other, sizeof other, "moved-%d", i);
        need(rename(name, other) == 0, "rename");
    }
    for (int i = 0; i < count; i++) {
        snprintf(other, sizeof other, "moved-%d", i);
        need(unlink(other) == 0, "unlink");
    }
    printf("%.6f\n", now() - start);
    return 0;
}
