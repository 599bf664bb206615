"""Python client of Graft: embeds images and classifies them."""

from .client import Graft
from .stubs import generate

__all__ = ["Graft", "generate"]
