//! How servers are: a page of them in a call, with their ports, in a number of requests that does not grow with the page.
//!
//! Times are Nova's own, from its answers. What changed is asked for from a little before, so that a change that was written while
//! the last observation was made, or by a clock a little behind, is told twice rather than never.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use vimhost_keystone::Api;
use vimhost_sdk::prelude::*;
use vimhost_sdk::tokens;
use vimhost_sdk::{clock, info};

use super::place::{Place, Stage, Told};
use super::ports::changed_servers;
use super::status;
use crate::calendar;
use crate::compute::{Server, nova};
use crate::neutron;
use crate::vim::Vim;

/// Servers of one page. Nova takes about 10 ms for each, and an answer of 50 is about 150 KB.
pub(super) const PAGE: usize = 50;

/// Servers that are asked for one by one in a call; up to so many that is cheaper than a listing of the whole project.
const ONE_BY_ONE: usize = 10;

/// How far back changes are asked for: what is written late, by a service whose clock is a little behind.
const OVERLAP_S: u64 = 30;

/// The same where Nova's answers tell no time and the host's clock has to do.
const BLIND_OVERLAP_S: u64 = 300;

/// An older cursor is not used: Nova forgets deleted servers when its operator archives them, once a day in most clouds.
const OLDEST_S: u64 = 6 * 3600;

/// Nova knows nothing of a server in this status, since the part of the cloud it is in does not answer. Nothing is told of it, and
/// the host looks again.
const UNKNOWN: &str = "UNKNOWN";

/// Nova's scheduler found no place.
const NO_VALID_HOST: &str = "No valid host was found";

/// Looks at servers, a page of them.
pub(super) fn observe(vim: &Vim, ids: &[String], cursor: Option<&[u8]>) -> Result<Observed, Error> {
    let mut look = Look {
        vim,
        nova: nova(vim)?,
        ids,
        places: ids.iter().enumerate().map(|(index, id)| (id.as_str(), index)).collect(),
        observed: Observed::default(),
    };
    let place = cursor.and_then(Place::of);
    let next = match place {
        Some(Place { since, stage, .. }) => match stage {
            Stage::Rest if clock::now().as_secs().saturating_sub(since) > OLDEST_S => {
                info!(
                    "the last look at the servers is long ago; all are looked at",
                    servers = ids.len()
                );
                look.afresh()?
            }
            Stage::Rest => look.changes(None, since, None, Told::default())?,
            Stage::Walk { after, pages, told } => look.walk(Some(since), after, pages, told)?,
            Stage::Ask { told } => look.ask(Some(since), told)?,
            Stage::Changes { from, after, told } => look.changes(Some(since), from, after, told)?,
        },
        None => look.afresh()?,
    };
    let mut observed = look.observed;
    observed.more = next.stage != Stage::Rest;
    observed.cursor = next.cursor();
    Ok(observed)
}

struct Look<'a> {
    vim: &'a Vim,
    nova: Api<'a>,
    ids: &'a [String],
    places: HashMap<&'a str, usize>,
    observed: Observed,
}

#[derive(Deserialize)]
struct Page {
    servers: Vec<Server>,
    #[serde(default)]
    servers_links: Vec<Value>,
}

impl Page {
    /// The server behind which the next page begins. Whether there is one only Nova knows: its own limit may be smaller.
    fn next(&self) -> Option<String> {
        let last = self.servers.last().map(|server| server.id().to_owned());
        last.filter(|id| !self.servers_links.is_empty() && !id.is_empty())
    }
}

impl Look<'_> {
    fn afresh(&mut self) -> Result<Place, Failure> {
        if self.ids.len() <= ONE_BY_ONE {
            self.ask(None, Told::default())
        } else {
            self.walk(None, None, 0, Told::default())
        }
    }

    /// Reads a page of all servers, the newest first: what is being made is among the first.
    fn walk(
        &mut self,
        since: Option<u64>,
        after: Option<String>,
        pages: usize,
        mut told: Told,
    ) -> Result<Place, Failure> {
        let request = self.listing(after.as_deref()).doing("looking at all servers");
        let (page, at) = self.page(request)?;
        let since = since.unwrap_or(at);
        let next = page.next();
        let asked = self.asked(page.servers, &mut told);
        self.tell(asked)?;
        let (pages, missing) = (pages + 1, told.missing(self.ids.len()).count());
        let stage = match next {
            _ if missing == 0 => Stage::Rest,
            // No more pages than requests one by one would be: all of it costs at most twice what the better way would have.
            Some(after) if pages < missing => Stage::Walk {
                after: Some(after),
                pages,
                told,
            },
            Some(_) | None => Stage::Ask { told },
        };
        Ok(Place::new(since, stage))
    }

    /// Looks at some of the servers that are not told; only here one is found to be gone.
    fn ask(&mut self, since: Option<u64>, mut told: Told) -> Result<Place, Failure> {
        let missing: Vec<usize> = told.missing(self.ids.len()).take(ONE_BY_ONE).collect();
        let (mut found, mut first) = (Vec::new(), None);
        for index in missing {
            let Some(id) = self.ids.get(index) else { continue };
            let request = self
                .nova
                .get(["servers", id.as_str()])
                .doing(format!("looking at server {id}"));
            match self.nova.send_optional(request)? {
                Some(response) => {
                    first = first.or_else(|| Some(time_of(&response)));
                    let shown: Shown = response.json()?;
                    match shown.server.status() {
                        "DELETED" => self.observed.gone.push(id.clone()),
                        UNKNOWN => {}
                        _ => found.push(shown.server),
                    }
                }
                None => self.observed.gone.push(id.clone()),
            }
            told.insert(index);
        }
        self.tell(found)?;
        let since = since.or(first).unwrap_or_else(blind);
        let stage = if told.missing(self.ids.len()).next().is_none() {
            Stage::Rest
        } else {
            Stage::Ask { told }
        };
        Ok(Place::new(since, stage))
    }

    /// Reads a page of what changed, deleted servers among it; behind the last one, whose ports changed.
    fn changes(
        &mut self,
        since: Option<u64>,
        from: u64,
        after: Option<String>,
        mut told: Told,
    ) -> Result<Place, Failure> {
        let request = self
            .listing(after.as_deref())
            .query("changes-since", calendar::written(from))
            .doing("looking at servers that changed");
        let (page, at) = self.page(request)?;
        let since = since.unwrap_or(at);
        let next = page.next();
        let (deleted, there): (Vec<Server>, Vec<Server>) = page
            .servers
            .into_iter()
            .partition(|server| server.status() == "DELETED");
        for server in self.asked(deleted, &mut told) {
            self.observed.gone.push(server.id().to_owned());
        }
        let there = self.asked(there, &mut told);
        self.tell(there)?;
        if let Some(after) = next {
            let after = Some(after);
            return Ok(Place::new(since, Stage::Changes { from, after, told }));
        }
        let by_port: Vec<usize> = changed_servers(self.vim, from)?
            .iter()
            .filter_map(|id| self.places.get(id.as_str()).copied())
            .filter(|index| !told.contains(*index))
            .collect();
        if by_port.is_empty() {
            return Ok(Place::new(since, Stage::Rest));
        }
        let mut told = Told::all(self.ids.len());
        by_port.iter().for_each(|index| told.remove(*index));
        let stage = if by_port.len() <= ONE_BY_ONE {
            Stage::Ask { told }
        } else {
            Stage::Walk {
                after: None,
                pages: 0,
                told,
            }
        };
        Ok(Place::new(since, stage))
    }

    fn listing(&self, after: Option<&str>) -> Request {
        self.nova
            .get(["servers", "detail"])
            .query("limit", PAGE.to_string())
            .query_opt("marker", after)
    }

    /// A page, and from when on changes after it are asked for.
    fn page(&self, request: Request) -> Result<(Page, u64), Failure> {
        let response = self.nova.send(request)?;
        Ok((response.json()?, time_of(&response)))
    }

    /// Those of a page that are asked for and not told yet; they are told from here on.
    fn asked(&self, servers: Vec<Server>, told: &mut Told) -> Vec<Server> {
        let mut asked = Vec::new();
        for server in servers {
            let Some(index) = self.places.get(server.id()).copied() else {
                continue;
            };
            if !told.contains(index) && server.status() != UNKNOWN {
                told.insert(index);
                asked.push(server);
            }
        }
        asked
    }

    /// Tells of servers, with their interfaces.
    fn tell(&mut self, servers: Vec<Server>) -> Result<(), Failure> {
        if servers.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = servers.iter().map(Server::id).collect();
        let mut interfaces = neutron::ports::of_servers(self.vim, &ids)?;
        let told = servers.iter().map(|server| {
            let interfaces = interfaces.remove(server.id()).unwrap_or_default();
            observation(server, interfaces)
        });
        self.observed.changed.extend(told);
        Ok(())
    }
}

#[derive(Deserialize)]
struct Shown {
    server: Server,
}

/// From when on changes are asked for that an answer does not show.
fn time_of(response: &Response) -> u64 {
    let told = response.header("date").and_then(calendar::of_http);
    told.map_or_else(blind, |at| at.saturating_sub(OVERLAP_S))
}

fn blind() -> u64 {
    clock::now().as_secs().saturating_sub(BLIND_OVERLAP_S)
}

fn observation(server: &Server, mut interfaces: Vec<InterfaceObservation>) -> Observation {
    for interface in &mut interfaces {
        // The server's word counts: a port that was just moved still shows the host it came from.
        if let Some(host) = server.host() {
            interface.compute_node = Some(host.to_owned());
        }
    }
    Observation {
        id: server.id().to_owned(),
        name: server.text("name").map(str::to_owned),
        status: status::of(server),
        status_text: server.status().to_owned(),
        message: server.fault().map(reason),
        details: details(server),
        server: Some(ServerObservation {
            interfaces,
            volumes: server.volumes(),
            flavour: server.flavour().map(str::to_owned),
            image: server.image().map(str::to_owned),
            compute_node: server.host().map(str::to_owned),
        }),
    }
}

/// Nova's reason, and what an operator can do about the one that is theirs.
fn reason(fault: &str) -> String {
    if fault.contains(NO_VALID_HOST) {
        return format!(
            "{fault} (no compute host has room for the flavour, or its zone, its group or the flavour's extra specs leave none: take \
             a smaller flavour, or add hosts)"
        );
    }
    fault.to_owned()
}

/// A server as Nova shows it, without what is nobody's business.
fn details(server: &Server) -> String {
    let mut shown = server.0.clone();
    for secret in ["OS-EXT-SRV-ATTR:user_data", "user_data", "adminPass"] {
        shown.remove(secret);
    }
    Value::Object(shown).to_string()
}

/// One page of our own servers.
pub(super) fn owned(vim: &Vim, prefix: &str, cursor: Option<&str>) -> Result<OwnedPage, Failure> {
    let nova = nova(vim)?;
    let request = nova
        .get(["servers", "detail"])
        .query("limit", PAGE.to_string())
        .doing("listing our servers");
    let (servers, next) = nova.page(&request, "servers", cursor)?;
    let owned = |server: Value| {
        let Value::Object(server) = server else { return None };
        let server = Server(server);
        let token = tokens::ours(server.token()?, prefix)?;
        Some(Owned {
            id: server.id().to_owned(),
            token: token.to_owned(),
            name: server.text("name").map(str::to_owned),
        })
    };
    Ok(OwnedPage {
        elements: servers.into_iter().filter_map(owned).collect(),
        cursor: next.map(String::into_bytes),
    })
}
