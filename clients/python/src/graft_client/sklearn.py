"""`GraftEmbedder`: a backbone of the extractor as a transformer of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .client import Graft
from .optional import need
from .picture import is_one

need("sklearn", "GraftEmbedder")

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin  # noqa: E402
from sklearn.utils import Tags  # noqa: E402
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: E402


class GraftEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Embeds pictures: float32 [pictures, dimension].

    `X` is pictures: paths, bytes of image files, `PIL.Image`s or arrays of pixels, in a list or an array of objects; an array of pixels
    [n, height, width] or [n, height, width, channels]; or rows of pixels [n, pixels] with their `shape`.

    Nothing is learned from the data: `fit` asks the extractor which embedding space the backbone is, and `transform` refuses another.
    A connection is made for each call and kept by nothing, so that it can be pickled, cloned and sent to other processes.
    """

    def __init__(
        self,
        extractor: str | None = None,
        backbone: str = "",
        *,
        shape: Sequence[int] | None = None,
        value_range: tuple[float, float] = (0, 255),
        context: str | None = None,
        config: str | None = None,
        token: str | None = None,
        timeout: float | None = None,
    ):
        """
        - `extractor`: its address; that of the context unless told.
        - `backbone`: NAME, or NAME@HASH for that version alone; the default one unless told.
        - `shape`: what a row of pixels is: (height, width) or (height, width, channels). One of them may be -1: what is left.
        - `value_range`: which numbers are black and white, in arrays that are not uint8; others between them, and none beyond.
        - `context`, `config`, `token`, `timeout`: as of `Graft`.
        """
        self.extractor = extractor
        self.backbone = backbone
        self.shape = shape
        self.value_range = value_range
        self.context = context
        self.config = config
        self.token = token
        self.timeout = timeout

    def fit(self, X: Any, y: Any = None) -> GraftEmbedder:  # noqa: N803
        """Find out what the backbone is. Of `X` only its form is looked at."""
        self._pictures(X, reset=True)
        with self._graft() as graft:
            backbone = graft.backbone(self.backbone)
        self.space_: str = backbone.space
        self._n_features_out: int = backbone.dimension
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        """The embeddings of the pictures, in their order. One that is no picture raises `BadPicture`."""
        check_is_fitted(self, "space_")
        pictures = self._pictures(X, reset=False)
        with self._graft() as graft:
            return graft.embed(list(pictures), self.space_, space=self.space_).embeddings

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "space_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        tags.requires_fit = True
        return tags

    def _graft(self) -> Graft:
        return Graft(
            None, self.extractor, context=self.context, config=self.config, token=self.token, timeout=self.timeout
        )

    def _pictures(self, X: Any, reset: bool) -> Any:  # noqa: N803
        if is_one(X) and not isinstance(X, np.ndarray):
            raise ValueError(f"X is one {type(X).__name__}; a list of pictures is expected")
        pixels = X if isinstance(X, np.ndarray) and X.ndim in (3, 4) and X.dtype != object else None
        if pixels is not None:
            return self._levels(pixels)
        listed = _listed(X)
        if listed is not None:
            return listed
        # Rows of pixels, with all that scikit-learn checks of them: numbers, finite, as many columns as in fit.
        found = validate_data(self, X, reset=reset, dtype="numeric", ensure_2d=True)
        if self.shape is None:
            raise ValueError(f"X has {found.shape[1]} features a row: shape=(height, width) is needed to make pictures of them")
        try:
            return self._levels(found.reshape(len(found), *self.shape))
        except ValueError as error:
            if "reshape" not in str(error):
                raise
            raise ValueError(f"rows of {found.shape[1]} features are no pictures of shape {tuple(self.shape)}") from error

    def _levels(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """The pixels as 0 to 255."""
        if pixels.dtype == np.uint8:
            return pixels
        low, high = self.value_range
        if pixels.size and (pixels.min() < low or pixels.max() > high):
            span = f"{pixels.min():g} to {pixels.max():g}"
            raise ValueError(f"X has values of {span}, beyond value_range={self.value_range}")
        # In double precision, so that numbers of any type have the same level.
        scaled = (pixels.astype(np.float64) - low) * (255 / (high - low))
        return np.rint(scaled).astype(np.uint8)


def _listed(X: Any) -> list[Any] | None:  # noqa: N803
    """The pictures of a list, a Series or a column of objects; None for rows of numbers."""
    if hasattr(X, "to_numpy"):
        X = X.to_numpy()
    if isinstance(X, np.ndarray):
        if X.dtype.kind not in "OSU" or X.ndim > 2 or (X.ndim == 2 and X.shape[1] != 1):
            return None
        X = list(X.ravel())
    if not isinstance(X, list | tuple) or not X:
        return None
    kinds = (str, bytes, Path)
    if all(isinstance(one, kinds) or (is_one(one) and not isinstance(one, list)) for one in X):
        return [str(one) if isinstance(one, np.str_) else one for one in X]
    return None
