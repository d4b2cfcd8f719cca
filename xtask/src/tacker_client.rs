//! `cargo xtask tacker-client`: OpenStack's client with Tacker's commands, which drives vimhost unchanged in tests and by hand.

use anyhow::Result;

use crate::python::Program;

/// Where tests find the program.
pub(crate) const VARIABLE: &str = "VIMHOST_TEST_TACKER_CLIENT";

/// The versions the tests were made with.
pub(crate) const CLIENT: Program = Program {
    name: "OpenStack's client with Tacker's commands",
    environment: "tacker-client/2.6.0",
    packages: &["python-tackerclient==2.6.0", "python-openstackclient==10.5.0"],
    file: "openstack",
};

/// Says where it is.
pub(crate) fn run() -> Result<()> {
    println!("{}", CLIENT.ensure_there()?.display());
    Ok(())
}
