"""A pipeline of scikit-learn on embeddings: cross-validated, fitted, and served by Graft.

    python sklearn_pipeline.py photos/

`photos/` has a sub-folder a class. The services are those of the context, or on this machine.
"""

import sys
from pathlib import Path

from graft_client import Graft
from graft_client.sklearn import GraftEmbedder
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline


def main(folder: str, trainer: str | None = None, extractor: str | None = None) -> str:
    paths = sorted(Path(folder).glob("*/*"))
    labels = [path.parent.name for path in paths]

    # One line more than without Graft. A pipeline embeds again in each fold; `memory=` of Pipeline keeps what it has.
    pipeline = make_pipeline(GraftEmbedder(extractor), LogisticRegression(max_iter=1000))
    scores = cross_val_score(pipeline, paths, labels, cv=3)
    print(f"accuracy {scores.mean():.3f} +- {scores.std():.3f}")

    pipeline.fit(paths, labels)
    embedder, classifier = (step for _, step in pipeline.steps)
    with Graft(trainer, extractor) as graft:
        head = graft.import_head("sklearn-example", classifier, space=embedder.space_)
        answer = graft.classify(head, paths[0])
    print(f"{head} says of {paths[0]}: {answer.label} ({answer.probability:.2f})")
    return answer.label


if __name__ == "__main__":
    main(*sys.argv[1:])
