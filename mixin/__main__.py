"""The command line: ``python -m mixin [--settings FILE] [--output DIRECTORY]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from .files import files
from .settings import Settings, SettingsError, read

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Writes the files. Ends with status 2 if the settings are wrong."""
    parser = argparse.ArgumentParser(prog="python -m mixin", description="Generates alert rules and dashboards.")
    parser.add_argument(
        "--settings", type=Path, help="a YAML file; see docs/alerts.md. Default: the project's settings"
    )
    parser.add_argument("--output", type=Path, default=ROOT, help="a directory. Default: this repository")
    arguments = parser.parse_args()
    if arguments.settings and arguments.output.resolve() == ROOT:
        parser.error("settings of your own need --output: the files of this repository have the default settings")
    try:
        generated = files(read(arguments.settings) if arguments.settings else Settings())
    except (SettingsError, OSError) as error:
        parser.error(str(error))
    for path, text in generated.items():
        target = arguments.output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
