"""Which parts the settings ask for. Imports a part only when it is made: who only samples needs no HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from glassfs.config.model import Settings
from glassfs.errors import BadUsage
from glassfs.serve.keeper import Part, Plan


def planned(settings: Settings, environ: Mapping[str, str]) -> list[Plan]:
    """Raises BadUsage where there is nothing to do."""
    plans = []
    if settings.sampler.enabled:
        plans.append(Plan("sampler", lambda: _sampler(settings)))
    if settings.elastic.enabled:
        plans.append(Plan("shipper", lambda: _shipper(settings, environ)))
    if not plans:
        raise BadUsage(
            "nothing to do: neither the sampler nor shipping is enabled",
            next_step="Set sampler.enabled: true or elastic.enabled: true in config.yml, or give --set NAME=true.",
        )
    return plans


def _sampler(settings: Settings) -> Part:
    from glassfs.system.sampler import Sampler

    return Sampler(settings)


def _shipper(settings: Settings, environ: Mapping[str, str]) -> Part:
    from glassfs.config.secrets import credentials
    from glassfs.elastic.shipper import Shipper

    return Shipper(settings, credentials(settings.elastic, environ))
