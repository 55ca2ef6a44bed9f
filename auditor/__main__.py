"""Entry point of `etcd-auditor` and of `python -m auditor`."""

import io
import sys

from auditor.cli import worker


def main() -> None:
    """Exit with the command's code; never with Python's own 1 for an exception."""

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names need not fit the terminal's encoding

    def task() -> int:
        from auditor.cli.app import app

        try:
            app(prog_name="etcd-auditor")
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 0
        return 0

    sys.exit(worker.guarded(task))


if __name__ == "__main__":
    main()
