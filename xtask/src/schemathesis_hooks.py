"""What schemathesis is taught of the VNF LCM interface, and what it finds there.

A package is uploaded and instances are made of it before anything is asked, since ids that are made up lead no further than a 404.
"""

import json
import os
import urllib.request

import schemathesis
from hypothesis import strategies as st

BASE = os.environ["VIMHOST_VNF_LCM"]

# No proxy stands between this program and a host on loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

INSTANCES = "/vnflcm/v2/vnf_instances"
OCCURRENCES = "/vnflcm/v2/vnf_lcm_op_occs"
SUBSCRIPTIONS = "/vnflcm/v2/subscriptions"
PACKAGES = "/vnfpkgm/v1/vnf_packages"


def ask(method, path, body, kind="application/json"):
    """The JSON that a request is answered with, if there is any, and the id of what `Location` names."""
    headers = {"Version": "2.0.0", "Content-Type": kind}
    request = urllib.request.Request(BASE + path, data=body, headers=headers, method=method)
    with OPENER.open(request, timeout=60) as answer:
        text, location = answer.read(), answer.headers.get("Location", "")
    return json.loads(text) if text else None, location.rsplit("/", 1)[-1]


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


# One that is onboarded, and one that waits for an archive; whatever it is sent, the VNFD is in the other one already.
_, PACKAGE = ask("POST", PACKAGES, text_of({}))
_, EMPTY_PACKAGE = ask("POST", PACKAGES, text_of({}))
ask("PUT", f"{PACKAGES}/{PACKAGE}/package_content", ARCHIVE, "application/zip")
SHOWN, _ = ask("GET", f"{PACKAGES}/{PACKAGE}", None)
if SHOWN["onboardingState"] != "ONBOARDED":
    raise RuntimeError(f"the sample package was not onboarded: {SHOWN}")
_, INSTANCE = ask("POST", INSTANCES, text_of({"vnfdId": SHOWN["vnfdId"], "vnfInstanceName": "schemathesis"}))
_, OCCURRENCE = ask("PATCH", f"{INSTANCES}/{INSTANCE}", text_of({"vnfInstanceDescription": "asked"}))
_, SUBSCRIPTION = ask("POST", SUBSCRIPTIONS, text_of({"callbackUri": "http://127.0.0.1:9/"}))


def there(method, path):
    """The id of a thing that a path may be about; nothing that is there is taken away."""
    if method == "DELETE":
        return None
    if path.startswith(INSTANCES):
        return INSTANCE
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
    known = there(case.operation.method.upper(), case.operation.path)
    if known is None:
        return
    parameters["id"] = known
    if isinstance(parameters.get("path"), str) and len(parameters["path"]) % 2 == 0:
        parameters["path"] = "TOSCA-Metadata/TOSCA.meta"
