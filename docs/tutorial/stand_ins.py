"""Stands in for your Collector and for your pager, both on port 14318."""

import contextlib
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook

SIGNED = Webhook(os.environ["TRIPSWITCH_WEBHOOK_SECRET"])


class StandIn(BaseHTTPRequestHandler):
    """Takes spans without a word, and prints what the pager is told."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer 200; a page whose signature does not verify ends in an error."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/page":
            told = SIGNED.verify(body, dict(self.headers))["data"]
            print(time.strftime("%H:%M:%S"), told["event"], "|", told["detail"], flush=True)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


if __name__ == "__main__":
    print("a Collector and a pager, on http://127.0.0.1:14318", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        ThreadingHTTPServer(("127.0.0.1", 14318), StandIn).serve_forever()
