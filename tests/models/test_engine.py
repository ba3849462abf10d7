"""The shared engine: what calls by themselves give, together; each prompt read once; nothing lost when a call fails."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import tiny  # noqa: E402

from exprag.errors import ModelError  # noqa: E402
from exprag.models.engine import Engine, Generated  # noqa: E402
from exprag.models.kv_cache import CachedSequence, PrefixCache, common_prefix  # noqa: E402


def load(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_model(tmp_path_factory.mktemp("engine"))


@pytest.fixture
def engine(folder: Path) -> Engine:
    return Engine(load(folder))


def prompts(number: int, seed: int = 0) -> list[list[int]]:
    """Prompts of different lengths that share their beginning, as episodes share their system message."""
    draw = random.Random(seed)
    start = [draw.randrange(6, 200) for _ in range(40)]
    return [[*start, *(draw.randrange(6, 200) for _ in range(draw.randrange(1, 60)))] for _ in range(number)]


def alone(model: Any, prompt: list[int], length: int) -> list[int]:
    """Greedy decoding by transformers, one call by itself."""
    ids = torch.tensor([prompt])
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        output = model.generate(ids, attention_mask=mask, max_new_tokens=length, do_sample=False, eos_token_id=None)
    return output[0, len(prompt) :].tolist()


def test_together_gives_what_each_gives_alone(folder: Path, engine: Engine) -> None:
    model, asked = load(folder), prompts(12)
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda prompt: engine.generate(prompt, max_new_tokens=15), asked))
    assert [list(answer.tokens) for answer in answers] == [alone(model, prompt, 15) for prompt in asked]
    assert {answer.finish_reason for answer in answers} == {"length"}
    assert engine.steps < 12 * 15  # they were decoded together


def test_of_two_sequences_that_are_alike_each_can_be_forgotten() -> None:
    cache = PrefixCache(0)
    sequences = [cache.take([1, 2, 3]) for _ in range(2)]
    for sequence in sequences:
        keys = torch.zeros(1, 2, 4)
        sequence.extend(0, keys, keys)
        sequence.tokens += [1, 2]
    cache.drop(sequences[1])
    cache.give_back(sequences[0])
    assert len(cache) == 0


def test_what_stands_in_the_prompt_is_drafted(folder: Path, engine: Engine) -> None:
    """A model that repeats itself takes fewer steps than tokens, and says the same."""
    model = load(folder)
    for prompt in prompts(6, seed=3):
        answer = alone(model, prompt, 60)
        for length in (1, 2, 30, 60):
            before = engine.steps, engine.tokens_drafted
            generated = engine.generate([*prompt, *answer[:30], *prompt], max_new_tokens=length)
            assert list(generated.tokens) == alone(model, [*prompt, *answer[:30], *prompt], length)
            assert generated.written == length
            assert engine.steps - before[0] == 1 + length - 1 - (engine.tokens_drafted - before[1])
    assert engine.tokens_drafted > 0


def test_an_answer_ends_where_it_would_without_drafts(folder: Path, engine: Engine) -> None:
    model = load(folder)
    for prompt in prompts(6, seed=4):
        text = [*prompt, *alone(model, prompt, 40), *prompt]
        whole = alone(model, text, 40)
        stop = whole[20]
        generated = engine.generate(text, stop=(stop,), max_new_tokens=40)
        assert list(generated.tokens) == whole[: whole.index(stop)]
        assert generated.finish_reason == "stop"
        ended = engine.generate(text, finished=lambda answer: len(answer) == 7, max_new_tokens=40)
        assert list(ended.tokens) == whole[:7]
        again = engine.generate([*text, *whole[:7], 9, 10], max_new_tokens=10)  # what was drafted and not said leaves no trace
        assert list(again.tokens) == alone(model, [*text, *whole[:7], 9, 10], 10)


def test_an_episode_reads_each_token_once(folder: Path, engine: Engine) -> None:
    model, draw, prompt = load(folder), random.Random(1), prompts(1)[0]
    read = 0
    for turn in range(50):
        answer = engine.generate(prompt, max_new_tokens=4)
        assert list(answer.tokens) == alone(model, prompt, 4)
        assert (answer.read, answer.cached) == (len(prompt), 0) if turn == 0 else answer.read <= 5
        read += answer.read
        prompt = [*prompt, *answer.tokens, *(draw.randrange(6, 200) for _ in range(3))]
    assert read <= 1.5 * len(prompt)


def test_a_stop_token_ends_the_answer_and_is_no_part_of_it(folder: Path, engine: Engine) -> None:
    prompt = prompts(1)[0]
    tokens = alone(load(folder), prompt, 10)
    stop = tokens[4]
    answer = engine.generate(prompt, stop=[stop], max_new_tokens=10)
    assert answer.tokens == tuple(tokens[: tokens.index(stop)])
    assert answer.finish_reason == "stop"


def test_sampling_is_repeatable_by_its_seed(engine: Engine) -> None:
    prompt = prompts(1)[0]
    drawn = [engine.generate(prompt, max_new_tokens=12, temperature=2.0, seed=seed).tokens for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_model_that_fails_fails_the_call_and_not_the_next(engine: Engine) -> None:
    prompt = prompts(1)[0]
    with pytest.raises(ModelError, match="The model failed"):
        engine.generate([10**6], max_new_tokens=2)
    assert isinstance(engine.generate(prompt, max_new_tokens=2), Generated)
    assert not any(sequence.busy for sequence in engine.cache._sequences)
    with pytest.raises(ModelError, match="prompt is empty"):
        engine.generate([])


ENDS_IN_A_CALL = """
import sys, threading
from exprag.errors import ModelError
from exprag.models import load_model

engine = load_model("hf:" + sys.argv[1]).engine
decoding = threading.Event()

def call():
    try:
        engine.generate([1, 2, 3], max_new_tokens=10**6, finished=lambda answer: len(answer) == 5 and decoding.set())
    except ModelError as error:
        print(error, flush=True)

threading.Thread(target=call, daemon=True).start()
assert decoding.wait(120)
"""


def test_a_program_that_ends_in_a_call_ends_well(folder: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", ENDS_IN_A_CALL, str(folder)], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "terminate" not in ended.stderr


def test_a_closed_engine_answers_no_more(folder: Path) -> None:
    engine = Engine(load(folder))
    engine.generate([1, 2, 3], max_new_tokens=1)
    engine.close()
    with pytest.raises(ModelError, match="closed"):
        engine.generate([1, 2, 3], max_new_tokens=1)


def test_the_cache_keeps_its_budget(folder: Path) -> None:
    engine = Engine(load(folder), cache_bytes=0)
    prompt = prompts(1)[0]
    first, second = (engine.generate(prompt, max_new_tokens=3) for _ in range(2))
    assert first.tokens == second.tokens
    assert (second.cached, engine.cache.size) == (0, 0)


def test_an_idle_engine_rests_and_starts_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exprag.models.engine.IDLE_SECONDS", 0.01)
    prompt = prompts(1)[0]
    before = engine.generate(prompt, max_new_tokens=2)
    thread = engine._thread
    if thread is not None:
        thread.join(timeout=60)
    assert engine._thread is None
    assert engine.generate(prompt, max_new_tokens=2).tokens == before.tokens


def test_an_answer_may_say_itself_that_it_is_finished(engine: Engine) -> None:
    answer = engine.generate(prompts(1)[0], max_new_tokens=9, finished=lambda tokens: len(tokens) == 3)
    assert (len(answer.tokens), answer.finish_reason) == (3, "stop")


def test_the_longest_start_is_taken_and_a_short_one_copied() -> None:
    cache = PrefixCache(10**9)
    whole = cache.take(list(range(100)))
    whole.tokens += range(100)
    cache.give_back(whole)
    assert cache.take([*range(90), 7, 8]) is whole  # nearly all of it: gone on with
    assert len(whole.tokens) == 90
    cache.give_back(whole)
    other = cache.take([*range(20), *range(500, 600)])
    assert other is not whole  # only a beginning: the other episode may go on
    assert len(whole.tokens) == 90
    assert CachedSequence().size == 0
    assert common_prefix([1, 2, 3], [1, 2, 4], 9) == 2


def test_a_beginning_that_many_share_is_read_once(engine: Engine) -> None:
    """Also where all begin at the same moment: the others wait for the one who reads it, and copy."""
    draw = random.Random(3)
    start = [draw.randrange(6, 200) for _ in range(700)]  # longer than what one step reads
    asked = [[*start, *(draw.randrange(6, 200) for _ in range(20))] for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda prompt: engine.generate(prompt, max_new_tokens=2), asked))
    assert sum(answer.read for answer in answers) == 700 + 8 * 20
    reference = load_again(engine)
    assert [list(answer.tokens) for answer in answers] == [alone(reference, prompt, 2) for prompt in asked]


def load_again(engine: Engine) -> Any:
    """The engine's model as transformers would run it."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(engine.model.config, attn_implementation="sdpa").eval()
    model.load_state_dict(engine.model.state_dict())
    return model


def test_a_sequence_that_is_read_on_is_copied() -> None:
    cache = PrefixCache(10**9)
    busy = cache.take(list(range(100)))
    busy.tokens += range(60)
    other = cache.take([*range(50), 7, 8])
    assert (other is not busy, other.tokens, busy.tokens) == (True, list(range(50)), list(range(60)))
    assert cache.longest([*range(55), 99]) == 55
    assert cache.longest(list(range(55)), adapter="another") == 0


def test_another_episode_takes_nothing_from_one_that_waits_for_its_environment() -> None:
    cache = PrefixCache(10**9)
    first = cache.take(list(range(1000)))
    first.tokens += range(1000)
    cache.give_back(first)
    second = cache.take([*range(800), *range(5000, 5200)])  # the same system message and memory
    assert (second is not first, len(first.tokens), len(second.tokens)) == (True, 1000, 800)
    assert cache.take([*range(990), 7, 8]) is first  # its own next step, with the answer in other tokens


def test_calls_of_several_adapters_are_decoded_together(folder: Path, engine: Engine, tmp_path: Path) -> None:
    """Each as by its own copy of the weights with its adapter in them; the base stays what it was."""
    peft = pytest.importorskip("peft")
    folders = []
    for number in range(2):
        torch.manual_seed(number)
        settings = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
        folders.append(tmp_path / str(number))
        peft.get_peft_model(load(folder), settings).save_pretrained(folders[-1])
    names = [None, *(engine.adapters.load(place, 0) for place in folders)]
    assert engine.adapters.load(folders[0], 0) == names[1]
    asked = [(prompt, names[number % 3]) for number, prompt in enumerate(prompts(9))]
    with ThreadPoolExecutor(9) as threads:
        answers = list(threads.map(lambda call: engine.generate(call[0], max_new_tokens=8, adapter=call[1]), asked))
    models = {None: load(folder)} | {
        name: peft.PeftModel.from_pretrained(load(folder), str(place)) for name, place in zip(names[1:], folders, strict=True)
    }
    expected = [alone(models[name], prompt, 8) for prompt, name in asked]
    assert [list(answer.tokens) for answer in answers] == expected
    assert len({tuple(alone(model, asked[0][0], 8)) for model in models.values()}) == 3


@pytest.mark.slow
def test_real_steps_are_those_of_greedy_decoding(small_model: Path) -> None:
    """A pretrained model in fp32 reads five real games side by side; each of its answers is what transformers gives by itself.
    ENGINE_STEPS=50 compares fifty, which takes minutes."""
    steps = int(os.environ.get("ENGINE_STEPS", "15"))
    pytest.importorskip("langchain_huggingface")
    from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

    from exprag.environments.expert import play_expert
    from exprag.models.load import load_model
    from exprag.plugins import create

    model: Any = load_model(f"hf:{small_model}?dtype=float32")
    environment = create("environment", "alfworld-generated")
    episodes = [play_expert(environment, task) for task, _ in zip(environment.tasks("train"), range(8), strict=False)]
    episodes = sorted(episodes, key=lambda episode: -len(episode.steps))[:5]

    def play(episode: Any) -> list[tuple[list[int], Generated]]:
        messages: list[BaseMessage] = [SystemMessage(f"You act in a household. {episode.task.instruction}")]
        answers = []
        for step in [*episode.steps, *episode.steps][: steps // 5]:
            messages.append(HumanMessage(step.observation[:160]))  # enough of it, in a time that a test may take
            prompt = model.tokenizer(model._to_chat_prompt(messages), add_special_tokens=False)["input_ids"]
            answers.append((prompt, model.engine.generate(prompt, stop=model.stops, max_new_tokens=4)))
            messages.append(AIMessage(step.action))
        return answers

    with ThreadPoolExecutor(5) as threads:
        calls = [call for answers in threads.map(play, episodes) for call in answers]
    assert len(calls) == steps
    reference = load(small_model)
    for prompt, answer in calls:
        assert [*answer.tokens, *model.stops[:1]][: answer.written] == alone(reference, prompt, answer.written)
    assert sum(answer.read for _, answer in calls) < 0.7 * sum(len(prompt) for prompt, _ in calls)
