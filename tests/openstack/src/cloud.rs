//! Which OpenStack.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// The file with the clouds, in the form of `openstack`'s own client.
const CLOUDS: &str = "VIMHOST_TEST_CLOUDS_YAML";

/// The cloud of that file.
const CLOUD: &str = "VIMHOST_TEST_CLOUD";

/// The lab's cloud whose user may do everything: tests migrate VMs and make flavours.
const LAB_CLOUD: &str = "lab-admin";

/// An OpenStack, and somebody's way into it.
#[derive(Debug, Clone)]
pub struct Cloud {
    /// The `clouds.yaml` it stands in.
    pub file: PathBuf,
    /// Its name there.
    pub name: String,
    /// Keystone, up to and with `/v3`.
    pub auth_url: String,
    /// User, by name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Project, by name.
    pub project: String,
    pub(crate) user_domain: Option<String>,
    pub(crate) project_domain: Option<String>,
    /// Region, where the file names one.
    pub region: Option<String>,
    lab: Option<PathBuf>,
}

/// The OpenStack of this test run; the first that asks brings the lab up, if there is nothing else.
///
/// # Panics
/// When there is none: the reason begins with `NOT RUN`.
#[must_use]
pub fn cloud() -> &'static Cloud {
    static FOUND: OnceLock<Result<Cloud, String>> = OnceLock::new();
    match FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}"))) {
        Ok(cloud) => cloud,
        Err(why) => none(why),
    }
}

#[expect(
    clippy::panic,
    reason = "a test that asked for an OpenStack cannot go on, and must not pass"
)]
fn none(why: &str) -> ! {
    panic!("NOT RUN: {why}")
}

fn find() -> anyhow::Result<Cloud> {
    let given = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    if let Some(file) = given(CLOUDS) {
        return Cloud::read(Path::new(&file), &given(CLOUD).unwrap_or_else(|| LAB_CLOUD.to_owned()));
    }
    let dir = target_dir()?.join("lab/openstack");
    let lab = lab_program();
    let up = Command::new(&lab).arg("status").arg("--dir").arg(&dir).output();
    if !up.is_ok_and(|ended| ended.status.success()) {
        bring_up(&lab, &dir)?;
    }
    Cloud::read(&dir.join("clouds.yaml"), LAB_CLOUD)
}

/// A lab that goes down with this process.
fn bring_up(lab: &Path, dir: &Path) -> anyhow::Result<()> {
    let ended = Command::new(lab)
        .args(["up", "openstack", "--owner", &std::process::id().to_string(), "--dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{CLOUDS} is not set, and the lab cannot be run"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = [ended.stdout, ended.stderr].map(|said| String::from_utf8_lossy(&said).trim().to_owned());
    bail!("{CLOUDS} is not set, and there is no lab: {}", said.join("\n"))
}

fn lab_program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/lab")
}

/// `<target>` of `<target>/<profile>/deps/<test>`.
fn target_dir() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let dir = program
        .ancestors()
        .nth(3)
        .context("the test is in no target directory")?;
    Ok(dir.to_owned())
}

impl Cloud {
    /// A cloud of a file.
    ///
    /// # Errors
    /// When the file has no such cloud, or the cloud no user with a password.
    pub fn read(file: &Path, name: &str) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let all: Value = serde_saphyr::from_str(&text).with_context(|| format!("{} is not YAML", file.display()))?;
        let cloud = all.pointer(&format!("/clouds/{name}"));
        let cloud = cloud.with_context(|| format!("{} has no cloud {name}; {CLOUD} names one", file.display()))?;
        let auth = |key: &str| {
            cloud
                .pointer(&format!("/auth/{key}"))
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let required =
            |key: &str| auth(key).with_context(|| format!("cloud {name} of {} has no {key}", file.display()));
        let auth_url = required("auth_url")?.trim_end_matches('/').to_owned();
        let auth_url = if auth_url.ends_with("/v3") {
            auth_url
        } else {
            format!("{auth_url}/v3")
        };
        let dir = file.parent().filter(|dir| dir.join("lab.json").is_file());
        Ok(Self {
            file: file.to_owned(),
            name: name.to_owned(),
            auth_url,
            user: required("username")?,
            password: required("password")?,
            project: required("project_name")?,
            user_domain: auth("user_domain_name"),
            project_domain: auth("project_domain_name"),
            region: cloud.get("region_name").and_then(Value::as_str).map(str::to_owned),
            lab: dir.map(Path::to_owned),
        })
    }

    /// Somebody else's way into the same cloud.
    ///
    /// # Errors
    /// When the file has no such cloud.
    pub fn of(&self, name: &str) -> anyhow::Result<Self> {
        Self::read(&self.file, name)
    }

    /// Whether it is the lab, where hosts fail on request and nothing belongs to anybody.
    #[must_use]
    pub fn is_lab(&self) -> bool {
        self.lab.is_some()
    }

    /// What the lab's hosts do to servers from here on, by name: `[{"server": "*vnf1*", "fail": ["spawn"], "delay": 2}]`.
    ///
    /// # Errors
    /// When this is no lab.
    pub fn set_faults(&self, faults: &Value) -> anyhow::Result<()> {
        let dir = self.lab.as_deref().context("only hosts of the lab fail on request")?;
        // In one step, because a host may read it at any time.
        let fresh = dir.join(format!("faults.{}", std::process::id()));
        std::fs::write(&fresh, faults.to_string()).context("cannot write the faults")?;
        std::fs::rename(&fresh, dir.join("faults.json")).context("cannot write the faults")
    }

    /// Stops or starts single daemons of the lab.
    ///
    /// # Errors
    /// When this is no lab, or it has no such daemon.
    pub fn daemons(&self, verb: &str, names: &[&str]) -> anyhow::Result<()> {
        let dir = self.lab.as_deref().context("only daemons of the lab can be stopped")?;
        let ended = Command::new(lab_program())
            .arg(verb)
            .args(names)
            .arg("--dir")
            .arg(dir)
            .output()?;
        ensure!(
            ended.status.success(),
            "the lab says: {}",
            String::from_utf8_lossy(&ended.stderr)
        );
        Ok(())
    }
}
