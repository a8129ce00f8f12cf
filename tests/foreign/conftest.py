"""A browser for the tests of pages."""

from __future__ import annotations

from typing import Any, Iterator

import pytest

from tests.foreign.browsing import Chromium

# On a slow machine a page asks again while a test ends its server; browsers log that themselves.
REFUSED = "net::ERR_CONNECTION_REFUSED"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    made = Chromium()
    yield made
    made.close()


@pytest.fixture
def browser(request: Any, chromium: Chromium) -> Iterator[Chromium]:
    """A browser without a past; afterwards its console and its requests are judged."""
    locale, scheme = getattr(request, "param", ("en-US", "dark"))
    chromium.do(fresh={"locale": locale, "colorScheme": scheme})
    yield chromium
    asked, said = chromium.do(asked=None), chromium.do(said=None)
    assert all(url.startswith("http://127.0.0.1:") for url in asked), asked
    said = [line for line in said if REFUSED not in line]
    assert said == [], "errors and warnings in the browser's console"
