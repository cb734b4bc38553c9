// datagrams N: sends N datagrams to itself over loopback, each a softirq, then prints the CPU nanoseconds of a datagram.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

int main(int argc, char **argv) {
  long n = argc > 1 ? atol(argv[1]) : 100000;
  struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof self;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&self, size) != 0) return 1;
  if (getsockname(fd, (struct sockaddr *)&self, &size) != 0) return 1;
  if (connect(fd, (struct sockaddr *)&self, size) != 0) return 1;
  char byte = 0;
  struct timespec a, b;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
  for (long i = 0; i < n; i++)
    if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1) return 1;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
  printf("%.3f\n", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / n);
  return 0;
}
