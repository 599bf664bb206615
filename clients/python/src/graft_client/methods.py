"""Every call of the contract: where it goes, what it takes and gives, how long it may take and whether it may be made again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message
from graft.v1 import (
    alias_pb2,
    classifier_pb2,
    compare_pb2,
    dataset_pb2,
    extractor_pb2,
    feedback_pb2,
    head_pb2,
    maintenance_pb2,
    traffic_pb2,
    training_pb2,
)

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

# Seconds that a call may take which measures, looks at many examples or brings a large file.
LONG = 300.0


@dataclass(frozen=True)
class Method(Generic[Request, Response]):
    """A call of the contract."""

    name: str
    """SERVICE/METHOD."""
    request: type[Request]
    response: type[Response]
    safe: bool = False
    """Whether it may be made again where it is not known what became of it: it changes nothing, or twice is as good as once."""
    seconds: float = 30.0
    """How long it may take, if it is no stream."""

    @property
    def path(self) -> str:
        """The path of HTTP/2."""
        return f"/graft.v1.{self.name}"

    @property
    def service(self) -> str:
        """extractor or trainer."""
        return "extractor" if self.name.startswith("Extractor") else "trainer"


def _read(name: str, request: type[Request], response: type[Response], seconds: float = 30.0) -> Method[Request, Response]:
    return Method(name, request, response, safe=True, seconds=seconds)


_e, _d, _t, _h, _a = extractor_pb2, dataset_pb2, training_pb2, head_pb2, alias_pb2
_c, _f, _m, _x, _v = classifier_pb2, feedback_pb2, maintenance_pb2, traffic_pb2, compare_pb2

LIST_BACKBONES = _read("ExtractorService/ListBackbones", _e.ListBackbonesRequest, _e.ListBackbonesResponse)
GET_BACKBONE = _read("ExtractorService/GetBackbone", _e.GetBackboneRequest, _e.GetBackboneResponse)
EXTRACT = _read("ExtractorService/Extract", _e.ExtractRequest, _e.ExtractResponse)
EXPORT_BACKBONE = _read("ExtractorService/ExportBackbone", _e.ExportBackboneRequest, _e.ExportBackboneResponse)

CREATE_DATASET = Method("DatasetService/CreateDataset", _d.CreateDatasetRequest, _d.CreateDatasetResponse)
GET_DATASET = _read("DatasetService/GetDataset", _d.GetDatasetRequest, _d.GetDatasetResponse)
LIST_DATASETS = _read("DatasetService/ListDatasets", _d.ListDatasetsRequest, _d.ListDatasetsResponse)
DELETE_DATASET = Method("DatasetService/DeleteDataset", _d.DeleteDatasetRequest, _d.DeleteDatasetResponse)
# Examples are known by their content: what is brought twice is stored once.
IMPORT_EXAMPLES = _read("DatasetService/ImportExamples", _d.ImportExamplesRequest, _d.ImportExamplesResponse)
LIST_EXAMPLES = _read("DatasetService/ListExamples", _d.ListExamplesRequest, _d.ListExamplesResponse)
RELABEL_EXAMPLES = _read("DatasetService/RelabelExamples", _d.RelabelExamplesRequest, _d.RelabelExamplesResponse)
REMOVE_EXAMPLES = Method("DatasetService/RemoveExamples", _d.RemoveExamplesRequest, _d.RemoveExamplesResponse)
GET_DATASET_STATS = _read("DatasetService/GetDatasetStats", _d.GetDatasetStatsRequest, _d.GetDatasetStatsResponse)
# The same content gives the same snapshot.
CREATE_SNAPSHOT = _read("DatasetService/CreateSnapshot", _d.CreateSnapshotRequest, _d.CreateSnapshotResponse, LONG)
GET_SNAPSHOT = _read("DatasetService/GetSnapshot", _d.GetSnapshotRequest, _d.GetSnapshotResponse)
LIST_SNAPSHOTS = _read("DatasetService/ListSnapshots", _d.ListSnapshotsRequest, _d.ListSnapshotsResponse)
EXPORT_EMBEDDINGS = _read("DatasetService/ExportEmbeddings", _d.ExportEmbeddingsRequest, _d.ExportEmbeddingsResponse)

CREATE_TRAINING_RUN = Method("TrainingService/CreateTrainingRun", _t.CreateTrainingRunRequest, _t.CreateTrainingRunResponse)
GET_TRAINING_RUN = _read("TrainingService/GetTrainingRun", _t.GetTrainingRunRequest, _t.GetTrainingRunResponse)
LIST_TRAINING_RUNS = _read("TrainingService/ListTrainingRuns", _t.ListTrainingRunsRequest, _t.ListTrainingRunsResponse)
CANCEL_TRAINING_RUN = _read("TrainingService/CancelTrainingRun", _t.CancelTrainingRunRequest, _t.CancelTrainingRunResponse)
WATCH_TRAINING_RUN = _read("TrainingService/WatchTrainingRun", _t.WatchTrainingRunRequest, _t.WatchTrainingRunResponse)

GET_HEAD = _read("HeadService/GetHead", _h.GetHeadRequest, _h.GetHeadResponse)
LIST_HEADS = _read("HeadService/ListHeads", _h.ListHeadsRequest, _h.ListHeadsResponse)
DELETE_HEAD = Method("HeadService/DeleteHead", _h.DeleteHeadRequest, _h.DeleteHeadResponse)
PROMOTE_HEAD = Method("HeadService/PromoteHead", _a.PromoteHeadRequest, _a.PromoteHeadResponse, seconds=LONG)
ROLL_BACK_HEAD = Method("HeadService/RollBackHead", _a.RollBackHeadRequest, _a.RollBackHeadResponse)
DELETE_ALIAS = Method("HeadService/DeleteAlias", _a.DeleteAliasRequest, _a.DeleteAliasResponse)
LIST_ALIASES = _read("HeadService/ListAliases", _a.ListAliasesRequest, _a.ListAliasesResponse)
LIST_PROMOTIONS = _read("HeadService/ListPromotions", _a.ListPromotionsRequest, _a.ListPromotionsResponse)
COMPARE_HEADS = _read("HeadService/CompareHeads", _v.CompareHeadsRequest, _v.CompareHeadsResponse, LONG)
IMPORT_HEAD = Method("HeadService/ImportHead", _h.ImportHeadRequest, _h.ImportHeadResponse, seconds=LONG)
EXPORT_HEAD = _read("HeadService/ExportHead", _h.ExportHeadRequest, _h.ExportHeadResponse)
SPLIT_TRAFFIC = Method("HeadService/SplitTraffic", _x.SplitTrafficRequest, _x.SplitTrafficResponse)
GET_HEAD_TRAFFIC = _read("HeadService/GetHeadTraffic", _x.GetHeadTrafficRequest, _x.GetHeadTrafficResponse)

CLASSIFY = _read("ClassifierService/Classify", _c.ClassifyRequest, _c.ClassifyResponse)
CLASSIFY_STREAM = _read("ClassifierService/ClassifyStream", _c.ClassifyStreamRequest, _c.ClassifyStreamResponse)

# The same correction twice is one.
CORRECT = _read("FeedbackService/Correct", _f.CorrectRequest, _f.CorrectResponse)
LIST_CORRECTIONS = _read("FeedbackService/ListCorrections", _f.ListCorrectionsRequest, _f.ListCorrectionsResponse)
SUGGEST_EXAMPLES = _read("FeedbackService/SuggestExamples", _f.SuggestExamplesRequest, _f.SuggestExamplesResponse, LONG)

COLLECT_GARBAGE = Method("MaintenanceService/CollectGarbage", _m.CollectGarbageRequest, _m.CollectGarbageResponse, seconds=LONG)
