"""One at a time: python book/alone.py COMMAND... runs it when no other make works in this folder."""

import fcntl
import os
import signal
import sys


def hold(file: str = __file__, other: str = "make works in this folder") -> int:
    """Wait, with a sentence, until no other process holds ``file``; the lock ends with this process, or its closing."""
    lock = os.open(file, os.O_RDWR)  # NFS locks only what can be written to; nothing is
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"Another {other}; this one begins when that has ended.", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the wait without a trace
    os.set_inheritable(hold(), True)
    os.execvp(sys.argv[1], sys.argv[1:])
