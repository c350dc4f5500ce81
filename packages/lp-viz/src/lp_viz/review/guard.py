"""Who may talk to the page: the browser that was given the address, from the page itself, and nobody else."""

import hmac
import ipaddress
import secrets
import socket
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin", "cross-origin-opener-policy": "same-origin", "cache-control": "no-store",
    "x-frame-options": "DENY",
}  # fmt: skip
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Guard:
    """Lets a request through if its address is ours, it comes from our page, and its sender knows the token.

    The token is in the address that is printed; whoever opens that gets a cookie, which only this page's own requests
    carry. A name that a stranger makes point to this computer (DNS rebinding) is refused, since it is not ours.

    Args:
        app: what is guarded.
        token: the secret in the address.
        host: that the server is bound to.
        port: that the server is bound to; it names the cookie, since cookies are shared by all ports.
    """

    def __init__(self, app: ASGIApp, token: str, host: str, port: int) -> None:
        self._app, self._token, self._secret = app, token, secrets.token_urlsafe(32)
        self._wide = host not in LOOPBACK
        self._names = {
            *LOOPBACK,
            host,
            *((socket.gethostname().lower(), socket.getfqdn().lower()) if self._wide else ()),
        }
        self.cookie = f"lpose_review_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or pass the request on and add the headers that keep the page to itself."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["type"] != "http" or not self._ours(headers, scope):
            await self._refuse("This address is not the review page's own.", scope, receive, send)
            return
        fresh = scope["path"] == "/" and self._has_token(scope)
        if not fresh and not self._has_cookie(headers):
            await self._refuse("Open the address with the token that lpose review printed.", scope, receive, send)
            return

        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    given[name] = value
                if fresh:
                    given.append("set-cookie", f"{self.cookie}={self._secret}; HttpOnly; SameSite=Strict; Path=/")
            await send(message)

        await self._app(scope, receive, finish)

    async def _refuse(self, reason: str, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await PlainTextResponse(reason, status_code=403, headers=HEADERS)(scope, receive, send)

    def _ours(self, headers: Headers, scope: Scope) -> bool:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._our_name(hosts[0]):
            return False
        origin = headers.get("origin")
        if origin is not None and origin != f"{scope.get('scheme', 'http')}://{hosts[0]}":
            return False
        site = headers.get("sec-fetch-site", "same-origin")
        opened = scope["path"] == "/" and headers.get("sec-fetch-mode", "navigate") == "navigate"
        return site in ("same-origin", "none") or (opened and scope["method"] == "GET")

    def _our_name(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names or (self._wide and _is_address(name))

    def _has_token(self, scope: Scope) -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        return len(given) == 1 and hmac.compare_digest(given[0].encode(), self._token.encode())

    def _has_cookie(self, headers: Headers) -> bool:
        try:
            jar = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        given = jar[self.cookie].value if self.cookie in jar else ""
        return hmac.compare_digest(given.encode(), self._secret.encode())


def _is_address(name: str) -> bool:
    """Whether it is a number: no stranger's name can be made to point here then."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
