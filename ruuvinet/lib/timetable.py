"""Celery beat as a thread of the worker, which spares its owner a process of 100 MB.

`celery worker --timetable` has it. Where there are several workers, one beat goes beside them.
"""

import os
import signal
import threading
from typing import Any

from celery import Celery, bootsteps
from celery.beat import Service
from click import Option

OPTION = Option(
    ["--timetable"], is_flag=True, help="Send out the tasks that are due, as beat does."
)


class TimetableThread(threading.Thread):
    """Should it ever end by itself, so does the worker: whoever keeps that starts both again."""

    def __init__(self, app: Celery) -> None:
        super().__init__(name="timetable", daemon=True)
        # The interval bounds how long `stop` may take, in seconds.
        self._service = Service(app, max_interval=1, scheduler_cls=app.conf.beat_scheduler)
        self._ending = threading.Event()

    def run(self) -> None:
        try:
            self._service.start()
        finally:
            if not self._ending.is_set():
                os.kill(os.getpid(), signal.SIGTERM)

    def stop(self) -> None:
        self._ending.set()
        self._service.stop()
        self.join()


class Timetable(bootsteps.StartStopStep):
    """The thread's place in the life of a worker."""

    def __init__(self, parent: Any, timetable: bool = False, **options: Any) -> None:
        super().__init__(parent, **options)
        self.enabled = timetable

    def create(self, parent: Any) -> TimetableThread:  # type: ignore[override]  # untyped there
        return TimetableThread(parent.app)
