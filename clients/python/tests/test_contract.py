"""The client has all of the contract, and both clients have the same calls."""

import inspect
import re

import pytest
from graft.v1 import (
    classifier_pb2,
    dataset_pb2,
    extractor_pb2,
    feedback_pb2,
    head_pb2,
    maintenance_pb2,
    training_pb2,
)
from graft_client import AsyncGraft, Graft, methods
from graft_client.ops import classifying, contents, embedding, feedback, importing, promotion, registry, training

FILES = (classifier_pb2, dataset_pb2, extractor_pb2, feedback_pb2, head_pb2, maintenance_pb2, training_pb2)
MODULES = (classifying, contents, embedding, feedback, importing, promotion, registry, training)
METHODS = {name: one for name, one in vars(methods).items() if isinstance(one, methods.Method)}


def test_every_call_of_the_contract_is_known_with_its_messages():
    known = {one.name: (one.request.DESCRIPTOR.full_name, one.response.DESCRIPTOR.full_name) for one in METHODS.values()}
    contract = {
        f"{service.name}/{method.name}": (method.input_type.full_name, method.output_type.full_name)
        for file in FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert known == contract


def test_every_call_is_made_somewhere():
    text = "".join(inspect.getsource(module) for module in MODULES)
    assert [name for name in METHODS if not re.search(rf"methods\.{name}\b", text)] == []


@pytest.mark.parametrize("name", sorted(name for name in vars(Graft) if not name.startswith("_") and name != "driver"))
def test_both_clients_have_the_same_calls(name):
    one, other = getattr(Graft, name), getattr(AsyncGraft, name)
    assert one.__doc__ and one.__doc__.split(".")[0] in other.__doc__.replace("See `Graft.classify`. ", "")
    assert list(inspect.signature(one).parameters) == list(inspect.signature(other).parameters)
    if name != "close":
        assert list(inspect.signature(one).parameters)[0] == "self"


def test_calls_that_are_not_safe_are_named():
    unsafe = {one.name.split("/")[1] for one in METHODS.values() if not one.safe}
    assert unsafe == {
        "CollectGarbage",
        "CreateDataset",
        "CreateTrainingRun",
        "DeleteAlias",
        "DeleteDataset",
        "DeleteHead",
        "ImportHead",
        "PromoteHead",
        "RemoveExamples",
        "RollBackHead",
        "SplitTraffic",
    }
