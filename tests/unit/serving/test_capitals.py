"""The capitals model as it is committed: its tokeniser, its cache, its answers, and how it was trained."""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

DIRECTORY = Path(__file__).parents[3] / "packaging/models/capitals-gpt"


def module(name: str) -> ModuleType:
    """One of the model's own files, which are no package."""
    for place in (DIRECTORY, DIRECTORY / "1"):
        if str(place) not in sys.path:
            sys.path.append(str(place))
    return importlib.import_module(name)


gpt, corpus, train = module("gpt"), module("corpus"), module("train")


@pytest.fixture(scope="module")
def tokenizer() -> gpt.Tokenizer:
    return gpt.Tokenizer.load(DIRECTORY / "1/tokenizer.json")


@pytest.fixture(scope="module")
def model() -> gpt.Gpt:
    return gpt.Gpt.load(DIRECTORY / "1/weights.npz")


def ask(model: gpt.Gpt, tokenizer: gpt.Tokenizer, prompt: str) -> str:
    return tokenizer.decode(list(model.generate(tokenizer.encode(prompt), 64)))


def test_files_are_those_of_the_checksums_and_small() -> None:
    for line in (DIRECTORY / "weights.sha256").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((DIRECTORY / name).read_bytes()).hexdigest() == digest, name
    assert (DIRECTORY / "1/weights.npz").stat().st_size < 2_000_000


@pytest.mark.parametrize(
    "text", ["What's the capital of Texas?", "São Tomé — 東京\n\t🙂", "", "  a  1234567890"]
)
def test_every_text_survives_encoding(tokenizer: gpt.Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_streamed_text_is_never_half_a_character(tokenizer: gpt.Tokenizer) -> None:
    text = "Yaoundé 東京"
    pieces = list(gpt.stream_text(tokenizer, iter(text.encode())))
    assert "".join(pieces) == text
    assert all("\ufffd" not in piece for piece in pieces)


def test_the_design_question(model: gpt.Gpt, tokenizer: gpt.Tokenizer) -> None:
    assert ask(model, tokenizer, "What's the capital of Texas?") == "The capital of Texas is Austin."


def test_cache_changes_nothing(model: gpt.Gpt, tokenizer: gpt.Tokenizer) -> None:
    for prompt in ("What's the capital of Texas?", "Which state has Boise as its capital?", "xyzzy"):
        tokens = tokenizer.encode(prompt)
        assert list(model.generate(tokens, 20)) == list(model.generate(tokens, 20, cached=False))


def test_cache_gives_the_logits_of_the_whole_sequence(model: gpt.Gpt, tokenizer: gpt.Tokenizer) -> None:
    tokens = [gpt.BOS, *tokenizer.encode("What's the capital of Maine?"), gpt.SEP]
    whole = model.extend(gpt.Cache(model.shape), tokens)
    cache = gpt.Cache(model.shape)
    for token in tokens:
        stepwise = model.extend(cache, [token])
    np.testing.assert_allclose(stepwise, whole, rtol=1e-3, atol=1e-3)


def test_a_prompt_beyond_the_context_is_refused(model: gpt.Gpt) -> None:
    with pytest.raises(gpt.PromptError, match="the model takes 61 at most"):
        list(model.generate([1] * 62, 8))
    assert len(list(model.generate([1] * 61, 8))) <= 1


def test_sampling_is_reproducible_and_keeps_to_text(model: gpt.Gpt, tokenizer: gpt.Tokenizer) -> None:
    tokens = tokenizer.encode("What's the capital of Texas?")
    first = list(model.generate(tokens, 30, temperature=2.0, seed=7))
    assert first == list(model.generate(tokens, 30, temperature=2.0, seed=7))
    assert not {gpt.BOS, gpt.SEP, gpt.PAD} & set(first)


def test_every_capital_is_known_in_the_first_phrasing(model: gpt.Gpt, tokenizer: gpt.Tokenizer) -> None:
    wrong = [
        fact.place
        for fact in corpus.facts()
        if ask(model, tokenizer, f"What's the capital of {fact.place}?")
        != f"The capital of {fact.place} is {fact.capital}."
    ]
    assert wrong == []


def test_accuracy_on_what_was_held_out(model: gpt.Gpt, tokenizer: gpt.Tokenizer) -> None:
    texts = corpus.build(train.SEED)
    assert train.accuracy(model, tokenizer, texts.held_out[::6]) > 0.98
    assert train.accuracy(model, tokenizer, texts.unseen[::6]) > 0.93


def test_the_corpus_contradicts_itself_nowhere() -> None:
    facts = corpus.facts()
    assert len(facts) > 150
    assert len({fact.place for fact in facts}) == len({fact.capital for fact in facts}) == len(facts)
    assert sum(fact.kind == "state" for fact in facts) == 50


def test_nothing_held_out_was_trained_on() -> None:
    texts = corpus.build(train.SEED)
    seen = {example.prompt for example in texts.train}
    assert not seen & {example.prompt for example in texts.held_out + texts.unseen}


def test_gradients_are_those_of_the_loss() -> None:
    draw = np.random.default_rng(0)
    weights = {
        name: value + draw.normal(0, 0.1, value.shape)
        for name, value in train.initial(draw, gpt.Shape(40, 12, 16, 2, 2)).items()
    }
    tokens, scored = draw.integers(0, 40, (3, 9)), draw.random((3, 8)) < 0.6
    _, gradients = train.loss_and_gradients(weights, 2, tokens, scored)
    step = 1e-5
    for name, value in weights.items():
        place = {"token": (int(tokens[0, 0]), 3), "position": (2, 3)}.get(name, (0,) * value.ndim)
        kept = value[place]
        losses = []
        for sign in (1, -1):
            value[place] = kept + sign * step
            losses.append(train.loss_and_gradients(weights, 2, tokens, scored)[0])
        value[place] = kept
        measured = (losses[0] - losses[1]) / (2 * step)
        assert measured == pytest.approx(gradients[name][place], rel=1e-4, abs=1e-7), name


def test_training_is_reproducible() -> None:
    texts = corpus.build(train.SEED)
    tokenizer = gpt.Tokenizer.load(DIRECTORY / "1/tokenizer.json")
    runs = [train.train(texts, tokenizer, 2, np.random.default_rng(1)) for _ in range(2)]
    assert all(np.array_equal(runs[0][name], runs[1][name]) for name in runs[0])
