"""What fuzzing and thinking like an attacker found, each as the smallest file that shows it."""

import json
import os
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from cnnsearch.engine.run_manifest import read_settings
from cnnsearch.errors import CnnsearchError, RunError, SpaceError
from cnnsearch.runs import manage
from cnnsearch.runs.directory import RunDirectory, list_runs
from cnnsearch.runs.lock import read_owner
from cnnsearch.space.search_space import SearchSpace
from tests.fuzz.corpora import corpus_named
from tests.fuzz.harness import try_one
from tests.fuzz.runs import shown, template
from tests.fuzz.spaces import HEAD, check

MERGES = "a0: &a0 {x0: 1}\n" + "".join(
    f"a{i}: &a{i} {{x{i}: 1, <<: [{f'*a{i - 1},' * 10}]}}\n" for i in range(1, 9)
)


FRACTAL = "{block: {type: fractal, columns: 8}, depth: {int: [30, 35]}, width: 8}"


MULTIPLIED = ", ".join(["{type: depthwise_conv, multiplier: 1000000}"] * 40)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MERGES, "more than 256 keys, including merged ones"),
        ("[" * 101 + "]" * 101, "nested too deeply"),
        ("? " * 40_000, "nested too deeply"),
        (f"[{'1,' * 49_999}]", "too many values"),
        ("a: " + "x" * 100_000, "larger than 100,000 characters"),
        (HEAD.replace("16", "9" * 5000), "Exceeds the limit"),
        (HEAD.replace("16", "0x" + "f" * 5000), "a whole number beyond 1e+18"),
        (HEAD + 'description: "\\e[2J"', "expected text that can be printed"),
        (HEAD + 'description: "\\ud800"', "any.yaml"),
        (HEAD + '"a\\nb": 1', "unknown key"),
        (HEAD + "stages: [{block: {type: {a: 1}, x: 1}}]", "any.yaml"),
        (HEAD + f"stages: [{FRACTAL}]", "more than 10,000 layers in all"),
        (HEAD + f"head: {{layers: [{MULTIPLIED}]}}", "more than 2^40 values"),
        (HEAD + "variables: {w: [1]}", "never used"),
        (HEAD.replace("16", "$w * 2") + "variables: {w: [1]}", "any.yaml: stem.0.filters: $w"),
        (
            HEAD + "scaling: {phi: {choice: [" + "{float: [0, 1]}, " * 10 + "1.5]}}",
            "scaling: more than 256 combinations",
        ),
        (
            HEAD.replace("16}", "16}" + ", {type: conv, filters: {int: [1, 9]}}" * 250)
            + f"head: {{layers: [{', '.join(['{type: flatten}'] * 2000)}]}}",
            "too large to check",
        ),
    ],
)  # fmt: skip
def test_a_hostile_space_is_refused_in_a_second(text: str, words: str) -> None:
    since = time.process_time()
    with pytest.raises(SpaceError) as caught:
        check(SearchSpace.from_text(text, "any.yaml"), 100)
    assert time.process_time() - since < 2  # one on a machine that does nothing else
    assert words in str(caught.value)
    assert str(caught.value).startswith("any.yaml") and str(caught.value).isprintable()


def test_a_huge_space_that_is_sound_is_checked_in_a_second() -> None:
    stage = "{block: bottleneck, depth: {int: [1, 900]}, width: {int: [1, 65536]}}"
    since = time.process_time()
    check(SearchSpace.from_text(f"{HEAD}stages: [{stage}]", "any.yaml"), 100)
    assert time.process_time() - since < 2


def test_markup_in_a_description_is_text() -> None:
    check(SearchSpace.from_text(HEAD + "description: '[/red] [bold]'", "any.yaml"), 1)


def test_messages_are_one_line_that_can_be_printed() -> None:
    assert str(CnnsearchError("a\n\x1b[2Jb\ud800")) == "a \\x1b[2Jb\\ud800"
    assert len(str(CnnsearchError("x" * 9999))) == 1000


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return template(tmp_path / "runs").path


def refused(run: Path) -> str:
    """Every way to look at a run refuses it; returns how."""
    assert [one.state for one in list_runs(run.parent)] == ["damaged"]
    with pytest.raises(RunError) as caught:
        shown(run.parent, run.name)
    assert run.name in str(caught.value) and str(caught.value).isprintable()
    return str(caught.value)


def test_a_sound_run_is_shown(run: Path) -> None:
    shown(run.parent, run.name)
    assert [one.state for one in list_runs(run.parent)] == ["finished"]


ENDLESS = (
    "drop table trial; create view trial as with recursive n(x) as (select 1 union all select x+1"
    " from n) select x id, x number, '' status, '' start, '' outcome, 1 started, 1 ended from n"
)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (ENDLESS, "by its tables"),
        ("create trigger t after insert on event begin delete from trial; end", "by its tables"),
        ("drop table event", "by its tables"),
        ("update trial set start = '[]'", "no JSON object"),
        ("update trial set start = replace(hex(zeroblob(50000)), '0', '[')", "no JSON object"),
        ("update trial set start = '{}'", "values: this key is missing"),
        ("update trial set start = cast(x'ff' as text)", "decode"),
        (
            'update trial set outcome = \'{"score": "x"}\'',
            "score: input should be a valid number, got 'x'",
        ),
        ("update trial set outcome = '{\"score\": NaN}'", "score: input should be a finite number"),
        (
            "update trial set outcome = '{\"score\": 1e400}'",
            "score: input should be a finite number",
        ),
        (
            "update trial set start = replace(start, '10000', '-1')",
            "macs: input should be greater than or equal to 0, got -1",
        ),
        ("update trial set number = x'00'", "number: input should be a valid integer"),
        ("update trial set id = '../../canary' where number = 0", "id: string should match"),
        ("update event set data = '[]'", "no JSON object"),
        ("update event set time = 'x'", "time: input should be a valid number, got 'x'"),
    ],
)
def test_a_hostile_database_is_refused(run: Path, statement: str, words: str) -> None:
    with closing(sqlite3.connect(run / "run.db", isolation_level=None)) as db:
        db.executescript(statement)
    assert words in refused(run)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "no JSON object"),
        ('{"settings": 3}', "settings: input should be a valid dictionary, got 3"),
        ('{"kind": ["final"]}', "kind: input should be a valid string, got"),
        (
            '{"dataset": {"test": "many"}}',
            "dataset.test: input should be a valid integer, got 'many'",
        ),
    ],
)
def test_a_hostile_manifest_is_refused(run: Path, text: str, words: str) -> None:
    (run / "run.json").write_text(text)
    assert words in refused(run)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (None, "settings: this key is missing"),
        ({}, "source: this key is missing"),
        ({"source": "x", "trials": "many"}, "trials: "),
        ({"source": "x", "colour": 1}, "colour: this cnnsearch knows no such setting"),
    ],
)
def test_hostile_settings_are_refused(run: Path, settings: object, words: str) -> None:
    (run / "run.json").write_text(json.dumps({} if settings is None else {"settings": settings}))
    with (
        closing(RunDirectory.open(run.parent, run.name)) as opened,
        pytest.raises(RunError) as caught,
    ):
        read_settings(opened)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["run.json", "space.yaml", "run.db", "run.db-wal", "trials"])
def test_a_link_out_of_a_run_is_refused(run: Path, name: str, tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("canary")
    target = run / name
    target.rename(tmp_path / "kept") if target.exists() else None
    target.symlink_to(tmp_path / ("kept" if (tmp_path / "kept").exists() else "canary"))
    refused(run)
    assert (tmp_path / "canary").read_text() == "canary"


@pytest.mark.parametrize("name", ["space.yaml", "lock"])
def test_a_pipe_in_a_run_is_not_waited_for(run: Path, name: str) -> None:
    (run / name).unlink()
    os.mkfifo(run / name)
    assert "a link or a device" in refused(run)


@pytest.mark.parametrize("pid", [-1, 0, "1", None, 2**40, True])
def test_a_lock_names_one_process_or_none(run: Path, pid: object) -> None:
    """``stop`` would have sent SIGTERM to every process of the user."""
    owner = {"pid": pid, "host": socket.gethostname(), "started": None, "since": 0}
    for started in (None, "", "x"):
        (run / "lock").write_text(json.dumps({**owner, "started": started}))
        assert read_owner(run / "lock") is None
    assert manage.stop(run.parent, run.name) is None


@pytest.mark.parametrize(
    ("corpus", "number"),
    [("archives", 1), ("archives", 133), ("arrays", 0), ("spaces", 365), ("spaces", 1455)],
)
def test_an_input_that_was_a_finding_is_none(corpus: str, number: int, tmp_path: Path) -> None:
    assert try_one(corpus_named(corpus), number, tmp_path / "sandbox").kind in ("works", "refused")
