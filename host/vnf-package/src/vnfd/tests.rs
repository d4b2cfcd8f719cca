use serde_json::json;
use vimhost_model::vnf::UserDataScript;

use super::*;
use crate::sample::{DF_SIMPLE, TOP, VNFD_ID, package};

fn described(other: &[(&str, &str)]) -> Result<Described, Error> {
    describe(&Archive::read(&package(other)).unwrap())
}

/// The sample with one text in the flavour's document replaced.
fn edited(from: &str, to: &str) -> Error {
    assert!(DF_SIMPLE.contains(from), "{from}");
    described(&[("Definitions/df_simple.yaml", DF_SIMPLE.replace(from, to).as_str())]).unwrap_err()
}

#[test]
fn a_vnfd_says_what_the_vnf_is() {
    let found = described(&[]).unwrap();
    let vnfd = found.vnfd;
    assert_eq!(vnfd.id.as_str(), VNFD_ID);
    let words = [
        &vnfd.provider,
        &vnfd.product_name,
        &vnfd.software_version,
        &vnfd.version,
    ];
    assert_eq!(words, ["Company", "Sample VNF", "1.10", "2.0"]);
    assert_eq!(vnfd.vnfm_info, ["Tacker"]);
    assert_eq!(
        Value::Object(vnfd.configurable_properties),
        json!({"is_autohealing_enabled": true})
    );
    assert_eq!(Value::Object(vnfd.extensions), json!({"key": "value"}));
    assert_eq!(Value::Object(vnfd.metadata), json!({}));
    assert_eq!(
        vnfd.user_data_scripts,
        BTreeMap::from([("UserData/userdata_default.py".to_owned(), UserDataScript::Default)])
    );
    assert_eq!(found.documents.len(), 3);
}

#[test]
fn a_flavour_has_its_vdus_links_and_points() {
    let vnfd = described(&[]).unwrap().vnfd;
    assert_eq!(vnfd.flavours.keys().collect::<Vec<_>>(), ["simple"]);
    let flavour = &vnfd.flavours["simple"];
    assert_eq!(flavour.description, "A simple flavour");
    let vdu1 = &flavour.vdus["VDU1"];
    assert_eq!(vdu1.name, "VDU1 of the sample");
    assert_eq!((vdu1.profile.min, vdu1.profile.max, vdu1.initial), (1, 3, 1));
    assert_eq!(vdu1.compute_flavour.as_deref(), Some("m1.tiny"));
    let image = vdu1.image.as_ref().unwrap();
    assert_eq!((image.id.as_str(), image.name.as_str()), ("VDU1", "cirros"));
    assert_eq!(image.path.as_deref(), Some("Files/images/vdu1.img"));
    assert_eq!((image.min_disk, image.size), (Some(1_000_000_000), Some(2 << 30)));
    assert_eq!(flavour.vdus["VDU2"].storages, ["Disk"]);
    assert_eq!(flavour.storages["Disk"].size, Some(10_000_000_000));
    let cp = |name: &str| {
        let cp = &flavour.cps[name];
        (cp.vdu.as_deref(), cp.order, cp.virtual_link.as_deref(), cp.external)
    };
    assert_eq!(cp("VDU1_CP1"), (Some("VDU1"), 0, None, true));
    assert_eq!(cp("VDU1_CP2"), (Some("VDU1"), 1, Some("inside"), true));
    assert_eq!(cp("VDU2_CP1"), (Some("VDU2"), 0, Some("inside"), false));
    assert!(
        flavour.virtual_links["inside"]
            .properties
            .contains_key("connectivity_type")
    );
    assert_eq!(
        flavour.scripts,
        BTreeMap::from([("instantiate_start".to_owned(), "Scripts/start.py".to_owned())])
    );
}

#[test]
fn policies_say_how_a_flavour_scales() {
    let vnfd = described(&[]).unwrap().vnfd;
    let flavour = &vnfd.flavours["simple"];
    let aspect = &flavour.aspects["VDU1_scale"];
    assert_eq!((aspect.name.as_str(), aspect.max_scale_level), ("more", 2));
    assert_eq!(aspect.deltas["VDU1"].steps, [1]);
    assert_eq!(flavour.default_level.as_deref(), Some("small"));
    let large = &flavour.instantiation_levels["large"];
    assert_eq!((large.scale_levels["VDU1_scale"], large.instances["VDU1"]), (2, 3));
}

#[test]
fn templates_images_and_other_files_are_told_apart() {
    let found = described(&[]).unwrap();
    let hot = found.vnfd.flavours["simple"].base_hot.as_ref().unwrap();
    assert_eq!(hot.path, "BaseHOT/simple/top.yaml");
    assert!(hot.template.starts_with("heat_template_version"));
    assert_eq!(hot.files.keys().collect::<Vec<_>>(), ["VDU1.yaml"]);
    assert_eq!(found.software_images.len(), 1);
    let others: Vec<&str> = found
        .additional_artifacts
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(
        others,
        [
            "BaseHOT/simple/nested/VDU1.yaml",
            "BaseHOT/simple/top.yaml",
            "Scripts/start.py",
            "UserData/userdata_default.py",
        ]
    );
}

#[test]
fn an_image_in_the_package_has_the_digest_that_the_vnfd_says() {
    let checked = |other: &[(&str, &str)]| {
        let archive = Archive::read(&package(other)).unwrap();
        check_images(&archive, &describe(&archive).unwrap().vnfd)
    };
    assert_eq!(checked(&[]), Ok(()));
    let path = "Files/images/vdu1.img";
    let wrong = checked(&[(path, "another")]).unwrap_err();
    assert!(
        matches!(&wrong, csar::Error::Digest { path: of, algorithm, .. } if of == path && algorithm == "sha-256"),
        "{wrong}"
    );
    let of_document = |from: &str, to: &str| {
        let text = DF_SIMPLE.replace(from, to);
        assert_ne!(text, DF_SIMPLE);
        checked(&[("Definitions/df_simple.yaml", text.as_str()), (path, "another")])
    };
    // What nobody can check is no digest that holds.
    for (from, to) in [("algorithm: sha-256", "algorithm: md5"), ("algorithm: sha-256, ", "")] {
        let unchecked = of_document(from, to).unwrap_err();
        assert!(matches!(unchecked, csar::Error::Unchecked { .. }), "{unchecked}");
    }
    // Of what is elsewhere nothing is known.
    for elsewhere in ["../Files/images/none.img", "https://images.example/vdu1.img"] {
        assert_eq!(of_document("../Files/images/vdu1.img", elsewhere), Ok(()));
    }
}

#[test]
fn a_flavour_of_its_own_document_is_added() {
    let top = TOP.replace("  - types.yaml\n", "  - types.yaml\n  - df_other.yaml\n");
    let other = DF_SIMPLE.replace("flavour_id: simple", "flavour_id: other");
    let found = described(&[
        ("Definitions/top.yaml", top.as_str()),
        ("Definitions/df_other.yaml", other.as_str()),
    ])
    .unwrap();
    let flavours = found.vnfd.flavours;
    assert_eq!(flavours.keys().collect::<Vec<_>>(), ["other", "simple"]);
    assert_eq!(flavours["other"].base_hot, None);

    let twice = described(&[
        ("Definitions/top.yaml", top.as_str()),
        ("Definitions/df_other.yaml", DF_SIMPLE),
    ])
    .unwrap_err();
    assert!(twice.to_string().contains("described twice"), "{twice}");
}

#[test]
fn a_refusal_names_file_and_place() {
    let wrong = edited("max_number_of_instances: 3", "max_number_of_instances: many");
    assert_eq!(
        wrong.to_string(),
        "Definitions/df_simple.yaml: topology_template.node_templates.VDU1.properties.vdu_profile.max_number_of_instances: a count is wanted"
    );
    for (from, to, place) in [
        (
            "{ min_number_of_instances: 1, max_number_of_instances: 1 }",
            "null",
            "VDU2.properties.vdu_profile",
        ),
        ("virtual_storage: Disk", "virtual_storage: None of these", "VDU2"),
        ("virtual_binding: VDU2", "virtual_binding: VDU3", "VDU2_CP1"),
        (
            "{ scale_level: 2 }",
            "{ scale_level: 3 }",
            "large.scale_info.VDU1_scale",
        ),
        ("aspect: VDU1_scale", "aspect: other", "deltas.properties.aspect"),
        ("default_level: small", "default_level: tiny", "default_level"),
        ("2 GiB", "two", "sw_image_data.size"),
        ("deltas: { delta_1", "deltas: { delta_2", "deltas.delta_1"),
    ] {
        let wrong = edited(from, to);
        assert!(
            matches!(&wrong, Error::Wrong { path, .. } if path.contains(place)),
            "{place}: {wrong}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_file() {
    for (path, content) in [
        ("Definitions/types.yaml", "a: [1"),
        ("Definitions/types.yaml", "- no map"),
        ("BaseHOT/simple/top.yaml", "- no map"),
        ("BaseHOT/simple/second.yaml", "a: 1"),
    ] {
        let wrong = described(&[(path, content)]).unwrap_err();
        assert!(matches!(&wrong, Error::Unreadable { .. }), "{path}: {wrong}");
        assert!(wrong.to_string().contains("yaml: "), "{wrong}");
    }
    let lost = TOP.replace("types.yaml\n  - simple", "lost.yaml\n  - simple");
    let wrong = described(&[("Definitions/top.yaml", lost.as_str())]).unwrap_err();
    assert!(wrong.to_string().contains("lost.yaml"), "{wrong}");
    let out = TOP.replace("- types.yaml", "- ../../types.yaml");
    let wrong = described(&[("Definitions/top.yaml", out.as_str())]).unwrap_err();
    assert!(wrong.to_string().contains("leaves the package"), "{wrong}");
}

#[test]
fn a_vnfd_without_a_vnf_is_refused() {
    let wrong = described(&[("Definitions/types.yaml", "node_types: {}")]).unwrap_err();
    assert!(matches!(wrong, Error::Whole(_)), "{wrong}");
    let top = TOP.replace("        provider: Company\n", "");
    let wrong = described(&[("Definitions/top.yaml", top.as_str())]).unwrap_err();
    assert!(wrong.to_string().contains("provider"), "{wrong}");
}

#[test]
fn documents_that_import_each_other_are_read_once() {
    let top = TOP.replace("  - types.yaml\n", "  - types.yaml\n  - top.yaml\n");
    assert!(described(&[("Definitions/top.yaml", top.as_str())]).is_ok());
}

#[test]
fn a_vnfd_that_says_more_than_any_does_is_refused() {
    let nodes: String = (0..2_100).map(|n| format!("    n{n}: {{ type: x }}\n")).collect();
    let text = DF_SIMPLE.replace("  node_templates:\n", &format!("  node_templates:\n{nodes}"));
    let refused = described(&[("Definitions/df_simple.yaml", text.as_str())]).unwrap_err();
    assert!(refused.to_string().contains("node templates"), "{refused}");

    let steps = format!("step_deltas: [ {} ]", "delta_1, ".repeat(1_100));
    let refused = edited("step_deltas: [ delta_1 ]", &steps);
    assert!(refused.to_string().contains("entries"), "{refused}");

    let long = "x".repeat(300);
    let text = TOP.replace("provider: Company", &format!("provider: {long}"));
    let refused = described(&[("Definitions/top.yaml", text.as_str())]).unwrap_err();
    assert!(refused.to_string().contains("provider"), "{refused}");

    // Files of templates that aliases make large, each of them within what one may be.
    let large = format!("a: &a {}\nb: [{}]\n", "x".repeat(20_000), "*a, ".repeat(90));
    let files: Vec<(String, &str)> = (0..10)
        .map(|n| (format!("BaseHOT/simple/nested/n{n}.yaml"), large.as_str()))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let refused = described(&files).unwrap_err();
    assert!(refused.to_string().contains("more than is read"), "{refused}");
}
