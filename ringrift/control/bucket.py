"""A bucket of an S3-compatible service as a place for files, through `obstore`.

`s3://bucket/prefix?endpoint=https://host:9000&region=eu-1&path_style=1`; every option may be left out. Keys
and tokens come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`) and
from nowhere else; they are in no message and no name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore import store as stores
from obstore.exceptions import BaseError

from ringrift.control.objects import CHUNK, Entry, checked_key
from ringrift.errors import BadInput, NotFound, Unreachable
from ringrift.failpoints import side_effect

T = TypeVar("T")
OPTIONS = ("endpoint", "region", "path_style")
_TIMEOUT = {"timeout": "600s", "connect_timeout": "10s"}


class Bucket:
    """Files of an `obstore` store, each below `prefix`."""

    def __init__(self, store: Any, name: str) -> None:
        """Use a store; `name` is what people see of it."""
        self._store = store
        self._name = name

    @property
    def name(self) -> str:
        """Address of the bucket, without options and secrets."""
        return self._name

    async def put(self, key: str, source: Path, *, move: bool = False) -> None:
        """Upload a file, in parts when it is large; it appears when all of it is there."""
        with side_effect("object.publish"):
            await self._ask(obstore.put_async(self._store, checked_key(key), source))

    async def size(self, key: str) -> int | None:
        """Return the size that the service tells."""
        try:
            found = await self._ask(obstore.head_async(self._store, checked_key(key)))
        except NotFound:
            return None
        return int(found["size"])

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Yield the bytes as they arrive."""
        answer = await self._ask(obstore.get_async(self._store, checked_key(key)))
        stream = answer.stream(min_chunk_size=CHUNK).__aiter__()
        while True:
            try:
                chunk = await self._ask(stream.__anext__())
            except StopAsyncIteration:
                return
            yield bytes(chunk)

    async def delete(self, key: str) -> None:
        """Remove an object."""
        with side_effect("object.delete"):
            try:
                await self._ask(obstore.delete_async(self._store, checked_key(key)))
            except NotFound:
                return

    async def list(self, prefix: str) -> AsyncIterator[Entry]:
        """Yield the objects below a prefix, page by page."""
        clock = datetime.now(UTC)
        pages = obstore.list(self._store, prefix=prefix or None).__aiter__()
        while True:
            try:
                page = await self._ask(pages.__anext__())
            except StopAsyncIteration:
                return
            for item in page:
                age = (clock - item["last_modified"]).total_seconds()
                yield Entry(str(item["path"]), int(item["size"]), age)

    def local(self, key: str) -> Path | None:
        """Return None: the files are elsewhere."""
        return None

    async def sign(self, method: str, key: str, seconds: int) -> str | None:
        """Return a presigned URL; None where the service knows none."""
        if not isinstance(self._store, stores.S3Store):
            return None
        life = timedelta(seconds=seconds)
        url: str = await self._ask(obstore.sign_async(self._store, method, checked_key(key), life))
        return url

    async def _ask(self, question: Awaitable[T]) -> T:
        """Await the service; its failures become one line without the request, which may hold secrets."""
        try:
            return await question
        except FileNotFoundError as error:
            raise NotFound(f"it is not in {self.name}") from error
        except (TimeoutError, BaseError, OSError) as error:
            raise Unreachable(
                f"bucket {self.name} fails: {_words(error)}",
                hint="check its address and the AWS_* variables of the controller's environment",
            ) from None


def open_bucket(url: str) -> Bucket:
    """Return the bucket of an `s3://` URL.

    Raises `BadInput` for one that holds secrets, names no bucket, or has unknown options.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if parts.username or parts.password or "@" in parts.netloc:
        raise BadInput(
            "a bucket's URL holds no secrets", hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if not parts.netloc or parts.fragment or not set(options) <= set(OPTIONS):
        raise BadInput("this is no bucket's URL", hint=f"use s3://bucket/prefix?{'&'.join(OPTIONS)}")
    config: dict[str, Any] = {"virtual_hosted_style_request": options.get("path_style") != "1"}
    config |= {name: options[name] for name in ("endpoint", "region") if name in options}
    client: dict[str, Any] = dict(_TIMEOUT)
    if options.get("endpoint", "").startswith("http://"):
        client["allow_http"] = True
    prefix = parts.path.strip("/")
    try:
        store = stores.S3Store(parts.netloc, prefix=prefix or None, client_options=client, **config)
    except (BaseError, ValueError, TypeError) as error:
        raise BadInput(f"the bucket's URL cannot be used: {_words(error)}") from None
    return Bucket(store, f"s3://{parts.netloc}/{prefix}".rstrip("/"))


def _words(error: BaseException) -> str:
    """Return what kind of failure it is; the text of the library may hold a signed address."""
    return type(error).__name__
