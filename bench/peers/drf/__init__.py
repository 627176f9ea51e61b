"""The usual way: DRF serializers, the ORM, a transaction per request, gunicorn."""
