"""Aliases of versions: promoted, rolled back, and their traffic split."""

from __future__ import annotations

from graft.v1 import alias_pb2, traffic_pb2

from .. import methods
from ..calls import Op, ask, gather, pages
from ..head import Head, HeadName, name_of


def promote(
    head: HeadName,
    alias: str = "production",
    *,
    tolerance: float | None = None,
    force: bool = False,
    expected_version: int | None = None,
    by: str = "",
) -> Op[alias_pb2.PromoteHeadResponse]:
    """Put an alias on a version of a head, unless that is worse by more than `tolerance` than the version that the alias is on.

    `expected_version` is the version that the alias must be on, 0 for none: `Aborted` if it is not. The answer's `gate` says how the
    two compare; one that is worse raises `PreconditionFailed`, unless `force`.
    """
    request = alias_pb2.PromoteHeadRequest(head=name_of(head), alias=alias, force=force, by=by)
    if tolerance is not None:
        request.tolerance = tolerance
    if expected_version is not None:
        request.expected_version = expected_version
    return (yield from ask(methods.PROMOTE_HEAD, request))


def rollback(
    head: HeadName, alias: str = "production", *, expected_version: int | None = None, by: str = ""
) -> Op[alias_pb2.RollBackHeadResponse]:
    """Put an alias back on the version that it was on before. Asked again, it goes back further."""
    request = alias_pb2.RollBackHeadRequest(head=_bare(head), alias=alias, by=by)
    if expected_version is not None:
        request.expected_version = expected_version
    return (yield from ask(methods.ROLL_BACK_HEAD, request))


def delete_alias(
    head: HeadName, alias: str, *, expected_version: int | None = None, by: str = ""
) -> Op[alias_pb2.Promotion]:
    """Delete an alias; the version that it was on stays."""
    request = alias_pb2.DeleteAliasRequest(head=_bare(head), alias=alias, by=by)
    if expected_version is not None:
        request.expected_version = expected_version
    return (yield from ask(methods.DELETE_ALIAS, request)).promotion


def aliases(head: HeadName = "") -> Op[list[alias_pb2.Alias]]:
    """The aliases of a head, or of all, sorted by head and name."""
    request = alias_pb2.ListAliasesRequest(head=_bare(head), page_size=1000)
    return (yield from gather(pages(methods.LIST_ALIASES, request, "aliases")))


def promotions(head: HeadName, alias: str = "") -> Op[list[alias_pb2.Promotion]]:
    """The history of a head's aliases, or of one of them, the newest first."""
    request = alias_pb2.ListPromotionsRequest(head=_bare(head), alias=alias, page_size=1000)
    return (yield from gather(pages(methods.LIST_PROMOTIONS, request, "promotions")))


def split_traffic(
    head: HeadName,
    alias: str = "production",
    *,
    canary: int | None = None,
    percent: float = 0,
    shadow: int | None = None,
    expected_version: int | None = None,
    by: str = "",
) -> Op[alias_pb2.Alias]:
    """Let the version `canary` answer `percent` of the requests for an alias, and ask the version `shadow` besides.

    What is not told ends: without either, all requests go to the version that the alias is on.
    """
    request = traffic_pb2.SplitTrafficRequest(head=_bare(head), alias=alias, shadow_version=shadow or 0, by=by)
    if canary is not None:
        request.canary.CopyFrom(alias_pb2.Canary(version=canary, percent=percent))
    if expected_version is not None:
        request.expected_version = expected_version
    return (yield from ask(methods.SPLIT_TRAFFIC, request)).alias


def _bare(head: HeadName) -> str:
    return head.name if isinstance(head, Head) else head
