"""Python client of Graft: embeds images, trains classifiers on them and classifies.

# Layout
- `client`: `Graft`, for programs that wait for their answers. `aio`: `AsyncGraft`, for event loops. Both have the same calls.
- `ops`: the calls, each written once as a generator. `calls`: what such a generator may ask for. `threads`, `loops`: what runs it.
  `methods`: the calls of the contract. `outbox`, `group`: what goes out on a stream. `retry`: when a call is made again.
- `connection`, `config`: where the services are. `errors`: what they refuse.
- `picture`: what may be given as a picture. `answer`, `head`, `report`, `dataset`, `embeddings`, `run`: what comes back.
- `sklearn`: `GraftEmbedder`, a transformer. `workers`: batches of Ray and Spark. Neither is imported unless asked for.

It keeps no state but its connections, and nothing is printed unless somebody looks (`progress`).
"""

from .aio import AsyncDataset, AsyncGraft
from .answer import Answer, Prediction
from .client import Dataset, Graft
from .config import ConfigError
from .dataset import Example, Imported, Views
from .embeddings import Embedded, Embeddings
from .errors import (
    Aborted,
    AlreadyExists,
    BadPicture,
    Cancelled,
    DeadlineExceeded,
    GraftError,
    InternalError,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    PreconditionFailed,
    ResourceExhausted,
    TrainingFailed,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from .head import Comparison, Head
from .ops.feedback import Suggestion
from .picture import Embedding, Picture, Uri
from .report import Report
from .retry import Retry
from .run import Run

__all__ = [
    "Aborted",
    "AlreadyExists",
    "Answer",
    "AsyncDataset",
    "AsyncGraft",
    "BadPicture",
    "Cancelled",
    "Comparison",
    "ConfigError",
    "Dataset",
    "DeadlineExceeded",
    "Embedded",
    "Embedding",
    "Embeddings",
    "Example",
    "Graft",
    "GraftError",
    "Head",
    "Imported",
    "InternalError",
    "InvalidArgument",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "Picture",
    "Prediction",
    "PreconditionFailed",
    "Report",
    "ResourceExhausted",
    "Retry",
    "Run",
    "Suggestion",
    "TrainingFailed",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Uri",
    "Views",
]
