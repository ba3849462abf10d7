from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exprag.environments.expert import play, play_expert
from exprag.errors import ConfigError, EnvError
from exprag.plugins import create
from exprag_envs.webshop import goals, pages
from exprag_envs.webshop.catalogue import Product
from exprag_envs.webshop.goals import Goal
from exprag_envs.webshop.reward import alike, nouns, options_found, reward, type_reward
from exprag_envs.webshop.search import Search, words

DATA = Path(__file__).resolve().parents[2] / "../shared/data/webshop"
needs_data = pytest.mark.skipif(
    not (DATA / "items_shuffle_1000.json.xz").is_file(),
    reason="WebShop's catalogue is not beside the repository: ../shared/data/webshop/items_shuffle_1000.json.xz",
)


def product(**changes: Any) -> Product:
    told: dict[str, Any] = {
        "asin": "B000000001",
        "category": "beauty",
        "query": "shampoo",
        "product_category": "Beauty › Hair Care › Shampoo",
        "title": "Green Tea Shampoo Bottle",
        "description": "Washes hair. Made with natural ingredients.",
        "bullets": ["Holds essential oils", "Large bottle"],
        "price": 25.0,
        "price_tag": "$25.0",
        "options": {"color": ["dark blue", "red"], "size": ["8 ounce", "16 ounce"]},
        "attributes": ["tea tree", "essential oil"],
        "instruction": "Find me a shampoo with tea tree",
        "instruction_attributes": ["tea tree"],
        **changes,
    }
    return Product(**told)


def wanting(
    wanted: Product, attributes: tuple[str, ...], options: tuple[tuple[str, str], ...] | tuple[str, ...], upper: float = 30.0
) -> Goal:
    return Goal("x", "synthetic", wanted, "", attributes, options, upper)


# The reward, by hand


def test_reward_is_one_for_all_that_was_wanted() -> None:
    goal = wanting(product(), ("tea tree", "essential oils", "natural ingredients"), (("color", "red"), ("size", "8 ounce")))
    # Two attributes fuzzily among the product's own, the third in its description; two options; the price.
    assert reward(product(), ["red", "8 ounce"], goal) == 1.0


def test_reward_counts_each_thing_alike() -> None:
    goal = wanting(product(), ("tea tree", "gluten free"), (("color", "red"), ("size", "8 ounce")), upper=20.0)
    # Of 2 attributes 1, of 2 options 1, and the price is above the limit: 2 of 5.
    assert reward(product(), ["red", "16 ounce"], goal) == pytest.approx(2 / 5)
    assert reward(product(price=20.0), ["red", "16 ounce"], goal) == pytest.approx(3 / 5)
    assert reward(product(), [], wanting(product(), ("gluten free",), (), upper=10.0)) == 0.0


def test_reward_is_scaled_by_type() -> None:
    goal = wanting(product(), ("tea tree",), ())
    other = {"query": "brush", "product_category": "Home › Kitchen › Brushes"}
    assert type_reward(product(title="Hair Brush", **other), goal.product) == 0.0
    # One noun of six agrees, and nothing else does.
    long = product(title="Ceramic Shampoo Dispenser Wall Bathroom Rack Holder", **other)
    six = product(title="Shampoo Conditioner Lotion Cream Powder Perfume")
    assert len(nouns(six.title)) == 6
    assert type_reward(long, six) == 0.5
    assert type_reward(product(title=long.title), six) == 1.0  # the same query
    eleven = product(title="Shampoo Conditioner Lotion Cream Powder Perfume Bottle Towel Mirror Basket Candle")
    assert len(nouns(eleven.title)) == 11
    assert type_reward(long, eleven) == 0.1
    assert reward(long, [], wanting(eleven, ("tea tree",), ())) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("wanted", "bought", "by_spacy"),
    [
        (
            "Mens D.O.N. Issue 2 Gca Basketball Sneakers Shoes Casual - Off White",
            "PEAK High Top Mens Basketball Shoes Lou Williams Streetball Master Breathable Non Slip Outdoor Sneakers",
            0.333,
        ),
        (
            "Saireed UL Listed 2 Prong Power Cord for JBL Bar 3.1 Bar 2.1 Channel 4K Ultra HD Soundbar",
            "BRST AC Power Cord Outlet Socket Cable Plug Lead for Panasonic SC-HT830V DVD/VCR Combo Home Theater System",
            0.15,
        ),
        (
            "Rusticware 921ORB Kitchen and Bath Cabinet Knob",
            "Minkissy 2pcs Stainless Steel Eyebrow Tweezers Blackhead Acne Remover Portable Makeup Tweezers (Silver)",
            0.0,
        ),
    ],
)
def test_nouns_are_near_what_the_original_finds(wanted: str, bought: str, by_spacy: float) -> None:
    shared = len(nouns(wanted) & nouns(bought)) / len(nouns(wanted))
    assert shared == pytest.approx(by_spacy, abs=0.12)


def test_options_are_compared_fuzzily_and_by_colour() -> None:
    assert options_found(["pack of 12", "powder snow", "xl"], ["cool powder snow", "xl", "pack of 12"]) == 3
    assert options_found(["navy blue"], ["sky blue"]) == 1  # both count as blue, as in the original
    assert options_found(["navy blue"], [("color", "blue")]) == 1
    assert options_found(["red"], [("color", "blue")]) == 0
    assert options_found([], ["red"]) == 0
    assert alike("essential oil", "essential oils")
    assert not alike("tea bag", "tea tree")


# Goals and search, on small catalogues


def test_goals_run_through_the_combinations_of_options() -> None:
    item = product()
    assert goals.count(item, "synthetic") == 4
    texts = [goals.goal(item, "synthetic", number).text for number in range(4)]
    limit = texts[0].partition(", and price lower than ")[2]
    assert texts[0] == f"Find me a shampoo with tea tree with color: dark blue, and size: 8 ounce, and price lower than {limit}"
    assert "dark blue, and size: 16 ounce" in texts[1]
    assert "red, and size: 16 ounce" in texts[3]
    assert float(limit.removesuffix(" dollars")) in {40.0, 50.0, 60.0}  # the greater of two of 30, 40, 50, 60
    assert goals.count(product(instruction_attributes=[]), "synthetic") == 0
    assert goals.goal(product(price=985.0), "synthetic", 0).price_upper == goals.NO_LIMIT


def test_a_goal_is_found_again_by_its_id() -> None:
    human = [{"instruction": "i want red shampoo.", "instruction_attributes": ["tea tree"], "instruction_options": ["red"]}]
    item = product(human=[{"instruction": "no", "instruction_attributes": [], "instruction_options": []}, *human])
    shop = {item.asin: item}
    listed = [*goals.in_turn([item], "synthetic"), *goals.in_turn([item], "human")]
    assert [goal.id for goal in listed] == [f"{item.asin}/{number}" for number in (0, 1, 2, 3, "human-0")]
    assert [goals.by_id(shop, goal.id) for goal in listed] == listed
    assert listed[-1].text.startswith("i want red shampoo, and price lower than ")
    wrong = ["B000000002/0", *(f"{item.asin}/{end}" for end in ("4", "-1", "00", "human-1", "x", "")), item.asin, "", "/"]
    assert [goals.by_id(shop, id) for id in wrong] == [None] * len(wrong)


def test_search_ranks_by_bm25_over_stems() -> None:
    search = Search({"a": "running shoes for men", "b": "red shoe", "c": "green tea", "d": "red red wine of l'eau 6.76 oz"})
    assert set(search("Shoes")) == {"a", "b"}
    assert search("shoes")[0] == "b"  # the shorter text
    assert search("red") == ["d", "b"]
    assert search("of the with") == search("") == search("zzz") == []
    assert search("6.76") == ["d"]
    assert words("Women's l'eau 6.76, 2-pack of the") == ["women", "l'eau", "6.76", "2", "pack"]


# The shop on the real catalogue


@pytest.fixture(scope="module")
def shop() -> Any:
    return create("environment", "webshop", data=DATA)


@needs_data
def test_goals_and_splits_of_the_real_catalogue(shop: Any) -> None:
    everything = create("environment", "webshop", data=DATA, goals="all")
    by_split = {split: list(everything.tasks(split)) for split in everything.splits}
    tasks = [task for listed in by_split.values() for task in listed]
    assert len(tasks) == len({task.id for task in tasks}) == 6910 + 13
    assert sum(task.metadata["goal"] == "human" for task in tasks) == 13
    products = [{task.group for task in listed} for listed in by_split.values()]
    assert sum(map(len, products)) == len(set().union(*products)), "a product crosses splits"
    assert {split: len(listed) for split, listed in by_split.items()} == {"train": 5494, "dev": 493, "test": 936}
    assert {task.type for task in tasks} == {"beauty", "electronics", "fashion", "garden", "grocery"}
    assert next(iter(shop.tasks("train", ["beauty"]))).type == "beauty"
    assert len({task.group for task in list(shop.tasks("train"))[:50]}) == 50
    assert all(shop.task(task.id) == task for task in by_split["dev"])


@needs_data
def test_the_full_catalogues_plain_files_are_read_too(shop: Any, tmp_path: Path) -> None:
    names = {"items_shuffle_1000": "items_shuffle", "items_ins_v2_1000": "items_ins_v2"}
    for packed, plain in names.items():
        (tmp_path / f"{plain}.json").write_bytes(lzma.decompress((DATA / f"{packed}.json.xz").read_bytes()))
    full = create("environment", "webshop", data=tmp_path)
    assert list(full.tasks("dev")) == list(shop.tasks("dev")), "prices and limits hang on the product alone"
    assert full.fingerprint() != shop.fingerprint()
    for plain in names.values():
        (tmp_path / f"{plain}_1000.json").write_text("[]" if plain == "items_shuffle" else "{}")
    assert list(create("environment", "webshop", data=tmp_path).tasks("dev")) == []
    assert next(create("environment", "webshop", data=tmp_path, catalogue="full").tasks("dev"))


@needs_data
def test_the_oracle_shops_well(shop: Any) -> None:
    tasks = [*list(shop.tasks("train"))[:40], *list(shop.tasks("dev"))[:30], *list(shop.tasks("test"))[:30]]
    played = [play_expert(shop, task, max_steps=shop.max_steps(task)) for task in tasks]
    scores = [trajectory.score or 0.0 for trajectory in played]
    assert sum(scores) / len(scores) > 0.95
    assert all(trajectory.ended == "terminated" for trajectory in played)
    assert all(trajectory.success == (trajectory.score == 1.0) for trajectory in played)
    assert all(step.valid for trajectory in played for step in trajectory.steps)
    human = create("environment", "webshop", data=DATA, goals="human")
    assert all(play_expert(human, task).success for split in human.splits for task in human.tasks(split))


@needs_data
def test_a_walk_through_the_shop(shop: Any) -> None:
    task = next(iter(shop.tasks("dev")))
    first, info = shop.reset(options={"task": task.id})
    assert first == f"WebShop\nInstruction: \n{task.instruction}\n[button] Search [button_]\n"
    assert info["task"] == task
    assert shop.admissible_actions() == [f"search[{task.instruction}]"]
    results = shop.step("search[red shoes]")[0]
    assert "Page 1 (Total results: 50)" in results
    assert "< Prev" not in results
    second = shop.step("click[Next >]")[0]
    assert "Page 2 (Total results: 50)" in second
    assert "[button] < Prev [button_]" in second
    assert shop.step("click[< prev]")[0] == results
    asin = next(action for action in shop.admissible_actions() if action.startswith("click[b0"))
    item = shop.step(asin)[0]
    assert "Rating: N.A." in item
    assert "[button] Buy Now [button_]" in item
    for name in pages.SUB_PAGES:
        assert shop.step(f"click[{name}]")[0] != item
        assert shop.step("click[< Prev]")[0] == item
    assert f"[clicked button] {asin[6:-1].upper()} [clicked button_]" in shop.step("click[< Prev]")[0]
    assert shop.step("click[Back to Search]")[0] == first
    for number, action in enumerate(["search[red]", *["click[next >]"] * 5], 1):
        seen = shop.step(action)[0]
        assert f"Page {number} (Total results: 50)" in seen
    assert "$" not in seen.partition("Page 6")[2], "beyond the last page there is an empty one, as in the original"


@needs_data
def test_what_is_not_understood_does_nothing(shop: Any) -> None:
    task = next(task for task in shop.tasks("dev") if " with " in task.instruction)
    first, _ = shop.reset(options={"task": task})
    bad = ["", "look", "search[]", "click[buy now]", "click[search]", "click[]", "search", "\ud800", "click[" + "x" * 9999 + "]"]
    for action in bad:
        assert shop.step(action) == (first, 0.0, False, False, {"score": 0.0, "success": False, "valid": False})
    trajectory = play(shop, task, [*bad, next(shop.expert()), "click[buy now]"])
    assert [step.valid for step in trajectory.steps] == [False] * len(bad) + [True, False]
    bought = play_expert(shop, task)
    assert shop.step("click[buy now]")[2:] == (True, False, {"score": bought.score, "success": bought.success, "valid": False})
    assert shop.step("search[x]")[1] == 0.0, "the reward is paid once"
    assert shop.admissible_actions() == []


@needs_data
def test_the_text_mode_joins_by_sep() -> None:
    shop = create("environment", "webshop", data=DATA, mode="text", show_attributes=True)
    task = next(iter(shop.tasks("dev")))
    assert shop.reset(options={"task": task})[0] == f"WebShop [SEP] Instruction: [SEP] {task.instruction} [SEP] Search"
    shop.step("search[shoes]")
    shop.step(next(action for action in shop.admissible_actions() if action.startswith("click[b0")))
    head = f"Instruction: [SEP] {task.instruction} [SEP] Back to Search [SEP] < Prev [SEP] "
    assert shop.step("click[attributes]")[0].startswith(head)


def test_rendering_tags_what_can_be_and_was_clicked() -> None:
    page = pages.item_page("buy", product(), ["red"], attributes=False)
    rich = pages.render(page, "text_rich")
    head = "You have clicked red.\nInstruction:\nbuy\n[button] Back to Search [button_]\n[button] < Prev [button_]\ncolor\n"
    assert rich.startswith(head)
    assert "  [button] dark blue [button_]\n  [clicked button] red [clicked button_]\nsize\n" in rich
    assert pages.clickables(page) == [
        "back to search", "< prev", "dark blue", "red", "8 ounce", "16 ounce", "description", "features", "reviews", "buy now",
    ]  # fmt: skip


@needs_data
def test_episodes_replay_alike_in_another_process(shop: Any) -> None:
    tasks = list(shop.tasks("test"))[5:8]
    here = [play_expert(shop, task) for task in tasks]
    told = [[step.observation for step in run.steps] + [run.final_observation] for run in here]
    fresh = create("environment", "webshop", data=DATA)
    again = [play(fresh, task, run.actions) for task, run in zip(tasks, here, strict=True)]
    assert [[step.observation for step in run.steps] + [run.final_observation] for run in again] == told
    script = (
        "import json, sys\nfrom exprag.plugins import create\nfrom exprag.environments.expert import play_expert\n"
        "env = create('environment', 'webshop', data=sys.argv[1])\n"
        "runs = [play_expert(env, env.task(id)) for id in sys.argv[2:]]\n"
        "print(json.dumps([[s.observation for s in r.steps] + [r.final_observation] for r in runs]))"
    )
    other = subprocess.run(
        [sys.executable, "-c", script, str(DATA), *(task.id for task in tasks)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert json.loads(other.stdout) == told


# Bad input


@needs_data
def test_unknown_names_are_refused(shop: Any) -> None:
    with pytest.raises(ConfigError, match="no split 'valid'"):
        shop.tasks("valid")
    with pytest.raises(ConfigError, match=r"no task type 'beuty'.*'beauty'"):
        shop.tasks("train", ["beuty"])
    with pytest.raises(EnvError, match=r"no goal 'B000000000/0'.*ASIN/NUMBER"):
        shop.reset(options={"task": "B000000000/0"})
    with pytest.raises(EnvError, match=r"no goal 'B07FYPSNH8/human-1'.* and 1 human goals, numbered from 0"):
        shop.task("B07FYPSNH8/human-1")
    with pytest.raises(EnvError, match="belongs to environment 'toy'"):
        shop.reset(options={"task": {"environment": "toy", "id": "x", "split": "train"}})
    with pytest.raises(EnvError, match="needs to know its task"):
        shop.reset()
    with pytest.raises(EnvError, match="no expert 'sage'"):
        shop.expert("sage")
    assert shop.fingerprint() != create("environment", "webshop", data="/nowhere").fingerprint()


def test_options_are_checked() -> None:
    for options, message in (
        ({"mode": "html"}, "no observation mode 'html'"),
        ({"goals": "none"}, "no goals 'none'"),
    ):
        with pytest.raises(ConfigError, match=message):
            create("environment", "webshop", **options)
    with pytest.raises(ConfigError, match="no WebShop catalogue 'huge'"):
        create("environment", "webshop", data=".", catalogue="huge").task("x/0")


def test_missing_and_broken_data_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBSHOP_DATA", raising=False)
    with pytest.raises(EnvError, match=r"no folder was named.*setup\.sh"):
        create("environment", "webshop").tasks("train")
    missing = create("environment", "webshop", data=tmp_path)
    with pytest.raises(EnvError, match=r"looked for items_shuffle_1000\.json, items_ins_v2_1000\.json, items_shuffle\.json"):
        missing.tasks("train")
    (tmp_path / "items_shuffle.json").write_text("[{}]")
    (tmp_path / "items_ins_v2.json").write_text("{")
    with pytest.raises(EnvError, match=r"items_ins_v2\.json cannot be read"):
        missing.tasks("train")
    (tmp_path / "items_ins_v2.json").write_text("{}")
    with pytest.raises(EnvError, match="product 0 is not as expected"):
        missing.tasks("train")
    (tmp_path / "items_shuffle.json").write_text("{}")
    with pytest.raises(EnvError, match="should hold a JSON list, it holds a dict"):
        missing.tasks("train")
    (tmp_path / "items_shuffle.json").write_text("[]")
    assert list(missing.tasks("train")) == []
    with pytest.raises(EnvError, match="human instructions are not there"):
        create("environment", "webshop", data=tmp_path, goals="human").tasks("train")
