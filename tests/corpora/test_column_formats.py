"""Column formats: what was written is what is read, in every scheme of tags, and what cannot be is refused."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import choose_reader, read_records
from kcx_jax.errors import KcxError, UsageError

CONLLU = (
    "# sent_id = s-1\n"
    "1-2\tdel\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "1\tde\t_\t_\t_\t_\t_\t_\t_\tNE=O\n"
    "2\tel\t_\t_\t_\t_\t_\t_\t_\tNE=O\n"
    "3\tMiño\t_\t_\t_\t_\t_\t_\t_\tNE=B-LOC|SpaceAfter=No\n"
    "3.1\tnada\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "4\t.\t_\t_\t_\t_\t_\t_\t_\tNE=O\n"
)
MULTICONER = (
    "# id 61c2\tdomain=en\nada _ _ B-PER\n  _ _ I-PER\n# _ _ O\nx\u200b _ _ O\n\n# id 61c3\nhi _ _ O\n"
)
PANX = "zh:李\tB-PER\nzh:白\tI-PER\nzh::\tO\n\nzh:来\tO\n"
WEIBO = "科0\tB-ORG.NAM\n技1\tI-ORG.NAM\n30\tO\n\ufffd\ufffd0\tO\n" + "".join(
    f"{'abcdefghijkl'[i]}{i}\tO\n" for i in range(12)
)
GERMEVAL = (
    "#\thttps://example.org [2020-01-01]\n1\tUniversität\tB-ORG\tO\n2\tBonn\tI-ORG\tB-LOC\n3\t#\tO\tO\n\n"
    "1\tja\tO\tO\n"
)
NESTED = "# text = FC Ry\n1\tFC\tO\tB-ORG#O\n2\tRy\tO\tI-ORG#B-LOC\n"
SAMPLES = {
    "conllu": CONLLU,
    "multiconer": MULTICONER,
    "panx": PANX,
    "weibo": WEIBO,
    "wikineural": GERMEVAL,
    "iob2": NESTED,
}

SCHEMES = {
    "IOB2": lambda n: ["B"] + ["I"] * (n - 1),
    "IOBES": lambda n: ["S"] if n == 1 else ["B"] + ["I"] * (n - 2) + ["E"],
    "BILUO": lambda n: ["U"] if n == 1 else ["B"] + ["I"] * (n - 2) + ["L"],
    "BMES": lambda n: ["S"] if n == 1 else ["B"] + ["M"] * (n - 2) + ["E"],
    "IOB1": lambda n: ["I"] * n,
    "no B-": lambda n: ["I"] * n,
}
# Whatever may stand in a row: no tab or line end, and for a token not only white space.
CHARACTERS = st.characters(blacklist_characters="\t\n\r\ufeff", blacklist_categories=["Cs"])
TOKENS = st.text(CHARACTERS, min_size=1, max_size=4)
LABELS = st.sampled_from(["PER", "LOC", "creative-work"])
PLANS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), LABELS), max_size=5)


def read(content, reader="auto", name="sample.txt", **options):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read_records(path, reader, **{"inventory": None} | options))


def found(record):
    """The spans of a record in its own tokens, with the corpus's labels."""
    starts = {start: i for i, (start, _) in enumerate(record.meta["source_tokens"])}
    ends = {end: i + 1 for i, (_, end) in enumerate(record.meta["source_tokens"])}
    assert all(record.text[m.start : m.end] == m.text for m in record.entities)
    return [(starts[m.start], ends[m.end], record.meta["source_labels"][m.id]) for m in record.entities]


def spans(record):
    return [(record.meta["source_labels"][m.id], m.text, m.start) for m in record.entities]


def laid_out(plan):
    """The plan's (gap, length, label) as spans in tokens, and where the last one ends."""
    placed, position = [], 0
    for gap, length, label in plan:
        placed.append((position + gap, position + gap + length, label))
        position += gap + length
    return placed, position


def written(placed, length, scheme):
    tags = ["O"] * length
    for i, (start, end, label) in enumerate(placed):
        tags[start:end] = [f"{prefix}-{label}" for prefix in SCHEMES[scheme](end - start)]
        if scheme == "IOB1" and i and placed[i - 1][1:] == (start, label):
            tags[start] = f"B-{label}"  # IOB1 has B- only where a span touches one of the same label
    return tags


def merged(placed):
    """What tags without any B- can say: spans of one label that touch are one."""
    out = []
    for start, end, label in placed:
        if out and out[-1][1:] == (start, label):
            out[-1] = (out[-1][0], end, label)
        else:
            out.append((start, end, label))
    return out


@settings(deadline=None, max_examples=60)
@given(PLANS.filter(bool), st.data(), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\ufeff"]))
@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_written_in_a_scheme_is_read(scheme, plan, data, line_end, mark):
    placed, length = laid_out(plan)
    tokens = data.draw(st.lists(TOKENS, min_size=length, max_size=length))
    rows = [f"{token}\t{tag}" for token, tag in zip(tokens, written(placed, length, scheme), strict=True)]
    rows += ["", "last\tO"]
    first, last = read((mark + line_end.join(rows)).encode(), "conll")
    assert first.text == " ".join(tokens)
    assert [first.text[start:end] for start, end in first.meta["source_tokens"]] == tokens
    assert found(first) == (merged(placed) if scheme == "no B-" else placed)
    assert (last.text, last.entities) == ("last", ())


@settings(deadline=None, max_examples=40)
@given(PLANS.filter(bool), PLANS, st.booleans())
def test_layers_in_columns_or_in_one_cell_are_all_read(outer, inner, joined):
    (above, length), (below, inner_length) = laid_out(outer), laid_out(inner)
    length = max(length, inner_length)
    layers = [written(above, length, "IOB2"), written(below, length, "BILUO")]
    text = "# text = " + "x" * length + "\n"
    sep = "#" if joined else "\t"
    rows = [f"{i}\tx\tO\t{a}{sep}{b}\n" for i, (a, b) in enumerate(zip(*layers, strict=True), 1)]
    (record,) = read(text + "".join(rows), "iob2", columns=[4] if joined else [4, 5])
    assert sorted(found(record)) == sorted(above + below)
    assert [m.start for m in record.entities] == sorted(m.start for m in record.entities)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.text("añ😀'", min_size=1, max_size=3), st.integers(1, 3), st.booleans()), min_size=1
    )
)
def test_conllu_gives_the_text_of_tokens_and_words_inside_it(plan):
    """Tokens of one or more words that spell them, with or without a space behind; each word an entity."""
    lines, text, words, number = [], "", [], 1
    for form, count, glued in plan:
        misc = "SpaceAfter=No" if glued else "_"
        surface = form * count
        if count > 1:
            lines.append(f"{number}-{number + count - 1}\t{surface}" + "\t_" * 7 + f"\t{misc}")
        for i in range(count):
            own = f"SpaceAfter=No|NER=B-{'LP'[i % 2]}" if glued and count == 1 else f"NER=B-{'LP'[i % 2]}"
            lines.append(f"{number + i}\t{form}" + "\t_" * 7 + f"\t{own}")
            words.append((len(text) + i * len(form), form))
        text += surface + ("" if glued else " ")
        number += count
    for head in ("", f"# text = {text.rstrip(' ')}\n"):
        (record,) = read(head + "\n".join(lines))
        assert record.text == text.rstrip(" ")
        assert [(m.start, m.text) for m in record.entities] == words


def test_conllu_words_that_do_not_spell_their_token_share_its_place():
    (record,) = read(CONLLU)
    assert (record.text, spans(record)) == ("del Miño.", [("LOC", "Miño", 4)])
    assert record.meta["source_tokens"] == [[0, 3], [0, 3], [4, 8], [8, 9]]
    assert record.meta["source_id"] == "s-1"
    whole = CONLLU.replace("el\t_\t_\t_\t_\t_\t_\t_\tNE=O", "el\t_\t_\t_\t_\t_\t_\t_\tNE=I-X").replace(
        "de\t_\t_\t_\t_\t_\t_\t_\tNE=O", "de\t_\t_\t_\t_\t_\t_\t_\tNE=B-X"
    )
    assert spans(read(whole)[0]) == [("X", "del", 0), ("LOC", "Miño", 4)]


def test_the_text_comment_of_conllu_says_what_spaces_there_were():
    (record,) = read("# text = del  Miño .\n" + CONLLU)
    assert (record.text, spans(record)) == ("del  Miño .", [("LOC", "Miño", 5)])


def test_multiconer_with_its_ids_odd_tokens_and_characters_of_no_width():
    first, second = read(MULTICONER)
    assert first.text == "ada   # x\u200b"
    assert spans(first) == [("PER", "ada  ", 0)]
    assert [record.meta["source_id"] for record in (first, second)] == ["61c2", "61c3"]


def test_panx_says_its_language():
    first, second = read(PANX)
    assert (first.language, first.text, spans(first)) == ("zh", "李白:", [("PER", "李白", 0)])
    assert second.text == "来"
    (german,) = read("de:in\tO\nde:Bonn\tB-LOC\n")
    assert (german.language, german.text, spans(german)) == ("de", "in Bonn", [("LOC", "Bonn", 3)])


def test_weibo_takes_the_position_off_and_nothing_else():
    (record,) = read(WEIBO, language="zh")
    assert record.text == "科技3\ufffd\ufffdabcdefghijkl"
    assert spans(record) == [("ORG.NAM", "科技", 0)]


@given(st.text(CHARACTERS, min_size=1), st.data())
@settings(deadline=None, max_examples=60)
def test_weibo_reads_words_of_any_characters_and_length(text, data):
    words = [
        len(list(group)) for _, group in itertools.groupby(text, key=lambda _: data.draw(st.integers(0, 5)))
    ]
    positions = [i for length in words for i in range(length)]
    rows = [f"{character}{position}\tO" for character, position in zip(text, positions, strict=True)]
    assert read("\n".join(rows), "weibo")[0].text == text


def test_an_indexed_file_may_count_from_one_and_have_two_layers():
    first, second = read(GERMEVAL, columns=[3, 4])
    assert first.text == "Universität Bonn #"
    assert spans(first) == [("ORG", "Universität Bonn", 0), ("LOC", "Bonn", 12)]
    assert second.text == "ja"
    assert spans(read(GERMEVAL)[0]) == [("ORG", "Universität Bonn", 0)]


def test_the_caller_chooses_the_column_of_the_tags():
    content = "# id 7\nAda NNP B-PER x\n# SYM O x\nslept VBD O x\n"
    (record,) = read(content, "conll", columns=[3])
    assert (record.text, spans(record)) == ("Ada # slept", [("PER", "Ada", 0)])
    assert record.meta["source_id"] == "7"


def test_a_comment_in_a_file_of_tabs_may_end_like_a_tag():
    (record,) = read("# sent_id = 3\n# of blood type O\nAda\tB-PER\n#\tO\n#x\tB-TAG\n")
    assert (record.text, spans(record)) == ("Ada # #x", [("PER", "Ada", 0), ("TAG", "#x", 6)])


def test_a_token_may_be_a_space():
    for content in ("a\tB-X\n \tI-X\nb\tI-X\n", "a B-X\n  I-X\nb I-X\n"):
        (record,) = read(content, joiner="")
        assert (record.text, spans(record)) == ("a b", [("X", "a b", 0)])


@pytest.mark.parametrize("reader", SAMPLES)
def test_each_is_chosen_by_its_content_and_minds_neither_crlf_nor_bom(reader, tmp_path):
    content = SAMPLES[reader]
    path = tmp_path / "anything"
    path.write_bytes(b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode())
    assert choose_reader(path) == reader
    assert read(path.read_bytes()) == read(content)


@pytest.mark.parametrize(
    ("reader", "row", "kind"),
    [
        ("conll", "\tO", "sentences with an empty token"),
        ("conll", "said\t-", "sentences with a row that is not tagged"),
        ("multiconer", " _ _ O", "sentences with an empty token"),
        ("iob2", "2\tsaid\t-\t-\t-", "sentences with a row that is not tagged"),
        ("conllu", "2\tsaid\t_\t_\t_\t_\t_\t_\t_\tNER=-", "sentences with a row that is not tagged"),
    ],
)
def test_a_sentence_that_cannot_be_lined_up_is_set_aside_and_those_around_it_are_read(
    tmp_path, reader, row, kind
):
    head, first = {
        "conll": ("", "Ada\tB-PER"),
        "multiconer": ("# id 1", "Ada _ _ B-PER"),
        "iob2": ("# text = Ada", "1\tAda\tB-PER\t-\t-"),
        "conllu": ("# text = Ada", "1\tAda\t_\t_\t_\t_\t_\t_\t_\tNER=B-PER"),
    }[reader]
    whole = f"{head}\n{first}\n\n"
    damaged = whole.replace("text = Ada", "text = Ada said").rstrip("\n") + f"\n{row}\n\n"
    path = tmp_path / "some.txt"
    path.write_text(whole + damaged + whole, encoding="utf-8")
    before, aside, after = read_records(path, reader=reader, inventory=None)
    line = damaged.split("\n").index(row) + len(whole.split("\n"))
    assert aside.entities is None
    assert aside.meta["set_aside"] == {kind: 1}
    assert aside.meta["unplaced"] == {kind: [{"line": line, "row": row}]}
    for record in (before, after):
        assert "set_aside" not in record.meta
        assert [(m.type, m.start, m.end) for m in record.entities] == [("PER", 0, 3)]


@pytest.mark.parametrize(
    ("reader", "content", "message"),
    [
        ("weibo", "科0\tO\n技x\tO\n", ":2: '技x' is not one character and its position"),
        ("weibo", "科技0\tO\n", ":1: '科技0' is not one character"),
        ("weibo", "科0 O\n", ":1: expected `token TAB tag`"),
        ("panx", "en:a\tO\nde:b\tO\n", ":2: the language 'de', where the rows before say 'en'"),
        ("panx", "a\tO\n", ":1: expected `language:token TAB tag`"),
        ("panx", "en:\tO\n", ":1: expected `language:token TAB tag`"),
        ("multiconer", "a _ _ O\n", ":1: expected a line `# id ...`"),
        ("multiconer", "# id 1\na _ O\n", ":2: expected `token _ _ tag`"),
        ("conll", "#x\tPER\nAda\tO\n", ":1: 'PER' is no tag"),
        ("iob2", "# text = a\n1\ta\tO#O\n2\ta\tO\n", ":3: the token 'a' does not stand"),
        ("iob2", "# text = aa\n1\ta\tO#O\n2\ta\tO\n", ":3: 'O' holds 1 layers of tags, the row before 2"),
        ("conllu", "1\ta\tO\n", ":1: expected ten columns"),
        ("conllu", CONLLU.replace("3\tMi", "4\tMi"), ":5: the id 4 does not follow; 3 is next"),
        ("conllu", CONLLU.replace("1-2", "1-9"), ":2: the words of the multi-word token end at 4"),
        ("conllu", CONLLU.replace("1-2", "2-1"), ":2: the id 2-1 does not follow; 1 is next"),
        ("conllu", CONLLU.replace("NE=O", "NE=B-X", 1), ":4: an entity begins or ends inside the multi-word"),
        ("conllu", CONLLU.replace("B-LOC", "LOC"), ":5: 'LOC' is no tag"),
        ("conllu", CONLLU.replace("B-LOC", ""), ":5: '' is no tag"),
        (
            "conllu",
            CONLLU.replace("B-LOC", "O|name=B-LOC"),
            ":5: MISC 'NE=O|name=B-LOC|SpaceAfter=No': one tag",
        ),
        ("conllu", CONLLU.replace("\t_\n1\t", "\tNE=B-X\n1\t"), ":2: MISC 'NE=B-X': one tag a word"),
        ("conllu", CONLLU.replace("NE=", "Ne="), ": no row has a tag in MISC"),
        ("conllu", "# text = el\n" + CONLLU, ":3: the token 'del' does not stand in the text"),
    ],
)
def test_what_cannot_be_read_is_named(reader, content, message, tmp_path):
    path = tmp_path / "sample.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(KcxError) as error:
        list(read_records(path, reader, inventory=None))
    assert str(error.value).startswith(f"{path}{message}")


WORDS = [
    "a",
    "0",
    "1",
    "1-2",
    "9-1",
    "1.1",
    "O",
    "B-X",
    "I-",
    "B-#",
    "#",
    "de:",
    "_",
    "\ufffd",
    "NER=B-X",
    "|",
]
BREAKS = ["# text = ", "# id ", "\t", "\t_\t_\t_\t_\t_\t_\t", " ", " _ _ ", "\n", "\n\n", "\r", "\n1\t"]
PIECES = st.sampled_from(WORDS + BREAKS)


@settings(deadline=None, max_examples=150)
@given(st.lists(PIECES, max_size=14).map("".join), st.sampled_from([[], [2], [3, 1]]))
@pytest.mark.parametrize("reader", ["auto", "conll", *SAMPLES])
def test_any_content_is_records_that_hold_or_one_message(reader, content, columns):
    try:
        records = read(content, reader, columns=columns)
    except KcxError:
        return
    for record in records:
        record.check()


def test_columns_are_refused_where_there_are_none():
    with pytest.raises(UsageError, match="panx takes no columns; those that do: wikineural, iob2, conll"):
        read(PANX, columns=[2])
    with pytest.raises(UsageError, match="counted from 1, got 0"):
        read(GERMEVAL, columns=[0])
    with pytest.raises(KcxError, match=r":2: has no column 5, only 4"):
        read(GERMEVAL, columns=[5])


def test_conllu_without_tags_is_told_so():
    with pytest.raises(KcxError, match="nor CoNLL-U with a tag in MISC"):
        read("# text = a\n1\ta" + "\t_" * 8 + "\n")
