"""Any program that answers JSON lines on stdin with JSON lines on stdout."""

import contextlib
import json
import queue
import shlex
import subprocess
import threading
from typing import Any, TextIO

from conformance.suite.messages import AdapterError, UnsupportedError, decode, encode


class FailedError(Exception):
    """The program's answer was an error; `kinds` are the kinds that it named."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("message", "")))
        self.kinds = list(error.get("kinds", []))


class Command:
    """Messages: {"seq", "op", "args"} out; {"seq", "result" | "error" | "unsupported"} back, one a line.

    What is no such answer is an AdapterError: taken for an error of the implementation, a crash would pass each case
    that expects one.
    """

    def __init__(self, command: str, timeout: float = 60.0) -> None:
        self.command, self.timeout = command, timeout
        self.process: Any = None
        self.seq = 0

    def start(self) -> dict[str, Any]:
        """Start the program and ask who it is."""
        try:
            self.process = subprocess.Popen(
                shlex.split(self.command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except (OSError, ValueError) as error:
            raise AdapterError(f"{self.command!r} can't be started: {error}") from error
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self.process.stdout, self._lines), daemon=True).start()
        return self._ask("start", {})

    def load(self, args: dict[str, Any]) -> dict[str, Any]:
        """Load a preset. A program that has crashed is started again: one case must not decide the others."""
        if self.process.poll() is not None:
            self.start()
        return self._ask("load", args)

    def call(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """One operation."""
        return self._ask(op, args)

    def stop(self) -> None:
        """End the program: at the end of its input it should end itself."""
        if self.process is None:
            return
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._kill()

    def _ask(self, op: str, args: dict[str, Any]) -> Any:
        """Send one message and take its answer."""
        self.seq += 1
        with contextlib.suppress(OSError):  # a program that has ended is noticed where its answer is missing
            self.process.stdin.write(json.dumps({"seq": self.seq, "op": op, "args": encode(args)}) + "\n")
            self.process.stdin.flush()
        reply = self._reply(op)
        if "unsupported" in reply:
            raise UnsupportedError(str(reply["unsupported"]))
        if "error" in reply:
            raise FailedError(reply["error"])
        return decode(reply["result"])

    def _reply(self, op: str) -> dict[str, Any]:
        """The next line, which must be the answer to the last message. Raises: AdapterError."""
        try:
            line = self._lines.get(timeout=self.timeout)
        except queue.Empty:
            self._kill()
            raise AdapterError(f"no answer to the message {op!r} came within {self.timeout:g} seconds") from None
        if not line:
            code = self.process.wait(timeout=10)
            raise AdapterError(f"the program ended (exit code {code}) at the message {op!r}")
        with contextlib.suppress(ValueError, AttributeError):
            reply = json.loads(line)
            if reply.get("seq") != self.seq:
                self._kill()  # later answers would go to the wrong messages
                raise AdapterError(f"answer {reply.get('seq')} came to message {self.seq}")
            if isinstance(reply.get("result", reply.get("error")), dict) or "unsupported" in reply:
                return dict(reply)
        self._kill()
        raise AdapterError(f"the answer to the message {op!r} is {line.strip()!r:.120}, not of the form in golden/")

    def _kill(self) -> None:
        """End a program whose further lines can't be trusted."""
        self.process.kill()
        self.process.wait()


def _read(stream: TextIO, lines: "queue.SimpleQueue[str]") -> None:
    """Hand on lines as they come, and an empty one at the end."""
    for line in stream:
        lines.put(line)
    lines.put("")
