//! A package for tests: two VDUs, one of which scales, and a Heat template with a nested one.

use std::io::{Cursor, Write as _};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The id of the sample's VNFD.
pub(crate) const VNFD_ID: &str = "b1bb0ce7-0000-4000-8000-000000000001";

/// Files as an archive.
pub(crate) fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in files {
        writer.start_file(*path, SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Metadata that names the main document.
pub(crate) fn meta(entry: &str) -> String {
    format!("TOSCA-Meta-File-Version: 1.0\nCSAR-Version: 1.1\nCreated-By: tests\nEntry-Definitions: {entry}\n")
}

/// The files of the sample; what is given replaces a file or is added.
pub(crate) fn files(other: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = [
        ("TOSCA-Metadata/TOSCA.meta", meta("Definitions/top.yaml").as_str()),
        ("Definitions/top.yaml", TOP),
        ("Definitions/types.yaml", TYPES),
        ("Definitions/df_simple.yaml", DF_SIMPLE),
        (
            "BaseHOT/simple/top.yaml",
            "heat_template_version: 2013-05-23\nresources: {}\n",
        ),
        (
            "BaseHOT/simple/nested/VDU1.yaml",
            "heat_template_version: 2013-05-23\nresources: {}\n",
        ),
        (
            "UserData/userdata_default.py",
            "import yaml\n\nclass DefaultUserData(object):\n    pass\n",
        ),
        ("Scripts/start.py", "print('never run')\n"),
        ("Files/images/vdu1.img", "image"),
    ]
    .iter()
    .map(|(path, content)| ((*path).to_owned(), (*content).to_owned()))
    .collect();
    for (path, content) in other {
        files.retain(|(known, _)| known != path);
        files.push(((*path).to_owned(), (*content).to_owned()));
    }
    files
}

/// The sample as an archive.
pub(crate) fn package(other: &[(&str, &str)]) -> Vec<u8> {
    let files = files(other);
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, content)| (path.as_str(), content.as_str()))
        .collect();
    zipped(&files)
}

pub(crate) const TOP: &str = "
tosca_definitions_version: tosca_simple_yaml_1_2
imports:
  - etsi_nfv_sol001_vnfd_types.yaml
  - types.yaml
  - simple: { file: df_simple.yaml }
topology_template:
  inputs:
    selected_flavour: { type: string }
  node_templates:
    VNF:
      type: lab.Sample
      properties:
        flavour_id: { get_input: selected_flavour }
        descriptor_id: b1bb0ce7-0000-4000-8000-000000000001
        provider: Company
        product_name: Sample VNF
        software_version: '1.10'
        vnfm_info: [ Tacker ]
      requirements:
";

pub(crate) const TYPES: &str = "
tosca_definitions_version: tosca_simple_yaml_1_2
imports: [ https://forge.example/etsi_nfv_sol001_common_types.yaml ]
data_types:
  lab.Properties:
    derived_from: tosca.datatypes.nfv.VnfConfigurableProperties
    properties:
      is_autohealing_enabled: { type: boolean, default: false }
      without_default: { type: string }
  lab.Modifiable:
    derived_from: tosca.datatypes.nfv.VnfInfoModifiableAttributes
    properties:
      extensions: { type: lab.Extensions }
  lab.Extensions:
    derived_from: tosca.datatypes.Root
    properties:
      key: { type: string, default: value }
node_types:
  lab.Base:
    derived_from: tosca.nodes.nfv.VNF
    properties:
      descriptor_version: { type: string, default: '2.0' }
      configurable_properties: { type: lab.Properties }
      modifiable_attributes: { type: lab.Modifiable }
  lab.Sample:
    derived_from: lab.Base
    properties:
      flavour_id: { type: string, default: simple }
";

pub(crate) const DF_SIMPLE: &str = "
tosca_definitions_version: tosca_simple_yaml_1_2
imports: [ types.yaml ]
topology_template:
  substitution_mappings:
    node_type: lab.Sample
    properties: { flavour_id: simple }
    requirements:
      outside: [ VDU1_CP2, virtual_link ]
  node_templates:
    VNF:
      type: lab.Sample
      properties:
        flavour_description: A simple flavour
        configurable_properties: { is_autohealing_enabled: true }
      interfaces:
        Vnflcm:
          instantiate: []
          instantiate_start: { implementation: begin }
          scale_end: []
      artifacts:
        begin: { type: tosca.artifacts.Implementation.Python, file: ../Scripts/start.py }
    VDU1:
      type: tosca.nodes.nfv.Vdu.Compute
      properties:
        name: VDU1 of the sample
        vdu_profile: { min_number_of_instances: 1, max_number_of_instances: 3 }
        sw_image_data:
          name: cirros
          version: '0.5'
          checksum: { algorithm: sha-256, hash: 6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d }
          container_format: bare
          disk_format: qcow2
          min_disk: 1 GB
          size: 2 GiB
      capabilities:
        virtual_compute:
          properties:
            requested_additional_capabilities:
              properties:
                requested_additional_capability_name: m1.tiny
                support_mandatory: true
      artifacts:
        sw_image: { type: tosca.artifacts.nfv.SwImage, file: ../Files/images/vdu1.img }
    VDU2:
      type: tosca.nodes.nfv.Vdu.Compute
      properties:
        vdu_profile: { min_number_of_instances: 1, max_number_of_instances: 1 }
      requirements:
        - virtual_storage: Disk
    Disk:
      type: tosca.nodes.nfv.Vdu.VirtualBlockStorage
      properties:
        virtual_block_storage_data: { size_of_storage: 10 GB }
    VDU1_CP1:
      type: tosca.nodes.nfv.VduCp
      properties: { order: 0 }
      requirements:
        - virtual_binding: VDU1
    VDU1_CP2:
      type: tosca.nodes.nfv.VduCp
      properties: { order: 1 }
      requirements:
        - virtual_binding: { node: VDU1 }
        - virtual_link: inside
    VDU2_CP1:
      type: tosca.nodes.nfv.VduCp
      requirements:
        - virtual_binding: VDU2
        - virtual_link: inside
    inside:
      type: tosca.nodes.nfv.VnfVirtualLink
      properties: { connectivity_type: { layer_protocols: [ ipv4 ] } }
  policies:
    - aspects:
        type: tosca.policies.nfv.ScalingAspects
        properties:
          aspects:
            VDU1_scale: { name: more, max_scale_level: 2, step_deltas: [ delta_1 ] }
    - initial:
        type: tosca.policies.nfv.VduInitialDelta
        properties: { initial_delta: { number_of_instances: 1 } }
        targets: [ VDU1 ]
    - deltas:
        type: tosca.policies.nfv.VduScalingAspectDeltas
        properties:
          aspect: VDU1_scale
          deltas: { delta_1: { number_of_instances: 1 } }
        targets: [ VDU1 ]
    - levels:
        type: tosca.policies.nfv.InstantiationLevels
        properties:
          levels:
            small: { scale_info: { VDU1_scale: { scale_level: 0 } } }
            large: { scale_info: { VDU1_scale: { scale_level: 2 } } }
          default_level: small
    - vdu1_levels:
        type: tosca.policies.nfv.VduInstantiationLevels
        properties:
          levels:
            small: { number_of_instances: 1 }
            large: { number_of_instances: 3 }
        targets: [ VDU1 ]
    - together:
        type: tosca.policies.nfv.AffinityRule
        properties: { scope: zone }
        targets: [ VDU1 ]
";
