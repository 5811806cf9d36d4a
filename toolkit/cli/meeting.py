"""Processes of one training meet before it begins: all there, and all about to do the same. It trains nothing.

JAX ends a process without a word to its user when another is missing. So they meet here first, at the same address.
"""

import socket
import time
from collections.abc import Iterable

from toolkit.errors import InputError

SECONDS = 60.0  # how long one waits for the others
AGAIN = 0.2  # seconds between two tries


def address_of(coordinator: str) -> tuple[str, int]:
    """HOST:PORT -> (HOST, PORT)."""
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(f"Expected --coordinator as HOST:PORT. Received: '{coordinator}'.")
    return host.strip("[]"), int(port)


def check_meeting(coordinator: str, count: int, number: int) -> tuple[str, int]:
    """The address (HOST, PORT); refuses one that is none, and numbers of processes that cannot be."""
    if count < 2 or not 0 <= number < count:
        raise InputError(
            f"Expected --processes of 2 or more, and --process-id from 0 to one less. Received: {count} and {number}."
        )
    return address_of(coordinator)


def meet(coordinator: str, count: int, number: int, purpose: str, seconds: float = SECONDS) -> None:
    """Return when all `count` processes have met at process 0's address, with the same `purpose`.

    `purpose` is a digest, without spaces, of what each is about to do.

    Raises:
        InputError: numbers that cannot be, an address that does not answer in time, a process that does not come or
            is about to do something else.
    """
    address = check_meeting(coordinator, count, number)
    if number == 0:
        _host(address, count, purpose, seconds)
    else:
        _call(address, number, purpose, seconds)


def _host(address: tuple[str, int], count: int, purpose: str, seconds: float) -> None:
    """Wait for the others; tell them to go on when all have come, or what is wrong."""
    end, came = time.monotonic() + seconds, dict[int, socket.socket]()
    try:
        server = socket.create_server(("", address[1]), backlog=count)
    except OSError as error:
        raise InputError(f"Expected port {address[1]} of this machine to be free. Received: {error}.") from None
    with server:
        try:
            while len(came) < count - 1:
                server.settimeout(max(0.01, end - time.monotonic()))
                line, caller = server.accept()
                line.settimeout(5)
                number, _, theirs = _read(line).partition(" ")
                if not number.isdigit() or not 0 < int(number) < count or int(number) in came:
                    _end(came.values(), line, f"Expected processes 1 to {count - 1}, each once. Received: '{number}'.")
                if theirs != purpose:
                    _end(
                        came.values(),
                        line,
                        f"Expected the same data, contestant and settings in all processes. Those of process {number} "
                        f"({caller[0]}) differ from those of process 0.",
                    )
                came[int(number)] = line
        except TimeoutError:
            missing = sorted({*range(1, count)} - {*came})
            names = ", ".join(map(str, missing))
            _end(
                came.values(),
                None,
                f"Expected process {names} to call at port {address[1]}. None did in {seconds:g} s.",
            )
        for line in came.values():
            line.sendall(b"go\n")
        for line in came.values():
            line.recv(1)  # the other closes first, so that the port is free at once
            line.close()


def _end(others: Iterable[socket.socket], last: socket.socket | None, message: str) -> None:
    for line in [*others, *([last] if last is not None else [])]:
        line.sendall(f"{message}\n".encode())
        line.close()
    raise InputError(message)


def _call(address: tuple[str, int], number: int, purpose: str, seconds: float) -> None:
    """Call process 0 until it answers."""
    end, name = time.monotonic() + seconds, f"{address[0]}:{address[1]}"
    while True:
        try:
            line = socket.create_connection(address, timeout=max(0.01, end - time.monotonic()))
            break
        except OSError as error:
            if time.monotonic() + AGAIN > end:
                raise InputError(
                    f"Expected process 0 at {name}. Nobody answered in {seconds:g} s ({error}). "
                    "Start it there, or name its address."
                ) from None
            time.sleep(AGAIN)
    with line:
        line.sendall(f"{number} {purpose}\n".encode())
        line.settimeout(seconds + 10)
        try:
            answer = _read(line)
        except TimeoutError:
            answer = ""
    if answer != "go":
        raise InputError(answer or f"Expected process 0 at {name} to go on. It ended the meeting; see what it said.")


def _read(line: socket.socket) -> str:
    with line.makefile(encoding="utf-8") as text:
        return text.readline().strip()
