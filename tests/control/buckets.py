"""An S3 service for the tests, on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

SECRET = "planted-secret-key"


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Address of an S3 service with the bucket `ours`, on loopback."""
    server_module = pytest.importorskip(
        "moto.server", reason="an S3 service for the tests: pip install 'moto[s3]' flask flask-cors"
    )
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "planted-id")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        httpx.put(f"http://{host}:{port}/ours", trust_env=False).raise_for_status()
        yield f"s3://ours/some/prefix?endpoint=http://{host}:{port}&region=us-east-1&path_style=1"
    server.stop()
