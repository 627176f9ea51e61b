from django.apps import AppConfig


class RuuvinetConfig(AppConfig):
    name = "ruuvinet"

    def ready(self) -> None:
        from ruuvinet import checks  # noqa: F401  # registers them
