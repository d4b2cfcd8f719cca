"""What schemathesis is taught of the VNF LCM interface, and what it finds there.

Packages are uploaded and instances made of them before anything is asked, since ids that are made up lead no further than a 404. The requests
that this takes are the examples of the description, so these are shown to be good.
"""

import json
import os
import time
import urllib.request

import schemathesis
from hypothesis import strategies as st

BASE = os.environ["VIMHOST_VNF_LCM"]
ADMIN = os.environ["VIMHOST_ADMIN"]

# No proxy stands between this program and a host on loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

INSTANCES = "/vnflcm/v2/vnf_instances"
OCCURRENCES = "/vnflcm/v2/vnf_lcm_op_occs"
SUBSCRIPTIONS = "/vnflcm/v2/subscriptions"
PACKAGES = "/vnfpkgm/v1/vnf_packages"

# How long an instance may take that is made on a VIM without delays.
PATIENCE = 60


def ask(method, url, body, kind="application/json"):
    """The JSON that a request is answered with, if there is any, and the id of what `Location` names."""
    headers = {"Content-Type": kind, "Version": "2.0.0"}
    if url.startswith(ADMIN):
        headers["Authorization"] = "Bearer " + os.environ["VIMHOST_ADMIN_TOKEN"]
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    with OPENER.open(request, timeout=PATIENCE) as answer:
        text, location = answer.read(), answer.headers.get("Location", "")
    return json.loads(text) if text else None, location.rsplit("/", 1)[-1]


def post(path, body):
    return ask("POST", BASE + path, text_of(body))[1]


def get(path):
    return ask("GET", BASE + path, None)[0]


def text_of(value):
    return json.dumps(value).encode()


with open(os.environ["VIMHOST_SAMPLE_PACKAGE"], "rb") as file:
    ARCHIVE = file.read()

# Whole, cut off, with nothing in it, and anything at all.
ARCHIVES = st.one_of(
    st.just(ARCHIVE),
    st.integers(min_value=0, max_value=len(ARCHIVE)).map(lambda length: ARCHIVE[:length]),
    st.just(b"PK\x05\x06" + bytes(18)),
    st.binary(max_size=4096),
)
schemathesis.openapi.media_type("application/zip", ARCHIVES)


@schemathesis.serializer("application/zip")
def archive(context, value):
    """Whatever is made up in place of an archive is sent as it is written."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


with open(os.environ["VIMHOST_DESCRIPTION"], encoding="utf-8") as file:
    PATHS = json.load(file)["paths"]


def example(path):
    return PATHS[path]["post"]["requestBody"]["content"]["application/json"]["example"]


def settled(occurrence):
    """The state that an operation ends in."""
    deadline = time.monotonic() + PATIENCE
    while True:
        state = get(f"{OCCURRENCES}/{occurrence}")["operationState"]
        if state not in ("STARTING", "PROCESSING") or time.monotonic() > deadline:
            return state
        time.sleep(0.05)


ACCOUNT = {
    "id": "mock",
    "name": "mock",
    "vim_type": "mock",
    "url": os.environ["VIMHOST_MOCK_VIM"],
    "user": "mock",
    "tenant": "mock",
    "credentials": {"password": os.environ["VIMHOST_MOCK_PASSWORD"]},
}
ask("POST", ADMIN + "/v1/vims", text_of(ACCOUNT))

# One that is onboarded, and one that waits for an archive; whatever it is sent, the VNFD is in the other one already.
PACKAGE = post(PACKAGES, example(PACKAGES))
EMPTY_PACKAGE = post(PACKAGES, {})
ask("PUT", f"{BASE}{PACKAGES}/{PACKAGE}/package_content", ARCHIVE, "application/zip")
SHOWN = get(f"{PACKAGES}/{PACKAGE}")
if SHOWN["onboardingState"] != "ONBOARDED":
    raise RuntimeError(f"the sample package was not onboarded: {SHOWN}")

# One that nothing was done with, and one that has a stack.
INSTANCE = post(INSTANCES, example(INSTANCES))
LIVE_INSTANCE = post(INSTANCES, example(INSTANCES))
OCCURRENCE = post(f"{INSTANCES}/{LIVE_INSTANCE}/instantiate", example(INSTANCES + "/{id}/instantiate"))
STATE = settled(OCCURRENCE)
if STATE != "COMPLETED":
    raise RuntimeError(f"the example of an instantiation ended as {STATE}: {get(f'{OCCURRENCES}/{OCCURRENCE}')}")

SUBSCRIPTION = post(SUBSCRIPTIONS, example(SUBSCRIPTIONS))


def there(method, path, number):
    """The id of a thing that a path may be about; nothing that is there is taken away."""
    if method == "DELETE":
        return None
    if path.startswith(INSTANCES):
        return INSTANCE if number % 2 == 1 or path.endswith("/terminate") else LIVE_INSTANCE
    if path.startswith(OCCURRENCES):
        return OCCURRENCE
    if path.startswith(SUBSCRIPTIONS):
        return SUBSCRIPTION
    if path.startswith(PACKAGES):
        return PACKAGE if method == "GET" else EMPTY_PACKAGE
    return None


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every other made-up id gives way to that of a thing that is there."""
    parameters = case.path_parameters
    made_up = parameters.get("id") if parameters else None
    if not isinstance(made_up, str) or len(made_up) % 2 == 1:
        return
    known = there(case.method.upper(), case.operation.path, len(made_up) // 2)
    if known is None:
        return
    parameters["id"] = known
    if isinstance(parameters.get("path"), str) and len(parameters["path"]) % 2 == 0:
        parameters["path"] = "TOSCA-Metadata/TOSCA.meta"
