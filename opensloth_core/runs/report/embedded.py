"""The report and the picture of a run as Markdown that needs no files beside it."""

import base64
import re

from opensloth_core.runs.directory import PICTURE_FILE, RunDirectory
from opensloth_core.runs.report.markup import code

_FILE = re.compile(r"^- \[[^\]]*\]\(([^)]*)\): ", re.MULTILINE)


def picture_markdown(svg: bytes, title: str) -> str:
    """A picture within the text; Prefect's page prints the address below an image that is an artifact."""
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg).decode()})\n"


def embedded_report(run: RunDirectory) -> str:
    """`report.md` with its picture in it, and paths in the place of links to files beside it.

    Raises:
        OSError: there is no report.
    """
    text = run.report_path.read_text()
    head, mark, rest = text.partition(f"]({PICTURE_FILE})")
    if mark:
        title = head[head.rindex("![") + 2 :]
        picture = picture_markdown(run.picture_path.read_bytes(), title).rstrip()
        text = head[: head.rindex("![")] + picture + rest
    return _FILE.sub(lambda found: f"- {code(str(run.path / found[1]))}: ", text)
