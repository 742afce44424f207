"""One gateway for all tests: the Worker on workerd with a scripted upstream, started by Node."""

import json
import subprocess
from pathlib import Path

import pytest

SERVE = Path(__file__).parents[1] / "e2e" / "serve.mjs"


@pytest.fixture(scope="session")
def server():
    """What tests/e2e/serve.mjs says of itself: url, key, poor_key, models."""
    # The Node that npm scripts run under stands first in PATH.
    process = subprocess.Popen(["node", str(SERVE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    # wrangler, where it finds a .dev.vars, says so first.
    line = next((line for line in process.stdout if line.startswith("{")), "")
    assert line, f"{SERVE} ended with {process.wait()}"
    yield json.loads(line)
    process.stdin.close()
    assert process.wait(timeout=20) == 0
