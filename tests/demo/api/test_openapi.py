"""Schemathesis sends valid and invalid requests and checks responses against the document."""

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
def test_responses_conform_to_the_document(document, mode):
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) == 8
    for operation in operations:
        if mode is MODES.NEGATIVE and operation.method in ("get", "delete"):
            continue  # no form, so no invalid input

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        def call(case):
            # the schema cannot express which bytes are an image
            case.call_and_validate(excluded_checks=[schemathesis.checks.positive_data_acceptance])

        call()
