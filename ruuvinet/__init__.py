"""RuuviNet: the Ruuvi Cloud that you can own. This package is the wiring."""

from ruuvinet.celery import app as celery_app

__version__ = (
    "0.1.0"  # semver.org; CHANGELOG.md says what is in it, docs/upgrading.md what it means
)

__all__ = ["__version__", "celery_app"]
