"""Tells ftrace-exporter which span this thread is in, so that the kernel's spans become its children.

    python3 trace_context.py FILE      writes FILE within a span, and prints the span's traceparent

TRACEPARENT in the environment: the span to continue; without it the program makes up a span.
TRACE_MARKER: the file to write into; default /sys/kernel/tracing/trace_marker.
"""

import contextlib
import os
import secrets
import sys


class Markers:
    """The file that takes markers. Without it, or the right to write it, a program goes on as it is."""

    def __init__(self, path):
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            print(f"trace_marker: {error}", file=sys.stderr)
            self._fd = None

    def _mark(self, traceparent, what):
        if self._fd is not None:
            # Not a buffered file: one write is one marker, and counts for the thread that writes it.
            os.write(self._fd, f"traceparent={traceparent} {what}".encode())

    @contextlib.contextmanager
    def span(self, traceparent):
        """Within it, what the kernel does for this thread belongs to the span. Do not await in it."""
        self._mark(traceparent, "begin")
        try:
            yield
        finally:
            self._mark(traceparent, "end")


def new_traceparent():
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def save(path):
    with open(path, "wb") as file:
        file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FILE")
    traceparent = os.environ.get("TRACEPARENT") or new_traceparent()
    markers = Markers(os.environ.get("TRACE_MARKER", "/sys/kernel/tracing/trace_marker"))
    with markers.span(traceparent):
        save(sys.argv[1])
    print(traceparent)


if __name__ == "__main__":
    main()
