"""Run the page until Ctrl-C."""

import secrets
import socket
import sys
from collections.abc import Callable

import uvicorn
from lp_core import ConfigError

from lp_viz.review.project import ReviewOptions, open_review
from lp_viz.review.server import review_app
from lp_viz.review.session import Session

MOST = 64  # requests at a time


def serve(options: ReviewOptions, host: str, port: int, ready: Callable[[str, list[str]], None]) -> int:
    """Show what `options` name until the program is interrupted.

    Args:
        host: address to bind; 127.0.0.1 is reached from this computer only.
        port: 0 takes a free one.
        ready: called with the page's address and remarks when it can be opened.

    Returns:
        How many corrected frames are only in the journal yet.

    Raises:
        DataError: there is nothing to show.
        ConfigError: the port is taken.
    """
    project = open_review(options)
    session = Session(project, project.labels) if project.labels is not None and not project.reason else None
    listening = _listen(host, port)
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(24)
    app = review_app(project, session, token, host, port)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", ws="none", limit_concurrency=MOST, proxy_headers=False,
        server_header=False, timeout_graceful_shutdown=2,
    )  # fmt: skip
    named = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    ready(f"http://{named}:{port}/?token={token}", _remarks(project.reason, project.notes, session))
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()
        project.close()
        left = len(session.edits.dirty) if session else 0
        if session:
            session.close()
    return left


def _remarks(reason: str, notes: tuple[str, ...], session: Session | None) -> list[str]:
    found = [*([f"Labels cannot be edited: {reason}"] if reason else []), *notes]
    if session and session.edits.dirty:
        found.append(
            f"{len(session.edits.dirty)} frames from last time are not saved yet; they are in the list of edits."
        )
    if session and session.edits.skipped:
        found.append(f"{session.edits.skipped} lines of the journal could not be understood and were passed over.")
    return found


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    if sys.platform != "win32":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as e:
        listening.close()
        raise ConfigError(
            f"host={host} port={port} cannot be used ({e.strerror or e}); leave port out to get a free one."
        ) from e
    return listening
