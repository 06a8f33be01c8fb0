"""A page in a real headless Chromium, driven over its DevTools protocol: neither a driver nor a package is needed for it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import shutil
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.packages.conftest import without

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # it refuses to run as root with one; it sees nothing but our own pages
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-port=0",
    # Pages name fonts and scripts of other hosts: they must work without.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_TIMEOUT_S = 30
# What a script sets into a field makes no event: hence the looking again.
_LIBRARY = """
const all = (path) => {
  const found = document.evaluate(path, document, null, XPathResult.ORDERED_NODE_SNAPSHOT_TYPE);
  return Array.from({length: found.snapshotLength}, (_, index) => found.snapshotItem(index));
};
const shown = (path) => all(path).find((node) => node.getClientRects().length > 0);
// Pages keep copies of buttons that nobody sees: the mouse has to hit it.
const centre = (path) => {
  for (const node of all(path)) {
    node.scrollIntoView({block: "center"});
    const box = node.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    if (node.contains(document.elementFromPoint(x, y))) return {x, y};
  }
};
const until = (look) => new Promise((done) => {
  const again = () => { const found = look(); found ? done(found) : setTimeout(again, 30); };
  again();
});
"""


@dataclass
class Request:
    """What a page asked for; ``status`` is 0 and ``problem`` says why when it got no answer, or not all of it."""

    method: str
    url: str
    status: int = 0
    problem: str = ""


class Page:
    """A tab. ``requests``, ``sockets`` (WebSockets) and ``exceptions`` of its scripts are those since it was opened."""

    def __init__(self, send: Callable[[Any], Awaitable[None]]) -> None:
        self.requests: dict[str, Request] = {}
        self.sockets: list[str] = []
        self.exceptions: list[str] = []
        self._send = send
        self._session: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()

    async def open(self, url: str) -> None:
        """Show ``url`` in a new tab, and return when what its HTML names is there."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Network", "Runtime"):
            await self.call(f"{domain}.enable")
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), _TIMEOUT_S)

    async def click(self, path: str) -> None:
        """Click with the mouse on the first element of an XPath that can be clicked on, as soon as there is one."""
        remember = "addEventListener('click', ({target}) => { window.clicked = target.outerHTML }, true);"
        where = await self.run(f"{remember} return await until(() => centre(path))", path=path)
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    async def write(self, path: str, text: str) -> None:
        """Type ``text`` in place of what is in a field."""
        await self.run("const node = await until(() => shown(path)); node.focus(); node.select()", path=path)
        await self.call("Input.insertText", text=text)

    async def upload(self, path: str, file: Path) -> None:
        """Choose ``file`` in an input for files; pages hide these."""
        await self.run("window.chosen = await until(() => all(path)[0])", path=path)
        node = await self.call("Runtime.evaluate", expression="window.chosen")
        await self.call("DOM.setFileInputFiles", files=[str(file)], objectId=node["result"]["objectId"])

    async def run(self, script: str, **values: Any) -> Any:
        """What the body of an asynchronous function returns in the page; it knows ``values`` by their names."""
        constants = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
        expression = f"(async () => {{ {_LIBRARY}{constants}{script} }})()"
        try:
            answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        except asyncio.TimeoutError:
            text = await self.run("return [window.clicked ?? 'no click', document.body.innerText]")
            unfinished = [request for request in self.requests.values() if request.problem or not request.status]
            raise AssertionError(f"{script} {values}: in vain; {text}, {unfinished}, {self.exceptions}") from None
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def call(self, method: str, **parameters: Any) -> Any:
        """A command of the protocol, and its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._send({"id": number, "method": method, "params": parameters, **self._session})
        return await asyncio.wait_for(answer, _TIMEOUT_S)

    async def listen(self, messages: AsyncIterable[Any]) -> None:
        """Take in what the browser says, until it ends."""
        async for message in messages:
            said = message.json()
            if "id" in said:
                self._answer(said)
            else:
                self._hear(said["method"], said["params"])

    def _answer(self, said: Any) -> None:
        answer = self._answers.pop(said["id"])
        if answer.done():
            return
        if "error" in said:
            answer.set_exception(AssertionError(said["error"]))
        else:
            answer.set_result(said["result"])

    def _hear(self, method: str, said: Any) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Network.webSocketCreated":
            self.sockets.append(said["url"])
        elif method == "Runtime.exceptionThrown":
            self.exceptions.append(json.dumps(said["exceptionDetails"]))
        elif method == "Network.requestWillBeSent":
            self.requests[said["requestId"]] = Request(said["request"]["method"], said["request"]["url"])
        elif request := self.requests.get(said.get("requestId", "")):
            if method == "Network.responseReceived":
                request.status = said["response"]["status"]
            # Pages close their own event streams.
            elif method == "Network.loadingFailed" and not said.get("canceled"):
                request.problem = said["errorText"]


@contextlib.asynccontextmanager
async def page_in_chromium(profile: Path) -> AsyncIterator[Page]:
    """A tab of a browser of its own, which ends with the context. Skips where there is no Chromium; fails in CI."""
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        without("no Chromium: install the package chromium")
    process = await asyncio.create_subprocess_exec(
        executable, *_ARGUMENTS, f"--user-data-dir={profile}", "about:blank", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        url = await asyncio.wait_for(_address(process.stderr), _TIMEOUT_S)
        draining = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
            page = Page(socket.send_json)
            listening = asyncio.create_task(page.listen(socket))
            yield page
            await socket.send_json({"id": 0, "method": "Browser.close"})
            await asyncio.wait_for(process.wait(), _TIMEOUT_S)
            await asyncio.gather(draining, listening, return_exceptions=True)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _address(stderr: asyncio.StreamReader) -> str:
    said = b""
    async for line in stderr:
        said += line
        if found := re.search(rb"DevTools listening on (ws://\S+)", line):
            return found[1].decode()
    raise AssertionError(said.decode(errors="replace"))
