"""Questions about rendered texts, on whose answers it depends where a turn begins and ends."""

import json
import re
from typing import Any

_THINK_TAG = re.compile(r"</?think>")


class Reader:
    """Answers for texts as they are."""

    def find(self, text: str, value: Any, start: int) -> int:
        """Where a content ends in `text`, looked for from `start` on; -1 when it is not there.

        It may be stripped, escaped as JSON, or parted at thinking tags.
        """
        place = text.find(value, start)
        if place >= 0:
            return place + len(value)
        for part in filter(None, map(str.strip, _THINK_TAG.split(value))):
            for form in (part, json.dumps(part, ensure_ascii=False)[1:-1]):
                place = text.find(form, start)
                if place >= 0:
                    start = place + len(form)
                    break
            else:
                return -1
        return start

    def starts_with(self, text: str, prefix: str) -> bool:
        return text.startswith(prefix)

    def check_own_end(self, text: str) -> None:
        """Make sure that the template itself, and no content, wrote the end of `text`."""
