"""A stand-in for ``pulumi-resource-gcp``: serves Pulumi's provider protocol and talks REST to the custom endpoints.

It knows the types that the bakery declares and no others; the engine, the SDK and the requests are real. Run as a
program it prints its port, as the engine wants it.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from google.protobuf.json_format import MessageToDict
from kinds import KINDS, POLICIES, Props
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

POLICY_TRIES = 50  # of a policy that others change at the same time
FIXED = ("name", "project", "location", "region", "accountId", "roleId", "datasetId", "tableId", "network")
FIXED += (
    "role",
    "member",
    "bucket",
    "cryptoKeyId",
    "topic",
    "repository",
    "serviceAccountId",
    "condition",
    "service",
    "ipCidrRange",
)
IDENTITY = "gcp:projects/serviceIdentity:ServiceIdentity"  # made when asked for, never changed or deleted
# By itself the provider has the old one of these deleted before the new one is made, and of all that is given a name.
DELETED_FIRST = ("gcp:bigquery/table:Table", "gcp:projects/iAMMember:IAMMember")


class OperationFailed(Exception):
    """What was begun did not end well."""


class Api:
    """The REST side: one endpoint a service, from the stack's ``gcp:<service>CustomEndpoint``."""

    def __init__(self) -> None:
        self.endpoints: dict[str, str] = {}

    def call(self, service: str, verb: str, path: str, body: Props | None = None) -> Any:
        """One request; raises urllib's HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.endpoints[service]}{path}", data, {"Content-Type": "application/json"}, method=verb
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")


def to_dict(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Pulumi's properties as Python values: unknown and secret markers left as they are, whole numbers as int."""
    return {key: _whole(value) for key, value in MessageToDict(struct).items()}


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(entry) for key, entry in value.items() if not key.startswith("__")}
    return [_whole(entry) for entry in value] if isinstance(value, list) else value


def to_struct(values: Props) -> struct_pb2.Struct:
    """Python values as Pulumi's properties."""
    made = struct_pb2.Struct()
    made.update({key: value for key, value in values.items() if value is not None})
    return made


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """CRUD over the table of kinds."""

    def __init__(self) -> None:
        self.api = Api()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="10.2.0")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        for key, value in request.variables.items():
            name = key.rpartition(":")[2]
            if name.endswith("CustomEndpoint"):
                self.api.endpoints[name.removesuffix("CustomEndpoint")] = value
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True, acceptResources=False)

    def Check(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        olds, news = to_dict(request.old_inputs), to_dict(request.news)
        changed = sorted(key for key in {*olds, *news} if olds.get(key) != news.get(key))
        some = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        token = _token(request.urn)
        fixed = (*FIXED, *(KINDS[token].fixed if token in KINDS else ()))
        replaces = [key for key in changed if key in fixed]
        return provider_pb2.DiffResponse(
            changes=some,
            diffs=changed,
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and ("name" in news or token in DELETED_FIRST),
        )

    def Create(self, request: Any, context: Any) -> Any:
        token, props = _token(request.urn), to_dict(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(id="", properties=to_struct(props))
        try:
            identity, outputs = self._create(token, props)
        except urllib.error.HTTPError as error:
            context.abort(grpc.StatusCode.UNKNOWN, f"{token}: {error.code} {error.read().decode()}")
        except OperationFailed as error:
            context.abort(grpc.StatusCode.UNKNOWN, f"{token}: {error}")
        return provider_pb2.CreateResponse(id=identity, properties=to_struct(outputs))

    def _create(self, token: str, props: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if token in POLICIES:
            self._policy(token, props, add=True)
            return f"{token} {props['role']} {props['member']}", {**props, "etag": "x"}
        if token == "gcp:compute/routerNat:RouterNat":
            return self._nat(props, add=True)
        if token == IDENTITY:
            path = f"projects/{props['project']}/services/{props['service']}"
            made = self.api.call("serviceUsage", "POST", f"{path}:generateServiceIdentity", {})
            return path, {**props, "email": made["response"]["email"]}
        if token == "gcp:projects/iAMCustomRole:IAMCustomRole" and self._undeleted(props):
            return KINDS[token].item.format(**props), {**props, **_outputs({}, props)}
        kind = KINDS[token]
        path = kind.collection if kind.verb == "POST" else kind.item
        answer = self.api.call(kind.service, kind.verb, path.format(**props), kind.body(props))
        self._finish(kind.service, answer)
        outputs = {**props, **_outputs(answer, props)}
        # "Created" is what a read says, as with the real provider.
        there = self.api.call(kind.service, "GET", kind.item.format(**outputs))
        outputs |= {"selfLink": there.get("selfLink", ""), "email": there.get("email")}
        if "workloadIdentityPoolId" in props:  # with the number of the project, which the inputs do not have
            outputs["name"] = there["name"]
        return kind.item.format(**outputs), outputs

    def _finish(self, service: str, answer: Any) -> None:
        """Wait for an operation of a location, which tells only at its end why it failed. Raises OperationFailed."""
        while "/operations/" in str(answer.get("name")) and not answer.get("done"):
            time.sleep(0.02)
            answer = self.api.call(service, "GET", answer["name"])
        if "error" in answer:
            code, text = answer["error"]["code"], answer["error"]["message"]
            raise OperationFailed(f"Error waiting to create: Error code {code}, message: {text}")

    def _undeleted(self, props: dict[str, Any]) -> bool:
        """Undelete and change a role that was deleted within seven days, as the real provider does; else False."""
        kind = KINDS["gcp:projects/iAMCustomRole:IAMCustomRole"]
        path = kind.item.format(**props)
        try:
            if not self.api.call(kind.service, "GET", path).get("deleted"):
                return False
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise
        self.api.call(kind.service, "POST", f"{path}:undelete", {})
        self.api.call(kind.service, kind.update, path, (kind.change or kind.body)(props))
        return True

    def _nat(self, props: dict[str, Any], add: bool) -> tuple[str, dict[str, Any]]:
        path = "projects/{project}/regions/{region}/routers/{router}".format(**props)
        nat = {
            "name": props["name"],
            "natIpAllocateOption": props["natIpAllocateOption"],
            "sourceSubnetworkIpRangesToNat": props["sourceSubnetworkIpRangesToNat"],
            "subnetworks": [
                {"name": one["name"], "sourceIpRangesToNat": one["sourceIpRangesToNats"]}
                for one in props["subnetworks"]
            ],
        }
        self.api.call("compute", "PATCH", path, {"nats": [nat] if add else []})
        return f"{path}/{props['name']}", props

    def Read(self, request: Any, context: Any) -> Any:
        token, props = _token(request.urn), to_dict(request.properties)
        try:
            if token in POLICIES:
                there = self._has_grant(token, props)
            else:
                kind = KINDS.get(token)
                item = {} if kind is None else self.api.call(kind.service, "GET", kind.item.format(**props))
                there = kind is None or bool(item and not item.get("deleted") and item.get("state") != "DELETED")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                context.abort(grpc.StatusCode.UNKNOWN, str(error))
            there = False
        if not there:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Update(self, request: Any, context: Any) -> Any:
        token, props = _token(request.urn), to_dict(request.news)
        olds = to_dict(request.olds)
        if not request.preview and token in KINDS:
            kind = KINDS[token]
            body = kind.change or kind.body
            try:
                mask = f"?updateMask={kind.mask}" if kind.mask else ""
                self.api.call(kind.service, kind.update, kind.item.format(**{**olds, **props}) + mask, body(props))
            except urllib.error.HTTPError as error:
                context.abort(grpc.StatusCode.UNKNOWN, f"{token}: {error.code} {error.read().decode()}")
        return provider_pb2.UpdateResponse(properties=to_struct({**olds, **props}))

    def Delete(self, request: Any, context: Any) -> Any:
        token, props = _token(request.urn), to_dict(request.properties)
        if props.get("deletionProtection"):
            context.abort(grpc.StatusCode.UNKNOWN, f"{token}: deletionProtection is set, so it is not destroyed")
        try:
            if token in POLICIES:
                self._policy(token, props, add=False)
            elif token == "gcp:compute/routerNat:RouterNat":
                self._nat(props, add=False)
            elif token != IDENTITY and not KINDS[token].keep:
                self.api.call(KINDS[token].service, "DELETE", KINDS[token].item.format(**props))
        except urllib.error.HTTPError as error:
            if error.code != 404:
                context.abort(grpc.StatusCode.UNKNOWN, f"{token}: {error.code} {error.read().decode()}")
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        """Only the question for the agent of Cloud Storage, which makes it."""
        args = to_dict(request.args)
        found = self.api.call("storage", "GET", f"projects/{args['project']}/serviceAccount")
        return provider_pb2.InvokeResponse(**{"return": to_struct({"emailAddress": found["email_address"]})})

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def _policy(self, token: str, props: dict[str, Any], add: bool) -> None:
        """Read, change, write; again when somebody else wrote in between, as each grant is a resource of its own."""
        for _ in range(POLICY_TRIES):
            policy = self._read_policy(token, props)
            wanted = {"role": props["role"], "members": [props["member"]]}
            if props.get("condition"):
                wanted["condition"] = {k: v for k, v in props["condition"].items() if v}
                policy["version"] = 3
            others = [binding for binding in policy.get("bindings", []) if binding != wanted]
            policy["bindings"] = [*others, wanted] if add else others
            try:
                self._write_policy(token, props, policy)
            except urllib.error.HTTPError as error:
                if error.code != 409:
                    raise
                time.sleep(0.02)
                continue
            return
        raise RuntimeError(f"the policy of {token} is changed all the time")

    def _has_grant(self, token: str, props: dict[str, Any]) -> bool:
        bindings = self._read_policy(token, props).get("bindings", [])
        return any(b["role"] == props["role"] and props["member"] in b["members"] for b in bindings)

    def _read_policy(self, token: str, props: dict[str, Any]) -> dict[str, Any]:
        service, template = POLICIES[token]
        path = template.format(**props)
        if service == "storage":
            return dict(self.api.call(service, "GET", f"{path}/iam?optionsRequestedPolicyVersion=3"))
        if service == "bigQuery":
            access = self.api.call(service, "GET", path).get("access", [])
            return {"bindings": [binding for entry in access for binding in _binding(entry)]}
        if service in ("pubsub", "artifactRegistry", "cloudbuildv2", "kms"):
            return dict(self.api.call(service, "GET", f"{path}:getIamPolicy?options.requestedPolicyVersion=3"))
        if service == "iam":
            return dict(self.api.call(service, "POST", f"{path}:getIamPolicy?options.requestedPolicyVersion=3"))
        return dict(self.api.call(service, "POST", f"{path}:getIamPolicy", {"options": {"requestedPolicyVersion": 3}}))

    def _write_policy(self, token: str, props: dict[str, Any], policy: dict[str, Any]) -> None:
        service, template = POLICIES[token]
        path = template.format(**props)
        if service == "storage":
            self.api.call(service, "PUT", f"{path}/iam", policy)
        elif service == "bigQuery":
            access = [entry for binding in policy["bindings"] for entry in _access(binding)]
            self.api.call(service, "PATCH", path, {"access": access})
        else:
            self.api.call(service, "POST", f"{path}:setIamPolicy", {"policy": policy})


# BigQuery's access list has names of its own for roles and members (the provider's iam_bigquery_dataset.go).
LONG_ROLES = {
    "OWNER": "roles/bigquery.dataOwner",
    "WRITER": "roles/bigquery.dataEditor",
    "READER": "roles/bigquery.dataViewer",
}


def _binding(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """An entry of a dataset's access list as a binding; none for what is no grant."""
    if "role" not in entry:
        return []
    address = entry.get("userByEmail", "")
    kind = "serviceAccount" if "gserviceaccount" in address else "user"
    member = f"{kind}:{address}" if address else entry.get("specialGroup", "")
    return [{"role": LONG_ROLES.get(entry["role"], entry["role"]), "members": [member]}]


def _access(binding: dict[str, Any]) -> list[dict[str, Any]]:
    """A binding as entries of a dataset's access list."""
    return [
        {"role": binding["role"], "userByEmail": member.partition(":")[2]}
        if ":" in member
        else {"role": binding["role"], "specialGroup": member}
        for member in binding["members"]
    ]


def _token(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", maxsplit=1)[-1]


def _outputs(answer: Any, props: Props) -> dict[str, Any]:
    found = {"triggerId": answer.get("id")} if "resourceName" in answer else {}
    if "email" in answer:
        found["email"] = answer["email"]
    if "roleId" in props:
        found["name"] = f"projects/{props['project']}/roles/{props['roleId']}"
    return found


def main() -> None:
    """Serve on a free port of the loopback interface, and say which."""
    server = grpc.server(ThreadPoolExecutor(16))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    sys.exit(main())
