"""``kcx schema``."""

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
