"""How several writers get along in the SQLite database of a Prefect server that we start."""

import os
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from opensloth_core.store.file_lock import lock_file

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


@contextmanager
def database_to_itself() -> Iterator[None]:
    """Have servers that start at the same time do so one after the other.

    Each brings their database up to date, without asking whether another does just that: of four that made a
    new one together, up to three ended with "duplicate column" or the like.
    """
    from prefect.settings import PREFECT_HOME

    home = PREFECT_HOME.value()
    home.mkdir(parents=True, exist_ok=True)
    descriptor = lock_file(home / "opensloth-start.lock", wait=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def lock_when_transactions_begin() -> None:
    """Have each transaction of this process's server take SQLite's write lock when it begins.

    Prefect's begin as readers and lock at their first write. SQLite refuses that at once, without waiting,
    where another wrote in between; the client is told to come back, and does after two seconds: each start
    of a rank cost these, since the server records the tasks before it at that moment. All transactions that
    Prefect begins write, so nothing waits that would not have to.
    """
    from prefect.server.database.configurations import AioSqliteConfiguration

    begin = AioSqliteConfiguration.begin_transaction

    def begin_locked(
        self: AioSqliteConfiguration, session: "AsyncSession", with_for_update: bool = False
    ) -> AbstractAsyncContextManager[Any]:
        return begin(self, session, with_for_update=True)

    AioSqliteConfiguration.begin_transaction = begin_locked  # type: ignore[assignment,method-assign]
