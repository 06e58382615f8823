"""Run the tests in several processes (`-n 4`), which are forks of the process that has collected them.

pytest-xdist starts new processes, each of which imports and collects all tests again: ten seconds of CPU each. A fork has them
already. A process asks for one file after the other, and runs its tests.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import random
import signal
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path

import pytest
from _pytest._io import TerminalWriter

_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_OWN_FOLDER = "process-"


def pytest_addoption(parser):
    group = parser.getgroup("parallel", "tests in several processes")
    # `addoption` reserves lower-case letters for pytest, but `-n` is what users of pytest know.
    group._addoption(
        "-n", type=int, default=0, dest="processes", metavar="N", help="run the tests in N processes; 0: in this one"
    )


def is_wanted(config: pytest.Config) -> bool:
    """Return whether the tests run in several processes. A debugger needs the terminal, so with one they do not."""
    return config.option.processes > 1 and not config.option.usepdb and not config.option.trace


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder for temporary files that all processes of the run use."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if own.name.startswith(_OWN_FOLDER) else own


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    if not is_wanted(session.config) or session.config.option.collectonly or session.testsfailed:
        return None
    session.config._tmp_path_factory.getbasetemp()  # one folder for all, with a folder of each process in it
    session.config.pluginmanager.get_plugin("terminalreporter").showfspath = False
    run = _Run(session)
    try:
        run.until_all_have_ended()
    finally:
        run.stop()
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
    return True


class _Worker:
    """A process that runs tests, as the process that started it sees it."""

    def __init__(self, session: pytest.Session, number: int) -> None:
        self.tests: list[int] = []
        """The tests of a file that it was given and has not run."""
        self.connection, theirs = Pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _work(session, number, theirs, parent)
        theirs.close()

    def end(self) -> int:
        """Wait for its end and return its exit code, as `subprocess` does."""
        self.connection.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class _Run:
    """All processes of a run. They send reports, and None to ask for the tests of a file."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        files = itertools.groupby(enumerate(session.items), key=lambda numbered: numbered[1].path)
        self._files = [[number for number, _ in tests] for _, tests in files]
        self._numbers = itertools.count()
        self._workers: dict[Connection, _Worker] = {}
        for _ in range(min(session.config.option.processes, len(self._files))):
            self._start()

    def _start(self) -> None:
        worker = _Worker(self._session, next(self._numbers))
        self._workers[worker.connection] = worker

    def until_all_have_ended(self) -> None:
        while self._workers and not self._session.shouldfail and not self._session.shouldstop:
            for connection in wait(list(self._workers)):
                worker = self._workers[connection]
                try:
                    message = connection.recv()
                except (EOFError, ConnectionResetError):
                    self._ended(worker)
                    continue
                if message is None:
                    worker.tests = self._files.pop(0) if self._files else []
                    connection.send(worker.tests)
                else:
                    self._report(worker, message)

    def _report(self, worker: _Worker, data: dict) -> None:
        config = self._session.config
        report = config.hook.pytest_report_from_serializable(config=config, data=data)
        config.hook.pytest_runtest_logreport(report=report)
        if report.when == "teardown":
            config.hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)
            del worker.tests[0]

    def _ended(self, worker: _Worker) -> None:
        """If the process ended during a test, report that, and let another one run the rest of the file."""
        del self._workers[worker.connection]
        code = worker.end()
        if worker.tests:
            item = self._session.items[worker.tests.pop(0)]
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            text = f"The process that ran {item.nodeid} {how}."
            report = pytest.TestReport(item.nodeid, item.location, {}, "failed", text, "call")
            self._session.config.hook.pytest_runtest_logreport(report=report)
            if worker.tests:
                self._files.insert(0, worker.tests)
            self._start()
        elif code:
            raise RuntimeError(f"A process that runs tests ended between two files with exit code {code}.")

    def stop(self) -> None:
        """Interrupt the processes that still run; they end what their fixtures started."""
        for worker in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGINT)
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()


def _work(session: pytest.Session, own_number: int, connection: Connection, parent: int) -> None:
    """Run the tests that come from `connection`. Never returns."""
    code = 1
    try:
        _separate(session.config, own_number, parent)
        session.config.pluginmanager.register(_Sender(session.config, connection))
        for tests in _files(connection):
            for number, following in itertools.zip_longest(tests, tests[1:]):
                # After the last test of a file, only what the whole session uses is kept.
                nextitem = session if following is None else session.items[following]
                session.config.hook.pytest_runtest_protocol(item=session.items[number], nextitem=nextitem)
        session._setupstate.teardown_exact(None)
        code = 0
    except (KeyboardInterrupt, BrokenPipeError):  # the run was interrupted, or has ended after enough failures
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        session._setupstate.teardown_exact(None)
    except BaseException:
        session.config.pluginmanager.get_plugin("capturemanager").stop_global_capturing()
        traceback.print_exc()
    finally:
        os._exit(code)


def _separate(config: pytest.Config, number: int, parent: int) -> None:
    """Give this process what it must not share with the process from which it was forked."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored if pytest was started in the background
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGINT)
    if os.getppid() != parent:  # it ended before the signal was asked for
        raise KeyboardInterrupt
    random.seed()
    capture = config.pluginmanager.get_plugin("capturemanager")
    capture.stop_global_capturing()  # its files have one position for all processes
    capture.start_global_capturing()
    config.pluginmanager.get_plugin("terminalreporter")._tw = TerminalWriter(Path(os.devnull).open("w"))  # noqa: SIM115  until the process ends
    config._tmp_path_factory._basetemp = config._tmp_path_factory.getbasetemp() / f"{_OWN_FOLDER}{number}"
    config._tmp_path_factory._basetemp.mkdir()


def _files(connection: Connection) -> Iterator[list[int]]:
    """Ask for the tests of one file after the other."""
    while True:
        connection.send(None)
        tests = connection.recv()
        if not tests:
            return
        yield tests


class _Sender:
    """Sends the reports of this process to the one that prints them."""

    def __init__(self, config: pytest.Config, connection: Connection) -> None:
        self._config = config
        self._connection = connection

    def pytest_runtest_logreport(self, report):
        self._connection.send(self._config.hook.pytest_report_to_serializable(config=self._config, report=report))
