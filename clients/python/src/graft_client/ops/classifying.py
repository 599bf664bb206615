"""Classification: by one head, by several, or by every head of an embedding space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from graft.v1 import classifier_pb2

from .. import methods
from ..answer import Answer, answer_of
from ..calls import Feed, Op, ask, exchange, gather
from ..errors import bad_picture, unreadable
from ..head import HeadName, name_of
from ..outbox import Outbox
from ..picture import Input, Many, classify_input, id_of, listed

Answers: TypeAlias = "list[Answer]"


def classify_one(
    head: HeadName, picture: Input, *, top_k: int = 0, detect_unknown: bool = False, sticky_key: str = ""
) -> Op[Answer]:
    """The answer of one head for one picture."""
    request = classifier_pb2.ClassifyRequest(
        head=name_of(head),
        input=classify_input(picture),
        top_k=top_k,
        detect_unknown=detect_unknown,
        sticky_key=sticky_key,
    )
    return answer_of((yield from ask(methods.CLASSIFY, request)))


def classify_stream(
    head: HeadName, pictures: Many, *, top_k: int = 0, detect_unknown: bool = False, sticky_key: str = ""
) -> Feed[Answer]:
    """The answers of one head for any number of pictures, in their order, as they come.

    Pictures are read as answers are taken, so that memory does not grow. One that cannot be classified has an answer with an `error`.
    A lost stream is opened again for what it left unanswered.
    """
    options = classifier_pb2.ClassifyOptions(
        head=name_of(head), top_k=top_k, detect_unknown=detect_unknown, sticky_key=sticky_key
    )
    yield from _stream(options, pictures, lambda found, error: answer_of(found, error), name_of(head))


def classify_list(
    head: HeadName, pictures: Many, *, top_k: int = 0, detect_unknown: bool = False, sticky_key: str = ""
) -> Op[list[Answer]]:
    """The same as a list."""
    stream = classify_stream(head, pictures, top_k=top_k, detect_unknown=detect_unknown, sticky_key=sticky_key)
    return (yield from gather(stream))


def classify_by(
    picture: Input,
    heads: Sequence[HeadName] = (),
    *,
    every_head_of: str | None = None,
    alias: str = "",
    top_k: int = 1,
    detect_unknown: bool = False,
) -> Op[list[Answer]]:
    """The answers of many heads for one picture, which is embedded once.

    They are those named by `heads`, in this order, or all of a backbone or embedding space (NAME@HASH; empty for the default
    backbone), sorted by name: the newest versions, or those that have `alias`. One that cannot answer says why; if none can, the
    call is refused.
    """
    request = classifier_pb2.ClassifyRequest(
        heads=[name_of(head) for head in heads],
        every_head=_every(every_head_of, alias),
        input=classify_input(picture),
        top_k=top_k,
        detect_unknown=detect_unknown,
    )
    answer = yield from ask(methods.CLASSIFY, request)
    return _many(answer)


def classify_stream_by(
    pictures: Many,
    heads: Sequence[HeadName] = (),
    *,
    every_head_of: str | None = None,
    alias: str = "",
    top_k: int = 1,
    detect_unknown: bool = False,
) -> Feed[Answers]:
    """The answers of many heads for any number of pictures, a list for each picture in their order."""
    options = classifier_pb2.ClassifyOptions(
        heads=[name_of(head) for head in heads],
        every_head=_every(every_head_of, alias),
        top_k=top_k,
        detect_unknown=detect_unknown,
    )
    yield from _stream(options, pictures, lambda found, error: [answer_of(found, error)] if error else _many(found), "")


def _every(space: str | None, alias: str) -> classifier_pb2.EveryHead | None:
    if space is None and alias:
        raise ValueError("alias: it is for every_head_of; name heads as NAME@ALIAS")
    return None if space is None else classifier_pb2.EveryHead(space=space, alias=alias)


def _many(answer: classifier_pb2.ClassifyResponse) -> list[Answer]:
    return [
        answer_of(one, bad_picture("", -1, one.error.code, one.error.field, one.error.message) if one.HasField("error") else None)
        for one in answer.classifications
    ]


def _stream(options: classifier_pb2.ClassifyOptions, pictures: Many, make: Any, head: str) -> Feed[Any]:
    names: dict[int, str] = {}
    # Answers that came before those of earlier pictures; the window bounds them.
    early: dict[int, tuple[Any, bool]] = {}
    given = 0

    def pack(index: int, picture: Any) -> classifier_pb2.ClassifyItem:
        names[index] = id_of(picture, index)
        return classifier_pb2.ClassifyItem(id=str(index), input=classify_input(picture))

    def wrap(items: list[Any]) -> classifier_pb2.ClassifyStreamRequest:
        return classifier_pb2.ClassifyStreamRequest(item=items[0])

    def take(answer: classifier_pb2.ClassifyStreamResponse) -> Iterator[Any]:
        index = outbox.settle(answer.id)
        if index is None:
            return
        name = names.pop(index)
        if answer.HasField("error"):
            error = bad_picture(name, index, answer.error.code, answer.error.field, answer.error.message)
            early[index] = make(nothing, error), True
        else:
            early[index] = make(answer.classification, None), True
        yield from ready()

    def fail(index: int, picture: Any, error: Exception) -> Iterator[Any]:
        early[index] = make(nothing, unreadable(names.pop(index), index, error)), False
        yield from ready()

    def ready() -> Iterator[Any]:
        nonlocal given
        while given in early:
            value, sent = early.pop(given)
            given += 1
            if sent:
                outbox.release()
            yield value

    nothing = classifier_pb2.ClassifyResponse(head=head)
    first = classifier_pb2.ClassifyStreamRequest(options=options)
    outbox: Outbox[Any] = Outbox(first, listed(pictures), pack, wrap, group=1, ordered=True)
    yield from exchange(methods.CLASSIFY_STREAM, outbox, take, fail)
