"""A user without an entry in the system's list of users, as in many containers, has a name, too: the number."""

import os
import subprocess
import sys

import pytest

from varjepa.tasks.tracking.names import user_name

UNKNOWN = 65432
NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")
CODE = f"""
import os
from varjepa.tasks.tracking.names import user_name
os.setgid({UNKNOWN}), os.setuid({UNKNOWN})
print(user_name())
"""


def test_a_name_in_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert user_name() == "ada"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user that does not exist")
def test_the_number_names_a_user_without_an_entry() -> None:
    bare = {name: value for name, value in os.environ.items() if name not in NAMES}
    answer = subprocess.run([sys.executable, "-c", CODE], env=bare, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == str(UNKNOWN)
