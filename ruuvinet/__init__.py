"""RuuviNet: the Ruuvi Cloud that you can own. This package is the wiring."""

from ruuvinet.celery import app as celery_app

__all__ = ["celery_app"]
