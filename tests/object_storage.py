"""A real S3-compatible server on loopback (moto's), and its environment as a user sets it, for tests of banks and of runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

KEY, SECRET = "AKIAEXAMPLEKEY", "a-secret-of-nobody"


@contextmanager
def serve(bucket: str) -> Iterator[str]:
    """The address of a server with an empty bucket."""
    pytest.importorskip("flask_cors", reason="moto's server is not installed: flask, flask-cors, moto[s3]")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    import boto3

    address = f"http://{host}:{port}"
    access = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=address, **access).create_bucket(Bucket=bucket)
    yield address
    server.stop()


def use(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment that leads to it."""
    values = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
    for name, value in {**values, "AWS_ENDPOINT_URL": address, "AWS_ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(name, value)
