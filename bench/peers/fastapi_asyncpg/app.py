import hmac
import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import asyncpg
import msgspec
from fastapi import FastAPI, Request, Response

from bench.peers.fastapi_asyncpg.storage import GATEWAY, parse_mac, store

MAC = "^(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$"
HEX = "^(?:[0-9A-Fa-f]{2})+$"

Mac = Annotated[str, msgspec.Meta(pattern=MAC)]


class Tag(msgspec.Struct, gc=False):
    rssi: Annotated[int, msgspec.Meta(ge=-128, le=127)]
    data: Annotated[str, msgspec.Meta(pattern=HEX)]
    timestamp: int | None = None


class Upload(msgspec.Struct, gc=False):
    gw_mac: Mac
    tags: Annotated[dict[Mac, Tag], msgspec.Meta(min_length=1)]
    timestamp: int | None = None


class Body(msgspec.Struct, gc=False):
    data: Upload


decoder = msgspec.json.Decoder(Body)


@asynccontextmanager
async def lifespan(app):
    # Ten connections, the default: in trials 8, 16 and 32 for each process were no faster.
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan, openapi_url=None)


@app.post("/record")
async def record(request: Request):
    body = await request.body()
    try:
        upload = decoder.decode(body).data
    except msgspec.MsgspecError as error:
        return answer(400, {"result": "error", "error": str(error)})
    gateway = parse_mac(upload.gw_mac)
    async with app.state.pool.acquire() as connection:
        secret = await connection.fetchval(GATEWAY, gateway)
        if secret is None or not is_signed(request, body, secret):
            return answer(403, {"result": "error", "error": "Unauthorized request."})
        await store(
            connection,
            gateway=gateway,
            tags=upload.tags,
            address=request.client.host,
            at=datetime.now(UTC),
        )
    return answer(200, {"result": "success"})


def is_signed(request, body, secret):
    given = request.headers.get("Ruuvi-HMAC-SHA256", "").lower()
    expected = hmac.digest(secret.encode(), body, "sha256").hex()
    return hmac.compare_digest(expected.encode(), given.encode())


def answer(status, content):
    return Response(
        msgspec.json.encode(content),
        status_code=status,
        headers={"X-Ruuvi-Gateway-Rate": "60"},
        media_type="application/json",
    )
