#!/usr/bin/env python3
"""Makes the files of this directory: LCM's requests as bytes, and the records they are about.

The requests are written by what LCM itself uses: PyYAML (`yaml.safe_dump` with its defaults) for bodies, aiohttp for everything
else, with the headers and the URL of LCM's NG-RO client (base `http://ro:9090/ro/`, paths `<base>/<path>`, so with two slashes). A
server on loopback takes down what arrives. To make the files again:

    python3 -m venv /tmp/lcm && /tmp/lcm/bin/pip install aiohttp==3.8.6 pyyaml==6.0.3
    /tmp/lcm/bin/python tests/e2e/data/lcm/generate.py

What only a running VIM knows (ids of VMs, addresses) stands in the files as samples; `service.json` lists each with the place in
the records where the real value is, and `lcm_bytes.rs` puts that in. Everything else is sent as it is.
"""

import asyncio
import copy
import json
import pathlib
import socket

import aiohttp
import aiohttp.abc
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ACCOUNT = "bad7338b-ae46-43d4-a434-c3337a8054ac"
TARGET = "vim:" + ACCOUNT
#: Stands for the id of the action that is asked for.
ANY_ACTION = "a0000000-0000-4000-8000-000000000000"
SECOND = {
    "1b6a4eb3-4fbf-415e-985c-4aeb3161eec0": "17892d73-aa19-4b87-9a00-1d094f07a6b3",
    "38912ff7-5bdd-4228-911f-c2bee259c44a": "5a1f7a8e-50ea-4d79-a0ac-1a3e7c3b2c11",
    "vnf1": "vnf2",
}
#: LCM's operation records have UUIDs, which it gives as action ids.
OPERATION = {
    name: f"0f0e6a5c-94f1-4b6e-8d57-5b1a6f2c00{number:02d}"
    for number, name in enumerate(["instantiate", "scale-out", "scale-in", "recreate", "terminate"])
}
#: Longer than a line of PyYAML, so that it is folded at its blanks.
KEYS = [
    "ssh-rsa " + "AAAAB3NzaC1yc2EAAAADAQABAAABgQC7" + "k2x9Qw" * 60 + " ubuntu@juju.osm.example",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0Ow0Ow0Ow0Ow0Ow0Ow0Ow0Ow0Ow0Ow0Ow0Ow0Ow0Ow operator",
]
INJECTED = "ssh-rsa " + "AAAAB3NzaC1yc2EAAAADAQABAAABgQDj" + "h7Zp3M" * 60 + " juju-client-key"
#: Texts that YAML 1.1 would read as something else without quotes, and texts that PyYAML folds or escapes; then numbers.
VARIABLES = {
    "answer": "yes", "off_word": "off", "single": "y", "mode": "0644", "octal": "0o17", "hexadecimal": "0x1F",
    "exponent": "1e3", "float_text": "1.0e+3", "minutes": "1:30", "mac": "11:22:33:44:55:56", "date": "2020-06-29",
    "version": "13.0", "null_word": "null", "tilde": "~", "empty": "", "merge": "<<", "equals": "=",
    "colon": "a: b # c", "quotes": "it's \"so\"", "blanks": "  both sides  ", "tab": "a\tb", "dash": "- item",
    "percent": "%TAG", "alias": "*id001", "anchor": "&id001", "tag": "!!python/none", "brace": "{a: 1}",
    "lines": "one\n  two\n\nthree", "unicode": "Z\u00fcrich \u2192 \u6771\u4eac \U0001f4e6",
    "long": " ".join(["a text that is longer than a line of PyYAML"] * 8),
    "unbroken": "x" * 300,
    "count": 12, "negative": -7, "large": 9007199254740993, "ratio": 1.5,
}


def service():
    """The records as NBI and LCM have written them when nothing is deployed yet, with the fields that LCM passes on."""
    fixture = json.loads((HERE.parent / "lcm_deployed_records.json").read_text())
    nsr, vnfr = fixture["nsrs"][0], fixture["vnfrs"][0]
    for item in [*nsr["vld"], *nsr["image"], *nsr["flavor"]]:
        item.pop("vim_info", None)
    vnfr.pop("ip-address")
    vdur = vnfr["vdur"][0]
    for key in ["ip-address"]:
        vdur.pop(key)
    for interface in vdur["interfaces"]:
        for key in ["ip-address", "mac-address", "compute_node", "pci", "vlan"]:
            interface.pop(key)
    # The rest of a record of releases 12 and 13.
    vnfr.update({
        "_admin": {"created": 1650291045.25, "modified": 1650291045.25, "nsState": "NOT_INSTANTIATED",
                   "projects_read": ["4d5ee2dc-7b5e-4b0c-9a5e-4e0b6f8f8d5a"],
                   "projects_write": ["4d5ee2dc-7b5e-4b0c-9a5e-4e0b6f8f8d5a"]},
        "connection-point": [
            {"connection-point-id": "mgmtVM-eth0-int", "connection-point-vdu-id": "mgmtVM", "id": "vnf-mgmt-ext", "name": "vnf-mgmt-ext"},
            {"connection-point-id": "dataVM-xe0-int", "connection-point-vdu-id": "mgmtVM", "id": "vnf-data-ext", "name": "vnf-data-ext"}],
        "created-time": 1650291045.25, "kdur": [], "revision": 1, "vld": [{"id": "internal", "name": "internal", "vim_info": {}}],
    })
    vdur["additionalParams"].update(VARIABLES)
    vdur.update({"internal": True, "os-type": None, "vnfr-config-status": "yes"})
    text = json.dumps(vnfr)
    for one, other in SECOND.items():
        text = text.replace(one, other)
    return nsr, [vnfr, json.loads(text)]


def scaled(vdur):
    """What LCM appends to a VNF record to scale out."""
    more = copy.deepcopy(vdur)
    more["_id"] = more["id"] = "c0a7f0c5-2a3e-4a47-9b1d-5a2e1f0b7d10"
    more["count-index"] = 1
    return more


def deployed(vnfrs):
    """The records as they are later on, results as samples, and where each sample is found."""
    vnfrs, samples = copy.deepcopy(vnfrs), []

    def sample(number, pointer, value):
        samples.append({"sample": str(value), "vnf": number, "pointer": pointer})
        return value

    for number, vnfr in enumerate(vnfrs):
        vdur = vnfr["vdur"][0]
        for position, interface in enumerate(vdur["interfaces"]):
            place, last = f"/vdur/0/interfaces/{position}", 10 * (number + 1) + position
            interface.update({
                "ip-address": sample(number, f"{place}/ip-address", f"203.0.113.{last}"),
                "mac-address": sample(number, f"{place}/mac-address", f"fa:16:3e:5a:00:{last}"),
                "compute_node": sample(number, f"{place}/compute_node", f"sample-node-{last}"),
                "vlan": sample(number, f"{place}/vlan", 640000 + last), "pci": None,
            })
        vdur.update({
            "ip-address": vdur["interfaces"][0]["ip-address"], "status": "ACTIVE",
            "name": f"k8s-ns-{vnfr['member-vnf-index-ref']}-mgmtVM-0",
            "vim-id": sample(number, "/vdur/0/vim-id", f"5a3b1e00-0000-4000-8000-00000000000{number}"),
        })
        vnfr["ip-address"] = vdur["ip-address"]
    return vnfrs, samples


def deploy_body(nsr, vnfrs, operation):
    """LCM's body of instantiate and scale: copies of the records with `vim_info` of its own."""
    vnfrs = copy.deepcopy(vnfrs)
    vld = copy.deepcopy(nsr["vld"])
    for item in vld:
        network = "osm-ext" if item["id"] == "mgmtnet" else None
        item["vim_info"] = {TARGET: {"vim_account_id": ACCOUNT, "vim_network_name": network}}
    used = {key: copy.deepcopy(nsr[key]) for key in ("image", "flavor")}
    for items in used.values():
        for item in items:
            item["vim_info"] = {TARGET: {}} if item["id"] == "0" else {}
    # One descriptor, so one profile, for the networks of both VNFs; one list of keys for all VMs: PyYAML writes aliases of them.
    profile = {"ip-version": "ipv4", "cidr": "192.168.50.0/24", "dhcp-params": {"enabled": True, "start-address": "192.168.50.10", "count": 50},
               "dns-server": [{"address": "192.168.50.2"}, {"address": "192.168.50.3"}]}
    keys = list(KEYS)
    for number, vnfr in enumerate(vnfrs):
        vnfr["vld"][0]["vim_info"] = {TARGET: {"ip_profile": profile}}
        for vdur in vnfr["vdur"]:
            vdur["vim_info"] = {TARGET: {}}
            vdur["ssh-keys"] = keys
            if number == 1:
                # As LCM sends it when it has chosen among alternative images.
                vdur["ns-image-id"] = 0
    template = "".join(f"# {name}={{{{ {name} }}}}|\n" for name in VARIABLES)
    return {
        "name": nsr["name"], "ns": {"vld": vld}, "vnf": vnfrs, **used, "affinity-or-anti-affinity-group": [],
        "cloud_init_content": {vnfrs[0]["vdur"][0]["cloud-init"]: "#cloud-config\n" + template}, "action_id": OPERATION[operation],
    }


class Client:
    """LCM's calls, taken down."""

    def __init__(self):
        self.taken = b""

    async def take(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
        self.taken = head + await reader.readexactly(length)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    async def record(self, name, port, method, path, body=None):
        class Loopback(aiohttp.abc.AbstractResolver):
            async def resolve(self, host, _port=0, family=socket.AF_INET):
                return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

            async def close(self):
                pass

        data = {} if body is None else {"data": yaml.safe_dump(body)}
        headers = {"Accept": "application/yaml", "content-type": "application/yaml"}
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Loopback())) as session:
            async with session.request(method, f"http://ro:9090/ro//{path}", headers=headers, **data) as response:
                await response.read()
        (HERE / f"{name}.http").write_bytes(self.taken)


async def main():
    nsr, vnfrs = service()
    later, samples = deployed(vnfrs)
    # What is appended is made of the record before anything was deployed.
    more = scaled(vnfrs[0]["vdur"][0])
    wider = copy.deepcopy(later)
    wider[0]["vdur"].append(more)
    ns, vnf, vdu = nsr["_id"], vnfrs[0]["_id"], vnfrs[0]["vdur"][0]["id"]
    expected = "#cloud-config\n" + "".join(f"# {name}={value}|\n" for name, value in VARIABLES.items())
    (HERE / "service.json").write_text(json.dumps({
        "nsr": nsr, "vnfrs": vnfrs, "scaled": more, "samples": samples, "any_action": ANY_ACTION, "actions": OPERATION,
        "keys": KEYS, "injected": INJECTED, "user_data": expected.removesuffix("\n"),
    }, indent=1, sort_keys=True) + "\n")

    def operate(word):
        return {word: {"vim_vm_id": later[0]["vdur"][0]["vim-id"], "vnf_id": vnf, "vdu_index": 0, "vdu_id": vdu,
                       "target_vim": TARGET, "vim_account_id": ACCOUNT}}

    passed_on = {"nsInstanceId": ns}
    posts = {
        "instantiate": ("deploy", deploy_body(nsr, vnfrs, "instantiate")),
        "scale-out": ("deploy", deploy_body(nsr, wider, "scale-out")),
        "scale-in": ("deploy", deploy_body(nsr, later, "scale-in")),
        "terminate": ("deploy", {"ns": {"vld": []}, "vnf": [], "image": [], "flavor": [], "action_id": OPERATION["terminate"]}),
        "inject-key": ("deploy", {"action": {"action": "inject_ssh_key", "key": INJECTED, "user": "ubuntu"},
                                  "vnf": [{"_id": vnf, "vdur": [{"id": vdu}]}]}),
        "start": ("start", operate("start")), "stop": ("stop", operate("stop")), "rebuild": ("rebuild", operate("rebuild")),
        "migrate": ("migrate", {**passed_on, "lcmOperationType": "migrate", "vnfInstanceId": vnf, "vdu": {"vduId": "mgmtVM", "vduCountIndex": 0}}),
        "verticalscale": ("verticalscale", {
            **passed_on, "lcmOperationType": "verticalscale", "verticalScale": "CHANGE_VNFFLAVOR", "changeVnfFlavorData": {
                "vnfInstanceId": vnf, "additionalParams": {
                    "vduid": "mgmtVM", "vduCountIndex": 0, "virtualMemory": 4096, "numVirtualCpu": 2, "sizeOfStorage": 20}}}),
        "recreate": ("recreate", {
            **passed_on, "lcmOperationType": "heal", "action_id": OPERATION["recreate"], "timeout_ns_heal": 1800,
            "healVnfData": [{"vnfInstanceId": vnf, "cause": "default", "additionalParams": {
                "run-day1": False, "vdu": [{"vdu-id": "mgmtVM", "count-index": 0, "run-day1": False}]}}]}),
    }
    client = Client()
    server = await asyncio.start_server(client.take, "127.0.0.1", 0, limit=1 << 20)
    port = server.sockets[0].getsockname()[1]
    await client.record("version", port, "GET", "version")
    for name, (topic, body) in posts.items():
        await client.record(name, port, "POST", f"ns/v1/{topic}/{ns}", body)
    await client.record("status", port, "GET", f"ns/v1/deploy/{ns}/{ANY_ACTION}")
    await client.record("recreate-status", port, "GET", f"ns/v1/recreate/{ns}/{ANY_ACTION}")
    await client.record("delete", port, "DELETE", f"ns/v1/deploy/{ns}")
    server.close()


asyncio.run(main())
