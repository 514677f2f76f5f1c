"""``kcx schema``."""

import re
import subprocess
import sys

import pytest


def kcx(*arguments):
    program = "from kcx_jax.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, encoding="utf-8"
    )


@pytest.fixture
def schema(tmp_path):
    path = tmp_path / "people.yaml"
    path.write_text("person: {description: A human being., examples: [Ada, 李白]}\nship:\n", encoding="utf-8")
    return path


SHOWN = 'class Person(Entity):\n    """A human being. Examples: Ada, 李白"""\nclass Ship(Entity):\n    pass\n'


def test_show_prints_the_classes(schema):
    done = kcx("schema", "show", schema)
    assert (done.returncode, done.stdout, done.stderr) == (0, SHOWN, "")


def test_show_for_a_task_prints_what_a_model_is_shown(schema):
    done = kcx("schema", "show", schema, "--task", "ner")
    assert done.stdout == SHOWN + "# NER: list every entity in the sentence, in order.\n"


def test_what_is_wrong_is_one_line_on_stderr(tmp_path, schema):
    path = tmp_path / "broken.py"
    path.write_text("class Person(Entity)\n    pass\n")
    for arguments, message in (
        ([path], f"kcx: {path}:1: not Python: expected ':'\n"),
        ([schema, "--task", "qa"], "kcx: unknown task 'qa': one of ner, re, ed, eae\n"),
    ):
        done = kcx("schema", "show", *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


@pytest.fixture
def other(tmp_path):
    path = tmp_path / "harbour.json"
    path.write_text('{"person": "Someone on board.", "crane": "A machine that lifts."}', encoding="utf-8")
    return path


MERGED = (
    SHOWN
    + 'class Person_harbour(Entity):\n    """Someone on board."""\n'
    + 'class Crane(Entity):\n    """A machine that lifts."""\n'
)


def test_several_schemas_are_shown_and_imported_as_one(tmp_path, schema, other):
    shown = kcx("schema", "show", schema, other, "--suffix", "_harbour")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, MERGED, "")
    out = tmp_path / "both.py"
    done = kcx("schema", "import", schema, other, "--suffix", "_harbour", "--output", out)
    assert (done.returncode, done.stdout) == (0, "")
    assert out.read_text(encoding="utf-8") == MERGED
    doubt = "a label set of b2ner looks the same, and names labels by their sounds"
    assert done.stderr.splitlines() == [
        f"{schema}: read as yaml",
        f"{other}: read as json ({doubt})",
        f"wrote 4 entity classes to {out}",
    ]


def test_several_schemas_that_do_not_fit_are_refused(tmp_path, schema, other):
    refusal = "different things.*Give one of the schemas a suffix for its own .--suffix NAME, one for each INPUT after"
    for suffixes, message in (
        ([], refusal),
        (["--suffix", "_a", "--suffix", "_b"], "2 --suffix for 1 inputs after the first"),
        (["--suffix", "-x"], "no class name can end in the suffix '-x'"),
    ):
        for command in (["show"], ["import", "--output", tmp_path / "out.py"]):
            done = kcx("schema", *command, schema, other, *suffixes)
            assert (done.returncode, done.stdout) == (2, "")
            assert re.search(message, done.stderr.splitlines()[-1])
    twice = kcx("schema", "show", schema, schema)
    assert (twice.returncode, twice.stderr) == (2, f"kcx: {schema} is given twice: leave one out\n")
    assert not (tmp_path / "out.py").exists()


def test_import_takes_an_inventory_by_name_and_says_what_it_took(tmp_path):
    out = tmp_path / "cluener.py"
    done = kcx("schema", "import", "cluener", "--output", out)
    assert (done.returncode, done.stderr.splitlines()) == (
        0,
        ["cluener: read as inventory", f"wrote 10 entity classes to {out}"],
    )
    named = kcx("schema", "import", "cluener", "--from", "inventory", "--output", tmp_path / "again.py")
    assert named.returncode == 0
    assert out.read_bytes() == (tmp_path / "again.py").read_bytes()


def test_auto_names_labels_that_have_no_name(tmp_path):
    path = tmp_path / "labels.yaml"
    path.write_text("[сотрудник, birth place, BirthPlace]\n", encoding="utf-8")
    names = ["Sotrudnik", "BirthPlace_90c9f7da", "BirthPlace_7b8355e2"]
    out = tmp_path / "out"
    for command in (
        ["show", path],
        ["import", path, "--output", out],
        ["export", path, "--to", "kcx", "--output", out],
    ):
        refused = kcx("schema", *command)
        assert (refused.returncode, refused.stdout, out.exists()) == (2, "", False)
        assert "--auto" in refused.stderr
    shown = kcx("schema", "show", path, "--auto")
    assert re.findall(r"class (\w+)", shown.stdout) == names
    assert "сотрудник: class Sotrudnik" in shown.stderr
    imported = kcx("schema", "import", path, "--auto", "--output", out)
    assert "сотрудник: class Sotrudnik" in imported.stderr
    assert out.read_text(encoding="utf-8") == shown.stdout
    kcx("schema", "export", path, "--to", "kcx", "--auto", "--output", tmp_path / "exported")
    assert (tmp_path / "exported").read_text(encoding="utf-8") == shown.stdout
