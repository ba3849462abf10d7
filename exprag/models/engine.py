"""One local model shared by all episodes of a process: calls that wait at the same moment are decoded together.

Continuous batching: new calls join, finished ones leave, at every step. One forward pass reads the next tokens of all calls side
by side in one row, without padding; only attention looks at each sequence apart, with the keys and values that are kept from
call to call (`exprag.models.kv_cache`), so an episode's prompt is read once and not at every step. Greedy decoding gives what
one call by itself gives.

Tokens of an answer that stand in its prompt are drafted, and read several at a time (`exprag.models.prompt_lookup`).

LoRA adapters on one base are chosen call by call (`exprag.models.adapters`): calls of one adapter make a step together.

Why our own: transformers' continuous batching keeps a paged cache made for GPUs and did not answer on a CPU; vLLM needs a GPU.
"""

from __future__ import annotations

import atexit
import queue
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any

import torch

from exprag.errors import ModelError, describe
from exprag.models.adapters import Adapters
from exprag.models.attention import IMPLEMENTATION, Segment, attending
from exprag.models.generation import Call, Generated, Reading
from exprag.models.kv_cache import CachedSequence, PrefixCache, common_prefix

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
CACHE_BYTES = 4 * 2**30
IDLE_SECONDS = 5.0
SHARED = 64  # tokens of a beginning for which a call waits while another reads it
CHUNK = 512  # tokens of prompts that are read in one step, so that others' answers go on meanwhile


class Engine:
    """Decodes for one transformers model. Safe to use from any number of threads; the model belongs to the engine's own.

    cache_bytes   what idle sequences may hold; None: 4 GiB
    """

    def __init__(self, model: Any, cache_bytes: int | None = None) -> None:
        self.model = model
        self.model.set_attn_implementation(IMPLEMENTATION)
        self.adapters = Adapters(model)
        self.cache = PrefixCache(CACHE_BYTES if cache_bytes is None else cache_bytes)
        self.steps = self.tokens_read = self.tokens_cached = self.tokens_written = self.tokens_drafted = 0
        self._waiting: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        _engines.add(self)

    def generate(
        self,
        prompt: Sequence[int],
        *,
        stop: Iterable[int] = (),
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        seed: int = 0,
        finished: Callable[[Sequence[int]], bool] | None = None,
        adapter: str | None = None,
    ) -> Generated:
        """The tokens that follow a prompt, greedily or sampled. Waits; raises ModelError where the model fails.

        An answer ends before a token of `stop`, and after one with which `finished` says so of the answer so far. `adapter` is
        a name that `adapters` gave.
        """
        if not prompt:
            raise ModelError("The prompt is empty.", cure="Give at least one token.")
        call = Call(list(prompt), frozenset(stop), max_new_tokens, temperature, seed, finished, adapter, Future())
        with self._lock:
            if self._closed:
                raise _ended()
            self._waiting.put(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="exprag-engine", daemon=True)
                self._thread.start()
        return call.future.result()

    @torch.inference_mode()
    def logits(self, start: Sequence[int], tokens: Sequence[int]) -> torch.Tensor:
        """The logits [vocabulary] after `tokens`, whose `start` was read before and cached. Only while nobody else calls."""
        sequence = CachedSequence()
        output: Any = None
        for part in (list(start), list(tokens[len(start) :])):
            first = len(sequence.tokens)
            ids, places = torch.tensor([part]), torch.tensor([list(range(first, first + len(part)))])
            with attending([Segment(sequence, 0, len(part))]):
                output = self.model(
                    input_ids=ids.to(self.model.device), position_ids=places.to(self.model.device), use_cache=False
                )
            sequence.tokens += part
        logits: torch.Tensor = output.logits[0, -1]
        return logits

    def close(self) -> None:
        """End the engine's thread after the step that it makes now; calls that are not answered by then fail with ModelError."""
        with self._lock:
            self._closed = True
            thread = self._thread
            self._waiting.put(None)
        if thread is not None:
            thread.join()

    # -- the engine's thread

    def _work(self) -> None:
        active: list[Call] = []
        waiting: list[Call] = []
        while True:
            try:
                while not (active or waiting) or not self._waiting.empty():
                    call = self._waiting.get(timeout=IDLE_SECONDS)
                    if call is None:  # closed
                        for unanswered in (*active, *waiting):
                            unanswered.future.set_exception(_ended())
                        return
                    waiting.append(call)
            except queue.Empty:
                with self._lock:
                    if self._waiting.empty():
                        self._thread = None  # the thread goes when nobody calls, so that it does not keep the model alive
                        return
            else:
                waiting = [call for call in waiting if not self._join(call, active)]
                active = self._step(active)

    def _join(self, call: Call, active: list[Call]) -> bool:
        """Begin a call; not yet where another reads a beginning now that both share: it is read once, and then copied."""
        shared = max((self._to_come(call, other) for other in active), default=0)
        if shared >= SHARED and self.cache.longest(call.prompt, call.adapter) < shared:
            return False
        call.sequence = self.cache.take(call.prompt, call.adapter)
        call.cached = len(call.sequence.tokens)
        if call.temperature > 0:
            call.generator = torch.Generator(device=self.model.device).manual_seed(call.seed)
        active.append(call)
        return True

    @staticmethod
    def _to_come(call: Call, other: Call) -> int:
        """How many tokens of a call's prompt another reads, where it is still reading them."""
        if call.adapter != other.adapter or len(other.sequence.tokens) >= len(other.prompt):
            return 0
        shared = common_prefix(call.prompt, other.prompt, len(call.prompt) - 1)
        return shared if shared > len(other.sequence.tokens) else 0

    def _step(self, active: list[Call]) -> list[Call]:
        """One forward pass for all calls; gives those that go on."""
        try:
            return self._forward(active)
        except Exception as error:  # noqa: BLE001 - whatever the model raises goes to the callers
            for call in active:
                if call.future.done():  # by an earlier part of the step
                    continue
                self.cache.drop(call.sequence)
                call.future.set_exception(ModelError(f"The model failed: {describe(error)}"))
            return []

    @torch.inference_mode()
    def _forward(self, active: list[Call]) -> list[Call]:
        going_on: list[Call] = []
        room = CHUNK
        for adapter in dict.fromkeys(call.adapter for call in active):
            readings = []
            for call in active:
                if call.adapter == adapter:
                    pending = call.pending
                    tokens = pending[: max(1, room)]
                    room -= len(tokens) if len(pending) > 1 else 0
                    readings.append(Reading(call, tokens, call.draft() if len(tokens) == len(pending) else []))
            logits = self._read(readings, adapter)
            best = logits.argmax(-1).tolist()
            self.steps += 1
            row = 0
            for reading in readings:
                if not self._take(reading, logits[row:], best[row:]):
                    going_on.append(reading.call)
                row += 1 + len(reading.draft)
        return going_on

    def _read(self, readings: list[Reading], adapter: str | None) -> torch.Tensor:
        """One pass over the next tokens of all calls; gives the logits [n, vocabulary] after the last known token of each, and
        after each drafted one."""
        ids: list[int] = []
        places: list[int] = []
        kept: list[int] = []
        segments: list[Segment] = []
        for reading in readings:
            tokens, sequence = [*reading.tokens, *reading.draft], reading.call.sequence
            segments.append(Segment(sequence, len(ids), len(tokens)))
            kept += range(len(ids) + len(reading.tokens) - 1, len(ids) + len(tokens))
            places += range(len(sequence.tokens), len(sequence.tokens) + len(tokens))
            ids += tokens
        row, positions, last = (torch.tensor(numbers, device=self.model.device) for numbers in (ids, places, kept))
        with self.adapters.in_use(adapter), attending(segments):
            output = self.model(input_ids=row[None], position_ids=positions[None], use_cache=False, logits_to_keep=last)
        logits: torch.Tensor = output.logits[0]
        return logits

    def _take(self, reading: Reading, logits: torch.Tensor, best: list[int]) -> bool:
        """Take the next token, and those after it as long as the draft has them; whether that ends the call."""
        call = reading.call
        call.sequence.tokens += reading.tokens
        if call.pending:
            return False
        for row, drafted in enumerate([*reading.draft, None]):
            if self._answer(call, logits[row], best[row]):
                return True
            if drafted != best[row]:
                break
            call.sequence.tokens.append(best[row])
            self.tokens_drafted += 1
        return False

    def _answer(self, call: Call, logits: torch.Tensor, best: int) -> bool:
        """Take the next token; whether that ends the call."""
        token = best
        if call.generator is not None:
            weights = torch.softmax(logits.float() / call.temperature, -1)
            token = int(torch.multinomial(weights, 1, generator=call.generator))
        if token not in call.stop:
            call.answer.append(token)
        stopped = token in call.stop or (call.finished is not None and call.finished(call.answer))
        if not stopped and len(call.answer) < call.max_new_tokens:
            return False
        reason = "stop" if stopped else "length"
        read, written = len(call.prompt) - call.cached, len(call.answer) + (token in call.stop)
        self.tokens_read += read
        self.tokens_cached += call.cached
        self.tokens_written += written
        self.cache.give_back(call.sequence)
        call.future.set_result(Generated(tuple(call.answer), reason, read, call.cached, written))
        return True


def _ended() -> ModelError:
    return ModelError("The model was closed before it answered.")


@atexit.register
def _close_all() -> None:
    """A thread that is within torch when the interpreter goes takes the process down with it."""
    for engine in list(_engines):
        engine.close()
