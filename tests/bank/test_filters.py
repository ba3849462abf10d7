"""Filters and exclusions: the SQL and the record in memory decide alike, whatever is in the strings."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exprag import Task
from exprag.bank import Filter
from exprag.bank.exclusion import Exclusion
from exprag.bank.filters import literal
from exprag.text import utf8
from exprag.trajectory import Provenance

HOSTILE = ["", "a", "'", "''", "a' OR '1'='1", "\\", "\\'", '"', "`id`", "%", "_", "-- x", "; DROP", "\x00", "\n", "é漢🎈"]
HOSTILE += ["\ud800", "?", "$1", "{x}"]
NAMES = {"": "empty", "\ud800": "surrogate"}  # what the name of an environment cannot be
text = st.sampled_from(HOSTILE) | st.text(max_size=6)
name = text.filter(lambda value: value and utf8(value) == value)
several = st.none() | st.lists(text, max_size=3).map(tuple)
FILTERS = st.builds(
    Filter,
    environment=st.none() | name,
    types=several,
    splits=several,
    success=st.none() | st.booleans(),
    source=st.sampled_from([None, "expert", "agent"]),
    fingerprint=st.none() | text,
    run=st.none() | text,
    ids=several,
)
ANY = Filter(trust=("trusted", "quarantined"))
RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows(episode):
    outcomes = [True, False, None, True] * 5
    return [
        episode(
            n,
            environment=NAMES.get(value, value),
            type=value,
            split=value,
            group=value,
            fingerprint=value,
            id=value,
            source=("expert", "agent")[n % 2],
            success=outcomes[n],
            provenance=Provenance(run=value),
        )
        for n, value in enumerate(HOSTILE)
    ]


def test_filters_agree_with_memory(bank, episode):
    episodes = rows(episode)
    bank.add(episodes)

    @RELAXED
    @given(FILTERS)
    def agree(where):
        assert {t.id for t in bank.trajectories(where)} == {t.id for t in episodes if where.allows(t)}

    agree()
    for value in HOSTILE:  # each alone, so that none is left to chance
        ids = {t.id for t in bank.trajectories(Filter(types=value))}
        assert ids == {t.id for t in episodes if t.task.type == value}


def test_exclusions_agree_with_memory(bank, episode):
    episodes = rows(episode)
    bank.add(episodes)

    @RELAXED
    @given(environment=name, id=name, group=text, ids=st.lists(text, max_size=3))
    def agree(environment, id, group, ids):
        exclusion = Exclusion.of(Task(environment=environment, id=id, group=group), ids)
        ids = {h.trajectory.id for h in bank.search("mug", k=99, where=ANY, exclude=exclusion)}
        assert ids == {t.id for t in episodes if exclusion.allows(t)}

    agree()
    for t in episodes:
        exclusion = Exclusion.of(t.task, [t.id])
        assert t.id not in {h.trajectory.id for h in bank.search("mug", k=99, where=ANY, exclude=exclusion)}


def test_one_value_and_many():
    assert Filter(types="put") == Filter(types=("put",)) == Filter(types=["put"])
    assert Filter(ids=()).to_where() == "(false)"
    assert Filter().to_where() == ""
    assert Filter(success=False).to_where() == "(success = false)"


@given(st.text())
def test_a_literal_is_one_literal(value):
    quoted = literal(value)
    assert quoted[0] == quoted[-1] == "'"
    assert "'" not in quoted[1:-1].replace("''", "")
    quoted.encode("utf-8")
    assert utf8(utf8(value)) == utf8(value)


def test_many_ids(bank, episode):
    bank.add([episode(1)])
    ids = [f"no-{n}" for n in range(5_000)]
    assert bank.count(Filter(ids=[*ids, episode(1).id])) == 1
