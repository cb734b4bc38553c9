/*
 * Tells ftrace-exporter which span this thread is in, so that the kernel's spans become its children.
 *
 *   cc -O2 -Wall -o trace_context trace_context.c
 *   ./trace_context FILE            writes FILE within a span, and prints the span's traceparent
 *
 * TRACEPARENT in the environment: the span to continue; without it the program makes up a span.
 * TRACE_MARKER: the file to write into; default /sys/kernel/tracing/trace_marker.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define TRACEPARENT_LENGTH 55

static int marker = -1;

/* If the file is missing or may not be written, the program continues without markers. */
static void markers_open(void)
{
	const char *path = getenv("TRACE_MARKER");

	marker = open(path ? path : "/sys/kernel/tracing/trace_marker", O_WRONLY | O_CLOEXEC);
	if (marker < 0)
		perror("trace_marker");
}

/* One write is one marker, and counts for the thread that writes it. */
static void mark(const char *traceparent, const char *what)
{
	char text[sizeof("traceparent= begin") + TRACEPARENT_LENGTH + 1];
	int length = snprintf(text, sizeof(text), "traceparent=%s %s", traceparent, what);

	if (marker >= 0 && write(marker, text, length) != length)
		perror("write trace_marker");
}

static void new_traceparent(char out[TRACEPARENT_LENGTH + 1])
{
	unsigned char id[24];
	char *at = out;
	size_t i;

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		exit(1);
	at += sprintf(at, "00-");
	for (i = 0; i < sizeof(id); i++)
		at += sprintf(at, i == 16 ? "-%02x" : "%02x", id[i]);
	sprintf(at, "-01");
}

/* The work of the span: data that must reach the disk. */
static int save(const char *path)
{
	static char data[1 << 20];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, data, sizeof(data)) != sizeof(data) || fsync(fd) != 0) {
		perror(path);
		return 1;
	}
	return close(fd);
}

int main(int argc, char **argv)
{
	char traceparent[TRACEPARENT_LENGTH + 1];
	const char *given = getenv("TRACEPARENT");
	int failed;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FILE\n", argv[0]);
		return 2;
	}
	if (given && strlen(given) == TRACEPARENT_LENGTH)
		strcpy(traceparent, given);
	else
		new_traceparent(traceparent);

	markers_open();
	mark(traceparent, "begin");
	failed = save(argv[1]);
	mark(traceparent, "end");

	puts(traceparent);
	return failed;
}
