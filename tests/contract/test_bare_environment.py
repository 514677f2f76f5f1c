"""The rooms that serve without a model import in an environment that holds the core's packages alone."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMPORT = "import kcx_jax.schema, kcx_jax.corpora, kcx_jax.scoring, kcx_jax.prompts, sys"


def test_they_import_nothing_but_numpy_and_yaml():
    """Whatever is slow or optional is imported where it is used."""
    found = subprocess.run(
        [sys.executable, "-c", f"{IMPORT}; print(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    packages = {name.partition(".")[0] for name in found} - set(sys.stdlib_module_names)
    before = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    ).stdout.split()
    packages -= {name.partition(".")[0] for name in before}
    assert packages <= {"kcx_jax", "numpy", "yaml", "_yaml"}


@pytest.mark.slow
def test_a_new_environment_with_the_core_alone_converts_and_scores(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", ROOT], check=True)
    packages = subprocess.run(
        [python, "-m", "pip", "list"], capture_output=True, text=True, check=True
    ).stdout
    assert not any(line.startswith(("jax ", "flax ")) for line in packages.splitlines())
    corpus = tmp_path / "news.conll"
    corpus.write_text("Ada\tB-PER\nleft\tO\nRome\tB-LOC\n", encoding="utf-8")
    script = textwrap.dedent(
        f"""
        {IMPORT}
        from kcx_jax.corpora import read_records
        from kcx_jax.scoring import score
        records = list(read_records({str(corpus)!r}, "conll", "en", inventory="any"))
        scores = score(records, records)
        assert {{each.type for each in records[0].entities}} == {{"Person", "Location"}}, records
        assert "jax" not in sys.modules
        """
    )
    subprocess.run([python, "-c", script], cwd=tmp_path, check=True)
    kcx = tmp_path / "venv" / "bin" / "kcx"
    output = tmp_path / "news.jsonl"
    subprocess.run(
        [kcx, "data", "convert", corpus, "--output", output, "--language", "en"], cwd=tmp_path, check=True
    )
    subprocess.run([kcx, "score", "--gold", output, "--predicted", output], cwd=tmp_path, check=True)
