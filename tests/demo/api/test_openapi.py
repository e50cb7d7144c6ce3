"""Schemathesis asks what the document allows, and what it does not, and checks the answers."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.demo.services import fake

schemathesis = pytest.importorskip("schemathesis", reason="the dev extra is not installed")


MODES = schemathesis.GenerationMode
EXAMPLES = 12


@pytest.fixture(scope="module")
def document():
    with fake() as server:
        yield schemathesis.openapi.from_url(f"{server.address}/v1/openapi.json")


@pytest.mark.parametrize("mode", [MODES.POSITIVE, MODES.NEGATIVE])
def test_answers_are_those_of_the_document(document, mode):
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) == 5
    for operation in operations:
        if mode is MODES.NEGATIVE and operation.method == "get":
            continue  # nothing is wrong where nothing is asked

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        def ask(case):
            # no document can say which bytes are a picture
            case.call_and_validate(excluded_checks=[schemathesis.checks.positive_data_acceptance])

        ask()
