"""Python client of Graft: embeds images, trains classifiers on them and classifies.

# Layout
- `client`: `Graft`, a thin wrapper over both services.
- `picture`: what may be given as a picture, and how it goes over the wire.

It keeps no state and repeats no call: errors of the services reach the caller as they are.
"""

from .client import BadPicture, Graft, HeadAnswer, Imported, TrainingFailed
from .picture import Picture

__all__ = ["BadPicture", "Graft", "HeadAnswer", "Imported", "Picture", "TrainingFailed"]
