"""Both doors of `/record`, as tests knock at them."""

import json

from django.http import HttpResponse
from django.test import Client

NAMED_BY_GATEWAYS = {"HTTP_RUUVI_GW_MAC": "ruuvi_gw_mac"}  # the one with underscores


class FastLaneClient(Client):
    """Django's test client in front of the application that granian serves."""

    def request(self, **request):
        environ = self._base_environ(**request)
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "query_string": environ["QUERY_STRING"].encode("latin-1"),
            "headers": _headers(environ),
            "client": (environ["REMOTE_ADDR"], 1234),
        }
        start, content = self.server.answer(scope, WholeBody(environ["wsgi.input"]))
        headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        reply = HttpResponse(content, status=start["status"], headers=headers)
        reply.json = lambda: json.loads(reply.content)
        return reply


class WholeBody:
    """A body that is there when it is asked for."""

    def __init__(self, file):
        self._file = file

    async def receive(self):
        return {"type": "http.request", "body": self._file.read(), "more_body": False}


def _headers(environ):
    """The headers of a WSGI environment as ASGI has them."""
    named = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}
    headers = {named[name]: environ[name] for name in named if environ.get(name)}
    headers |= {
        NAMED_BY_GATEWAYS.get(name, name[5:].replace("_", "-").lower()): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
