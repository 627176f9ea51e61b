"""Make the tables, and whitelist the gateways of the JSON file that is named."""

import asyncio
import json
import os
import sys
from pathlib import Path

import asyncpg


async def main():
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(Path(__file__).with_name("schema.sql").read_text())
    await connection.executemany(
        "INSERT INTO gateway (mac, secret, whitelisted_at) VALUES ($1, $2, now())",
        json.loads(Path(sys.argv[1]).read_text()),
    )
    await connection.close()


asyncio.run(main())
