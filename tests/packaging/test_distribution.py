"""What is given to others: one version, and a wheel with all of the package and nothing else, that works alone."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from kcx_jax import __version__
from kcx_jax.cli.extras import EXTRAS
from kcx_jax.testing.llm_server import ScriptedServer

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MADE = ("kcx_jax.egg-info", "build", "dist", "site", "runs", "demo-run")  # .gitignore
ENDPOINT = "http://localhost:8000/v1"
ANSWERS = {
    "Ada Lovelace was born in London.": {
        "ner": '[Person("Ada Lovelace"), City("London")]',
        "re": '[BirthPlace(Person("Ada Lovelace"), City("London"))]',
    }
}


def fence(language: str, containing: str) -> str:
    """The README's first snippet of a language with these words."""
    found = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return next(snippet for snippet in found if containing in snippet)


def test_the_version_stands_in_one_place_and_is_told_by_the_others():
    assert "version" in PROJECT["dynamic"]  # from kcx_jax.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (.+)$", changelog, re.MULTILINE)
    assert citation["version"] == __version__
    assert __version__ in newest[1]


def test_the_extras_that_messages_name_bring_what_they_say():
    extras = PROJECT["optional-dependencies"]
    for extra, distributions in EXTRAS.items():
        brought = {re.match(r"[\w.-]+", wanted)[0] for wanted in extras[extra]}
        needed_by_torch = {"torch"}  # scripts/test --interop pins it
        assert set(distributions) - needed_by_torch <= brought, extra
    for extra, wanted in extras.items():
        for one in wanted:
            assert re.search(r"[><=]=|^kcx-jax\[", one), f"{extra}: {one} has no lower bound"
            named = re.match(r"kcx-jax\[(.+)\]", one)
            assert not named or set(named[1].split(",")) <= set(extras), one


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda p: p.stem
)
def test_a_form_of_an_issue_is_one(form):
    read = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(read)
    assert len({part["id"] for part in read["body"]}) == len(read["body"])
    for part in read["body"]:
        assert part["type"] in {"textarea", "input", "dropdown", "checkboxes"}
        assert part["attributes"]["label"]
    assert any(part.get("validations", {}).get("required") for part in read["body"])


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder with the sdist, and the wheel made from it; from a copy, in which nothing was built before."""

    def made_here(folder: str, names: list[str]) -> list[str]:
        top = Path(folder) == ROOT
        return [n for n in names if n == "__pycache__" or (top and (n.startswith(".") or n in MADE))]

    out = tmp_path_factory.mktemp("dist")
    copy = shutil.copytree(ROOT, out / "source", ignore=made_here)
    build = [sys.executable, "-m", "build", "--outdir", str(out), str(copy)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def package_files() -> set[str]:
    """Every file of the package, compiled ones left out."""
    files = (
        path for path in (ROOT / "kcx_jax").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    return {path.relative_to(ROOT).as_posix() for path in files}


@pytest.mark.slow
def test_the_wheel_has_all_of_the_package_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"kcx_jax-{__version__}-py3-none-any.whl"
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == package_files()
    assert {"kcx_jax/py.typed", "kcx_jax/llm/prices.yaml"} <= names


@pytest.mark.slow
def test_the_sdist_has_what_the_tests_and_the_docs_need(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert package_files() <= names
    for needed in (
        "LICENSE",
        "CHANGELOG.md",
        "CITATION.cff",
        "docs/conf.py",
        "tests/conftest.py",
        "scripts/test",
    ):
        assert needed in names
    assert not [name for name in names if name.startswith(("shared", ".venv")) or name.endswith(".pyc")]


def run(command: list, folder: Path) -> str:
    """What it prints, with nothing of this checkout in sight."""
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=alone, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """The bin folder of a fresh environment with the wheel and what it depends on, no extra."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    (wheel,) = built.glob("*.whl")
    run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", wheel], folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def server():
    with ScriptedServer(ANSWERS) as running:
        yield running


@pytest.mark.slow
def test_the_readmes_first_command_runs_from_the_wheel(installed, server, tmp_path):
    line = fence("bash", "--chat-model").replace(ENDPOINT, server.base_url)
    words = next(shlex.split(each) for each in line.splitlines() if each.startswith("kcx "))
    assert run([installed / words[0], *words[1:]], tmp_path).strip() == fence("json", "Ada Lovelace").strip()


@pytest.mark.slow
def test_the_readmes_python_runs_from_the_wheel_without_jax(installed, server, tmp_path):
    code = fence("python", "Extractor").replace(ENDPOINT, server.base_url)
    last = "import importlib.util as u; print(u.find_spec('jax'), __import__('kcx_jax').__file__)"
    printed = run([installed / "python", "-c", f"{code}\n{last}"], tmp_path)
    assert "Person Ada Lovelace 0 12\nCity London 25 31" in printed
    found, where = printed.splitlines()[-1].split()
    assert found == "None"
    assert Path(where).is_relative_to(installed.parent)
