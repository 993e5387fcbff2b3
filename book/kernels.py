"""Kernels that have the imports behind them: one process imports, and is forked for each notebook.

python book/kernels.py MODULE   imports it, reads the arguments of kernels, a line each, and answers with their numbers
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import Lock

import psutil
from jupyter_client import AsyncKernelManager

IMPORTS = "frugal.show.page"  # and with it torch, diffusers and matplotlib
# What a kernel says before matplotlib is imported.
INLINE = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}


class Forked:
    """A kernel that another process has forked, with what jupyter_client asks of a ``subprocess.Popen``."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        return None if psutil.pid_exists(self.pid) else 0

    wait = poll

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextmanager
def imported() -> Iterator[type[AsyncKernelManager]]:
    """nbclient's ``kernel_manager_class`` for kernels that are forked, as long as the context lasts."""
    program, pipe = [sys.executable, __file__, IMPORTS], subprocess.PIPE
    environment = {**os.environ, **INLINE}
    with subprocess.Popen(
        program, env=environment, stdin=pipe, stdout=pipe, text=True, start_new_session=True
    ) as parent:
        one_at_a_time = Lock()

        class Manager(AsyncKernelManager):
            async def _async_launch_kernel(self, kernel_cmd: list[str], **_: object) -> None:
                assert self.provisioner and parent.stdin and parent.stdout
                with one_at_a_time:
                    print(*kernel_cmd[kernel_cmd.index("-f") :], file=parent.stdin, flush=True)
                    self.provisioner.process = Forked(int(parent.stdout.readline()))
                self._reconcile_connection_info(self.provisioner.connection_info)

        yield Manager


def serve(module: str) -> None:
    """Fork a kernel for each line that is read."""
    os.environ["JPY_PARENT_PID"] = str(
        os.getpid()
    )  # read by the next import; a kernel ends with that process
    from ipykernel.kernelapp import launch_new_instance

    with suppress(Exception):  # the page that needs it says so
        import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a kernel
    for line in sys.stdin:
        if pid := os.fork():
            print(pid, flush=True)
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        launch_new_instance(argv=line.split())
        return


if __name__ == "__main__":
    serve(sys.argv[1])
