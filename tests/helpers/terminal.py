"""A command whose standard output is a terminal of a given width, or that asks somebody at one."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path


def screen(arguments: Sequence[str], columns: int, cwd: Path, **environment: str) -> str:
    """What the command prints on a terminal of so many columns; escape sequences stay.

    Args:
        arguments: Those of etcd-auditor.
        columns: The width of the terminal.
        cwd: The working directory.
        environment: Added to the present one, from which the width and colours of a terminal are taken away.
    """
    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    attributes = termios.tcgetattr(its)
    attributes[1] &= ~termios.OPOST  # line ends stay as they are written
    termios.tcsetattr(its, termios.TCSANOW, attributes)
    inherited = {name: text for name, text in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    with subprocess.Popen(
        [sys.executable, "-m", "auditor", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=subprocess.DEVNULL,
        cwd=cwd,
        env={**inherited, "TERM": "xterm", "TZ": "UTC", **environment},
    ) as process:
        os.close(its)
        parts = []
        while True:
            try:
                part = os.read(own, 1 << 16)
            except OSError:  # the terminal is gone with the process
                break
            if not part:
                break
            parts.append(part)
        process.wait()
    os.close(own)
    return b"".join(parts).decode("utf-8")


def dialogue(arguments: Sequence[str], prompt: str, answer: str, cwd: Path) -> tuple[str, int]:
    """What the command shows on a terminal of its own, where somebody answers its question, and its exit code.

    Args:
        arguments: Those of etcd-auditor.
        prompt: The end of the question.
        answer: What is typed.
        cwd: The working directory.
    """
    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    own_terminal = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    command = f"{own_terminal}os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    with subprocess.Popen(
        [sys.executable, "-c", command, "-m", "auditor", *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        cwd=cwd,
        env={**os.environ, "TERM": "xterm", "TZ": "UTC"},
        start_new_session=True,
    ) as process:
        os.close(its)
        shown = b""
        while True:
            try:
                part = os.read(own, 1 << 16)
            except OSError:  # the terminal is gone with the process
                break
            if not part:
                break
            before, shown = shown, shown + part
            if prompt.encode() in shown and prompt.encode() not in before:
                os.write(own, f"{answer}\n".encode())
        process.wait()
    os.close(own)
    return shown.decode("utf-8"), process.returncode
