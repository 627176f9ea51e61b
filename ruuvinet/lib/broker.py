"""Celery's filesystem transport, safe for a reader that is faster than its writer."""

import os
import uuid
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """A message gets its name when it is complete.

    kombu opens the file under its final name, so that a worker which polls at that moment takes
    an empty message and dies of it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for folder in (self.data_folder_in, self.control_folder):
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)

    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]  # as its parent
        name = f"{round(monotonic() * 1000)}_{uuid.uuid4()}"
        folder = Path(self.data_folder_out)
        draft = folder / f".{name}"
        draft.write_text(dumps(payload))
        os.rename(draft, folder / f"{name}.{queue}.msg")


class Transport(filesystem.Transport):
    Channel = Channel
    default_connection_params: ClassVar[dict[str, object]] = {}  # a folder has no host to miss
