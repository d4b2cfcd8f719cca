//! A plugin bound to an account: the engine's `Connector` over calls of guests.

use std::sync::Arc;

use async_trait::async_trait;
use vimhost_connector::{
    Call, CheckReport, Connector, CreateRequest, Created, DeleteRequest, DeleteStep, ElementKind, Error, ErrorKind,
    FindRequest, Found, LoadError, Observed, ObservedStacks, OperateRequest, Operated, OwnedPage, ProposedOrigin,
    StackContent, StackObservation, StackRef, StackRequest, StackResource, Step, UpdateMode,
};
use vimhost_model::{VimAccount, VimId};

use crate::account::Content;
use crate::bindings::host::vim_types as wit;
use crate::call::{Invocation, Work};
use crate::convert::{self, Reader, Rubbish, infrastructure as put};
use crate::core::Core;
use crate::lend::{Lend as _, Text};

/// A connector. Looks its plugin up at each call, so a replaced plugin serves the next call of the same task.
pub(crate) struct AccountConnector {
    core: Arc<Core>,
    account: Arc<VimAccount>,
    content: Content,
}

/// Calls `$function` of `$interface` on a fresh instance. The arguments are values that the call owns.
macro_rules! ask {
    ($self:ident, $call:expr, $interface:ident, $name:literal, $method:ident, ($($arg:ident),*), $read:expr) => {
        $self
            .ask(
                $name,
                stringify!($interface),
                $call,
                |account| {
                    Box::new(move |store, code, instance| {
                        Box::pin(async move {
                            let Some(indices) = ask!(@indices code, $interface) else {
                                return Ok(Err(lacking(stringify!($interface))));
                            };
                            let guest = indices.load(&mut *store, instance)?;
                            guest.$method(store, &account, $(ask!(@arg $arg)),*).await
                        })
                    })
                },
                $read,
            )
            .await
    };
    (@indices $code:ident, connector) => { Some(&$code.connector) };
    (@indices $code:ident, $interface:ident) => { $code.$interface.as_ref() };
    (@arg $arg:ident) => { $arg.lend() };
}

impl AccountConnector {
    /// # Errors
    /// When no usable plugin serves the account, or the account does not fit it.
    pub(crate) fn open(core: &Arc<Core>, account: &VimAccount) -> Result<Self, LoadError> {
        let content = core.accounts.digest(account);
        core.bind(account, content)?;
        Ok(Self {
            core: Arc::clone(core),
            account: Arc::new(account.clone()),
            content,
        })
    }

    async fn ask<A: Send + 'static, R: Send + 'static>(
        &self,
        function: &'static str,
        interface: &'static str,
        call: Option<Call>,
        work: impl FnOnce(Arc<wit::Account>) -> Work<Result<A, wit::Error>> + Send,
        read: impl FnOnce(Reader<'_>, A) -> Result<R, Rubbish> + Send + 'static,
    ) -> Result<R, Error> {
        let (plugin, state) = self
            .core
            .bind(&self.account, self.content)
            .map_err(|error| Error::new(ErrorKind::Plugin, error.to_string()))?;
        let capabilities = plugin.code.capabilities();
        let offered = match interface {
            "infrastructure" => capabilities.infrastructure,
            "operations" => capabilities.operations,
            "stacks" => capabilities.stacks,
            "connectivity" => capabilities.connectivity,
            _ => true,
        };
        if !offered {
            let message = format!("{} has no {interface} interface", plugin.identity);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let told = state.told();
        let invocation = Invocation {
            identity: Arc::clone(&plugin.identity),
            code: Arc::clone(&plugin.code),
            account: Some(state),
            function,
        };
        invocation.run(&self.core, call, work(told), read).await
    }
}

fn lacking(interface: &str) -> wit::Error {
    wit::Error {
        kind: wit::ErrorKind::Unsupported,
        message: format!("the plugin has no {interface} interface"),
        retry_after_ms: None,
    }
}

fn ids(ids: &[VimId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// The call as the guest sees it, and as its journal needs it.
fn split(call: Call) -> (wit::Call, Option<Call>) {
    (convert::call(&call), Some(call))
}

#[async_trait]
impl Connector for AccountConnector {
    async fn check(&self) -> Result<CheckReport, Error> {
        let mut report = ask!(
            self,
            None,
            connector,
            "check",
            call_check,
            (),
            |reader: Reader<'_>, answer| reader.check_report(answer)
        )?;
        // The guest cannot see what is granted; an operator wants to know what is missing.
        if let Ok((_, state)) = self.core.bind(&self.account, self.content) {
            let missing = |proposed: &ProposedOrigin| state.policy().check_origin(&proposed.origin).is_err();
            report.origins.retain(missing);
        }
        Ok(report)
    }

    async fn find(&self, request: FindRequest) -> Result<Vec<Found>, Error> {
        let read = |reader: Reader<'_>, found: Option<_>| reader.found(found.into_iter().collect());
        match request {
            FindRequest::Networks(filter) => {
                let filter = put::filter(&filter);
                ask!(
                    self,
                    None,
                    infrastructure,
                    "find-networks",
                    call_find_networks,
                    (filter),
                    |reader: Reader<'_>, answer| reader.found(answer)
                )
            }
            FindRequest::Images(filter) => {
                let filter = put::filter(&filter);
                ask!(
                    self,
                    None,
                    infrastructure,
                    "find-images",
                    call_find_images,
                    (filter),
                    |reader: Reader<'_>, answer| reader.found(answer)
                )
            }
            FindRequest::Flavour(data) => {
                let data = put::flavour(&data);
                ask!(
                    self,
                    None,
                    infrastructure,
                    "find-flavour",
                    call_find_flavour,
                    (data),
                    read
                )
            }
            FindRequest::Flavours(filter) => {
                let filter = put::filter(&filter);
                ask!(
                    self,
                    None,
                    infrastructure,
                    "find-flavours",
                    call_find_flavours,
                    (filter),
                    |reader: Reader<'_>, answer| reader.found(answer)
                )
            }
            FindRequest::Group(id) => {
                let id = id.to_string();
                ask!(self, None, infrastructure, "find-group", call_find_group, (id), read)
            }
        }
    }

    async fn create(&self, call: Call, request: CreateRequest) -> Result<Step<Created>, Error> {
        let (told, call) = split(call);
        let read = |reader: Reader<'_>, step| reader.create_step(step, 0);
        match request {
            CreateRequest::Network(request) => {
                let request = put::network(&request);
                ask!(
                    self,
                    call,
                    infrastructure,
                    "create-network",
                    call_create_network,
                    (told, request),
                    read
                )
            }
            CreateRequest::Flavour(request) => {
                let request = put::flavour(&request);
                ask!(
                    self,
                    call,
                    infrastructure,
                    "create-flavour",
                    call_create_flavour,
                    (told, request),
                    read
                )
            }
            CreateRequest::Group(request) => {
                let request = put::group(&request);
                ask!(
                    self,
                    call,
                    infrastructure,
                    "create-group",
                    call_create_group,
                    (told, request),
                    read
                )
            }
            CreateRequest::Volume(request) => {
                let request = put::volume(&request);
                ask!(
                    self,
                    call,
                    infrastructure,
                    "create-volume",
                    call_create_volume,
                    (told, request),
                    read
                )
            }
            CreateRequest::Server(request) => {
                let count = request.interfaces.len();
                let read = move |reader: Reader<'_>, step| reader.create_step(step, count);
                let request = put::server(&request);
                ask!(
                    self,
                    call,
                    infrastructure,
                    "create-server",
                    call_create_server,
                    (told, request),
                    read
                )
            }
            CreateRequest::Service(request) => {
                let request = convert::connectivity_request(&request);
                ask!(
                    self,
                    call,
                    connectivity,
                    "create-service",
                    call_create_service,
                    (told, request),
                    read
                )
            }
        }
    }

    async fn delete(&self, call: Call, request: DeleteRequest) -> Result<DeleteStep, Error> {
        let (told, call) = split(call);
        let id = request.id.map(|id| id.to_string());
        let read = |reader: Reader<'_>, answer| reader.delete_step(answer);
        match request.kind {
            ElementKind::Network => {
                ask!(
                    self,
                    call,
                    infrastructure,
                    "delete-network",
                    call_delete_network,
                    (told, id),
                    read
                )
            }
            ElementKind::Flavour => {
                ask!(
                    self,
                    call,
                    infrastructure,
                    "delete-flavour",
                    call_delete_flavour,
                    (told, id),
                    read
                )
            }
            ElementKind::Group => {
                ask!(
                    self,
                    call,
                    infrastructure,
                    "delete-group",
                    call_delete_group,
                    (told, id),
                    read
                )
            }
            ElementKind::Volume => {
                ask!(
                    self,
                    call,
                    infrastructure,
                    "delete-volume",
                    call_delete_volume,
                    (told, id),
                    read
                )
            }
            ElementKind::Server => {
                let hold = ids(&request.hold);
                ask!(
                    self,
                    call,
                    infrastructure,
                    "delete-server",
                    call_delete_server,
                    (told, id, hold),
                    read
                )
            }
            ElementKind::ConnectivityService => {
                ask!(
                    self,
                    call,
                    connectivity,
                    "delete-service",
                    call_delete_service,
                    (told, id),
                    read
                )
            }
            ElementKind::Image | ElementKind::Port | ElementKind::FloatingAddress | ElementKind::Stack => {
                Err(Error::new(
                    ErrorKind::Unsupported,
                    "elements of this kind are not deleted one by one through a connector",
                ))
            }
        }
    }

    async fn observe(&self, kind: ElementKind, asked: &[VimId], cursor: Option<Vec<u8>>) -> Result<Observed, Error> {
        let list = ids(asked);
        let asked = asked.to_vec();
        let read = move |reader: Reader<'_>, observed| reader.observed(observed, &asked);
        if kind == ElementKind::ConnectivityService {
            return ask!(
                self,
                None,
                connectivity,
                "observe-services",
                call_observe_services,
                (list, cursor),
                read
            );
        }
        let kind = convert::wit_kind(kind);
        ask!(
            self,
            None,
            infrastructure,
            "observe",
            call_observe,
            (kind, list, cursor),
            read
        )
    }

    async fn operate(&self, call: Call, request: OperateRequest) -> Result<Step<Operated>, Error> {
        let (told, call) = split(call);
        let read = |reader: Reader<'_>, answer| reader.operate_step(answer);
        match request {
            OperateRequest::Power { server, action } => {
                let (server, action) = (server.to_string(), convert::operations::power(action));
                ask!(
                    self,
                    call,
                    operations,
                    "power",
                    call_power,
                    (told, server, action),
                    read
                )
            }
            OperateRequest::Migrate { server, host } => {
                let (server, host) = (server.to_string(), host.map(Text));
                ask!(
                    self,
                    call,
                    operations,
                    "migrate",
                    call_migrate,
                    (told, server, host),
                    read
                )
            }
            OperateRequest::Resize { server, flavour } => {
                let (server, flavour) = (server.to_string(), flavour.to_string());
                ask!(
                    self,
                    call,
                    operations,
                    "resize",
                    call_resize,
                    (told, server, flavour),
                    read
                )
            }
            OperateRequest::EditService { service, request } => {
                let (service, request) = (service.to_string(), convert::connectivity_request(&request));
                let read = |reader: Reader<'_>, answer| reader.edit_step(answer);
                ask!(
                    self,
                    call,
                    connectivity,
                    "edit-service",
                    call_edit_service,
                    (told, service, request),
                    read
                )
            }
            OperateRequest::Console { server, console_type } => {
                let (server, console_type) = (server.to_string(), console_type.map(Text));
                let read = |reader: Reader<'_>, console| {
                    Ok(Step::Done(Operated {
                        console: Some(reader.console(console)?),
                        ..Operated::default()
                    }))
                };
                ask!(
                    self,
                    None,
                    operations,
                    "get-console",
                    call_get_console,
                    (server, console_type),
                    read
                )
            }
        }
    }

    async fn list_owned(&self, kind: ElementKind, prefix: &str, cursor: Option<Vec<u8>>) -> Result<OwnedPage, Error> {
        let (kind, owned_prefix, prefix) = (convert::wit_kind(kind), prefix.to_owned(), prefix.to_owned());
        let read = move |reader: Reader<'_>, page| reader.owned_page(page, &prefix);
        ask!(
            self,
            None,
            infrastructure,
            "list-owned",
            call_list_owned,
            (kind, owned_prefix, cursor),
            read
        )
    }

    async fn create_stack(&self, call: Call, request: StackRequest) -> Result<Step<Created>, Error> {
        let (told, call) = split(call);
        let request = convert::stack_request(&request);
        let read = |reader: Reader<'_>, step| reader.create_step(step, 0);
        ask!(
            self,
            call,
            stacks,
            "create-stack",
            call_create_stack,
            (told, request),
            read
        )
    }

    async fn update_stack(
        &self,
        call: Call,
        stack: StackRef,
        mode: UpdateMode,
        content: StackContent,
    ) -> Result<Step<()>, Error> {
        let (told, call) = split(call);
        let (stack, mode) = (convert::stack_ref(&stack), convert::update_mode(mode));
        let content = convert::stack_content(&content);
        let read = |reader: Reader<'_>, answer| reader.update_step(answer);
        ask!(
            self,
            call,
            stacks,
            "update-stack",
            call_update_stack,
            (told, stack, mode, content),
            read
        )
    }

    async fn find_stack(&self, name: &str) -> Result<Option<StackObservation>, Error> {
        let name = name.to_owned();
        let read = |reader: Reader<'_>, found: Option<_>| found.map(|item| reader.stack(item)).transpose();
        ask!(self, None, stacks, "find-stack", call_find_stack, (name), read)
    }

    async fn observe_stacks(&self, asked: &[StackRef], cursor: Option<Vec<u8>>) -> Result<ObservedStacks, Error> {
        let stacks: Vec<_> = asked.iter().map(convert::stack_ref).collect();
        let asked = asked.to_vec();
        let read = move |reader: Reader<'_>, observed| reader.observed_stacks(observed, &asked);
        ask!(
            self,
            None,
            stacks,
            "observe-stacks",
            call_observe_stacks,
            (stacks, cursor),
            read
        )
    }

    async fn stack_resources(&self, stack: &StackRef, depth: u8) -> Result<Vec<StackResource>, Error> {
        let stack = convert::stack_ref(stack);
        ask!(
            self,
            None,
            stacks,
            "list-resources",
            call_list_resources,
            (stack, depth),
            |reader: Reader<'_>, answer| reader.stack_resources(answer)
        )
    }

    async fn stack_content(&self, stack: &StackRef) -> Result<StackContent, Error> {
        let stack = convert::stack_ref(stack);
        ask!(
            self,
            None,
            stacks,
            "get-content",
            call_get_content,
            (stack),
            |reader: Reader<'_>, answer| reader.stack_content(answer)
        )
    }

    async fn mark_unhealthy(
        &self,
        call: Call,
        stack: &StackRef,
        resource: &str,
        reason: &str,
    ) -> Result<Step<()>, Error> {
        let (told, call) = split(call);
        let (stack, resource, reason) = (convert::stack_ref(stack), resource.to_owned(), reason.to_owned());
        let read = |reader: Reader<'_>, answer| reader.update_step(answer);
        ask!(
            self,
            call,
            stacks,
            "mark-unhealthy",
            call_mark_unhealthy,
            (told, stack, resource, reason),
            read
        )
    }

    async fn delete_stack(&self, call: Call, stack: StackRef) -> Result<DeleteStep, Error> {
        let (told, call) = split(call);
        let stack = convert::stack_ref(&stack);
        ask!(
            self,
            call,
            stacks,
            "delete-stack",
            call_delete_stack,
            (told, stack),
            |reader: Reader<'_>, answer| reader.delete_step(answer)
        )
    }
}
