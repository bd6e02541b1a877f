"""Real processes: the `rowtide` binary as device and as server, and `kill -9` for all of them.

Memory is the high-water mark that the kernel keeps for each process, read every few milliseconds while it lives.
"""

import collections
import dataclasses
import os
import subprocess
import threading
import time
from pathlib import Path

# How often a living process is looked at, in seconds.
LOOK = 0.01
# A command that has not ended by then hangs.
HANGS = 180


@dataclasses.dataclass
class Ended:
    """How a command ended. `killed` means by us, before it was done; it may have done its work all the same."""

    kind: str
    code: int
    killed: bool
    out: str
    error: str
    peak_kib: int


def peak_kib(pid):
    """The high-water mark of a process's resident memory, 0 where it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


class Processes:
    """Everything that lives, so that all of it can be killed at one moment."""

    def __init__(self, binary, folder, environment):
        self.binary = binary
        self.folder = Path(folder)
        self.environment = environment
        self.lock = threading.Lock()
        self.living = {}
        self.counts = collections.Counter()
        # Highest memory of each kind of command in each third of the time.
        self.peaks = collections.defaultdict(lambda: [0, 0, 0])
        self.third = 0
        # How long each kind of command takes, so that kills come in its midst.
        self.took = collections.defaultdict(lambda: 0.03)

    def start(self, arguments, out, error):
        with self.lock:
            process = subprocess.Popen(
                [self.binary, *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=error,
            )
            self.living[process.pid] = process
        return process

    def ended(self, process, kind, peak):
        with self.lock:
            self.living.pop(process.pid, None)
            self.counts[kind] += 1
            self.peaks[kind][self.third] = max(self.peaks[kind][self.third], peak)

    def kill_everything(self):
        """Ends every process at once, the server's too; answers how many there were."""
        with self.lock:
            found = [process for process in self.living.values() if process.poll() is None]
            for process in found:
                process.kill()
        return len(found)

    def run(self, device, kind, arguments, *, kill_after=None, end_after=None):
        """Runs a command of a device to its end, kills it after `kill_after` seconds, or asks it to end after `end_after`."""
        with open(self.folder / f"{device}.out", "w+b") as out, open(self.folder / f"{device}.err", "w+b") as error:
            began = time.monotonic()
            process = self.start(arguments, out, error)
            peak, killed = 0, False
            while process.poll() is None:
                peak = max(peak, peak_kib(process.pid))
                age = time.monotonic() - began
                if kill_after is not None and age >= kill_after and not killed:
                    process.kill()
                    killed = True
                elif end_after is not None and age >= end_after:
                    process.terminate()
                    end_after = None
                elif age > HANGS:
                    process.kill()
                    raise TimeoutError(f"{device}: {kind} did not end within {HANGS} s")
                time.sleep(LOOK if kill_after is None else min(LOOK, max(kill_after - age, 0.0005)))
            self.ended(process, kind, peak)
            killed = process.returncode == -9
            if not killed and end_after is None:
                self.took[kind] = 0.9 * self.took[kind] + 0.1 * (time.monotonic() - began)
            if killed:
                with self.lock:
                    self.counts["killed commands"] += 1
            out.seek(0)
            error.seek(0)
            return Ended(
                kind,
                process.returncode,
                killed,
                out.read().decode(errors="replace"),
                error.read().decode(errors="replace"),
                peak,
            )


class Server:
    """The server on one port, whose store outlives it."""

    def __init__(self, processes, tables):
        self.processes = processes
        self.tables = tables
        self.address = "127.0.0.1:0"
        self.process = None
        self.peak = 0

    def start(self):
        arguments = ["serve", "--listen", self.address, "--store", "sqlite:server.db", "--demo"]
        for table in self.tables:
            arguments += ["--table", f"{table}:id"]
        with open(self.processes.folder / "server.err", "ab") as error:
            self.process = self.processes.start(arguments, subprocess.PIPE, error)
        line = self.process.stdout.readline().decode()
        self.process.stdout.close()
        if not line.startswith("listening on http://"):
            # Killed before it listened, by a kill of everything; whoever restarts it does so again.
            return False
        self.address = line.removeprefix("listening on http://").strip()
        return True

    def look(self):
        """Takes the memory down; tells whether it lives."""
        self.peak = max(self.peak, peak_kib(self.process.pid))
        return self.process.poll() is None

    def kill(self):
        self.look()
        self.process.kill()
        self.process.wait()

    def reap(self):
        self.process.wait()
        self.processes.ended(self.process, "serve", self.peak)
        self.peak = 0

    def stop(self):
        """Ends it as an operator would."""
        self.look()
        self.process.terminate()
        self.process.wait(timeout=30)
        self.processes.ended(self.process, "serve", self.peak)
        return self.process.returncode


def file_bytes(path):
    """Size of a file, 0 where there is none."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
