//! A VNF package (SOL004 archive) as a vendor would write it, made where a test needs it.

use std::io::{Cursor, Write as _};

use anyhow::Context as _;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What varies from package to package.
#[derive(Debug, Clone)]
pub struct SamplePackage {
    /// `descriptor_id`; an instance is made by naming it.
    pub vnfd_id: String,
    /// Product version, shown by instances and at the end of the base template's description.
    pub software_version: String,
    /// Flavour of VMs, by name.
    pub flavour: String,
    /// Image of VMs, by name.
    pub image: String,
    /// Base template in place of the one with two kinds of VM; it takes the parameter `nfv`, and there are no nested ones beside it.
    pub template: Option<String>,
    /// Made by `StandardUserData`, whose script is at [`Self::STANDARD`]: a resource of the base template for each VM.
    pub is_standard: bool,
}

impl Default for SamplePackage {
    fn default() -> Self {
        Self {
            vnfd_id: "4f1b2c9e-8a35-4d2a-9d5e-6a0c1b7f3e10".to_owned(),
            software_version: "1.0".to_owned(),
            flavour: "small".to_owned(),
            image: "ubuntu18.04".to_owned(),
            template: None,
            is_standard: false,
        }
    }
}

impl SamplePackage {
    /// Where the script is, if there is one.
    pub const STANDARD: &str = "UserData/userdata_standard.py";

    /// The files of the archive.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, String)> {
        let mut files = vec![
            ("TOSCA-Metadata/TOSCA.meta", META.to_owned()),
            ("Definitions/sample_top.vnfd.yaml", TOP.to_owned()),
            ("Definitions/sample_types.yaml", self.fill(TYPES)),
            ("Definitions/sample_df_simple.yaml", self.fill(&flavour())),
        ];
        let base = "BaseHOT/simple/sample.yaml";
        match &self.template {
            Some(template) => files.push((base, template.clone())),
            None => {
                let vdu1 = if self.is_standard { SINGLE } else { GROUP };
                files.extend([
                    (base, self.fill(&BASE.replace("@vdu1@\n", vdu1))),
                    ("BaseHOT/simple/nested/VDU1.yaml", NESTED.to_owned()),
                ]);
            }
        }
        if self.is_standard {
            files.push((Self::STANDARD, SCRIPT.to_owned()));
        }
        files
    }

    fn fill(&self, text: &str) -> String {
        text.replace("@vnfd_id@", &self.vnfd_id)
            .replace("@software_version@", &self.software_version)
            .replace("@flavour@", &self.flavour)
            .replace("@image@", &self.image)
    }

    /// The archive.
    ///
    /// # Errors
    /// When it cannot be written, which memory always can.
    pub fn archive(&self) -> anyhow::Result<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, text) in self.files() {
            zip.start_file(path, SimpleFileOptions::default())
                .with_context(|| format!("cannot add {path}"))?;
            zip.write_all(text.as_bytes())?;
        }
        Ok(zip.finish()?.into_inner())
    }
}

/// A kind of VM of the package.
struct Vdu {
    name: &'static str,
    description: &'static str,
    /// How many there are of it at most, and at the larger of the two levels.
    most: &'static str,
}

const VDUS: [Vdu; 2] = [
    Vdu {
        name: "VDU1",
        description: "scaled",
        most: "3",
    },
    Vdu {
        name: "VDU2",
        description: "one of it",
        most: "1",
    },
];

/// [`FLAVOUR`] with what it says of each kind of VM.
fn flavour() -> String {
    let each = |text: &str| -> String {
        let of = |vdu: &Vdu| {
            text.replace("@vdu@", vdu.name)
                .replace("@description@", vdu.description)
                .replace("@most@", vdu.most)
        };
        VDUS.iter().map(of).collect()
    };
    FLAVOUR
        .replace("@vdus@\n", &each(VDU))
        .replace("@connection_points@\n", &each(CONNECTION_POINTS))
        .replace("@initial_deltas@\n", &each(INITIAL_DELTA))
        .replace("@levels@\n", &each(LEVELS))
}

const META: &str = "TOSCA-Meta-File-Version: 1.0
Created-by: sample
CSAR-Version: 1.1
Entry-Definitions: Definitions/sample_top.vnfd.yaml
";

const TOP: &str = r#"tosca_definitions_version: tosca_simple_yaml_1_2
description: Two kinds of VM on an internal network, one of them scaled.
imports:
  - sample_types.yaml
  - sample_df_simple.yaml
topology_template:
  inputs:
    selected_flavour:
      type: string
      default: simple
  node_templates:
    VNF:
      type: sample.VNF
      properties:
        flavour_id: { get_input: selected_flavour }
      requirements:
        - virtual_link_external1: external1
        - virtual_link_external2: external2
"#;

const TYPES: &str = r#"tosca_definitions_version: tosca_simple_yaml_1_2
description: The type of the VNF
node_types:
  sample.VNF:
    derived_from: tosca.nodes.nfv.VNF
    properties:
      descriptor_id:
        type: string
        default: @vnfd_id@
      descriptor_version:
        type: string
        default: '1.0'
      provider:
        type: string
        default: Sample Provider
      product_name:
        type: string
        default: Sample VNF
      software_version:
        type: string
        default: '@software_version@'
      vnfm_info:
        type: list
        entry_schema:
          type: string
        default: [ Tacker ]
      flavour_id:
        type: string
        default: simple
      flavour_description:
        type: string
        default: ""
    requirements:
      - virtual_link_external1:
          capability: tosca.capabilities.nfv.VirtualLinkable
      - virtual_link_external2:
          capability: tosca.capabilities.nfv.VirtualLinkable
"#;

const FLAVOUR: &str = r#"tosca_definitions_version: tosca_simple_yaml_1_2
description: The simple flavour
imports:
  - sample_types.yaml
topology_template:
  inputs:
    descriptor_id:
      type: string
    flavour_id:
      type: string
  substitution_mappings:
    node_type: sample.VNF
    properties:
      flavour_id: simple
    requirements:
      virtual_link_external1: [ VDU1_CP1, virtual_link ]
      virtual_link_external2: [ VDU2_CP1, virtual_link ]
  node_templates:
    VNF:
      type: sample.VNF
      properties:
        flavour_description: The simple flavour
      interfaces:
        Vnflcm:
          instantiate: []
          instantiate_start: []
          instantiate_end: []
          terminate: []
          scale: []
          heal: []
@vdus@
@connection_points@
    internalVL1:
      type: tosca.nodes.nfv.VnfVirtualLink
      properties:
        connectivity_type:
          layer_protocols: [ ipv4 ]
        description: between the VDUs
        vl_profile:
          max_bitrate_requirements:
            root: 1048576
            leaf: 1048576
          min_bitrate_requirements:
            root: 1048576
            leaf: 1048576
          virtual_link_protocol_data:
            - associated_layer_protocol: ipv4
              l3_protocol_data:
                ip_version: ipv4
                cidr: 192.168.77.0/24
                dhcp_enabled: true
  policies:
    - scaling_aspects:
        type: tosca.policies.nfv.ScalingAspects
        properties:
          aspects:
            VDU1_scale:
              name: VDU1_scale
              description: the VMs of VDU1
              max_scale_level: 2
              step_deltas: [ delta_1 ]
@initial_deltas@
    - VDU1_scaling_aspect_deltas:
        type: tosca.policies.nfv.VduScalingAspectDeltas
        properties:
          aspect: VDU1_scale
          deltas:
            delta_1:
              number_of_instances: 1
        targets: [ VDU1 ]
    - instantiation_levels:
        type: tosca.policies.nfv.InstantiationLevels
        properties:
          levels:
            instantiation_level_1:
              description: the smallest
              scale_info:
                VDU1_scale:
                  scale_level: 0
            instantiation_level_2:
              description: the largest
              scale_info:
                VDU1_scale:
                  scale_level: 2
          default_level: instantiation_level_1
@levels@
"#;

/// A kind of VM.
const VDU: &str = "    @vdu@:
      type: tosca.nodes.nfv.Vdu.Compute
      properties:
        name: @vdu@
        description: @description@
        vdu_profile:
          min_number_of_instances: 1
          max_number_of_instances: @most@
        sw_image_data:
          name: @image@
          version: '1'
          container_format: bare
          disk_format: qcow2
          min_disk: 0 GB
          size: 1 GB
      capabilities:
        virtual_compute:
          properties:
            requested_additional_capabilities:
              properties:
                requested_additional_capability_name: @flavour@
                support_mandatory: true
                target_performance_parameters:
                  entry_schema: test
            virtual_memory:
              virtual_mem_size: 512 MB
            virtual_cpu:
              num_virtual_cpu: 1
";

/// Its ports: one to an external network, one to the internal one.
const CONNECTION_POINTS: &str = "    @vdu@_CP1:
      type: tosca.nodes.nfv.VduCp
      properties:
        layer_protocols: [ ipv4 ]
        order: 0
      requirements:
        - virtual_binding: @vdu@
    @vdu@_CP2:
      type: tosca.nodes.nfv.VduCp
      properties:
        layer_protocols: [ ipv4 ]
        order: 1
      requirements:
        - virtual_binding: @vdu@
        - virtual_link: internalVL1
";

/// How many of it there are at first.
const INITIAL_DELTA: &str = "    - @vdu@_initial_delta:
        type: tosca.policies.nfv.VduInitialDelta
        properties:
          initial_delta:
            number_of_instances: 1
        targets: [ @vdu@ ]
";

/// How many of it there are at each level.
const LEVELS: &str = "    - @vdu@_instantiation_levels:
        type: tosca.policies.nfv.VduInstantiationLevels
        properties:
          levels:
            instantiation_level_1:
              number_of_instances: 1
            instantiation_level_2:
              number_of_instances: @most@
        targets: [ @vdu@ ]
";

/// Any number of VDU1, sized by a parameter.
const GROUP: &str = "  VDU1_scale_group:
    type: OS::Heat::AutoScalingGroup
    properties:
      min_size: 1
      max_size: 3
      desired_capacity: { get_param: [ nfv, VDU, VDU1, desired_capacity ] }
      resource:
        type: VDU1.yaml
        properties:
          flavor: { get_param: [ nfv, VDU, VDU1, computeFlavourId ] }
          image: { get_param: [ nfv, VDU, VDU1, vcImageId ] }
          net1: { get_param: [ nfv, CP, VDU1_CP1, network ] }
          net2: { get_resource: internalVL1 }
    depends_on: internalVL1_subnet
";

/// VDU1 once; `StandardUserData` has it as often as there are VMs.
const SINGLE: &str = "  VDU1:
    type: VDU1.yaml
    properties:
      flavor: { get_param: [ nfv, VDU, VDU1, computeFlavourId ] }
      image: { get_param: [ nfv, VDU, VDU1, vcImageId ] }
      net1: { get_param: [ nfv, CP, VDU1_CP1, network ] }
      net2: { get_resource: internalVL1 }
    depends_on: internalVL1_subnet
";

/// Known by its class, and not run.
const SCRIPT: &str = "class StandardUserData:
    pass
";

const BASE: &str = r#"heat_template_version: 2013-05-23
description: Two kinds of VM on an internal network, version @software_version@
parameters:
  nfv:
    type: json
resources:
@vdu1@
  VDU2:
    type: OS::Nova::Server
    properties:
      flavor: { get_param: [ nfv, VDU, VDU2, computeFlavourId ] }
      image: { get_param: [ nfv, VDU, VDU2, vcImageId ] }
      networks:
        - port: { get_resource: VDU2_CP1 }
        - port: { get_resource: VDU2_CP2 }
  VDU2_CP1:
    type: OS::Neutron::Port
    properties:
      network: { get_param: [ nfv, CP, VDU2_CP1, network ] }
  VDU2_CP2:
    type: OS::Neutron::Port
    properties:
      network: { get_resource: internalVL1 }
    depends_on: internalVL1_subnet
  internalVL1:
    type: OS::Neutron::Net
  internalVL1_subnet:
    type: OS::Neutron::Subnet
    properties:
      network: { get_resource: internalVL1 }
      ip_version: 4
      cidr: 192.168.77.0/24
outputs: {}
"#;

const NESTED: &str = r#"heat_template_version: 2013-05-23
description: A VM of VDU1
parameters:
  flavor:
    type: string
  image:
    type: string
  net1:
    type: string
  net2:
    type: string
resources:
  VDU1:
    type: OS::Nova::Server
    properties:
      flavor: { get_param: flavor }
      image: { get_param: image }
      networks:
        - port: { get_resource: VDU1_CP1 }
        - port: { get_resource: VDU1_CP2 }
  VDU1_CP1:
    type: OS::Neutron::Port
    properties:
      network: { get_param: net1 }
  VDU1_CP2:
    type: OS::Neutron::Port
    properties:
      network: { get_param: net2 }
"#;
