"""`pfviz serve` as a process: who is turned away, what a visitor gets, and how all of it ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner

from pfviz.cli import cli
from pfviz.serve.addresses import Names, listen
from pfviz.serve.server import PageServer

PFVIZ = [sys.executable, "-m", "pfviz"]
PATIENCE_S = 30


@contextmanager
def served(*words: str, folder: Path | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running `pfviz serve` and its address."""
    path = os.pathsep.join(one for one in sys.path if one)
    state = TemporaryDirectory()
    running = subprocess.Popen(
        [*PFVIZ, "serve", *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        cwd=folder, env={**os.environ, "PYTHONPATH": path, "XDG_STATE_HOME": state.name},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        assert running.stderr is not None
        line = running.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line + running.stderr.read()
        yield running, found[0]
    finally:
        running.kill()
        running.wait()
        state.cleanup()


def children_of(process: int) -> list[int]:
    """The processes that a process has started and that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == process and fields[0] != "Z":
                found.append(int(entry.name))
    return found


async def until_drawn(channel: aiohttp.ClientWebSocketResponse, text: str) -> None:
    """Wait until the visitor's pfviz has drawn this."""
    seen = b""
    async with asyncio.timeout(PATIENCE_S):
        async for message in channel:
            if message.type is aiohttp.WSMsgType.BINARY:
                seen += message.data
                if text.encode() in re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", seen):
                    return
    raise AssertionError(f"the visit ended without {text}")


async def test_strangers_are_turned_away_and_all_children_end_with_the_server(
    tmp_path: Path,
) -> None:
    name = "a;touch pwned;'$(touch pwned)'.toml"
    done = CliRunner().invoke(cli, ["scenario", "show", "hello-fault", "-o", str(tmp_path / name)])
    assert done.exit_code == 0
    with served(name, "--policy", "merge=false", "--until", "20us", folder=tmp_path) as (
        server,
        url,
    ):
        socket = f"{url}ws?width=100&height=30"
        ours = {"Origin": url.rstrip("/")}
        async with aiohttp.ClientSession() as visitor:
            async with visitor.get(url) as page:
                text = await page.text()
                assert "<title>pfviz</title>" in text
                assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
            for path in ("page/../server.py", "static/../templates/app_index.html", "page/"):
                async with visitor.get(f"{url}{path}") as page:
                    assert page.status in (403, 404), path
            async with visitor.get(url, headers={"Host": "evil.example"}) as page:
                assert page.status == 403
            for headers in (
                {"Origin": "http://evil.example"},
                {},
                {**ours, "Host": "evil.example"},
            ):
                with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                    await visitor.ws_connect(socket, headers=headers)
            assert children_of(server.pid) == []
            async with visitor.ws_connect(socket, headers=ours) as channel:
                for nonsense in ("", "[", "7", "[]", '["resize"]', '["resize", {"width": "x"}]',
                                 '["stdin", 7]', '["resize", {"width": 1e999}]'):  # fmt: skip
                    await channel.send_str(nonsense)
                await until_drawn(channel, "1 Threads")
                (child,) = children_of(server.pid)
                await channel.send_str(json.dumps(["stdin", "?"]))
                await until_drawn(channel, "↑/↓ scroll")
                server.send_signal(signal.SIGINT)
                assert await asyncio.to_thread(server.wait, PATIENCE_S) == 130
        assert not Path(f"/proc/{child}").exists()
        assert server.stderr is not None
        assert server.stderr.read() == ""
    assert not (tmp_path / "pwned").exists()


async def test_a_house_that_is_full_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pfviz.serve.server.SESSIONS_MAX", 0)
    (socket,) = listen(("127.0.0.1",), 0)
    port = socket.getsockname()[1]
    runner = web.AppRunner(await PageServer([], Names.of("127.0.0.1", port))._make_app())
    await runner.setup()
    await web.SockSite(runner, socket).start()
    here = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as visitor:
            with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                await visitor.ws_connect(f"{here}/ws", headers={"Origin": here})
    finally:
        await runner.cleanup()


async def test_a_visit_s_process_ends_with_the_visit_and_without_its_server() -> None:
    with served("hello-fault") as (server, url):
        ours = {"Origin": url.rstrip("/")}
        async with aiohttp.ClientSession() as visitor:
            async with visitor.ws_connect(f"{url}ws", headers=ours) as channel:
                await until_drawn(channel, "1 Threads")
                (first,) = children_of(server.pid)
            async with visitor.ws_connect(f"{url}ws", headers=ours) as channel:
                await until_drawn(channel, "1 Threads")
                (second,) = set(children_of(server.pid)) - {first}
                server.kill()
                server.wait()
        async with asyncio.timeout(PATIENCE_S):
            while any(Path(f"/proc/{child}").exists() for child in (first, second)):
                await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), '--host "0.0.0.0" would let other machines run pfviz as you; '),
        (("--host", "::"), "would let other machines run pfviz as you; --expose does it all"),
        (("--host", "\x1b[31m.invalid"), '--host "?[31m.invalid", port 0: has no address'),
        (("--public-url", "faults.example"), '--public-url "faults.example" is no address such as'),
        (("--public-url", "file:///etc/passwd"), "is no address such as https://"),
        (("--public-url", "\x1b[31mx"), '--public-url "?[31mx" is no address such as'),
        (("-",), "every visitor's pfviz reads SOURCE anew"),
        (("--seed", "4"), "--seed is about a run: name a SOURCE, too"),
        (("helo-fault",), 'did you mean "hello-fault"?'),
        (("pf1:hello-fault:00",), "is no whole share token"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pfviz.cli.serve._serve", lambda *_: pytest.fail("it would be served"))
    done = CliRunner().invoke(cli, ["serve", *words], catch_exceptions=False)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = CliRunner().invoke(cli, ["serve"], catch_exceptions=False)
    assert done.exit_code == 2
    assert done.stderr == "pfviz: serve needs one more package: pip install 'pfviz[web]'\n"


def test_every_visitor_gets_the_run_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[list[str]] = []
    monkeypatch.setattr("pfviz.cli.serve._serve", lambda words, *_: got.append(words) or 0)
    words = ["--kernel", "6.18", "--seed", "7", "--until", "20us", "--policy", "merge=false",
             "--policy", "io_wait=hold", "--without", "smaps"]  # fmt: skip
    done = CliRunner().invoke(cli, ["serve", "smaps-monitor", *words], catch_exceptions=False)
    assert done.exit_code == 0
    (arguments,) = got
    assert arguments[0] == "play"
    assert arguments[-2:] == ["--", "smaps-monitor"]
    said = list(zip(arguments[1:-2:2], arguments[2:-2:2], strict=True))
    assert sorted(said) == sorted([
        ("--kernel", "6.18"), ("--seed", "7"), ("--until", "20000ns"),
        ("--policy", "merge=false"), ("--policy", "io_wait=hold"), ("--without", "smaps"),
    ])  # fmt: skip
