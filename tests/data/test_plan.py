import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnisrc.data.draws import key_of, mix64, seeds_at, uniforms
from omnisrc.data.plan import SourcePlan, class_power_counts

sources = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 4), min_size=n, max_size=n),
        st.lists(st.integers(0, 6), min_size=n, max_size=n),
    )
)


def make(source, seed=1, batch=7, **options):
    labels, shards = map(np.array, source)
    return SourcePlan(seed, "target", labels, shards, batch, **options)


def drawn(plan, steps):
    return np.concatenate([plan.draw(step).rows for step in range(steps)])


@settings(max_examples=60, deadline=None)
@given(sources, st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 4))
def test_every_pass_holds_every_row_once(source, seed, batch, window):
    plan = make(source, seed, batch, window=window)
    n = len(plan)
    rows = drawn(plan, -(-2 * n // batch))
    assert sorted(rows[:n]) == list(range(n))
    assert sorted(rows[n : 2 * n]) == list(range(n))


@settings(max_examples=40, deadline=None)
@given(sources, st.integers(0, 99), st.integers(0, 200))
def test_a_step_is_a_function_of_the_step(source, seed, step):
    fresh, used = make(source, seed), make(source, seed)
    drawn(used, 5)
    used.draw(step + 9)
    assert (fresh.draw(step).rows == used.draw(step).rows).all()
    assert (fresh.draw(step).seeds == used.draw(step).seeds).all()


@settings(max_examples=40, deadline=None)
@given(sources, st.integers(1, 6), st.integers(0, 30))
def test_the_ranks_share_out_the_global_list(source, world, step):
    whole = make(source, batch=6).draw(step)
    parts = [whole.part(rank, world) for rank in range(world)]
    assert sorted(np.concatenate([part.seeds for part in parts])) == sorted(whole.seeds)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert (parts[0].rows == whole.rows[::world]).all()


@settings(max_examples=40, deadline=None)
@given(sources, st.integers(1, 3))
def test_a_pass_opens_each_window_of_shards_once(source, window):
    plan = make(source, window=window)
    shards = np.array(source[1])[plan.order(0)]
    last = {shard: np.flatnonzero(shards == shard)[-1] for shard in set(shards)}
    first = {shard: np.flatnonzero(shards == shard)[0] for shard in set(shards)}
    for place in range(len(shards)):
        assert sum(first[s] <= place <= last[s] for s in first) <= window


@settings(max_examples=60, deadline=None)
@given(sources, st.floats(0, 1), st.integers(0, 50), st.integers(0, 3))
def test_class_power_draws_each_class_its_share_of_every_pass(source, power, seed, number):
    plan = make(source, seed, power=power)
    labels = np.array(source[0])
    order = plan.order(number)
    assert len(order) == len(labels)
    classes, sizes = np.unique(labels, return_counts=True)
    share = sizes.astype(float) ** power
    wanted = len(labels) * share / share.sum()
    got = np.array([(labels[order] == c).sum() for c in classes])
    assert (np.abs(got - wanted) < 1 + 1e-6).all()


def test_class_power_a_fifth_by_hand():
    # 1, 32 and 243 samples: N**0.2 is 1, 2 and 3, so a pass of 276 draws is shared out 46, 92, 138.
    labels = np.repeat([0, 1, 2], [1, 32, 243])
    expected = class_power_counts(labels, 0.2)
    assert [expected[labels == c].sum() for c in range(3)] == pytest.approx([46, 92, 138])
    order = SourcePlan(0, "web-image", labels, labels, 8, power=0.2).order(0)
    assert np.abs(np.bincount(labels[order]) - [46, 92, 138]).max() <= 1
    assert np.bincount(order).max() == 46  # the single sample of class 0


def test_power_one_is_the_permutation():
    labels = np.repeat([0, 1, 2], [5, 50, 3])
    order = SourcePlan(3, "target", labels, labels, 4, power=1.0).order(1)
    assert sorted(order) == list(range(58))


def test_passes_seeds_and_sources_differ():
    labels = np.zeros(500, dtype=int)
    plans = [SourcePlan(s, name, labels, labels, 10) for s, name in [(1, "target"), (2, "target"), (1, "web-clip")]]
    orders = [tuple(plan.order(number)) for plan in plans for number in (0, 1)]
    assert len(set(orders)) == 6
    seeds = np.concatenate([plan.draw(step).seeds for plan in plans for step in range(200)])
    assert len(np.unique(seeds)) == len(seeds) == 6000


def test_a_batch_larger_than_the_source_wraps_through_passes():
    plan = SourcePlan(1, "web-clip", np.zeros(3, int), np.zeros(3, int), batch=10)
    assert np.bincount(drawn(plan, 3)).tolist() == [10, 10, 10]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**64 - 1))
def test_replacements_visit_every_row(n, seed):
    plan = SourcePlan(0, "target", np.zeros(n, int), np.zeros(n, int), 1)
    assert sorted(plan.replacement(seed, attempt) for attempt in range(n)) == list(range(n))


def test_mix64_is_the_published_sequence():
    # SplitMix64 from state 1234567: the reference implementation's first three outputs.
    assert seeds_at(1234567, np.arange(3)).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert mix64(np.zeros(1, np.uint64)).tolist() == [0]


def test_uniforms_fill_the_unit_interval_evenly_and_streams_are_independent():
    seeds = seeds_at(key_of(5), np.arange(20000))
    a, b = uniforms(seeds, 0), uniforms(seeds, 1)
    assert a.min() >= 0 and a.max() < 1
    assert np.abs(np.histogram(a, 10, (0, 1))[0] - 2000).max() < 200  # 4.5 sigma
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


def test_a_pass_of_a_million_rows_is_made_in_seconds():
    labels = np.random.default_rng(0).integers(0, 400, 1_000_000)
    plan = SourcePlan(0, "web-image", labels, np.arange(1_000_000) // 1000, 64, power=0.2)
    assert len(plan.draw(0)) == 64  # a hang here would be a quadratic order
