//! Ports that a client provides (`extLinkPorts`, `linkPortId`): the template is given them, and the instance shows them.

use mock_vim::Faults;
use serde_json::{Value, json};
use vimhost_tests::{SamplePackage, instantiate_request};

use super::{World, at, forceful, texts};

const TEMPLATE: &str = "heat_template_version: 2013-05-23
parameters:
  nfv:
    type: json
resources:
  VDU2:
    type: OS::Nova::Server
    properties:
      flavor: { get_param: [ nfv, VDU, VDU2, computeFlavourId ] }
      networks:
        - port: { get_param: [ nfv, CP, VDU2_CP1, port ] }
";

/// An external network with a port, and a connection point on that.
fn link(port: &str) -> Value {
    json!([{"id": "external", "resourceId": "net-external",
        "extCps": [{"cpdId": "VDU2_CP1", "cpConfig": {"config": {"linkPortId": port}}}],
        "extLinkPorts": [{"id": port, "resourceHandle": {"resourceId": format!("{port}-in-vim")}}]}])
}

/// The ports that an operation came to and left.
fn changed(op_occ: &Value) -> Vec<(String, String, String)> {
    let ports = at(op_occ, "/resourceChanges/affectedExtLinkPorts").as_array().unwrap();
    let text = |port: &Value, key: &str| port[key].as_str().unwrap().to_owned();
    ports
        .iter()
        .map(|port| {
            (
                text(port, "changeType"),
                text(port, "id"),
                text(port, "extCpInstanceId"),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_the_client_is_used_shown_and_exchanged() {
    let world = World::new(Faults::default()).await;
    let client = &world.client;
    let package = SamplePackage {
        vnfd_id: "4f1b2c9e-8a35-4d2a-9d5e-6a0c1b7f3e13".to_owned(),
        template: Some(TEMPLATE.to_owned()),
        ..SamplePackage::default()
    };
    client.onboard(&package).await.unwrap();
    let id = client.create(&package.vnfd_id, "ports").await.unwrap();
    let mut request = instantiate_request("mock");
    request["extVirtualLinks"] = link("first");
    let made = client.complete(&id, "instantiate", &request).await.unwrap();
    let of = |change: &str, port: &str| (change.to_owned(), port.to_owned(), format!("cp-{port}-in-vim"));
    assert_eq!(changed(&made), [of("ADDED", "first")]);

    let change = json!({"extVirtualLinks": link("second")});
    let moved = client.complete(&id, "change_ext_conn", &change).await.unwrap();
    assert_eq!(changed(&moved), [of("REMOVED", "first"), of("ADDED", "second")]);
    let instance = client.instance(&id).await.unwrap();
    let info = at(&instance, "/instantiatedVnfInfo");
    assert_eq!(at(info, "/metadata/nfv/CP/VDU2_CP1/port"), "second-in-vim");
    let vm = texts(at(info, "/vnfcResourceInfo"), "id")[0];
    let cp = at(info, "/extCpInfo/0");
    assert_eq!(
        (&cp["id"], &cp["cpConfigId"]),
        (&json!("cp-second-in-vim"), &json!("config"))
    );
    assert_eq!(cp["associatedVnfcCpId"], format!("VDU2_CP1-{vm}"));
    let port = at(info, "/extVirtualLinkInfo/0/extLinkPorts/0");
    assert_eq!((&port["id"], &port["cpInstanceId"]), (&json!("second"), &cp["id"]));
    assert_eq!(at(port, "/resourceHandle/resourceId"), "second-in-vim");
    let of_vm = at(info, "/vnfcResourceInfo/0/vnfcCpInfo/0");
    assert_eq!(
        (&of_vm["id"], &of_vm["vnfExtCpId"]),
        (&cp["associatedVnfcCpId"], &cp["id"])
    );

    let ended = client.complete(&id, "terminate", &forceful()).await.unwrap();
    assert_eq!(changed(&ended), [of("REMOVED", "second")]);
}
