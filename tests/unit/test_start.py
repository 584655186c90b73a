"""What a start of the daemon takes is counted, not timed: the modules that it loads."""

import json
import subprocess
import sys

# Each takes milliseconds to load, and megabytes to keep.
NEEDED_LATER = {
    "cryptography",
    "difflib",
    "dns",
    "email_validator",
    "http",
    "idna",
    "jinja2",
    "jwt",
    "multiprocessing",
    "pydantic_settings",
    "rich",
    "tomllib",
    "unittest",
    "xml",
}
START = """
import json, sys
import orderd.daemon.main
from orderd.config.load import load
load(environ={})
print(json.dumps(sorted(sys.modules)))
"""


def test_a_start_loads_no_module_that_only_later_work_needs() -> None:
    done = subprocess.run([sys.executable, "-c", START], check=True, capture_output=True, text=True)

    loaded = set(json.loads(done.stdout))

    assert "orderd.daemon.loop" in loaded
    assert loaded & NEEDED_LATER == set()
