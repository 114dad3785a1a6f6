"""aiohttp on both sides: one thread, two calls at once."""

import asyncio
import os

import aiohttp
import asyncpg
import redis.asyncio
from aiohttp import web
from truth import new_id, passed_on

routes = web.RouteTableDef()


async def call(app, parent, headers):
    for _ in range(2):
        async with app["client"].get(f"{os.environ['NEXT']}/c/{new_id(parent, 'http')}", headers=headers) as answer:
            await answer.read()
        if answer.status != 503:
            break


@routes.get("/r/{id}")
async def handle(request):
    own, headers = request.match_info["id"], passed_on(request.headers)
    await request.app["cache"].get(f"k:{new_id(own, 'redis')}")
    await asyncio.gather(*(call(request.app, own, headers) for _ in range(2)))
    await request.app["database"].fetchval(f"SELECT pause('{new_id(own, 'sql')}')")
    return web.Response(text="ok")


async def connections(app):
    app["client"] = aiohttp.ClientSession()
    app["cache"] = redis.asyncio.Redis(port=int(os.environ["REDIS_PORT"]))
    app["database"] = await asyncpg.create_pool(
        host="127.0.0.1", port=os.environ["POSTGRES_PORT"], user="postgres", database="postgres", max_size=32
    )
    yield


app = web.Application()
app.add_routes(routes)
app.cleanup_ctx.append(connections)
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), keepalive_timeout=600, access_log=None, print=None)
