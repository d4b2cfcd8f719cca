//! OpenStack's services in memory, each with the rules that the connector depends on.

pub mod compute;
pub mod keystone;
pub mod neutron;
