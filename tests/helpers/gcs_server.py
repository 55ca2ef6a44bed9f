"""A Google Cloud Storage server (gcp-storage-emulator) on a port of its own, in a process of its own.

Prints its address. The bucket `backups` is there; objects are put by the tests.
"""

import sys

from gcp_storage_emulator.server import create_server

if __name__ == "__main__":
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="backups")
    server.start()
    host, port = server._api._httpd.socket.getsockname()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()
