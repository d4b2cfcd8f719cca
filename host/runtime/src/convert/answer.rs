//! Answers about elements and operations.

use std::collections::HashSet;

use vimhost_connector::{
    CheckReport, Console, Created, ElementKind, ElementStatus, Found, InterfaceObservation, Observation, Observed,
    Operated, Owned, OwnedPage, ProposedOrigin, ServerObservation, Step,
};
use vimhost_model::{Origin, VimId};

use super::{Reader, Rubbish, is_token};
use crate::bindings::guest::{connectivity, connector, infrastructure, operations};
use crate::bindings::host::vim_types as wit;
use crate::text::safe;

/// Protocols of a console: anything else would be opened by an operator's browser as a plugin pleases.
const CONSOLES: [&str; 4] = ["http", "https", "ws", "wss"];

impl Reader<'_> {
    pub(crate) fn check_report(self, report: connector::CheckReport) -> Result<CheckReport, Rubbish> {
        Ok(CheckReport {
            vim_version: self.maybe_text(report.vim_version, "vim-version")?,
            origins: self.list(report.origins, "origins", |proposed| {
                let origin: Origin = proposed.origin.parse().map_err(|error| format!("origins: {error}"))?;
                Ok(ProposedOrigin {
                    origin,
                    purpose: safe(
                        &self.text(proposed.purpose, "origins.purpose")?,
                        self.limits.answer_text,
                    ),
                })
            })?,
            warnings: self.list(report.warnings, "warnings", |warning| {
                Ok(safe(&warning, self.limits.answer_text))
            })?,
        })
    }

    pub(crate) fn found(self, found: Vec<infrastructure::Found>) -> Result<Vec<Found>, Rubbish> {
        self.list(found, "the list of elements", |found| {
            Ok(Found {
                id: self.id(found.id, "id")?,
                name: self.maybe_text(found.name, "name")?,
                status_text: self.maybe_text(found.status_text, "status-text")?,
                details: self.json(&found.details, "details")?,
            })
        })
    }

    /// The answer of a creating call. `interfaces` is how many the request had: ids are given for all of them or for none.
    pub(crate) fn create_step(self, step: wit::CreateStep, interfaces: usize) -> Result<Step<Created>, Rubbish> {
        let created = match step {
            wit::CreateStep::Pending(pending) => return Ok(Step::Pending(self.pending(pending)?)),
            wit::CreateStep::Done(created) => created,
        };
        let given = created.interfaces.len();
        if given != 0 && given != interfaces {
            return Err(format!("interfaces has {given} items, the request has {interfaces}"));
        }
        Ok(Step::Done(Created {
            id: self.id(created.id, "id")?,
            name: self.maybe_text(created.name, "name")?,
            interfaces: self.list(created.interfaces, "interfaces", |id| self.maybe_id(id, "interfaces"))?,
        }))
    }

    /// An observation of `asked` elements. Nothing else may stand in it: an element reported gone by mistake would be made anew.
    pub(crate) fn observed(self, observed: wit::Observed, asked: &[VimId]) -> Result<Observed, Rubbish> {
        let changed = self.list(observed.changed, "changed", |item| self.observation(item))?;
        let gone = self.ids(observed.gone, "gone")?;
        let asked: HashSet<&VimId> = asked.iter().collect();
        let present: HashSet<&VimId> = changed.iter().map(|item| &item.id).collect();
        if let Some(id) = present
            .iter()
            .chain(&gone.iter().collect::<HashSet<_>>())
            .find(|id| !asked.contains(**id))
        {
            return Err(format!("it speaks of {id:?}, which was not asked for"));
        }
        if let Some(id) = gone.iter().find(|id| present.contains(id)) {
            return Err(format!("it says of {id:?} that it changed and that it is gone"));
        }
        Ok(Observed {
            changed,
            gone,
            cursor: self.blob(observed.cursor, "cursor")?,
            more: observed.more,
        })
    }

    fn observation(self, item: wit::Observation) -> Result<Observation, Rubbish> {
        Ok(Observation {
            id: self.id(item.id, "changed.id")?,
            name: self.maybe_text(item.name, "changed.name")?,
            status: status(item.status),
            status_text: self.text(item.status_text, "changed.status-text")?,
            message: item.message.map(|message| safe(&message, self.limits.answer_text)),
            details: self.json(&item.details, "changed.details")?,
            server: item.server.map(|server| self.server(server)).transpose()?,
        })
    }

    fn server(self, server: wit::ServerObservation) -> Result<ServerObservation, Rubbish> {
        Ok(ServerObservation {
            interfaces: self.list(server.interfaces, "interfaces", |item| self.interface(item))?,
            volumes: self.ids(server.volumes, "volumes")?,
            flavour: self.maybe_id(server.flavour, "flavour")?,
            image: self.maybe_id(server.image, "image")?,
            compute_node: self.maybe_text(server.compute_node, "compute-node")?,
        })
    }

    fn interface(self, item: wit::InterfaceObservation) -> Result<InterfaceObservation, Rubbish> {
        Ok(InterfaceObservation {
            id: self.id(item.id, "interfaces.id")?,
            network: self.maybe_id(item.network, "interfaces.network")?,
            mac_address: self.maybe_text(item.mac_address, "interfaces.mac-address")?,
            ip_addresses: self.list(item.ip_addresses, "interfaces.ip-addresses", |address| {
                self.text(address, "interfaces.ip-addresses")
            })?,
            compute_node: self.maybe_text(item.compute_node, "interfaces.compute-node")?,
            pci: self.maybe_text(item.pci, "interfaces.pci")?,
            vlan: item.vlan,
            details: self.json(&item.details, "interfaces.details")?,
        })
    }

    /// A page of an audit for tokens that begin with `prefix`.
    pub(crate) fn owned_page(self, page: wit::OwnedPage, prefix: &str) -> Result<OwnedPage, Rubbish> {
        Ok(OwnedPage {
            elements: self.list(page.elements, "elements", |owned| {
                if !is_token(&owned.token) || !owned.token.starts_with(prefix) {
                    return Err("elements: a token does not begin as asked".to_owned());
                }
                Ok(Owned {
                    id: self.id(owned.id, "elements.id")?,
                    token: owned.token,
                    name: self.maybe_text(owned.name, "elements.name")?,
                })
            })?,
            cursor: self.blob(page.cursor, "cursor")?,
        })
    }

    pub(crate) fn operate_step(self, step: operations::OperateStep) -> Result<Step<Operated>, Rubbish> {
        Ok(match step {
            operations::OperateStep::Pending(pending) => Step::Pending(self.pending(pending)?),
            operations::OperateStep::Done(operated) => Step::Done(Operated {
                status: Some(status(operated.status)),
                status_text: self.text(operated.status_text, "status-text")?,
                compute_node: self.maybe_text(operated.compute_node, "compute-node")?,
                console: operated.console.map(|console| self.console(console)).transpose()?,
            }),
        })
    }

    pub(crate) fn console(self, console: operations::Console) -> Result<Console, Rubbish> {
        if !CONSOLES.contains(&console.protocol.as_str()) {
            return Err(format!(
                "protocol {:?} is none of a console",
                safe(&console.protocol, 32)
            ));
        }
        if console.server.is_empty() || console.server.contains(['/', '@', '?', '#']) {
            return Err("server is no host".into());
        }
        Ok(Console {
            protocol: console.protocol,
            server: self.text(console.server, "server")?,
            port: console.port,
            suffix: self.text(console.suffix, "suffix")?,
        })
    }

    /// An edit of a service has no state to report.
    pub(crate) fn edit_step(self, step: connectivity::EditStep) -> Result<Step<Operated>, Rubbish> {
        Ok(match step {
            connectivity::EditStep::Done => Step::Done(Operated::default()),
            connectivity::EditStep::Pending(pending) => Step::Pending(self.pending(pending)?),
        })
    }
}

fn status(status: wit::ElementStatus) -> ElementStatus {
    match status {
        wit::ElementStatus::Active => ElementStatus::Active,
        wit::ElementStatus::Build => ElementStatus::Build,
        wit::ElementStatus::Paused => ElementStatus::Paused,
        wit::ElementStatus::Suspended => ElementStatus::Suspended,
        wit::ElementStatus::Inactive => ElementStatus::Inactive,
        wit::ElementStatus::Down => ElementStatus::Down,
        wit::ElementStatus::Error => ElementStatus::Error,
        wit::ElementStatus::Other => ElementStatus::Other,
    }
}

pub(super) fn kind(kind: wit::ElementKind) -> ElementKind {
    match kind {
        wit::ElementKind::Network => ElementKind::Network,
        wit::ElementKind::Image => ElementKind::Image,
        wit::ElementKind::Flavour => ElementKind::Flavour,
        wit::ElementKind::Group => ElementKind::Group,
        wit::ElementKind::Volume => ElementKind::Volume,
        wit::ElementKind::Server => ElementKind::Server,
        wit::ElementKind::Port => ElementKind::Port,
        wit::ElementKind::FloatingAddress => ElementKind::FloatingAddress,
        wit::ElementKind::Stack => ElementKind::Stack,
        wit::ElementKind::ConnectivityService => ElementKind::ConnectivityService,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn observed(changed: &[&str], gone: &[&str]) -> wit::Observed {
        wit::Observed {
            changed: changed
                .iter()
                .map(|id| wit::Observation {
                    id: (*id).into(),
                    name: None,
                    status: wit::ElementStatus::Active,
                    status_text: "ACTIVE".into(),
                    message: None,
                    details: "{}".into(),
                    server: None,
                })
                .collect(),
            gone: gone.iter().map(|id| (*id).to_owned()).collect(),
            cursor: None,
            more: false,
        }
    }

    #[test]
    fn an_observation_speaks_of_what_was_asked_and_does_not_contradict_itself() {
        let limits = Limits::default();
        let reader = Reader::new(&limits);
        let asked = [VimId::new("a").unwrap(), VimId::new("b").unwrap()];
        assert!(reader.observed(observed(&["a"], &["b"]), &asked).is_ok());
        assert!(
            reader
                .observed(observed(&["c"], &[]), &asked)
                .unwrap_err()
                .contains("not asked for")
        );
        assert!(
            reader
                .observed(observed(&[], &["c"]), &asked)
                .unwrap_err()
                .contains("not asked for")
        );
        assert!(
            reader
                .observed(observed(&["a"], &["a"]), &asked)
                .unwrap_err()
                .contains("gone")
        );
    }

    #[test]
    fn answers_are_bounded_and_parsed() {
        let limits = Limits {
            answer_text: 8,
            state: 4,
            ..Limits::default()
        };
        let reader = Reader::new(&limits);
        let mut answer = observed(&["a"], &[]);
        answer.cursor = Some(vec![0; 5]);
        let asked = [VimId::new("a").unwrap()];
        assert_eq!(
            reader.observed(answer, &asked).unwrap_err(),
            "cursor has 5 bytes, at most 4 are allowed"
        );
        let mut answer = observed(&["a"], &[]);
        answer.changed[0].details = "{".into();
        assert!(
            reader
                .observed(answer, &asked)
                .unwrap_err()
                .starts_with("changed.details is not JSON")
        );
        let created = |interfaces: usize| {
            wit::CreateStep::Done(wit::Created {
                id: "x".into(),
                name: None,
                interfaces: vec![None; interfaces],
            })
        };
        assert!(reader.create_step(created(0), 2).is_ok());
        assert!(reader.create_step(created(1), 2).is_err());
        let pending = wit::CreateStep::Pending(wit::Pending {
            reason: "x\ny".into(),
            again_in_ms: 0,
            state: None,
        });
        let Step::Pending(pending) = reader.create_step(pending, 0).unwrap() else {
            panic!()
        };
        assert_eq!(
            (pending.reason.as_str(), pending.again_in),
            ("x\\ny", super::super::SHORTEST_WAIT)
        );
    }
}
