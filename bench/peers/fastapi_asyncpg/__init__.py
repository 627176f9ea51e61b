"""The modern way: FastAPI, msgspec, asyncpg, a transaction per request, uvicorn."""
