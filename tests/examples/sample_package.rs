//! Writes the VNF package that the tests upload, to try the VNF LCM interface by hand (docs/vnf-lcm.md):
//!
//! ```text
//! cargo run -p vimhost-tests --example sample_package -- sample.zip [flavour] [image]
//! ```

use anyhow::Context as _;
use vimhost_tests::SamplePackage;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().context("the first argument is the file to write")?;
    let mut package = SamplePackage::default();
    if let Some(flavour) = arguments.next() {
        package.flavour = flavour;
    }
    if let Some(image) = arguments.next() {
        package.image = image;
    }
    std::fs::write(&file, package.archive()?).with_context(|| format!("cannot write {file}"))?;
    println!("{file}: VNFD {}", package.vnfd_id);
    Ok(())
}
