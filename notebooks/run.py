"""Run the notebooks in place and keep their outputs, less what goes to standard error: notebooks/run.py [NAME ...]."""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def run(path: Path) -> None:
    """Execute one notebook from top to bottom and write it back with fresh outputs."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)
    print(path.name)


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    for chosen in sorted(Path(__file__).parent.glob("*.ipynb")):
        if len(sys.argv) == 1 or any(word in chosen.name for word in sys.argv[1:]):
            run(chosen)
