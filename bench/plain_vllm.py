"""The plain way to expose several vLLM servers at once, for vllm.py: `plain_vllm.py PORT SERVER_PORT…`."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests
from prometheus_client.parser import text_string_to_metric_families

PATHS = ("/metrics", "/health")


def expose(ports: list[str]) -> str:
    """Return all samples of all servers, asked one after the other."""
    lines = []
    for port in ports:
        metrics, _health = (requests.get(f"http://127.0.0.1:{port}{path}", timeout=3) for path in PATHS)
        for family in text_string_to_metric_families(metrics.text):
            for sample in family.samples:
                labels = {**sample.labels, "container": port}
                pairs = ",".join(f'{name}="{value}"' for name, value in labels.items())
                lines.append(f"{sample.name}{{{pairs}}} {sample.value}\n")
    return "".join(lines)


class Handler(BaseHTTPRequestHandler):
    """Answers every request with all samples."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Ask all servers, and answer."""
        body = expose(sys.argv[2:]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
