"""Any program that answers JSON lines on stdin with JSON lines on stdout."""

import json
import shlex
import subprocess
from typing import Any

from conformance.messages import UnsupportedError, decode, encode


class FailedError(Exception):
    """The program's answer was an error; `kinds` are the kinds that it named."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("message", "")))
        self.kinds = list(error.get("kinds", []))


class Command:
    """Messages: {"seq", "op", "args"} out; {"seq", "result" | "error" | "unsupported"} back, one a line."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.process: Any = None
        self.seq = 0

    def start(self) -> dict[str, Any]:
        """Start the program and ask who it is."""
        self.process = subprocess.Popen(
            shlex.split(self.command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        return self._ask("start", {})

    def load(self, args: dict[str, Any]) -> dict[str, Any]:
        """Load a preset."""
        return self._ask("load", args)

    def call(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """One operation."""
        return self._ask(op, args)

    def stop(self) -> None:
        """End the program."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(timeout=10)

    def _ask(self, op: str, args: dict[str, Any]) -> Any:
        self.seq += 1
        self.process.stdin.write(json.dumps({"seq": self.seq, "op": op, "args": encode(args)}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the program ended (exit code {self.process.poll()}) at the message {op!r}")
        reply = json.loads(line)
        if reply.get("seq") != self.seq:
            raise RuntimeError(f"answer {reply.get('seq')} came to message {self.seq}")
        if "unsupported" in reply:
            raise UnsupportedError(reply["unsupported"])
        if "error" in reply:
            raise FailedError(reply["error"])
        return decode(reply["result"])
