//! Vertical scale.

use mock_vim::Faults;
use serde_json::{Value, json};

use super::scale;
use crate::deployed::{Deployed, TARGET, tasks};

#[tokio::test(flavor = "multi_thread")]
async fn d19_a_vertical_scale_is_known_to_the_records_and_fails_when_its_flavour_cannot_be_had() {
    let mut deployed = Deployed::new(
        Faults {
            action_delay_ms: 50,
            ..Faults::default()
        },
        |records| {
            // Without the alternative flavour of the fixture: ids are positions.
            records.nsr["flavor"].as_array_mut().unwrap().truncate(1);
            records.nsr["flavor"][0]["guest-epa"] = json!({"cpu-pinning-policy": "DEDICATED"});
        },
    )
    .await;
    let quota = serde_json::from_value(json!({"quota": {"flavours": 1}})).unwrap();
    deployed.vim.set_faults(quota).unwrap();
    let vnf = deployed.vnf(0);
    let action = deployed
        .lcm()
        .operate("verticalscale", &deployed.nsr, &scale(&vnf, 4096))
        .await
        .unwrap();
    let failed = deployed.failed(&action).await;
    assert!(
        failed.contains("Error at create flavor: ")
            && failed.contains("Error at exec verticalscale: Cannot exec verticalscale"),
        "{failed}"
    );
    assert_eq!(
        deployed.vnfr(0).await["vdur"][0]["ns-flavor-id"],
        "0",
        "it has the flavour it had"
    );

    deployed.vim.set_faults(Faults::default()).unwrap();
    let status = deployed.run("verticalscale", &scale(&vnf, 4096)).await;
    let items: Vec<(&Value, &Value)> = tasks(&status)
        .iter()
        .map(|task| (&task["action"], &task["item"]))
        .collect();
    assert_eq!(
        items,
        [
            (&json!("CREATE"), &json!("flavor")),
            (&json!("EXEC"), &json!("verticalscale"))
        ]
    );
    assert_eq!(
        tasks(&status)[1]["params"]["flavor_dict"],
        json!({"name": "mgmtVM-flv", "ram": 4096, "vcpus": 2, "disk": 20})
    );
    let vnfr = deployed.vnfr(0).await;
    let server = deployed.server(&vnfr["vdur"][0]["vim-id"]);
    let flavours = deployed.vim.inventory().flavours;
    let flavour = flavours
        .iter()
        .find(|flavour| flavour.meta.id == server.flavour)
        .unwrap();
    assert_eq!((flavour.ram, flavour.vcpus, flavour.disk), (4096, 2, 20));
    assert_eq!(flavour.extended["cpu-pinning-policy"], "DEDICATED", "hints stay");
    let id = vnfr["vdur"][0]["ns-flavor-id"].as_str().unwrap().to_owned();
    let nsr = deployed.record("nsrs", &deployed.nsr).await;
    let position: usize = id.parse().unwrap();
    let item = &nsr["flavor"][position];
    assert_eq!(
        (&item["id"], &item["memory-mb"]),
        (&json!(id), &json!(4096)),
        "LCM takes the id for a position"
    );
    assert_eq!(item["vim_info"][TARGET]["vim_id"], server.flavour.as_str());

    // LCM's next deploy asks for the flavours in use; the VM keeps its own, and what the failed try left is cleared away.
    deployed.records.nsr = nsr;
    deployed.records.vnfrs[0] = vnfr;
    let mut body = deployed.body("again");
    for flavour in body["flavor"].as_array_mut().unwrap() {
        let used = flavour["id"] == "0" || flavour["id"] == id.as_str();
        flavour["vim_info"] = if used { json!({TARGET: {}}) } else { json!({}) };
    }
    let action = deployed.lcm().deploy(&deployed.nsr, &body).await.unwrap();
    deployed.done(&action).await;
    assert_eq!(deployed.vim.inventory().flavours.len(), 2);
    assert_eq!(
        deployed.server(&deployed.vnfr(0).await["vdur"][0]["vim-id"]).flavour,
        server.flavour
    );

    // A VM that is healed has the size it has grown to.
    deployed
        .run("recreate", &json!({"healVnfData": [{"vnfInstanceId": vnf}]}))
        .await;
    let healed = deployed.server(&deployed.vnfr(0).await["vdur"][0]["vim-id"]);
    assert_ne!(healed.meta.id, server.meta.id);
    assert_eq!(healed.flavour, server.flavour);
    // A smaller disk is refused by the VIM.
    let mut smaller = scale(&vnf, 8192);
    smaller["changeVnfFlavorData"]["additionalParams"]["sizeOfStorage"] = json!(1);
    let action = deployed
        .lcm()
        .operate("verticalscale", &deployed.nsr, &smaller)
        .await
        .unwrap();
    let failed = deployed.failed(&action).await;
    assert!(
        failed.contains("Error at exec verticalscale: ") && failed.contains("smaller"),
        "{failed}"
    );
    assert_eq!(deployed.vnfr(0).await["vdur"][0]["ns-flavor-id"], id.as_str());
    deployed.terminate().await;
    assert_eq!(deployed.vim.inventory().created(), 0, "{:#?}", deployed.vim.inventory());
    deployed.vim.stop().await.unwrap();
}
