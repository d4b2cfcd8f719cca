//! What an operation does: request, VNFD and instance become steps and what the stack is to be. Pure.
//!
//! A package that changes is rolled out VDU by VDU: one update each, the new template with the first. How the VMs of one VDU follow each
//! other is its group's own policy (`rolling_updates`). No script of a package is run: a request that names one is refused, unless it is one of
//! the two whose work is built in.

pub(crate) mod levels;
pub(crate) mod parameters;
mod rolling;
pub(crate) mod template;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use vimhost_model::vnf::{
    ChangeCurrentVnfPkgRequest, ChangeExtVnfConnectivityRequest, DeploymentFlavour, ExtVirtualLinkData, HealVnfRequest,
    InstantiateVnfRequest, LcmOperation, ProblemDetails, ScaleType, ScaleVnfRequest, TerminateVnfRequest,
    TerminationType, VnfInstance, VnfLcmOpOcc, VnfcResourceInfo, Vnfd,
};

use super::work::{Content, Kept, Script, StackNow, Step, Work, stack_token};
use parameters::{content, parameters};
use rolling::{is_of_vdu, rolled_vdus, vdus_of};

/// How long a graceful termination waits when nobody says (what Tacker waits).
const GRACE_SECONDS: u32 = 10;

/// Bytes of an operation with its request and its plan. While it is undone it has its steps twice; the store keeps it in one document with its
/// instance, which has the template once more, and MongoDB has room for 16 MB.
const MOST_KEPT: usize = 5 << 20;

/// Bytes of what clients merge over the parameters of a stack. Heat keeps all parameters of a stack in one column of its database, and what is
/// kept of an operation has them several times.
const MAX_OF_CLIENT_BYTES: usize = 512 << 10;

/// What names a script that speaks with VNFCs while a package changes.
const COORDINATION: [&str; 2] = ["lcm-operation-coordinate-old-vnf", "lcm-operation-coordinate-new-vnf"];

/// What a plan is made of.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    /// The operation.
    pub op_occ: &'a VnfLcmOpOcc,
    /// Its instance as it is.
    pub instance: &'a VnfInstance,
    /// The VNFD: that of the instance, or the one that a changed package brings.
    pub vnfd: &'a Vnfd,
    /// The VNFD that the stack was made of: that of the instance.
    pub vnfd_before: &'a Vnfd,
    /// For tokens.
    pub installation: &'a str,
}

/// Makes the plan.
///
/// # Errors
/// What the client is told: the operation is then ROLLED_BACK before it began.
pub(crate) fn plan(given: Given<'_>) -> Result<Work, ProblemDetails> {
    let mut work = match given.op_occ.operation {
        LcmOperation::Instantiate => instantiate(given),
        LcmOperation::Terminate => terminate(given),
        LcmOperation::Scale => scale(given),
        LcmOperation::Heal => heal(given),
        LcmOperation::ChangeExtConn => change_ext_conn(given),
        LcmOperation::ChangeVnfpkg => change_vnfpkg(given),
        LcmOperation::ModifyInfo => {
            let kept = given.kept()?;
            Ok(Work::new(Vec::new(), given.stack(&kept), kept))
        }
    }?;
    work.take_over(given.kept()?.begun);
    // Refused now: what no store takes would be written again and again, and its instance never be free.
    if fits(given.op_occ, &work) {
        Ok(work)
    } else {
        let detail = format!("the template and the parameters of all steps have more than {MOST_KEPT} bytes together");
        Err(ProblemDetails::new(422, detail))
    }
}

/// Whether a plan can be kept with its operation.
fn fits(op_occ: &VnfLcmOpOcc, work: &Work) -> bool {
    let bytes = |text: Result<Vec<u8>, serde_json::Error>| text.map_or(usize::MAX, |text| text.len());
    let (asked, planned) = (bytes(serde_json::to_vec(op_occ)), bytes(serde_json::to_vec(work)));
    asked.saturating_add(planned) <= MOST_KEPT
}

fn refused(detail: impl Into<String>) -> ProblemDetails {
    ProblemDetails::new(400, detail)
}

fn too_many_members() -> ProblemDetails {
    refused(format!(
        "the VNF instance would have more than {} VNFCs",
        levels::MAX_MEMBERS
    ))
}

/// What there is and what is to come are no more than an instance may have.
fn bounded_members(kept: &Kept, more: impl IntoIterator<Item = u32>) -> Result<(), ProblemDetails> {
    let there = kept.members.values().map(Vec::len);
    let there = there.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    if levels::are_too_many(there.chain(more)) {
        return Err(too_many_members());
    }
    Ok(())
}

fn broken(what: &str, error: impl std::fmt::Display) -> ProblemDetails {
    ProblemDetails::new(500, format!("{what} cannot be read: {error}"))
}

impl<'a> Given<'a> {
    fn request<T: DeserializeOwned>(self) -> Result<T, ProblemDetails> {
        let params = self
            .op_occ
            .operation_params
            .clone()
            .unwrap_or(Value::Object(Map::new()));
        serde_json::from_value(params).map_err(|error| broken("the accepted request", error))
    }

    fn kept(self) -> Result<Kept, ProblemDetails> {
        Kept::read(&self.instance.own.stack).map_err(|error| broken("the record of the stack", error))
    }

    /// The stack there is.
    fn stack(self, kept: &Kept) -> StackNow {
        StackNow {
            name: self.instance.stack_name(),
            id: kept.id.clone(),
            token: kept.token.clone(),
            generation: 0,
        }
    }

    fn flavour(self, id: &str) -> Result<&'a DeploymentFlavour, ProblemDetails> {
        flavour_of(self.vnfd, id)
    }
}

fn flavour_of<'v>(vnfd: &'v Vnfd, id: &str) -> Result<&'v DeploymentFlavour, ProblemDetails> {
    let flavour = vnfd.flavours.get(id);
    flavour.ok_or_else(|| refused(format!("VNFD '{}' has no flavour '{id}'", vnfd.id)))
}

fn instantiate(given: Given<'_>) -> Result<Work, ProblemDetails> {
    let request: InstantiateVnfRequest = given.request()?;
    let flavour = given.flavour(&request.flavour_id)?;
    let level = request.instantiation_level_id.as_deref();
    let levels = levels::initial_levels(flavour, level).ok_or_else(|| {
        refused(format!(
            "there is no instantiation level '{}'",
            level.unwrap_or_default()
        ))
    })?;
    let counts = levels::initial_counts(flavour, level, &levels);
    if levels::are_too_many(counts.values().copied()) {
        return Err(too_many_members());
    }
    let hot = base_hot(flavour, &request.flavour_id)?;
    let params = request.additional_params.as_ref();
    let nfv_of_client = of_client(params);
    bounded_of_client(&nfv_of_client)?;
    let mut after = Kept {
        id: None,
        token: stack_token(given.installation, &given.op_occ.id, 0),
        begun: Vec::new(),
        flavour: request.flavour_id.clone(),
        template: hot.template.clone(),
        files: hot.files.clone(),
        script: script(given.vnfd, params)?.unwrap_or_default(),
        members: counts
            .into_iter()
            .map(|(vdu, count)| (vdu, (0..count).collect()))
            .collect(),
        nfv: Map::new(),
        nfv_of_client,
        levels,
        ext_links: request.ext_virtual_links.unwrap_or_default(),
        ext_managed: request.ext_managed_virtual_links.unwrap_or_default(),
    };
    let made = content(&mut after, flavour).map_err(refused)?;
    let left = given.kept()?;
    let mut steps = Vec::new();
    let mut stack = given.stack(&left);
    if left.may_have_stack() {
        // Of an attempt that was given up.
        steps.push(Step::Delete);
    } else {
        stack.token.clone_from(&after.token);
    }
    steps.extend([Step::Create { content: made }, Step::Resources]);
    let mut work = Work::new(steps, stack, after);
    work.undo = Some(vec![Step::Delete]);
    Ok(work)
}

fn base_hot<'f>(
    flavour: &'f DeploymentFlavour,
    id: &str,
) -> Result<&'f vimhost_model::vnf::HeatTemplate, ProblemDetails> {
    if let Some(script) = flavour.scripts.values().next() {
        return Err(refused(format!(
            "the VNFD names the script '{script}'; scripts of packages are not run"
        )));
    }
    let hot = flavour.base_hot.as_ref();
    hot.ok_or_else(|| refused(format!("the package has no BaseHOT template for flavour '{id}'")))
}

/// Which stock script a request names. One that is not built in would silently not be run.
fn script(vnfd: &Vnfd, params: Option<&Map<String, Value>>) -> Result<Option<Script>, ProblemDetails> {
    let named = |name: &str| -> Result<Option<&str>, ProblemDetails> {
        match params.and_then(|params| params.get(name)) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_str()
                .map(Some)
                .ok_or_else(|| refused(format!("additionalParams/{name} is no text"))),
        }
    };
    for coordination in COORDINATION {
        if let Some(path) = named(coordination)? {
            return Err(refused(format!(
                "additionalParams/{coordination} names the script '{path}'; scripts of packages are not run"
            )));
        }
    }
    match (
        named("lcm-operation-user-data")?,
        named("lcm-operation-user-data-class")?,
    ) {
        (None, None) => Ok(None),
        (Some(path), Some(class)) => {
            let known = vnfd.user_data_scripts.get(path.trim_start_matches("./"));
            let known = known.or_else(|| vnfd.user_data_scripts.get(path));
            let script = known.copied().and_then(Script::of).ok_or_else(|| {
                refused(format!(
                    "'{path}' is none of the user data scripts that are built in (DefaultUserData, StandardUserData)"
                ))
            })?;
            if class != script.class() {
                return Err(refused(format!(
                    "'{path}' has the user data class {}, not '{class}'",
                    script.class()
                )));
            }
            Ok(Some(script))
        }
        (Some(_), None) | (None, Some(_)) => Err(refused(
            "additionalParams needs both lcm-operation-user-data and lcm-operation-user-data-class, or neither",
        )),
    }
}

/// A change of a stack goes on with the script that made it: the other one would take its members for none.
fn same_script(given: Given<'_>, kept: &Kept, params: Option<&Map<String, Value>>) -> Result<(), ProblemDetails> {
    match script(given.vnfd, params)? {
        Some(named) if named != kept.script => Err(refused(format!(
            "the VNF instance was made with {}; the request names {}",
            kept.script.class(),
            named.class()
        ))),
        Some(_) | None => Ok(()),
    }
}

fn of_client(params: Option<&Map<String, Value>>) -> Value {
    params
        .and_then(|params| params.get("nfv"))
        .cloned()
        .unwrap_or(Value::Null)
}

/// Merges what a client gives now over what it gave before.
fn merge_of_client(kept: &mut Kept, params: Option<&Map<String, Value>>) -> Result<(), ProblemDetails> {
    if let Some(nfv) = params.and_then(|params| params.get("nfv")) {
        template::merge(&mut kept.nfv_of_client, nfv);
    }
    bounded_of_client(&kept.nfv_of_client)
}

/// What clients give is kept with the instance and grows with what each of them adds.
fn bounded_of_client(nfv: &Value) -> Result<(), ProblemDetails> {
    if nfv.to_string().len() > MAX_OF_CLIENT_BYTES {
        return Err(refused(format!(
            "additionalParams/nfv, with what was given before, has more than {MAX_OF_CLIENT_BYTES} bytes"
        )));
    }
    Ok(())
}

fn terminate(given: Given<'_>) -> Result<Work, ProblemDetails> {
    let request: TerminateVnfRequest = given.request()?;
    let kept = given.kept()?;
    let mut steps = Vec::new();
    if request.termination_type == TerminationType::Graceful {
        let seconds = request.graceful_termination_timeout.unwrap_or(GRACE_SECONDS);
        steps.push(Step::Pause { seconds });
    }
    steps.push(Step::Delete);
    Ok(Work::new(steps, given.stack(&kept), Kept::default()))
}

/// What a change sends: with a group for each VDU the parameters are enough.
fn sent(kept: &Kept, made: Content) -> Content {
    match kept.script {
        Script::Default => Content {
            parameters: made.parameters,
            ..Content::default()
        },
        Script::Standard => made,
    }
}

/// What is sent to get back to what was. Whatever the operation brings, the template of before is that of the VNFD of before.
fn back(given: Given<'_>, before: &Kept, whole: bool) -> Result<Content, ProblemDetails> {
    let text = match before.script {
        Script::Default => before.template.clone(),
        Script::Standard => {
            let flavour = flavour_of(given.vnfd_before, &before.flavour)?;
            template::with_members(&before.template, flavour, &before.members).map_err(refused)?
        }
    };
    let made = Content {
        template: Some(text),
        files: before.files.clone(),
        parameters: parameters(&before.nfv),
    };
    Ok(if whole { made } else { sent(before, made) })
}

fn vnfcs(instance: &VnfInstance) -> impl Iterator<Item = &VnfcResourceInfo> {
    let info = instance.instantiated_vnf_info.as_ref();
    info.and_then(|info| info.vnfc_resource_info.as_ref())
        .into_iter()
        .flatten()
}

fn text_of<'v>(metadata: Option<&'v Map<String, Value>>, name: &str) -> Option<&'v str> {
    metadata.and_then(|metadata| metadata.get(name)).and_then(Value::as_str)
}

/// A mark in the stack that metadata name as `name/id`.
fn mark(stack: &str, resource: &str, reason: &str) -> Step {
    let (name, id) = match stack.rsplit_once('/') {
        Some((name, id)) => (name, id.parse().ok()),
        None => (stack, None),
    };
    Step::Mark {
        stack: name.to_owned(),
        stack_id: id,
        resource: resource.to_owned(),
        reason: reason.to_owned(),
    }
}

fn scale(given: Given<'_>) -> Result<Work, ProblemDetails> {
    let request: ScaleVnfRequest = given.request()?;
    let before = given.kept()?;
    same_script(given, &before, request.additional_params.as_ref())?;
    let flavour = given.flavour(&before.flavour)?;
    let aspect = flavour
        .aspects
        .get(&request.aspect_id)
        .ok_or_else(|| refused(format!("there is no aspect '{}'", request.aspect_id)))?;
    let level = before.levels.get(&request.aspect_id).copied().unwrap_or_default();
    let steps = request.number_of_steps;
    let reached = levels::level_after(level, request.scale_type, steps, aspect.max_scale_level).ok_or_else(|| {
        refused(format!(
            "aspect '{}' is at level {level} of {}; {steps} steps lead beyond",
            request.aspect_id, aspect.max_scale_level
        ))
    })?;
    let moved = levels::between(flavour, &request.aspect_id, level.min(reached), level.max(reached));
    if request.scale_type == ScaleType::ScaleOut {
        bounded_members(&before, moved.values().copied())?;
    }
    let mut after = before.clone();
    after.levels.insert(request.aspect_id.clone(), reached);
    merge_of_client(&mut after, request.additional_params.as_ref())?;
    let mut steps = Vec::new();
    for (vdu, count) in &moved {
        let members = after.members.entry(vdu.clone()).or_default();
        let count = usize::try_from(*count).unwrap_or(usize::MAX);
        match request.scale_type {
            ScaleType::ScaleOut => {
                let next = members.iter().max().map_or(0, |last| last.saturating_add(1));
                members.extend((next..).take(count));
            }
            ScaleType::ScaleIn => {
                members.truncate(members.len().saturating_sub(count));
                let newest = vnfcs(given.instance).filter(|vnfc| vnfc.vdu_id == *vdu).take(count);
                let in_groups = newest.filter(|_| before.script == Script::Default);
                steps.extend(in_groups.filter_map(|vnfc| {
                    let metadata = vnfc.metadata.as_ref();
                    let stack = text_of(metadata, "parent_stack_id")?;
                    Some(mark(stack, text_of(metadata, "parent_resource_name")?, "scale in"))
                }));
            }
        }
    }
    let made = content(&mut after, flavour).map_err(refused)?;
    let content = sent(&after, made);
    steps.extend([Step::Update { content }, Step::Resources]);
    let mut work = Work::new(steps, given.stack(&before), after);
    if request.scale_type == ScaleType::ScaleOut {
        let content = back(given, &before, false)?;
        let member = |vnfc: &VnfcResourceInfo| {
            let stack = text_of(vnfc.metadata.as_ref(), "stack_id")?;
            let id = stack.rsplit_once('/').map_or(stack, |(_, id)| id);
            Some([id.to_owned(), vnfc.id.clone()])
        };
        let known = vnfcs(given.instance).filter_map(member).flatten().collect();
        let mut undo = Vec::new();
        if before.script == Script::Default {
            undo.push(Step::MarkNew { known });
        }
        undo.extend([Step::Update { content }, Step::Resources]);
        work.undo = Some(undo);
    }
    Ok(work)
}

fn heal(given: Given<'_>) -> Result<Work, ProblemDetails> {
    let request: HealVnfRequest = given.request()?;
    let kept = given.kept()?;
    let params = request.additional_params.as_ref();
    same_script(given, &kept, params)?;
    let all = params
        .and_then(|params| params.get("all"))
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let mut after = kept.clone();
    merge_of_client(&mut after, params)?;
    let flavour = given.flavour(&kept.flavour)?;
    let made = content(&mut after, flavour).map_err(refused)?;
    let reason = request.cause.as_deref().unwrap_or("heal");
    let wanted = request.vnfc_instance_id.as_ref();
    if all && wanted.is_none() {
        let steps = vec![Step::Delete, Step::Create { content: made }, Step::Resources];
        return Ok(Work::new(steps, given.stack(&kept), after));
    }
    let info = given.instance.instantiated_vnf_info.as_ref();
    let is_wanted = |vnfc: &&VnfcResourceInfo| {
        let Some(wanted) = wanted else { return true };
        let known = info.and_then(|info| info.vnfc_info.as_ref()).into_iter().flatten();
        let mut of_it = known.filter(|known| known.vnfc_resource_info_id.as_ref() == Some(&vnfc.id));
        of_it.any(|known| wanted.contains(&known.id))
    };
    let mut steps = Vec::new();
    let top = kept.id.as_ref().map_or_else(
        || given.instance.stack_name(),
        |id| format!("{}/{id}", given.instance.stack_name()),
    );
    for vnfc in vnfcs(given.instance).filter(is_wanted) {
        let metadata = vnfc.metadata.as_ref();
        let stack = text_of(metadata, "stack_id").unwrap_or(&top);
        let name = text_of(metadata, "resource_name").unwrap_or(&vnfc.vdu_id);
        steps.push(mark(stack, name, reason));
        let storages = info.and_then(|info| info.virtual_storage_resource_info.as_ref());
        let of_it = vnfc.storage_resource_ids.iter().flatten();
        for id in of_it.filter(|_| all) {
            let storage = storages.into_iter().flatten().find(|storage| storage.id == *id);
            if let Some(storage) = storage {
                let metadata = storage.metadata.as_ref();
                let stack = text_of(metadata, "stack_id").unwrap_or(&top);
                let name = text_of(metadata, "resource_name").unwrap_or(&storage.virtual_storage_desc_id);
                steps.push(mark(stack, name, reason));
            }
        }
    }
    let content = sent(&after, made);
    steps.extend([Step::Update { content }, Step::Resources]);
    Ok(Work::new(steps, given.stack(&kept), after))
}

/// Joins connection points to other networks: a CPD is on one external network.
fn move_links(links: &mut Vec<ExtVirtualLinkData>, changes: Vec<ExtVirtualLinkData>) {
    for change in changes {
        for link in links.iter_mut() {
            link.ext_cps
                .retain(|cp| link.id == change.id || !change.ext_cps.iter().any(|moved| moved.cpd_id == cp.cpd_id));
        }
        match links.iter_mut().find(|link| link.id == change.id) {
            Some(link) => {
                link.resource_id = change.resource_id;
                link.vim_connection_id = change.vim_connection_id.or(link.vim_connection_id.take());
                link.resource_provider_id = change.resource_provider_id.or(link.resource_provider_id.take());
                link.ext_link_ports = change.ext_link_ports.or(link.ext_link_ports.take());
                for moved in change.ext_cps {
                    match link.ext_cps.iter_mut().find(|cp| cp.cpd_id == moved.cpd_id) {
                        Some(cp) => {
                            cp.cp_config.extend(moved.cp_config);
                            cp.cp_config.retain(|_, config| config.is_some());
                        }
                        None => link.ext_cps.push(moved),
                    }
                }
            }
            None => links.push(change),
        }
    }
    links.retain(|link| !link.ext_cps.is_empty());
}

fn change_ext_conn(given: Given<'_>) -> Result<Work, ProblemDetails> {
    let request: ChangeExtVnfConnectivityRequest = given.request()?;
    let before = given.kept()?;
    same_script(given, &before, request.additional_params.as_ref())?;
    let flavour = given.flavour(&before.flavour)?;
    let mut after = before.clone();
    move_links(&mut after.ext_links, request.ext_virtual_links);
    merge_of_client(&mut after, request.additional_params.as_ref())?;
    let made = content(&mut after, flavour).map_err(refused)?;
    let content = sent(&after, made);
    let mut work = Work::new(
        vec![Step::Update { content }, Step::Resources],
        given.stack(&before),
        after,
    );
    let content = back(given, &before, false)?;
    work.undo = Some(vec![Step::Update { content }, Step::Resources]);
    Ok(work)
}

fn change_vnfpkg(given: Given<'_>) -> Result<Work, ProblemDetails> {
    let request: ChangeCurrentVnfPkgRequest = given.request()?;
    let before = given.kept()?;
    let flavour = given.flavour(&before.flavour)?;
    let hot = base_hot(flavour, &before.flavour)?;
    let params = request.additional_params.as_ref();
    let mut after = before.clone();
    after.template.clone_from(&hot.template);
    after.files.clone_from(&hot.files);
    move_links(&mut after.ext_links, request.ext_virtual_links.unwrap_or_default());
    if let Some(managed) = request.ext_managed_virtual_links {
        after.ext_managed = managed;
    }
    merge_of_client(&mut after, params)?;
    if let Some(named) = script(given.vnfd, params)? {
        after.script = named;
    }
    // A VDU that the package brings begins as in an instance that is made of it.
    after.members.retain(|vdu, _| flavour.vdus.contains_key(vdu));
    let mut brought = levels::initial_counts(flavour, None, &after.levels);
    brought.retain(|vdu, _| flavour.vdus.contains_key(vdu) && !after.members.contains_key(vdu));
    bounded_members(&after, brought.values().copied())?;
    let brought = brought.into_iter();
    after
        .members
        .extend(brought.map(|(vdu, count)| (vdu, (0..count).collect::<Vec<u32>>())));
    let made = content(&mut after, flavour).map_err(refused)?;
    let mut steps: Vec<Step> = Vec::new();
    let mut nfv = after.nfv.clone();
    let rolled = rolled_vdus(params);
    // Parameters of the VDUs that have not had their turn are those of before.
    let (old, new) = (vdus_of(&before.nfv), vdus_of(&after.nfv));
    let mut shown: Map<String, Value> = old.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    shown.retain(|name, _| new.contains_key(name));
    for (name, value) in &new {
        shown.entry(name.clone()).or_insert_with(|| value.clone());
    }
    for vdu in rolled.iter().take(rolled.len().saturating_sub(1)) {
        let turn = new.iter().filter(|(name, _)| is_of_vdu(flavour, name, vdu));
        shown.extend(turn.map(|(name, value)| (name.clone(), value.clone())));
        nfv.insert("VDU".to_owned(), Value::Object(shown.clone()));
        let first = steps.is_empty();
        steps.push(Step::Update {
            content: Content {
                template: made.template.clone().filter(|_| first),
                files: if first { made.files.clone() } else { BTreeMap::new() },
                parameters: parameters(&nfv),
            },
        });
    }
    steps.extend([Step::Update { content: made }, Step::Resources]);
    let mut work = Work::new(steps, given.stack(&before), after);
    let content = back(given, &before, true)?;
    work.undo = Some(vec![Step::Update { content }, Step::Resources]);
    Ok(work)
}

#[cfg(test)]
mod tests;
