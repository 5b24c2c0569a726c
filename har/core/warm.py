"""Start a module of the project in a process that has torch, transformers and scikit-learn loaded already.

They take a fresh process 5 to 10 s to import, at each of the graph's stages. So the first stage leaves a server behind
that loads them; each further stage is forked from it and starts at once. The server serves this user, folder,
interpreter and environment alone, holds no code of the project, and is gone seconds after the last stage. HAR_WARM=0,
or a system other than Linux, runs everything in a process of its own, with the same results. (multiprocessing's own
forkserver ends with the process that started it, so it serves no second stage.)
"""

import atexit
import fcntl
import gc
import hashlib
import importlib
import json
import os
import resource
import runpy
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
IDLE = 20.0  # seconds without a request or a stage at work, after which the server ends
forked = False  # whether this process was forked from a server


def run(arguments: list[str]) -> None:
    """Run a module, the first of `arguments`, as `python -m` would with the others; ends the process with its exit
    code where a server ran it."""
    if sys.platform == "linux" and os.environ.get("HAR_WARM") != "0":
        with socket.socket(socket.AF_UNIX) as server:
            try:
                server.connect(address())
                ours = owner(server) == os.getuid()
            except OSError:
                ours = False
            if ours and (code := handed_over(server, arguments)) is not None:
                sys.exit(code)
        leave_behind()
    run_here(arguments)


def run_here(arguments: list[str]) -> None:
    sys.argv = list(arguments)  # runpy puts the module's file into its first place
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


# --- the side that asks ------------------------------------------------------------------------------------


def address() -> bytes:
    """A name in Linux's abstract namespace (no file to leave behind) for this user, interpreter, folder, environment
    and limits, so that no module meets others than it would have loaded itself."""
    passing = ("DVC_", "_", "SHLVL", "PWD", "OLDPWD")
    environment = sorted(item for item in os.environ.items() if not item[0].startswith(passing))
    limits = [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")]
    what = json.dumps([os.getuid(), sys.executable, os.getcwd(), environment, limits])
    return b"\0har-" + hashlib.sha256(what.encode()).hexdigest()[:32].encode()


def owner(connection: socket.socket) -> int:
    """The user at the other end."""
    return struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]


def handed_over(server: socket.socket, arguments: list[str]) -> int | None:
    """The exit code of what the server forked for us; signals that reach us reach it. None: the server is gone.

    Each side writes lines: a request, the process's number, its exit code; none where it was killed."""
    request = json.dumps({"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()})
    code = 128 + signal.SIGKILL
    with server.makefile("r") as lines:
        try:
            socket.send_fds(server, [b"\n"], [0, 1, 2])
            server.sendall(f"{request}\n".encode())
            group = int(lines.readline() or 0)
        except OSError:
            return None
        if not group:
            return None

        def forward(number: int, frame) -> None:
            nonlocal code
            code = 128 + number
            os.killpg(group, number)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, forward)
        return int(lines.readline() or code)


def leave_behind() -> None:
    """Start the server on its own, without waiting for it."""
    null = subprocess.DEVNULL
    subprocess.Popen(
        [sys.executable, "-m", "har.core.warm"], stdin=null, stdout=null, stderr=null, start_new_session=True
    )


# --- the server --------------------------------------------------------------------------------------------


def serve() -> socket.socket | None:
    """Fork a process for each request. Returns in the forked process, with the connection to whom it works for, and in
    the server after IDLE seconds without work, with None."""
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
    listening.settimeout(IDLE)
    while True:
        try:
            connection = listening.accept()[0]
        except TimeoutError:
            if not at_work():
                return None
            continue
        if owner(connection) == os.getuid() and os.fork() == 0:
            listening.close()
            return connection
        connection.close()


def at_work() -> bool:
    """Whether a forked process is left; those that have ended are forgotten."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def become(connection: socket.socket) -> list[str]:
    """Take the place of the process at the other end: its standard streams, environment and fate. Returns its
    arguments."""
    global forked
    forked = True
    os.setpgid(0, 0)
    os.register_at_fork(after_in_child=connection.close)  # whoever asked is to see when this process ends
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("r") as lines:
        asked = json.loads(lines.readline())
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
    connection.sendall(f"{os.getpid()}\n".encode())  # fails where it is gone already
    return asked["arguments"]


def main() -> None:
    client, code = None, 1

    def end_at_once() -> None:
        """Leave out what Python does after the last of `atexit`: it takes apart all that is loaded, and so copies what
        a forked process shares, for 0.7 s."""
        if client is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            client.sendall(f"{code}\n".encode())
            os._exit(code)

    atexit.register(end_at_once)  # before all that is loaded registers its own: the last to be called
    if (client := serve()) is not None:
        try:
            run_here(become(client))
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            raise


if __name__ == "__main__":
    importlib.import_module("har.core.warm").main()  # the module that a stage imports, not a second one
