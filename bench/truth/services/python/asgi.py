"""uvicorn and httpx: one thread, two calls at once."""

import asyncio
import contextlib
import os

import httpx
import psycopg_pool
import redis.asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from truth import new_id, passed_on


async def call(app, parent, headers):
    for _ in range(2):
        answer = await app.state.client.get(f"/c/{new_id(parent, 'http')}", headers=headers)
        if answer.status_code != 503:
            break


async def handle(request):
    own, headers = request.path_params["id"], passed_on(request.headers)
    await request.app.state.cache.get(f"k:{new_id(own, 'redis')}")
    await asyncio.gather(*(call(request.app, own, headers) for _ in range(2)))
    async with request.app.state.database.connection() as connection:
        await connection.execute(f"SELECT pause('{new_id(own, 'sql')}')")
    return PlainTextResponse("ok")


@contextlib.asynccontextmanager
async def connections(app):
    where = f"host=127.0.0.1 port={os.environ['POSTGRES_PORT']} user=postgres dbname=postgres"
    database = psycopg_pool.AsyncConnectionPool(where, kwargs={"autocommit": True}, max_size=32, open=False)
    app.state.cache = redis.asyncio.Redis(port=int(os.environ["REDIS_PORT"]))
    async with httpx.AsyncClient(base_url=os.environ["NEXT"], timeout=600) as app.state.client, database as app.state.database:
        yield


app = Starlette(routes=[Route("/r/{id}", handle)], lifespan=connections)
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), timeout_keep_alive=600, log_level="warning")
