"""``python -m cyreactor compare``: small comparisons, everything that may fail in them, and what is shown."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from command_line import command, environment
from hypothesis import given
from hypothesis import strategies as st

TINY = ("--seconds", "0.02", "--rounds", "2")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

MINE = """
import os
import cyreactor

class Shout(cyreactor.LineProtocol):
    def message_received(self, message):
        print("a protocol may print")
        self.send_message(message.upper())

class Growing(cyreactor.LineProtocol):
    count = 1
    def message_received(self, message):
        Growing.count += 1
        self.send_message(b"x" * self.count)

class Leaving(cyreactor.Protocol):
    def connection_made(self, transport):
        transport.close()

class Refusing(cyreactor.Protocol):
    def __init__(self):
        raise ZeroDivisionError("no protocol today")

class Stumbling(cyreactor.Protocol):
    def data_received(self, data):
        raise ZeroDivisionError("not this request")

def raising():
    raise ZeroDivisionError("no loop today")

def crashing():
    os.write(2, b"it is all over\\n")
    os._exit(7)

def slow():
    return cyreactor.Reactor()
"""


def module(core, name):
    """A module of the package under test; both cores' packages have the same ones."""
    return importlib.import_module(f"cyreactor.compare.{name}")


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "request").write_bytes(b"hello\nworld\n")
    return tmp_path


def compared(core, *options, cwd=None):
    """A comparison that succeeded: what it printed, and its figures."""
    finished = command(core, "compare", *options, "--json", "/dev/stderr", cwd=cwd)
    assert finished.returncode == 0, finished.stderr
    assert not ESCAPE.search(finished.stdout)
    return finished.stdout, json.loads(finished.stderr)


def test_a_table_and_the_figures_behind_it(core):
    shown, found = compared(core, "--only", "echo-64,udp", "--loops", f"{core.backend},asyncio,thread", *TINY)
    assert found["schema"] == 1
    assert [row["name"] for row in found["workloads"]] == ["echo-64", "udp"]
    for row in found["workloads"]:
        assert row["title"] in shown
        for loop in (core.backend, "asyncio", "thread"):
            cell = row["results"][loop]
            assert cell["failure"] == cell["reason"] == ""
            assert len(cell["rounds"]) == 2
            assert {"throughput", "p50", "p99"} <= cell["summary"].keys()
            figures = cell["summary"]["throughput"]
            assert 0 < figures["low"] <= figures["median"] <= figures["high"]
            assert cell["summary"]["p50"]["low"] <= cell["summary"]["p99"]["high"]
            assert cell["ratio"]["low"] <= cell["ratio"]["median"] <= cell["ratio"]["high"]
    assert "How many times better than asyncio" in shown
    assert "Traceback" not in shown


OTHERS = "lines,frames,streams,own-streams,connect,tls,call_soon,timers,idle-10,memory"


def test_every_kind_of_workload(core):
    _, found = compared(core, "--only", OTHERS, "--loops", core.backend, *TINY)
    for row in found["workloads"]:
        cell = row["results"][core.backend]
        assert cell["failure"] == "", (row["name"], cell["reason"])
        assert cell["summary"][row["metric"]]["low"] > 0


if sys.platform == "linux":

    def test_the_server_s_cpu_time_is_measured(core):
        _, found = compared(core, "--only", "echo-1k", "--loops", core.backend, *TINY)
        cell = found["workloads"][0]["results"][core.backend]
        assert 0.1 < cell["summary"]["cpu"]["median"] < 1000  # microseconds

    def test_one_cpu_is_enough(core):
        cpu = min(os.sched_getaffinity(0))
        finished = command(
            core, "compare", "--only", "echo-64", "--loops", core.backend, *TINY,
            preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
        )  # fmt: skip
        assert finished.returncode == 0
        assert f"share CPU {cpu}" in finished.stdout


def test_loops_that_fail_say_why_and_the_others_go_on(core, mine):
    loops = f"mine:raising,nowhere:loop,mine:crashing,blazio,{core.backend}"
    shown, found = compared(
        core, "--only", "echo-1k,call_soon", "--loops", loops, "--base", core.backend, *TINY, cwd=mine
    )
    for row in found["workloads"]:
        results = row["results"]
        assert "no loop today" in results["mine:raising"]["reason"]
        assert results["nowhere:loop"]["failure"] == "missing"
        assert results["mine:crashing"]["failure"] == "crashed"
        assert "it is all over" in results["mine:crashing"]["reason"]
        assert results[core.backend]["failure"] == ""
    assert "no loop today" in shown
    assert "crashed" in shown


def test_a_library_s_transports_are_a_loop_of_their_own(core, tmp_path):
    (tmp_path / "aiofastnet.py").write_text(
        "def patch_loop(loop):\n    loop.patched = True\n    return loop\n"
    )
    _, found = compared(core, "--only", "echo-1k", "--loops", "aiofastnet", *TINY, cwd=tmp_path)
    assert found["workloads"][0]["results"]["aiofastnet"]["failure"] == ""


@pytest.mark.parametrize("work", ["call_soon", "timers", "threadsafe", "tasks"])
def test_what_a_loop_does_by_itself(core, work):
    loop = core.Reactor()
    operations, seconds, cpu = module(core, "inside").measure(loop, work, 0.01)
    loop.run_until_complete(asyncio.sleep(0.01))  # the last tasks end
    loop.close()
    assert operations >= 1000
    assert seconds >= 0.01
    assert cpu > 0


def test_the_server_without_a_transport_echoes(core):
    async def scenario():
        server = await module(core, "servers").serve_sockets()
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(3):
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
        writer.close()
        await writer.wait_closed()
        server.accepting.cancel()
        server.sockets[0].close()

    with asyncio.Runner(loop_factory=core.Reactor) as runner:
        runner.run(scenario())


def test_threads_have_no_loop_to_measure(core):
    shown, found = compared(core, "--only", "call_soon", "--loops", f"thread,{core.backend}", *TINY)
    assert found["workloads"][0]["results"]["thread"]["failure"] == "n/a"
    assert "threads have no loop" in shown


def test_the_user_s_own_protocol(core, mine):
    options = ("--protocol", "mine:Shout", "--request", "request", "--loops", f"{core.backend},asyncio")
    shown, found = compared(core, *options, *TINY, cwd=mine)
    assert "mine:Shout" in shown
    for cell in found["workloads"][0]["results"].values():
        assert cell["failure"] == "", cell["reason"]


UNFIT = {
    "Growing": "differ",
    "Leaving": "closed|reset",
    "Refusing": "ZeroDivisionError: no protocol today",
    "Stumbling": "ZeroDivisionError: not this request",
}


@pytest.mark.parametrize("protocol", UNFIT)
def test_a_protocol_that_cannot_be_measured(core, mine, protocol):
    options = ("--protocol", f"mine:{protocol}", "--request", "request", "--loops", core.backend)
    finished = command(core, "compare", *options, *TINY, cwd=mine)
    assert finished.returncode == 1  # nothing was measured
    assert re.search(UNFIT[protocol], " ".join(finished.stdout.split()))
    assert finished.stderr == ""


def test_an_answer_without_an_end_is_given_up(core, monkeypatch):
    probe = module(core, "probe")
    monkeypatch.setattr(probe, "PATIENCE", 0.3)
    ours, theirs = socket.socketpair()

    def send():
        with contextlib.suppress(OSError):
            while theirs.send(b"x"):
                time.sleep(0.01)

    thread = threading.Thread(target=send)
    thread.start()
    with pytest.raises(module(core, "processes").PeerError, match="no end"):
        probe.receive_all(ours)
    ours.close()
    thread.join()
    theirs.close()


WRONG = {
    "a workload that is none": ("--only nothing", "no workload 'nothing'"),
    "no workload": ("--only ,", "names no workload"),
    "a loop that is none": ("--loops nothing", "no loop 'nothing'"),
    "no loop": ("--loops ,", "names no loop"),
    "a base that is not compared": ("--loops asyncio --base uvloop", "--base uvloop"),
    "a picture of no kind": ("--plot picture.gif", ".svg, .png, .pdf"),
    "a file that cannot be": ("--json /no/such/folder/file", "/no/such/folder/file: No such file"),
    "a request without a protocol": ("--request request", "--protocol"),
    "a protocol without a request": ("--protocol mine:Shout", "--request"),
    "a request that is not there": ("--protocol mine:Shout --request nothing", "nothing: No such file"),
    "an empty request": ("--protocol mine:Shout --request /dev/null", "is empty"),
    "a protocol that is none": ("--protocol mine:Nothing --request request", "Nothing"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_option_is_one_line(core, mine, what, monkeypatch, capsys):
    options, about = WRONG[what]
    monkeypatch.chdir(mine)
    monkeypatch.syspath_prepend(mine)
    assert core.cli.main(["compare", *options.split()]) == 1
    shown, errors = capsys.readouterr()
    assert shown == ""
    assert errors.startswith("cyreactor: ")
    assert errors.count("\n") == 1
    assert about in errors


@pytest.mark.parametrize("options", ["--seconds 0", "--seconds nan", "--rounds 1", "--rounds many"])
def test_a_wrong_number_shows_the_usage(core, options, capsys):
    with pytest.raises(SystemExit, match="2"):
        core.cli.main(["compare", *options.split()])
    assert "usage: cyreactor compare" in capsys.readouterr().err


def test_the_list_has_every_name(core, capsys):
    assert core.cli.main(["compare", "--list"]) == 0
    shown = capsys.readouterr().out
    names = {line.split()[0] for line in shown.splitlines() if line.strip()}
    assert {workload.name for workload in module(core, "workloads").WORKLOADS} <= names
    assert {peer.name for peer in module(core, "peers").PEERS} <= names


def interrupted(core, number, *options, started):
    """What a comparison shows that gets a signal once it has printed a line that begins so."""
    with subprocess.Popen(
        [sys.executable, "-m", "cyreactor", "compare", *options],
        env=environment(core), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        next(line for line in iter(process.stdout.readline, "") if line.startswith(started))
        process.send_signal(number)
        shown, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == ""
    return shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_comparison_shows_what_was_measured(core, number, tmp_path):
    options = ("--only", "echo-64,echo-1k", "--loops", core.backend, "--seconds", "0.05", "--rounds", "9")
    file = tmp_path / "figures"
    shown = interrupted(core, number, *options, "--json", str(file), started=core.backend)
    assert "Interrupted: this is what was measured" in shown
    assert json.loads(file.read_text())["method"]["interrupted"]


def test_nothing_is_drawn_where_nothing_was_measured(core, tmp_path):
    picture = tmp_path / "picture.svg"
    options = ("--only", "echo-64", "--loops", core.backend, "--rounds", "9")
    draw = ("--plot", str(picture)) if importlib.util.find_spec("matplotlib") else ()
    assert "nothing had been measured" in interrupted(core, signal.SIGINT, *options, *draw, started="median")
    assert not picture.exists()


if hasattr(os, "openpty"):
    import fcntl
    import struct
    import termios

    def on_a_terminal(core, columns, *options, **variables):
        """What a comparison writes to a terminal so wide."""
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        env = {key: value for key, value in environment(core).items() if key not in ("COLUMNS", "NO_COLOR")}
        env |= {"TERM": "xterm-256color", **variables}
        process = subprocess.Popen(
            [sys.executable, "-m", "cyreactor", "compare", *options],
            env=env, stdin=slave, stdout=slave, stderr=slave,
        )  # fmt: skip
        os.close(slave)
        written = b""
        try:
            while piece := os.read(master, 65536):
                written += piece
        except OSError:  # the other end is closed
            pass
        os.close(master)
        assert process.wait(30) == 0
        return written.decode()

    @pytest.mark.parametrize("columns", [60, 80])
    def test_a_table_fits_the_terminal(core, columns):
        loops = f"{core.backend},asyncio,thread"
        written = on_a_terminal(core, columns, "--only", "echo-64", "--loops", loops, *TINY)
        assert "left" in written  # the progress
        assert "\x1b[1m" in written or "\x1b[1;" in written
        lines = ESCAPE.sub("", written).replace("\r", "\n").splitlines()
        assert max(len(line.rstrip()) for line in lines) <= columns

    def test_no_color_is_obeyed(core):
        written = on_a_terminal(
            core, 80, "--only", "echo-1k", "--loops", f"{core.backend},asyncio", *TINY, NO_COLOR="1"
        )
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]", written)


def test_without_rich_the_table_is_plain(core):
    code = "import sys; sys.modules['rich'] = None; from cyreactor.cli import main; sys.exit(main())"
    options = ("--only", "echo-1k", "--loops", f"{core.backend},asyncio", *TINY)
    finished = subprocess.run(
        [sys.executable, "-c", code, "compare", *options],
        env={**environment(core), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    assert "x asyncio" in finished.stdout
    assert "#" in finished.stdout


def rows_of(core, metric, *columns):
    """A row with the figures of its loops."""
    results, peers, workloads = (module(core, name) for name in ("results", "peers", "workloads"))
    workload = next(one for one in workloads.WORKLOADS if one.metric == metric)
    cells = [results.Cell([results.Sample(**{metric: value}) for value in values]) for values in columns]
    return results.Row(workload, dict(zip(peers.PEERS, cells, strict=False)))


def test_a_ratio_is_clear_where_the_rounds_do_not_overlap(core):
    def ratio(*arguments):
        return rows_of(core, *arguments).ratio(*module(core, "peers").PEERS[:2])

    assert ratio("throughput", [20, 22, 24], [10, 11, 12]) == ((2, 2, 2), True)
    assert ratio("throughput", [20, 30, 10], [10, 10, 10]) == ((2, 1, 3), False)
    assert ratio("cpu", [5, 5, 4], [10, 10, 10]) == ((2, 2, 2.5), True)
    assert ratio("bytes", [500, 500], [0, 1000]) == ((1, 0, 2), False)
    assert ratio("throughput", [1], [1]) is None


def test_a_generator_that_was_the_limit_is_told(core):
    results = module(core, "results")
    busy = [results.Sample(throughput=1.0, generator_share=0.99, server_share=0.5)] * 2
    idle = [results.Sample(throughput=1.0, generator_share=0.99, server_share=0.97)] * 2
    assert results.Cell(busy).generator_was_the_limit
    assert not results.Cell(idle).generator_was_the_limit


@given(latency=st.integers(0, 10**12))
def test_a_bucket_is_near_the_latency(latency):
    bucket = importlib.import_module("cyreactor._pure.load").bucket_of(latency)
    value = importlib.import_module("cyreactor.compare.results").value_of(bucket)
    assert abs(value - latency) <= latency * 0.016


def test_quantiles(core):
    quantile = module(core, "results").quantile
    assert quantile([0] * 100, 0.5) is None
    histogram = [0] * 100
    histogram[50], histogram[90] = 99, 1
    assert quantile(histogram, 0.5) == quantile(histogram, 0.99) == 0.05
    assert quantile(histogram, 0.999) == 0.09


def test_the_time_is_divided(core):
    schedule, workloads = module(core, "schedule"), module(core, "workloads")
    few = schedule.Schedule(workloads.WORKLOADS[:2], 2, 5, 100.0)
    many = schedule.Schedule(workloads.WORKLOADS, 7, 5, 100.0)
    late = schedule.Schedule(workloads.WORKLOADS, 7, 5, 0.0)
    assert few.measurement(0) == schedule.LONGEST
    assert schedule.SHORTEST < many.measurement(0) < schedule.LONGEST
    assert late.measurement(0) == schedule.SHORTEST
    assert 90 < many.left(0, 0.0) < 110
    assert many.left(0, 0.0) > many.left(0, 0.5)
    assert many.fits(0)
    assert not late.fits(0)
    many.done(workloads.WORKLOADS[0], 30.0, 2.0)  # everything else takes far longer than was guessed
    assert many.measurement(1) == schedule.SHORTEST


if importlib.util.find_spec("matplotlib"):

    @pytest.mark.parametrize("kind", ["svg", "png"])
    def test_a_picture(core, tmp_path, kind):
        peers = module(core, "peers").PEERS[:3]
        rows = [rows_of(core, metric, [2, 3], [1, 1], []) for metric in ("throughput", "cpu", "bytes")]
        picture = tmp_path / f"picture.{kind}"
        module(core, "picture").draw(rows, peers, peers[1], str(picture))
        written = picture.read_bytes()
        if kind == "png":
            assert written.startswith(b"\x89PNG")
            return
        for text in ("compiled", "pure", "not measured", "× pure", rows[0].workload.title):
            assert text in written.decode()

    def test_a_picture_of_a_run(core, tmp_path):
        options = ("--only", "echo-1k", "--loops", core.backend, *TINY, "--plot", str(tmp_path / "x.svg"))
        finished = command(core, "compare", *options)
        assert finished.returncode == 0, finished.stderr
        assert core.backend in (tmp_path / "x.svg").read_text()
