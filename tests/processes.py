"""Processes that tests start and look at."""

import os
from pathlib import Path


def is_dead(pid: int) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"
