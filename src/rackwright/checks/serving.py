"""Checks of the served models at the address where clients meet them: ready, right over every protocol,
streamed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rackwright.checks import client
from rackwright.checks.base import WORKSTATION, Check, Evidence, Hint, Need, Output, Request, Verdict, found
from rackwright.derive.model import ServedModel, SiteModel

LONGEST_ANSWER = 300
"""Characters: a right answer is a sentence; a list of every city would contain the right one too."""


@dataclass(frozen=True)
class Question:
    """What is asked, and the word that a right answer holds."""

    text: str
    answer: str


QUESTIONS: Mapping[str, tuple[Question, ...]] = {
    "capitals-gpt": (
        Question("What's the capital of Texas?", "Austin"),
        Question("What is the capital of California?", "Sacramento"),
        Question("What is the capital of Japan?", "Tokyo"),
    ),
}
"""Acceptance questions by the catalogue's name of the model; the first is the validated design's, figure
6.
"""


UNREACHED = Hint(
    "No replica is ready, no worker announces the address on the external network, or the port is shut",
    "kubectl get pods,services -A -l app.kubernetes.io/name=triton -o wide; "
    "kubectl get leases -n kube-system",
)


def stream_name(served: ServedModel) -> str:
    """Triton serves each model a second time, decoupled, for streaming."""
    return f"{served.name}-stream"


def judge_answer(question: Question, others: tuple[Question, ...], answer: str) -> str | None:
    """What is wrong with an answer, or None."""
    shown = answer.strip()[:120]
    if question.answer.lower() not in answer.lower():
        return f"{question.text} → {shown!r}, should name {question.answer}"
    if len(answer) > LONGEST_ANSWER:
        return f"{question.text} → {len(answer)} characters, no plain answer"
    stray = [other.answer for other in others if other != question and other.answer.lower() in answer.lower()]
    if stray:
        return f"{question.text} → {shown!r}, which also names {', '.join(stray)}"
    return None


def judge_ready(evidence: Evidence, served: ServedModel) -> Verdict:
    """The server is ready at the published address, and so is the model under both its names."""
    problems = []
    for name in (served.name, stream_name(served)):
        output = evidence.output(WORKSTATION, f"ready-{name}")
        if output.rc != 0:
            problems.append(f"{name}: {output.last_words}")
    return found(
        problems, f"{served.name} and {stream_name(served)} ready at {served.vip}:{served.http_port}"
    )


def unanswered(evidence: Evidence, keys: list[str], served: ServedModel) -> Verdict | None:
    """A failed verdict when a request got no answer at all, which says nothing of the model; else None."""
    for key in keys:
        output = evidence.output(WORKSTATION, key)
        if output.rc != 0:
            return Verdict(False, f"{served.vip}: {output.last_words}", UNREACHED)
    return None


def pieces_of(evidence: Evidence, key: str) -> list[tuple[float, str]]:
    """(seconds since the request, text) of each piece of an answer that came as JSON."""
    return [(float(seconds), str(text)) for seconds, text in evidence.json(WORKSTATION, key)]


def judge_http(evidence: Evidence, served: ServedModel, questions: tuple[Question, ...]) -> Verdict:
    """Every question is answered rightly over HTTP."""
    silent = unanswered(
        evidence, [f"http-{served.name}-{number}" for number in range(len(questions))], served
    )
    if silent:
        return silent
    problems, good = [], ""
    for number, question in enumerate(questions):
        answer = str(evidence.json(WORKSTATION, f"http-{served.name}-{number}")["text_output"])
        problem = judge_answer(question, questions, answer)
        if problem:
            problems.append(problem)
        elif not good:
            good = f"{question.text} → {answer.strip()!r}"
    return found(problems, f"{len(questions)} right answers, such as {good}")


def judge_pieces(
    evidence: Evidence, served: ServedModel, questions: tuple[Question, ...], protocol: str, streamed: bool
) -> Verdict:
    """Every question is answered rightly; streamed answers come in more than one piece, not all at once."""
    keys = [f"{protocol}-{served.name}-{number}" for number in range(len(questions))]
    silent = unanswered(evidence, keys, served)
    if silent:
        return silent
    problems, good = [], ""
    for number, question in enumerate(questions):
        pieces = pieces_of(evidence, f"{protocol}-{served.name}-{number}")
        answer = "".join(text for _, text in pieces)
        problem = judge_answer(question, questions, answer)
        if problem:
            problems.append(problem)
        elif streamed and len([text for _, text in pieces if text]) < 2:
            problems.append(f"{question.text} → one piece: the answer was not streamed")
        elif not good:
            times = f", first after {pieces[0][0] * 1000:.0f} ms, last after {pieces[-1][0] * 1000:.0f} ms"
            good = (
                f"{question.text} → {answer.strip()!r} in {len(pieces)} pieces{times}"
                if streamed
                else f"{question.text} → {answer.strip()!r}"
            )
    return found(problems, f"{len(questions)} right answers, such as {good}")


def ask_stream(evidence: Evidence, served: ServedModel, text: str) -> Output:
    """Ask over /generate_stream; the pieces' texts, from the server-sent events."""
    path = f"/v2/models/{stream_name(served)}/generate_stream"
    output = client.stream(str(served.vip), served.http_port, path, {"text_input": text})
    if output.rc != 0:
        return output
    try:
        pieces = [[seconds, _piece(json.loads(data))] for seconds, data in json.loads(output.stdout)]
    except (ValueError, KeyError, TypeError) as error:
        return Output(-1, output.stdout[:500], f"an event is not what it should be: {error}", output.seconds)
    return Output(0, json.dumps(pieces), "", output.seconds)


def _piece(event: dict[str, Any]) -> str:
    """The text of one event; ValueError with the server's words for an error event."""
    if "error" in event:
        raise ValueError(event["error"])
    return str(event.get("text_output", ""))


def _needs_http(served: ServedModel, questions: tuple[Question, ...]) -> tuple[Need, ...]:
    path = f"/v2/models/{served.name}/generate"

    def ask(_: Evidence, text: str) -> Output:
        return client.post(str(served.vip), served.http_port, path, {"text_input": text})

    return tuple(
        Need(WORKSTATION, Request(f"http-{served.name}-{number}", partial(ask, text=question.text)))
        for number, question in enumerate(questions)
    )


def _needs_stream(served: ServedModel, questions: tuple[Question, ...]) -> tuple[Need, ...]:
    return tuple(
        Need(
            WORKSTATION,
            Request(f"stream-{served.name}-{number}", partial(ask_stream, served=served, text=question.text)),
        )
        for number, question in enumerate(questions)
    )


def _needs_grpc(served: ServedModel, questions: tuple[Question, ...], streaming: bool) -> tuple[Need, ...]:
    protocol = "grpc-stream" if streaming else "grpc"
    name = stream_name(served) if streaming else served.name

    def ask(_: Evidence, text: str) -> Output:
        return client.infer_grpc(str(served.vip), served.grpc_port, name, text, streaming)

    return tuple(
        Need(WORKSTATION, Request(f"{protocol}-{served.name}-{number}", partial(ask, text=question.text)))
        for number, question in enumerate(questions)
    )


def _needs_ready(served: ServedModel) -> tuple[Need, ...]:
    def ask(_: Evidence, name: str) -> Output:
        return client.get(str(served.vip), served.http_port, f"/v2/models/{name}/ready")

    return tuple(
        Need(WORKSTATION, Request(f"ready-{name}", partial(ask, name=name)))
        for name in (served.name, stream_name(served))
    )


def checks(model: SiteModel) -> Iterator[Check]:
    """Each served model: readiness; the acceptance questions over HTTP, gRPC and both kinds of stream."""
    shell = f"ssh {model.control_planes[0].address} kubectl --kubeconfig /etc/kubernetes/admin.conf"
    for served in model.serving:
        target = f"{served.name} at {served.vip}"
        unready = Hint(
            "No replica is ready, or no worker announces the address on the external network",
            f"{shell} get pods,svc -A -l app.kubernetes.io/name=triton -o wide; {shell} get leases -n "
            "kube-system",
        )
        wrong = Hint(
            "The weights or the tokenizer are not those of the bundle, or the backend's library is another "
            "one",
            f"{shell} logs -A -l app.kubernetes.io/name=triton --tail=50; rackwright bundle verify",
        )
        yield Check(
            "serving.ready",
            "serving",
            target,
            _needs_ready(served),
            partial(judge_ready, served=served),
            unready,
        )
        questions = QUESTIONS.get(served.model, ())
        if not questions:
            continue
        http = partial(judge_http, served=served, questions=questions)
        yield Check("serving.http", "serving", target, _needs_http(served, questions), http, wrong)
        kinds = (("grpc", False), ("stream", True), ("grpc-stream", True))
        for protocol, streamed in kinds:
            needs = (
                _needs_stream(served, questions)
                if protocol == "stream"
                else _needs_grpc(served, questions, streamed)
            )
            judge = partial(
                judge_pieces, served=served, questions=questions, protocol=protocol, streamed=streamed
            )
            yield Check(f"serving.{protocol}", "serving", target, needs, judge, wrong)
