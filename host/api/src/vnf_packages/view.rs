//! Packages as clients see them (`VnfPkgInfo`, SOL005 9.5.2.5).

use serde_json::{Map, Value, json};
use vimhost_model::date_time::rfc3339;
use vimhost_model::vnf::{PackageFile, PackageOnboardingState, SoftwareImage, VnfPackage};
use vimhost_vnf_package::PackageView;

use crate::path::encoded;

/// Where packages are.
pub(super) const BASE: &str = "/vnfpkgm/v1/vnf_packages";

/// Path of a package.
pub(super) fn path_of(package: &VnfPackage) -> String {
    format!("{BASE}/{}", encoded(package.id.as_str()))
}

/// A package, whole.
pub(super) fn info(view: &PackageView) -> Map<String, Value> {
    let package = &view.package;
    let mut info = Map::new();
    let mut put = |name: &str, value: Value| {
        info.insert(name.to_owned(), value);
    };
    put("id", json!(package.id));
    let onboarded = package.onboarding_state == PackageOnboardingState::Onboarded;
    if let Some(vnfd) = package.vnfd.as_ref().filter(|_| onboarded) {
        put("vnfdId", json!(vnfd.id));
        put("vnfProvider", json!(vnfd.provider));
        put("vnfProductName", json!(vnfd.product_name));
        put("vnfSoftwareVersion", json!(vnfd.software_version));
        put("vnfdVersion", json!(vnfd.version));
        put("vnfmInfo", json!(vnfd.vnfm_info));
        let images = package.software_images.iter();
        put(
            "softwareImages",
            images
                .map(|image| software_image(image, &vnfd.provider, package))
                .collect(),
        );
        put(
            "additionalArtifacts",
            package.additional_artifacts.iter().map(artifact).collect(),
        );
    }
    if let Some(checksum) = package.checksum.as_ref().filter(|_| onboarded) {
        put("checksum", json!({"algorithm": "sha-256", "hash": checksum}));
    }
    put("onboardingState", json!(package.onboarding_state));
    put("operationalState", json!(package.operational_state));
    put("usageState", json!(view.usage));
    put("userDefinedData", json!(package.user_defined_data));
    if let Some(failure) = &package.onboarding_failure {
        put("onboardingFailureDetails", json!(failure));
    }
    put("_links", links(package, onboarded));
    info
}

fn links(package: &VnfPackage, onboarded: bool) -> Value {
    let path = path_of(package);
    let mut links = json!({
        "self": {"href": path},
        "packageContent": {"href": format!("{path}/package_content")},
    });
    if let Some(links) = links.as_object_mut().filter(|_| onboarded) {
        links.insert("vnfd".to_owned(), json!({"href": format!("{path}/vnfd")}));
    }
    links
}

fn software_image(image: &SoftwareImage, provider: &str, package: &VnfPackage) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            shown.insert(name.to_owned(), value);
        }
    };
    put("id", json!(image.id));
    put("name", json!(image.name));
    put("provider", json!(provider));
    put("version", json!(image.version));
    if let Some(hash) = &image.checksum {
        put("checksum", json!({"algorithm": image.checksum_algorithm, "hash": hash}));
    }
    put("containerFormat", json!(image.container_format));
    put("diskFormat", json!(image.disk_format));
    put("createdAt", json!(rfc3339(package.created_at)));
    put("minDisk", json!(image.min_disk));
    put("size", json!(image.size));
    put("imagePath", json!(image.path));
    Value::Object(shown)
}

fn artifact(file: &PackageFile) -> Value {
    json!({
        "artifactPath": file.path,
        "checksum": {"algorithm": file.algorithm, "hash": file.hash},
        "metadata": {},
    })
}

#[cfg(test)]
pub(super) mod tests {
    use vimhost_model::Timestamp;
    use vimhost_model::vnf::{PackageOperationalState, PackageUsageState, ProblemDetails, Vnfd};

    use super::*;

    pub(crate) fn package(onboarded: bool) -> PackageView {
        let vnfd = Vnfd {
            id: "vnfd-1".parse().unwrap(),
            provider: "Company".to_owned(),
            product_name: "Sample".to_owned(),
            software_version: "1.0".to_owned(),
            version: "2.0".to_owned(),
            vnfm_info: vec!["Tacker".to_owned()],
            flavours: [].into(),
            configurable_properties: Map::new(),
            extensions: Map::new(),
            metadata: Map::new(),
            user_data_scripts: [].into(),
        };
        let image = SoftwareImage {
            id: "VDU1".to_owned(),
            name: "cirros".to_owned(),
            checksum_algorithm: Some("sha-256".to_owned()),
            checksum: Some("00".to_owned()),
            ..SoftwareImage::default()
        };
        let file = PackageFile {
            path: "Files/a.txt".to_owned(),
            algorithm: "SHA-256".to_owned(),
            hash: "11".to_owned(),
            size: 1,
        };
        PackageView {
            package: VnfPackage {
                id: "p 1".parse().unwrap(),
                onboarding_state: if onboarded {
                    PackageOnboardingState::Onboarded
                } else {
                    PackageOnboardingState::Created
                },
                operational_state: if onboarded {
                    PackageOperationalState::Enabled
                } else {
                    PackageOperationalState::Disabled
                },
                user_defined_data: Map::from_iter([("owner".to_owned(), json!("lab"))]),
                onboarding_failure: (!onboarded).then(|| ProblemDetails::new(400, "bad")),
                vnfd: onboarded.then_some(vnfd),
                checksum: onboarded.then(|| "22".to_owned()),
                size: 1,
                additional_artifacts: onboarded.then_some(file).into_iter().collect(),
                software_images: onboarded.then_some(image).into_iter().collect(),
                created_at: Timestamp(0),
                revision: 1,
            },
            usage: PackageUsageState::NotInUse,
        }
    }

    #[test]
    fn an_onboarded_package_shows_what_it_describes() {
        assert_eq!(
            Value::Object(info(&package(true))),
            json!({
                "id": "p 1",
                "vnfdId": "vnfd-1",
                "vnfProvider": "Company",
                "vnfProductName": "Sample",
                "vnfSoftwareVersion": "1.0",
                "vnfdVersion": "2.0",
                "vnfmInfo": ["Tacker"],
                "softwareImages": [{
                    "id": "VDU1", "name": "cirros", "provider": "Company", "version": "",
                    "checksum": {"algorithm": "sha-256", "hash": "00"}, "createdAt": "1970-01-01T00:00:00.000Z",
                }],
                "additionalArtifacts": [
                    {"artifactPath": "Files/a.txt", "checksum": {"algorithm": "SHA-256", "hash": "11"}, "metadata": {}},
                ],
                "checksum": {"algorithm": "sha-256", "hash": "22"},
                "onboardingState": "ONBOARDED",
                "operationalState": "ENABLED",
                "usageState": "NOT_IN_USE",
                "userDefinedData": {"owner": "lab"},
                "_links": {
                    "self": {"href": "/vnfpkgm/v1/vnf_packages/p%201"},
                    "vnfd": {"href": "/vnfpkgm/v1/vnf_packages/p%201/vnfd"},
                    "packageContent": {"href": "/vnfpkgm/v1/vnf_packages/p%201/package_content"},
                },
            })
        );
    }

    #[test]
    fn a_package_without_content_shows_its_state_and_what_was_wrong() {
        assert_eq!(
            Value::Object(info(&package(false))),
            json!({
                "id": "p 1",
                "onboardingState": "CREATED",
                "operationalState": "DISABLED",
                "usageState": "NOT_IN_USE",
                "userDefinedData": {"owner": "lab"},
                "onboardingFailureDetails": {"status": 400, "detail": "bad"},
                "_links": {
                    "self": {"href": "/vnfpkgm/v1/vnf_packages/p%201"},
                    "packageContent": {"href": "/vnfpkgm/v1/vnf_packages/p%201/package_content"},
                },
            })
        );
    }
}
