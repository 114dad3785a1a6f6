"""The same on gevent: a greenlet per connection and per parallel call, all in one thread."""

from gevent import monkey

monkey.patch_all()

import os

import threads
from gevent.pywsgi import WSGIServer
from truth import passed_on


def application(environ, start_response):
    headers = {"x-request-id": environ.get("HTTP_X_REQUEST_ID")}
    threads.work(environ["PATH_INFO"].split("/")[2], passed_on(headers))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


WSGIServer(("127.0.0.1", int(os.environ["PORT"])), application, backlog=256, log=None).serve_forever()
