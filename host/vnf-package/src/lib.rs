//! VNF packages: archives (SOL004), VNFDs (SOL001), and their life in the store.
//!
//! ```text
//! upload ──► csar: files, digests checked ──► vnfd: the TOSCA documents as one Vnfd ──► store: package and archive
//! ```
//!
//! A package is written by somebody else, so everything in it is bounded: entries, unpacked bytes, documents, depth. It is unpacked in memory
//! only; no file of it is ever written or run. What an operation needs later (templates, levels, images) is taken from it once, here, so that
//! nothing else reads TOSCA.

#![forbid(unsafe_code)]

pub mod csar;
mod service;
pub mod vnfd;
mod yaml;

#[cfg(test)]
mod sample;

pub use service::{Error, PackageModification, PackageView, Packages, VnfdContent};

/// Largest archive that is taken, in bytes, packed and unpacked. Templates and scripts are some kilobytes; with an image of a test system in
/// it a package has some 20 MB. It is held in memory while it is read.
pub const MAX_ARCHIVE_BYTES: usize = 64 << 20;
