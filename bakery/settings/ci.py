"""Which repository's CI may run ``pulumi up`` as the deploy account, without a key: ``google.ci``.

CI has a token of its host that says which repository, branch and environment a job belongs to. A workload identity
provider takes only tokens that fit its condition. Sources of the claims:
https://docs.github.com/actions/reference/security/oidc, https://docs.gitlab.com/ci/secrets/id_token_authentication/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bakery.settings.google import CiHost, CiSettings
from bakery.settings.reader import Reader

_FORMS: Mapping[str, tuple[str, str]] = {
    "github": (r"[A-Za-z0-9-]+/[\w.-]+", "owner/name"),
    "gitlab": (r"[\w.-]+(?:/[\w.-]+)+", "group/project"),
    "branch": (r"[\w./+@-]+", "the name of a branch"),
    "environment": (r"[\w ./-]+", "the name of an environment"),
    "issuer": (r"https://[\w.:/-]+[\w]", "the address of a GitLab server, as https://gitlab.example.com"),
}


def read(reader: Reader, branch: str) -> CiSettings | None:
    """Return the settings below ``google.ci``, None without any; ``branch`` is the one if none is given."""
    texts = {key: reader.text(key) for key in _FORMS}
    reader.done()
    for key, (form, hint) in _FORMS.items():
        if texts[key] and not re.fullmatch(form, texts[key]):
            reader.wrong(key, f"is {texts[key]!r}", f"write {hint}")
    hosts = [host for host in CiHost if texts[host]]
    if len(hosts) > 1:
        reader.wrong("gitlab", "is set as well as github", "keep one: a stack has one repository")
    if any(texts.values()) and not hosts:
        reader.wrong("github", "is missing", "write github: owner/name, or gitlab: group/project")
    if texts["issuer"] and hosts == [CiHost.GITHUB]:
        reader.wrong("issuer", "is set with github", "remove it: GitHub has one issuer")
    if not hosts:
        return None
    host = hosts[0]
    issuer = texts["issuer"] or host.issuer
    return CiSettings(host, texts[host], texts["branch"] or branch, texts["environment"], issuer)
