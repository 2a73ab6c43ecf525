"""What the verbs of `elastic` share: a client made from the settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glassfs.config.model import Elastic
    from glassfs.elastic.client import Client


def connected(elastic: Elastic) -> Client:
    """Nothing is asked of the server yet."""
    from glassfs.config.secrets import credentials
    from glassfs.elastic.client import Client

    return Client(elastic, credentials(elastic, os.environ))
