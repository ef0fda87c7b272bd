"""The book of refusals: what Google refuses, rule by rule, with the source of each.

Each rule has an example that breaks it; ``tests/contract/test_refusals.py`` sends every example. A rule for which
nothing was found is marked ``assumed``: the bakery must work whichever way Google decides.
"""

from __future__ import annotations

from tests.fake_google.cloud import CONSULTED, Answer, Cloud, Request
from tests.fake_google.refusals import compute, keys, others, partitions, policies
from tests.fake_google.refusals.rule import Rule

RULES: tuple[Rule, ...] = (*compute.RULES, *partitions.RULES, *policies.RULES, *keys.RULES, *others.RULES)


def consult(cloud: Cloud, request: Request) -> Answer | None:
    """Refuse the request if it breaks a rule, or answer it with an operation that fails. Raises Refusal."""
    for rule in RULES:
        if rule.concerns(request) and (text := rule.broken(cloud, request)):
            return rule.refuse(cloud, request, text)
    return None


CONSULTED.append(consult)
