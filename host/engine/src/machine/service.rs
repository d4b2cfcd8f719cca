//! Connectivity services: made, changed, or not needed (what `VimInteractionSdnNet` of NG-RO's `ns_thread.py` does).
//!
//! A service joins the switch ports behind interfaces of VMs and those that the request gives. It is made when all its VMs are where they
//! are going to be, so it is made once. The plan says whose interfaces it joins; a change of that is an UPDATE. With
//! fewer than two ends there is nothing to join: then there is no service in the VIM, and the item is in order.

use serde_json::{Value, json};
use vimhost_connector::{CreateRequest, Encapsulation, Endpoint, OperateRequest, ServiceRequest, ServiceType};
use vimhost_model::{IllegalMove, Item, Task, TaskAction, TaskStatus, VimStatus};

use super::ports::{self, Port, text};
use super::{Machine, Request, answer};

/// Where a task keeps what its call joins, until the call has been answered.
const CONNECTED_PORTS: &str = "connected_ports";

/// Ends that a service has at least.
pub(crate) const FEWEST_ENDS: usize = 2;

/// Whether a task changes a service.
pub(super) fn is_edit(task: &Task) -> bool {
    task.item == Item::SdnNet && task.action == TaskAction::Update
}

/// Switch ports that the request itself gives.
pub(crate) fn given_ports(params: Option<&Value>) -> &[Value] {
    let ports = params.and_then(|params| params.get("sdn-ports"));
    ports.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl Machine<'_> {
    /// Makes a service. True when a call is asked for.
    pub(super) fn look_at_service(&mut self, index: usize, task: &Task, located: &[Port]) -> Result<bool, IllegalMove> {
        let endpoints = match self.endpoints(task, located) {
            Ok(endpoints) => endpoints,
            Err(message) => {
                self.fail(index, message)?;
                return Ok(false);
            }
        };
        if endpoints.len() < FEWEST_ENDS && self.resource.journal.is_empty() {
            self.nothing_to_join(index, located)?;
            return Ok(false);
        }
        self.remember(index, located);
        let request = CreateRequest::Service(request(task, endpoints));
        self.call(index, Request::Create(request));
        Ok(true)
    }

    /// Changes the ends of a service. True when a call is asked for.
    pub(super) fn look_at_edit(&mut self, index: usize, located: &[Port]) -> Result<bool, IllegalMove> {
        let Some(task) = self.resource.tasks.get(index).cloned() else {
            return Ok(false);
        };
        let endpoints = self.endpoints(&task, located).and_then(|endpoints| {
            if endpoints.len() < FEWEST_ENDS {
                return Err(format!(
                    "a connectivity service needs {FEWEST_ENDS} ends, {} are left",
                    endpoints.len()
                ));
            }
            Ok(endpoints)
        });
        let service = self.resource.vim.vim_id.clone();
        let service = service.ok_or_else(|| "there is no connectivity service to change".to_owned());
        match endpoints.and_then(|endpoints| Ok((endpoints, service?))) {
            Ok((endpoints, service)) => {
                self.remember(index, located);
                let request = request(&task, endpoints);
                self.call(
                    index,
                    Request::Operate(OperateRequest::EditService { service, request }),
                );
                Ok(true)
            }
            Err(message) => {
                self.fail(index, message)?;
                Ok(false)
            }
        }
    }

    fn endpoints(&self, task: &Task, located: &[Port]) -> Result<Vec<Endpoint>, String> {
        let mut endpoints = ports::endpoints(located, self.around.vim_configs)?;
        let given = given_ports(task.params.as_ref()).iter().enumerate();
        endpoints.extend(given.map(|(index, port)| given_end(index, port)));
        Ok(endpoints)
    }

    /// The item is in order without anything in the VIM.
    fn nothing_to_join(&mut self, index: usize, located: &[Port]) -> Result<(), IllegalMove> {
        let vim = &mut self.resource.vim;
        vim.created = false;
        vim.vim_status = Some(VimStatus::Active);
        vim.vim_message = None;
        vim.connected_ports = located.iter().map(Port::key).collect();
        if let Some(task) = self.resource.tasks.get_mut(index) {
            task.move_to(TaskStatus::Done)?;
            answer::settle(task);
        }
        Ok(())
    }

    /// What a call joins is written down with the call, since its answer does not tell.
    fn remember(&mut self, index: usize, located: &[Port]) {
        let keys: Vec<String> = located.iter().map(Port::key).collect();
        if let Some(task) = self.resource.tasks.get_mut(index) {
            task.result = Some(json!({ CONNECTED_PORTS: keys }));
        }
    }

    /// A call was answered: the service joins what the call said.
    pub(super) fn joined(&mut self, index: usize) {
        let Some(result) = self.resource.tasks.get_mut(index).and_then(|task| task.result.take()) else {
            return;
        };
        let keys = result.get(CONNECTED_PORTS).and_then(Value::as_array);
        let keys = keys.into_iter().flatten().filter_map(Value::as_str);
        self.resource.vim.connected_ports = keys.map(str::to_owned).collect();
    }
}

fn request(task: &Task, endpoints: Vec<Endpoint>) -> ServiceRequest {
    let wanted = task.params.as_ref().and_then(|params| params.get("type"));
    ServiceRequest {
        name: task.target_record.item.to_string(),
        service_type: if wanted.and_then(Value::as_str) == Some("ELINE") {
            ServiceType::Eline
        } else {
            ServiceType::Elan
        },
        endpoints,
    }
}

/// A switch port that the request gives. Its fields stand in it, or as in a connection point of NG-RO.
fn given_end(index: usize, port: &Value) -> Endpoint {
    let inner = port.get("service_endpoint_encapsulation_info").unwrap_or(&Value::Null);
    let of = |key: &str| text(port, key).or_else(|| text(inner, key));
    let vlan = of("vlan").and_then(|vlan| vlan.parse().ok());
    let tagged = match port.get("service_endpoint_encapsulation_type").and_then(Value::as_str) {
        Some(word) => word == "dot1q",
        None => vlan.is_some(),
    };
    Endpoint {
        id: text(port, "service_endpoint_id").unwrap_or_else(|| format!("port-{index}")),
        encapsulation: if tagged {
            Encapsulation::Dot1q
        } else {
            Encapsulation::None
        },
        vlan,
        mac_address: of("mac_address").or_else(|| of("mac")),
        device_id: of("device_id"),
        device_interface_id: of("device_interface_id"),
        switch_dpid: of("switch_id").or_else(|| of("switch_dpid")),
        switch_port: of("switch_port"),
        mapping_info: port
            .get("service_mapping_info")
            .or_else(|| inner.get("service_mapping_info"))
            .filter(|info| !info.is_null())
            .cloned(),
    }
}
