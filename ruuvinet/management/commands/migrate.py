"""`manage.py migrate`, as Django's, but safe beside programs that serve.

On PostgreSQL a change of a table waits for those who read it, and everybody else waits behind it:
posts too. So it waits a moment only, lets them through, and tries again. On SQLite the data
is copied before it is changed.
"""

import shutil
import time
from pathlib import Path
from typing import Any

from django.core.management import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from psycopg.errors import LockNotAvailable

from ruuvinet import dumps

LOCK_WAIT_S = 1.0  # posts wait as long; a gateway would for ten seconds
RETRIES = 120
PAUSE_S = 1.0  # between them, for those who waited behind us
ROOM = 1.1  # times the size of the database


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        database = connections[options["database"]]
        if not (options["plan"] or options["check_unapplied"]):
            self._keep_copy(database)
        for _ in range(RETRIES):
            if self._migrate(*args, **options):
                return
            self.stdout.write("Somebody uses a table that is to be changed; trying again.")
            time.sleep(PAUSE_S)
        raise CommandError("A table that is to be changed is in use all the time. Try again later.")

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        if action == "apply_start" and connections[self.database].vendor == "postgresql":
            # What is not atomic makes indexes beside writers. It may wait, and must not stop
            # half way: an invalid index would be left.
            wait_ms = int(LOCK_WAIT_S * 1000) if migration.atomic else 0
            self._set_lock_timeout(str(wait_ms))
        super().migration_progress_callback(action, migration, fake)

    def _migrate(self, *args: Any, **options: Any) -> bool:
        """Whether all is done; what was done before somebody was in the way stays done."""
        self.database = options["database"]
        try:
            super().handle(*args, **options)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            return False
        if connections[self.database].vendor == "postgresql":
            self._set_lock_timeout("DEFAULT")
        return True

    def _set_lock_timeout(self, value: str) -> None:
        with connections[self.database].cursor() as cursor:
            cursor.execute(f"SET lock_timeout TO {value}")

    def _keep_copy(self, database: BaseDatabaseWrapper) -> None:
        """Copy an older SQLite beside itself; the copy of the upgrade before goes."""
        path = Path(database.settings_dict["NAME"])
        if database.vendor != "sqlite" or not path.is_file():
            return
        executor = MigrationExecutor(database)
        if not executor.loader.applied_migrations or not executor.migration_plan(
            executor.loader.graph.leaf_nodes()
        ):
            return
        copy = path.with_name(f"{path.name}.before-upgrade")
        if shutil.disk_usage(path.parent).free < ROOM * path.stat().st_size:
            raise CommandError(f"There is no room for {copy}, which would be your way back.")
        draft = copy.with_suffix(".part")
        draft.unlink(missing_ok=True)
        with dumps.snapshot(database):
            dumps.copy_sqlite(database, draft, lambda _bytes: None)
        draft.replace(copy)
        self.stdout.write(f"The data as it was before this upgrade: {copy}")
