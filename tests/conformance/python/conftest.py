"""Servers that the tests of one run share."""

import tempfile

import pytest
import server


@pytest.fixture(scope="session")
def kitchen_sink():
    with server.kitchen_sink() as running:
        yield running


@pytest.fixture(scope="session")
def lakh():
    with tempfile.TemporaryDirectory() as data, server.lakh(data) as running:
        yield running
