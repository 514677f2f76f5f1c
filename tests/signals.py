"""Processes that get a signal when something is on the screen."""

import signal
import subprocess


def signal_at(moment: str, process: subprocess.Popen, sent: signal.Signals) -> str:
    """Send it once a line of the process's stderr has `moment`, and wait for the end; returns all that stood there."""
    with process:
        said = ""
        for line in process.stderr:
            said += line
            if moment in line:
                process.send_signal(sent)
                break
        return said + process.stderr.read()
