"""The log lines of a run and its subflows as they come: each once, in the order of their times."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

HOLD_SECONDS = 2.5
"""Processes send their lines every 2 s, so the lines of one may come after later ones of another."""

LATE = timedelta(seconds=60)
"""How much later than lines of its time a line may come and still be seen."""

PAGE = 200
"""Lines that a server gives at once."""

INFO = 20


class LogStream:
    """Reads the lines of one flow run."""

    def __init__(self, client: Any, flow_run_id: UUID) -> None:
        self._client, self._flow_run_id = client, flow_run_id
        self._seen: dict[UUID, datetime] = {}
        self._held: list[tuple[float, Any]] = []
        self._newest: datetime | None = None
        self._subflows: dict[UUID, str] = {}
        self._tasks: dict[UUID, str] = {}

    def new_lines(self, is_last: bool = False) -> Iterator[str]:
        """Lines that are due.

        Args:
            is_last: hold nothing back any more.
        """
        self._fetch()
        due = [line for seen, line in self._held if is_last or time.monotonic() - seen >= HOLD_SECONDS]
        if not due:
            return
        until = max(line.timestamp for line in due)
        ready = sorted(
            (one for _, one in self._held if one.timestamp <= until), key=lambda one: one.timestamp
        )
        self._held = [(seen, one) for seen, one in self._held if one.timestamp > until]
        for one in ready:
            yield self._shown(one)

    def _fetch(self) -> None:
        from prefect.client.schemas.filters import (
            LogFilter,
            LogFilterFlowRunId,
            LogFilterLevel,
            LogFilterTimestamp,
        )

        self._find_subflows()
        after = self._newest - LATE if self._newest else None
        wanted = LogFilter(
            flow_run_id=LogFilterFlowRunId(any_=[self._flow_run_id, *self._subflows]),
            level=LogFilterLevel(ge_=INFO),
            timestamp=LogFilterTimestamp(after_=after) if after else None,
        )
        offset, now = 0, time.monotonic()
        while True:
            lines = self._client.read_logs(wanted, limit=PAGE, offset=offset)
            for line in lines:
                if line.id not in self._seen:
                    self._seen[line.id] = line.timestamp
                    self._held.append((now, line))
                    self._newest = max(filter(None, (self._newest, line.timestamp)))
            if len(lines) < PAGE:
                break
            offset += PAGE
        if after is not None:
            self._seen = {one: moment for one, moment in self._seen.items() if moment >= after}

    def _find_subflows(self) -> None:
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId

        parents = FlowRunFilterParentFlowRunId(any_=[self._flow_run_id])
        for run in self._client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id=parents)):
            self._subflows[run.id] = run.name

    def _shown(self, line: Any) -> str:
        clock = line.timestamp.astimezone().strftime("%H:%M:%S")
        who = self._task(line.task_run_id) if line.task_run_id else self._subflows.get(line.flow_run_id)
        level = "error: " if line.level >= 40 else "warning: " if line.level >= 30 else ""
        return f"{clock} {f'{who}: ' if who else ''}{level}{line.message}"

    def _task(self, task_run_id: UUID) -> str:
        if task_run_id not in self._tasks:
            self._tasks[task_run_id] = str(self._client.read_task_run(task_run_id).name)
        return self._tasks[task_run_id]
