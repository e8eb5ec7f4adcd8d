"""The arrows, proved in fresh interpreters: a static graph cannot see what an import loads."""

import subprocess
import sys

import pytest

CORE = ["pfviz.sim.engine", "pfviz.sync.rwsem", "pfviz.mm.paths.run", "pfviz.mm.maple"]
HEADLESS = [
    "pfviz.cli", "pfviz.report.json", "pfviz.views.timeline", "pfviz.scenario.build",
    "pfviz.cli.export, pfviz.cli.export_film, pfviz.report.html, pfviz.report.perfetto",
    "pfviz.cli.config, pfviz.config.theme_files", "pfviz.cli.serve, pfviz.serve.addresses",
    "pfviz.scenario.token, pfviz.scenario.talk_load, pfviz.report.talk_check",
    "pfviz.views.stage_walk, pfviz.views.painters, pfviz.places",
]  # fmt: skip


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("module", CORE)
def test_the_core_loads_only_the_standard_library(module: str) -> None:
    loaded = modules_after(f"import {module}")
    assert not loaded & {"numpy", "textual", "rich", "click", "msgspec"}


@pytest.mark.parametrize("module", HEADLESS)
def test_headless_modules_load_no_terminal_library(module: str) -> None:
    assert not modules_after(f"import {module}") & {"textual", "rich"}


def test_a_headless_run_loads_no_terminal_library() -> None:
    loaded = modules_after(
        "from click.testing import CliRunner\n"
        "from pfviz.cli import main\n"
        "done = CliRunner().invoke(main, ['run', 'hello-fault', '--json'])\n"
        "assert done.exit_code == 0, done.output\n"
        "import os"
    )
    assert not loaded & {"textual", "rich"}
