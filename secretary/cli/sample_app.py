"""The smallest app that a secretary can sit beside: it says ok on /healthz, and hello elsewhere.

    python -m secretary.cli.sample_app 127.0.1.1 8080

It is killed like any app; a clean shutdown is not what it is there to show.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        said = "ok" if self.path == "/healthz" else f"hello from {self.connection.getsockname()[0]}"
        body = f"{said}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep no access log."""


if __name__ == "__main__":
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Hello).serve_forever()
