"""A sample app: it answers on port 8080 with the name of its container.

At SIGTERM it goes on serving for LINGER_S, then takes no new connection, and ends when all that it
has are done with. That moment is what a host agent and the proxies need: Docker tells the app and
the agent at the same time.
"""

import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8080
LINGER_S = 3.0
IDLE_S = 5.0


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    stopping = threading.Event()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_GET(self) -> None:
        body = b"ok\n" if self.path == "/healthz" else f"{socket.gethostname()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.stopping.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_: object) -> None:
        """Keep no access log: the proxy has one."""


class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128


def main() -> None:
    server = Server(("", PORT), Hello)

    def stop(*_: object) -> None:
        Hello.stopping.set()
        threading.Timer(LINGER_S, server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    with server:  # at its end it waits for its connections
        server.serve_forever()


if __name__ == "__main__":
    main()
