"""A notebook, run by the shell that notebooks run in (IPython), without a kernel's process and sockets.

python -m tests.helpers.notebook NOTEBOOK      runs it in this folder, and writes what its cells print and show into it
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from IPython.core.displayhook import DisplayHook
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

SHOWN: list[str] = []
"""The text of each expression that a cell ends with."""


class Shown(DisplayHook):
    """Keeps what a terminal would print."""

    def write_output_prompt(self) -> None:
        """Nothing: a notebook has its own."""

    def write_format_data(self, format_dict: dict[str, str], md_dict: object = None) -> None:
        SHOWN.append(format_dict["text/plain"])

    def finish_displayhook(self) -> None:
        """Nothing: there is no line to end."""


def run(path: Path) -> None:
    """Run the code of a notebook and write its outputs anew, as text. Raises what a cell raises."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config, displayhook_class=Shown)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, 1):
        SHOWN.clear()
        with capture_output(display=False) as captured:
            result = shell.run_cell(cell.source)
        result.raise_error()
        assert not captured.stderr, captured.stderr
        cell.execution_count = count
        cell.outputs = [_printed(captured.stdout)] if captured.stdout else []
        cell.outputs += [_shown(text, count) for text in SHOWN]
    nbformat.write(notebook, path)


def _printed(text: str) -> Any:
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def _shown(text: str, count: int) -> Any:
    return nbformat.v4.new_output("execute_result", data={"text/plain": text}, execution_count=count)


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        os.environ["IPYTHONDIR"] = folder  # no profile of a user's has a say
        run(Path(sys.argv[1]))
