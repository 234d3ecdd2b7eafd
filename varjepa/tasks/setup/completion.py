"""Installs the script that completes command lines of `varjepa` in a shell."""

import os
from pathlib import Path

from varjepa.tasks.steps.files import write_text

FOLDER = Path("varjepa", "completion")
"""Folder of the scripts, in the folder of configurations of the user."""


def install(shell: str, script: str) -> list[Path]:
    """Writes the script, and a line that reads it into the file that the shell reads when it starts.

    Args:
        shell: bash, zsh or fish.
        script: for this shell.

    Returns:
        The files that were written. The shell's own file is left alone where it has the line.
    """
    home = Path.home()
    configurations = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    if shell == "fish":  # reads every file of this folder itself
        return [_written(configurations / "fish" / "completions" / "varjepa.fish", script)]
    place = _written(configurations / FOLDER / f"varjepa.{shell}", script)
    start = home / ".bashrc" if shell == "bash" else Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
    text = start.read_text(encoding="utf-8") if start.exists() else ""
    line = f"[ -r '{place}' ] && . '{place}'  # completion of varjepa"
    if line in text.splitlines():
        return [place]
    # zsh completes nothing before `compinit` has run, which many set-ups leave to the user.
    head = "autoload -Uz compinit && compinit\n" if shell == "zsh" and "compinit" not in text else ""
    ended = text if not text or text.endswith("\n") else f"{text}\n"
    return [place, _written(start, f"{ended}{head}{line}\n")]


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path.resolve(), text)  # the shell's file is often a link into a folder of such files
    return path
