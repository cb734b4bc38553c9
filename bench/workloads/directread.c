// directread N: reads N random blocks of a temporary file past the page cache, then prints the CPU nanoseconds of a read.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define BLOCKS 4096

int main(int argc, char **argv) {
  long n = argc > 1 ? atol(argv[1]) : 10000;
  const char *dir = getenv("TMPDIR");
  char path[4096];
  snprintf(path, sizeof path, "%s/directread-XXXXXX", dir ? dir : "/var/tmp");
  int fd = mkostemp(path, O_DIRECT);
  void *block;
  if (fd < 0 || unlink(path) != 0 || posix_memalign(&block, BLOCK, BLOCK) != 0) return 1;
  memset(block, 1, BLOCK);
  for (long i = 0; i < BLOCKS; i++)
    if (pwrite(fd, block, BLOCK, i * BLOCK) != BLOCK) return 1;
  struct timespec a, b;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
  for (long i = 0; i < n; i++)
    if (pread(fd, block, BLOCK, (i * 7919 % BLOCKS) * BLOCK) != BLOCK) return 1;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
  printf("%.3f\n", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / n);
  return 0;
}
