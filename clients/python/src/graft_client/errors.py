"""Errors of the services, as exceptions that a program can tell apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

# The trailer that carries `google.rpc.Status`, with the details of an error.
DETAILS = "grpc-status-details-bin"


class GraftError(Exception):
    """A call that a service refused, or that did not reach it. The message says what was wrong and what is accepted."""

    def __init__(
        self,
        message: str,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        field: str = "",
        violations: dict[str, str] | None = None,
        retry_after: float | None = None,
        address: str = "",
        resource: tuple[str, str] | None = None,
    ):
        super().__init__(message)
        self.message = message
        self.code = code
        """The gRPC status code."""
        self.field = field
        """The part of the request that was wrong, such as `options.l2`; empty where no part of it was."""
        self.violations = violations or {}
        """What was wrong with each part of the request, or with what the request is about."""
        self.retry_after = retry_after
        """Seconds after which the service asks to try again; None if it does not."""
        self.address = address
        """The service that was asked."""
        self.resource = resource
        """The kind and the name of what does not exist, or exists already."""

    def __reduce__(self) -> tuple[Any, ...]:
        told = (self.message, self.code, self.field, self.violations, self.retry_after, self.address, self.resource)
        return type(self), told, vars(self)


class InvalidArgument(GraftError, ValueError):
    """A part of the request is wrong; `field` names it."""


class NotFound(GraftError, LookupError):
    """What was asked for does not exist."""


class AlreadyExists(GraftError):
    """The name is taken."""


class PreconditionFailed(GraftError):
    """The request is well formed, but the state of what it is about does not allow it."""


class Aborted(GraftError):
    """Somebody else changed what the request is about."""


class OutOfRange(GraftError, ValueError):
    """More was asked for than is given at once."""


class ResourceExhausted(GraftError):
    """A limit was reached."""


class Unavailable(GraftError, ConnectionError):
    """The service cannot be reached, or something that it needs cannot."""


class DeadlineExceeded(GraftError, TimeoutError):
    """There was no answer in time."""


class Unauthenticated(GraftError):
    """The service wants to know who asks, and was not told rightly."""


class PermissionDenied(GraftError):
    """Who asks may not do that."""


class Unimplemented(GraftError, NotImplementedError):
    """The service does not know the call: it is older than this client."""


class Cancelled(GraftError):
    """The call was cancelled."""


class InternalError(GraftError):
    """A fault of the service."""


class BadPicture(GraftError, ValueError):
    """A picture that could not be embedded or classified."""

    id: str = ""
    """Its id; its position where it has none."""
    index: int = -1
    """Its position among those that were given; -1 where that is not known."""


class TooLarge(ValueError):
    """A picture with more bytes than the services take."""


class TrainingFailed(RuntimeError):
    """A training run that ended without a head."""


_CLASSES: dict[grpc.StatusCode, type[GraftError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: PreconditionFailed,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.INTERNAL: InternalError,
    grpc.StatusCode.DATA_LOSS: InternalError,
}

_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def error_of(code: grpc.StatusCode, message: str, trailers: Iterable[Any] | None, address: str) -> GraftError:
    """The exception for a status, with what its details say."""
    violations: dict[str, str] = {}
    field, retry_after, resource = "", None, None
    for detail in map(_unpacked, _details(trailers)):
        match detail:
            case error_details_pb2.BadRequest():
                violations.update((one.field, one.description) for one in detail.field_violations)
                field = next(iter(violations), "")
            case error_details_pb2.PreconditionFailure() | error_details_pb2.QuotaFailure():
                violations.update((one.subject, one.description) for one in detail.violations)
            case error_details_pb2.RetryInfo():
                retry_after = detail.retry_delay.seconds + detail.retry_delay.nanos / 1e9
            case error_details_pb2.ResourceInfo():
                resource = detail.resource_type, detail.resource_name
    if code is grpc.StatusCode.UNAVAILABLE and address not in message:
        message = f"{address}: {message}"
    made = _CLASSES.get(code, GraftError)
    return made(message, code, field, violations, retry_after, address, resource)


def bad_picture(id: str, index: int, code: int, field: str, message: str) -> BadPicture:
    """The exception for one item of a stream."""
    name = f"picture {id or index}"
    error = BadPicture(f"{name}: {message}", _CODES.get(code, grpc.StatusCode.UNKNOWN), field, {field: message})
    error.id, error.index = id, index
    return error


def unreadable(id: str, index: int, error: Exception) -> BadPicture:
    """The exception for a picture that was not sent."""
    code = grpc.StatusCode.NOT_FOUND if isinstance(error, OSError) else grpc.StatusCode.INVALID_ARGUMENT
    return bad_picture(id, index, code.value[0], "image", str(error))


_DETAILS = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (
        error_details_pb2.BadRequest,
        error_details_pb2.PreconditionFailure,
        error_details_pb2.QuotaFailure,
        error_details_pb2.ResourceInfo,
        error_details_pb2.RetryInfo,
    )
}


def _unpacked(detail: Any) -> Any:
    kind = _DETAILS.get(detail.TypeName())
    return kind.FromString(detail.value) if kind else None


def _details(trailers: Iterable[Any] | None) -> Iterable[Any]:
    found = next((value for key, value in trailers or () if key == DETAILS), None)
    if not isinstance(found, bytes):
        return ()
    try:
        details: Iterable[Any] = status_pb2.Status.FromString(found).details
        return details
    except ValueError:
        return ()
