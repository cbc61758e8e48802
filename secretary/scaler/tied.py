"""Become another program, which ends at once when the process that started it does.

    python -m secretary.scaler.tied PARENT PROGRAM ARGUMENT…

However the parent ends: the kernel sees to it. More exactly, when the thread ends that has started
this one.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, *command = sys.argv[1:]
    # KILL: what is left behind is for the next to take over, or expires.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == int(parent):  # else it ended before
        os.execv(command[0], command)  # noqa: S606 - a list of arguments, no shell


if __name__ == "__main__":
    main()
