"""Start a module of the project in a process that has torch, transformers and scikit-learn loaded already.

They take a fresh process 5 to 10 s to import, at each of the graph's stages. So the first stage leaves a server behind
that loads them; each further stage is forked from it and starts at once. The server serves this user, folder,
interpreter and environment alone, holds no code of the project, and is gone seconds after the last stage. HAR_WARM=0,
or a system other than Linux, runs everything in a process of its own, with the same results.
"""

import atexit
import fcntl
import gc
import hashlib
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys

LOADED = (
    "PIL.Image",
    "joblib",
    "numpy",
    "pandas",
    "pydantic",
    "ruamel.yaml",
    "tqdm",
    "torch",
    "scipy.stats",
    "sklearn.linear_model",
    "safetensors.torch",
    "torch._dynamo",  # torch's optimisers load it
    "transformers.modeling_utils",
    "transformers.models.clip.modeling_clip",
    "transformers.models.siglip.modeling_siglip",
    "transformers.models.vit.modeling_vit",
    "matplotlib.pyplot",
    "statsmodels.api",
)
IDLE = 20.0  # seconds without work, after which the server ends
LIMIT = 1_000_000  # bytes of a request
forked = False  # whether this process was forked from a server
ends_with = 1  # such a process's exit code


def run(arguments: list[str]) -> None:
    """Run a module, the first of `arguments`, as `python -m` would with the others; ends the process with its exit
    code where a server ran it."""
    if sys.platform == "linux" and os.environ.get("HAR_WARM") != "0":
        server = connected()
        if server is not None and (code := handed_over(server, arguments)) is not None:
            sys.exit(code)
        leave_behind()
    run_here(arguments)


def run_here(arguments: list[str]) -> None:
    sys.argv = list(arguments)  # runpy puts the module's file into its first place
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


# --- the side that asks ------------------------------------------------------------------------------------


def address() -> bytes:
    """A name in Linux's abstract namespace (no file to leave behind) for this user, interpreter, folder and
    environment, so that no module meets others than it would have loaded itself."""
    passing = ("DVC_", "_", "SHLVL", "PWD", "OLDPWD")
    environment = sorted(item for item in os.environ.items() if not item[0].startswith(passing))
    what = json.dumps([os.getuid(), sys.executable, os.getcwd(), environment])
    return b"\0har-" + hashlib.sha256(what.encode()).hexdigest()[:32].encode()


def connected() -> socket.socket | None:
    """A connection to this user's server, if there is one."""
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(address())
    except OSError:
        return None
    return server if owner(server) == os.getuid() else None


def handed_over(server: socket.socket, arguments: list[str]) -> int | None:
    """The exit code of what the server forked for us; signals that reach us reach it. None: the server is gone."""
    asked = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
    request = json.dumps(asked).encode()
    try:
        socket.send_fds(server, [struct.pack("!I", len(request))], [0, 1, 2])
        server.sendall(request)
    except OSError:
        return None
    if not (pid := received(server, 4)):
        return None
    group = struct.unpack("!I", pid)[0]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda which, _: os.killpg(group, which))
    code = received(server, 4)
    return struct.unpack("!i", code)[0] if code else 1


def leave_behind() -> None:
    """Start the server on its own, without waiting for it."""
    null = subprocess.DEVNULL
    subprocess.Popen(
        [sys.executable, "-m", "har.core.warm"], stdin=null, stdout=null, stderr=null, start_new_session=True
    )


def received(connection: socket.socket, size: int) -> bytes:
    """`size` bytes; fewer where the other side is gone."""
    found = b""
    try:
        while len(found) < size and (more := connection.recv(size - len(found))):
            found += more
    except OSError:
        pass
    return found


def owner(connection: socket.socket) -> int:
    """The user at the other end."""
    return struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]


# --- the server --------------------------------------------------------------------------------------------


def serve() -> socket.socket | None:
    """Fork a process for each request and tell its exit code. Returns in the forked process, with the connection to
    whom it works for, and in the server after IDLE seconds without work, with None."""
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(address())
    except OSError:  # another one is there
        return None
    for name in LOADED:
        try:
            importlib.import_module(name)
        except ImportError:  # a stage that needs it will say so
            continue
    gc.collect()
    gc.freeze()  # so that a collection in a stage does not copy what all share
    listening.listen(16)
    waiting, running = selectors.DefaultSelector(), {}
    waiting.register(listening, selectors.EVENT_READ)
    while ready := waiting.select(None if running else IDLE):
        for key, _ in ready:
            if key.fileobj is not listening:
                pid, connection = running.pop(key.fd)
                waiting.unregister(key.fd)
                os.close(key.fd)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                try:
                    connection.sendall(struct.pack("!i", code if code >= 0 else 128 - code))
                except OSError:
                    pass  # nobody waits for it any more
                connection.close()
                continue
            connection = listening.accept()[0]
            if owner(connection) != os.getuid():
                connection.close()
                continue
            if (pid := os.fork()) == 0:
                listening.close()
                return connection
            running[os.pidfd_open(pid)] = pid, connection
            waiting.register(next(reversed(running)), selectors.EVENT_READ)
    return None


def become(connection: socket.socket) -> list[str] | None:
    """Take the place of the process at the other end: its standard streams, environment and fate. Returns its
    arguments; None where it asks for nothing sensible."""
    global forked
    forked = True
    os.setpgid(0, 0)
    header, streams, _, _ = socket.recv_fds(connection, 4, 3)
    size = struct.unpack("!I", header)[0] if len(header) == 4 else 0
    request = received(connection, size) if 0 < size <= LIMIT and len(streams) == 3 else b""
    if not request:
        return None
    asked = json.loads(request)
    for here, stream in enumerate(streams):
        os.dup2(stream, here)
        os.close(stream)
    # the server's own are for /dev/null
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", buffering=1, closefd=False)
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])  # a folder removed and made again has the same name
    importlib.invalidate_caches()
    # Nothing of a stage goes on once the process that DVC waits for is gone: the kernel kills our group then.
    fcntl.fcntl(connection, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(connection, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | os.O_ASYNC)
    connection.sendall(struct.pack("!I", os.getpid()))  # fails where it is gone already
    return asked["arguments"]


def end_at_once() -> None:
    """Leave out what Python does after the last of `atexit`: it takes apart all that is loaded, and so copies what a
    forked process shares, for 0.7 s."""
    if forked:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ends_with)


def main() -> None:
    global ends_with
    atexit.register(end_at_once)  # before all that is loaded registers its own: the last to be called
    if (client := serve()) is not None and (arguments := become(client)):
        try:
            run_here(arguments)
            ends_with = 0
        except SystemExit as end:
            ends_with = end.code if isinstance(end.code, int) else int(end.code is not None)
            raise


if __name__ == "__main__":
    importlib.import_module("har.core.warm").main()  # the module that a stage imports, not a second one
