"""CI's jobs are the deploy account if their tokens fit the settings, and nobody else is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bakery.errors import InputError
from tests.unit.infrastructure.test_security import _declared, settings


def federation(**ci: Any) -> Mapping[str, Mapping[str, Any]]:
    """The inputs of what is declared for CI, by type."""
    (declared,) = _declared(settings(ci=ci))
    return {typ.rpartition(":")[2]: inputs for typ, name, inputs in declared.made if name.startswith("federation-")}


def test_without_the_setting_there_is_none() -> None:
    assert federation() == {}


def test_github_is_taken_for_one_repository_and_branch() -> None:
    found = federation(github="o/r", environment="production")
    provider = found["WorkloadIdentityPoolProvider"]
    assert provider["attributeCondition"] == (
        "assertion.repository == 'o/r' && assertion.ref == 'refs/heads/main' && assertion.environment == 'production'"
        " && assertion.event_name != 'pull_request_target'"
    )
    assert provider["oidc"] == {"issuerUri": "https://token.actions.githubusercontent.com"}
    assert provider["attributeMapping"]["attribute.repository"] == "assertion.repository"
    assert found["WorkloadIdentityPool"]["workloadIdentityPoolId"] == "bakery-ci"
    grant = found["IAMMember"]
    assert grant["serviceAccountId"] == "projects/p/serviceAccounts/bakery-deploy@p.iam.gserviceaccount.com"
    assert grant["role"] == "roles/iam.workloadIdentityUser"
    assert grant["member"] == "principalSet://iam.googleapis.com/federation-pool/attribute.repository/o/r"


def test_gitlab_is_taken_for_one_project_and_branch() -> None:
    provider = federation(gitlab="g/sub/p", branch="trunk", issuer="https://git.example.com")[
        "WorkloadIdentityPoolProvider"
    ]
    assert provider["attributeCondition"] == (
        "assertion.project_path == 'g/sub/p' && assertion.ref == 'trunk' && assertion.ref_type == 'branch'"
    )
    assert provider["oidc"] == {"issuerUri": "https://git.example.com"}
    assert provider["workloadIdentityPoolProviderId"] == "gitlab"


@pytest.mark.parametrize(
    ("ci", "problem"),
    [
        ({"github": "o/r", "gitlab": "g/p"}, "google.ci.gitlab is set as well as github"),
        ({"branch": "main"}, "google.ci.github is missing"),
        ({"github": "o"}, "google.ci.github is 'o'"),
        ({"github": "o/r' || true || 'a"}, "google.ci.github is"),
        ({"gitlab": "g/p", "branch": "a' || 'b"}, "google.ci.branch is"),
        ({"github": "o/r", "issuer": "https://x.example.com"}, "google.ci.issuer is set with github"),
        ({"gitlab": "g/p", "issuer": "http://x.example.com"}, "google.ci.issuer is"),
        ({"github": "o/r", "brnach": "x"}, "unknown key 'image-bakery:google.ci.brnach'"),
    ],
)
def test_a_wrong_setting_is_refused(ci: Mapping[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as error:
        settings(ci=ci)
    assert problem in str(error.value)


def test_the_names_of_pools_are_not_too_long() -> None:
    with pytest.raises(InputError, match="makes the pool's name"):
        settings(ci={"github": "o/r"}, prefix="x" * 22, roleSuffix="12345678")
    assert settings(ci={"github": "o/r"}, roleSuffix="A_2").google.pool == "bakery-ci-a-2"
