"""The fields of a Cloud Build request, and what is wrong with a ``cloudbuild.yaml`` that has others.

Source: the message Build in Cloud Build's discovery document, v1 (a test compares both). gcloud also takes the fields'
names in snake case (``dynamic_substitutions``).
"""

import difflib
from collections.abc import Iterator, Mapping

from bakery.recipe.model import Json
from bakery.recipe.parse import Document, Where, quoted

# Message to fields. After a colon, the message of a value; ``[]`` is a list, ``{}`` a mapping with keys of one's own.
_MESSAGES = {
    "Build": """approval artifacts:Artifacts availableSecrets:Secrets buildTriggerId createTime
        dependencies:[Dependency] failureInfo finishTime gitConfig:GitConfig id images:[] logUrl logsBucket name
        options:BuildOptions projectId queueTtl results secrets:[Secret] serviceAccount source:Source sourceProvenance
        startTime status statusDetail steps:[BuildStep] substitutions:{} tags:[] timeout timing:{}
        warnings:[Warning]""",
    "Artifacts": """genericArtifacts:[GenericArtifact] goModules:[GoModule] images:[] mavenArtifacts:[MavenArtifact]
        npmPackages:[NpmPackage] objects:ArtifactObjects oci:[Oci] pythonPackages:[PythonPackage]""",
    "GenericArtifact": "folder registryPath",
    "GoModule": "modulePath moduleVersion repositoryLocation repositoryName repositoryProjectId sourcePath",
    "MavenArtifact": "artifactId deployFolder groupId path repository version",
    "NpmPackage": "packagePath repository",
    "ArtifactObjects": "location paths:[] timing",
    "Oci": "file registryPath tags:[]",
    "PythonPackage": "paths:[] repository",
    "Secrets": "inline:[InlineSecret] secretManager:[SecretManagerSecret]",
    "InlineSecret": "envMap:{} kmsKeyName",
    "SecretManagerSecret": "env versionName",
    "Dependency": "empty genericArtifact:GenericArtifactDependency gitSource:GitSourceDependency",
    "GenericArtifactDependency": "destPath resource",
    "GitSourceDependency": "depth destPath fetchTags recurseSubmodules repository:GitSourceRepository revision",
    "GitSourceRepository": "developerConnect url",
    "GitConfig": "http:HttpConfig",
    "HttpConfig": "proxySecretVersionName",
    "BuildOptions": """automapSubstitutions defaultLogsBucketBehavior diskSizeGb dynamicSubstitutions
        enableStructuredLogging env:[] logStreamingOption logging machineType pool:PoolOption pubsubTopic
        rankedMachineSeries:[] requestedVerifyOption resolvedWorkerRelease secretEnv:[] sourceProvenanceHash:[]
        substitutionOption volumes:[Volume] workerPool workerRelease""",
    "PoolOption": "name resolvedWorkerRelease workerRelease",
    "Volume": "name path",
    "Secret": "kmsKeyName secretEnv:{}",
    "Source": """connectedRepository:ConnectedRepository developerConnectConfig:DeveloperConnectConfig
        gitSource:GitSource repoSource:RepoSource storageSource:StorageSource
        storageSourceManifest:StorageSourceManifest""",
    "ConnectedRepository": "dir repository revision",
    "DeveloperConnectConfig": "dir gitRepositoryLink revision",
    "GitSource": "dir revision url",
    "RepoSource": "branchName commitSha dir invertRegex projectId repoName substitutions:{} tagName",
    "StorageSource": "bucket generation object sourceFetcher",
    "StorageSourceManifest": "bucket generation object",
    "BuildStep": """allowExitCodes:[] allowFailure args:[] automapSubstitutions dir entrypoint env:[] exitCode id name
        pullTiming results:[StepResult] script secretEnv:[] status timeout timing volumes:[Volume] waitFor:[]""",
    "StepResult": "attestationContent attestationType name",
    "Warning": "priority text",
}
MESSAGES: Mapping[str, Mapping[str, str]] = {
    name: {field: kind for field, _, kind in (word.partition(":") for word in fields.split())}
    for name, fields in _MESSAGES.items()
}
_PLAIN = frozenset(("", "[]", "{}"))  # kinds of values that hold no message


def camel_case(build: Document) -> Document:
    """Return the document with its fields in camel case; lines are still found."""
    origins: dict[Where, Where] = {}
    value = _renamed(build.value, "Build", (), (), origins)
    if not origins:
        return build

    def origin(where: Where) -> Where:
        found = next((cut for cut in range(len(where), 0, -1) if where[:cut] in origins), 0)
        return (*origins[where[:found]], *where[found:]) if found else where

    return Document(
        value,
        build.findings,
        lambda where: build.find_line(origin(where)),
        lambda where: build.find_text(origin(where)),
    )


def _renamed(value: Json, kind: str, where: Where, old: Where, origins: dict[Where, Where]) -> Json:
    """Return a value whose fields have the names of its message, noting where the renamed ones came from."""
    if kind in _PLAIN:
        return value
    if kind.startswith("[") and isinstance(value, list):
        entries = enumerate(value)
        return [_renamed(entry, kind[1:-1], (*where, index), (*old, index), origins) for index, entry in entries]
    fields = MESSAGES.get(kind)
    if fields is None or not isinstance(value, dict):
        return value
    made = {}
    for key, entry in value.items():
        name = key if key in fields else _camel(key)
        name = name if name in fields else key
        if name != key or where != old:
            origins[*where, name] = (*old, key)
        made[name] = _renamed(entry, fields.get(name, ""), (*where, name), (*old, key), origins)
    return made


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in others)


def check(build: Document) -> None:
    """Report fields that Cloud Build does not know, and lists and mappings that are something else."""
    for where, message, hint in _faults(build.value, "Build", ()):
        build.error(message, hint, *where)


def _faults(value: Json, kind: str, where: Where) -> Iterator[tuple[Where, str, str]]:
    if value is None or kind == "" or (where in (("substitutions",), ("steps",)) and not isinstance(value, list)):
        return  # substitutions and steps have checks of their own
    if kind.startswith("["):
        if isinstance(value, list):
            for index, entry in enumerate(value) if kind not in _PLAIN else ():
                yield from _faults(entry, kind[1:-1], (*where, index))
        elif where[-1] != "args":
            yield where, f"{where[-1]} is {quoted(value)}", "write a list"
    elif not isinstance(value, dict):
        if len(where) != 2 or where[0] != "steps":  # an entry of steps that is not a mapping is reported elsewhere
            yield where, f"{where[-1]} is {quoted(value)}", "write a mapping"
    elif kind in MESSAGES:
        for key, entry in value.items():
            inner = MESSAGES[kind].get(key)
            if inner:
                yield from _faults(entry, inner, (*where, key))
            elif inner is None:
                yield (*where, key), f"unknown key {key}: Cloud Build refuses the build", _instead(key, kind)


def _instead(key: str, kind: str) -> str:
    close = difflib.get_close_matches(key, MESSAGES[kind], n=1)
    return f"did you mean {close[0]}? else remove it" if close else "remove it"
