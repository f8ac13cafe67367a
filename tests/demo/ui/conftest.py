"""One server for all tests of the page, but for those that need other settings."""

from tests.support.serving import served

server = served("session")
