//! The connection of an account: one token for all calls, and the services it opens.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use vimhost_sdk::cache;
use vimhost_sdk::prelude::*;

use crate::access::Access;
use crate::api::Api;
use crate::catalogue::Catalogue;
use crate::declare::TOKEN_PRESENTED;
use crate::login::{self, Scope};
use crate::service::Service;
use crate::version::{Document, Versions};

/// How long a scope is kept at most; it is replaced with each token, so it never outlives one by more than that. The host keeps
/// nothing longer than this.
const SCOPE_KEPT: Duration = Duration::from_hours(24);

/// How long the versions of a service are believed. They change when the cloud is upgraded, and newer ones that are found an hour
/// late are no loss; older ones (a downgrade) are refused by the service with 406, which says so.
const VERSIONS_KEPT: Duration = Duration::from_hours(1);

const UNAUTHORIZED: u16 = 401;
const NOT_FOUND: u16 = 404;

type LogIn = Box<dyn Fn() -> Result<Login, Failure>>;

/// What this call knows of the scope already.
type Known = Rc<RefCell<Option<Rc<Scope>>>>;

/// The cloud of an account, as its project sees it.
pub struct Cloud {
    access: Access,
    key: String,
    session: Session<LogIn>,
    known: Known,
}

impl Cloud {
    /// The cloud of an account. Sends nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with the account; see [`Access::of`].
    pub fn of(account: &Account) -> Result<Self, Error> {
        let access = Access::of(account)?;
        let door = Client::new(&access.url)?.header("accept", "application/json");
        let key = access.key();
        let known = Known::default();
        let log_in: LogIn = {
            let (access, key, known) = (access.clone(), scope_key(&key), Rc::clone(&known));
            Box::new(move || {
                let (login, scope) = login::log_in(&door, &access)?;
                // Before the token, so that it is not the first of the two to end.
                cache::set(&key, &scope, SCOPE_KEPT);
                *known.borrow_mut() = Some(Rc::new(scope));
                Ok(login)
            })
        };
        Ok(Self {
            session: Session::new(key.clone(), TOKEN_PRESENTED, log_in),
            access,
            key,
            known,
        })
    }

    /// What the account says about its access.
    #[must_use]
    pub const fn access(&self) -> &Access {
        &self.access
    }

    /// What the token is for. Logs in when no token is known.
    ///
    /// # Errors
    ///
    /// The log in's failure.
    pub fn scope(&self) -> Result<Rc<Scope>, Failure> {
        if let Some(scope) = self.known_scope() {
            return Ok(scope);
        }
        self.session.with(|_| {
            self.known_scope().ok_or_else(|| {
                // A token whose catalogue the cache has dropped is as good as none: with this status the session logs in again.
                let message = "the service catalogue is not known any more";
                let mut failure = Failure::new(ErrorKind::Auth, Outcome::NotDone, message);
                failure.status = Some(UNAUTHORIZED);
                failure
            })
        })
    }

    fn known_scope(&self) -> Option<Rc<Scope>> {
        let known = self.known.borrow().clone();
        known.or_else(|| {
            let scope = Rc::new(cache::get(&scope_key(&self.key))?);
            *self.known.borrow_mut() = Some(Rc::clone(&scope));
            Some(scope)
        })
    }

    /// A service that the cloud must have.
    ///
    /// # Errors
    ///
    /// The log in's failure; `unsupported` when the catalogue has no such service, and a bad request when it has it in another
    /// region or by another interface: both name what there is.
    pub fn api(&self, service: Service) -> Result<Api<'_>, Failure> {
        if let Some(api) = self.find_api(service)? {
            return Ok(api);
        }
        Err(Error::unsupported(format!(
            "the service catalogue of Keystone at {} has no service of type {}; it has {}",
            self.access.url,
            service.types().join(" or "),
            self.scope()?.catalogue.types()
        ))
        .into())
    }

    /// A service that the cloud may have.
    ///
    /// # Errors
    ///
    /// As [`Cloud::api`], the missing service apart.
    pub fn find_api(&self, service: Service) -> Result<Option<Api<'_>>, Failure> {
        let scope = self.scope()?;
        let Some(url) = self.endpoint(&scope.catalogue, service)? else {
            return Ok(None);
        };
        self.api_at(service, url).map(Some)
    }

    /// A service at a URL that the account names, whatever the catalogue says. The project in it is that of the token.
    ///
    /// # Errors
    ///
    /// The log in's failure; a URL that is none.
    pub fn api_at(&self, service: Service, url: &str) -> Result<Api<'_>, Failure> {
        let scope = self.scope()?;
        let client = Client::new(&service.base(url, &scope.project_id)).map_err(|error| {
            Failure::from(error).while_doing(&format!("reading the endpoint of {}", service.word()))
        })?;
        Ok(Api::new(self, service, client))
    }

    /// The origin of a service, as `https://nova.example:8774`; for Keystone the account's own. `None` when the catalogue has no
    /// such service.
    ///
    /// # Errors
    ///
    /// As [`Cloud::find_api`].
    pub fn origin(&self, service: Service) -> Result<Option<String>, Failure> {
        Ok(self.find_api(service)?.map(|api| api.origin()))
    }

    /// The microversions of a service; `None` when it has none.
    ///
    /// # Errors
    ///
    /// As [`Cloud::api`], and the failure of asking the service.
    pub fn versions(&self, service: Service) -> Result<Option<Versions>, Failure> {
        if service.microversion_name().is_none() {
            return Ok(None);
        }
        let key = format!("versions:{}:{}", service.word(), self.key);
        cache::get_or(&key, VERSIONS_KEPT, || self.ask_versions(service))
    }

    fn ask_versions(&self, service: Service) -> Result<Option<Versions>, Failure> {
        let scope = self.scope()?;
        let Some(url) = self.endpoint(&scope.catalogue, service)? else {
            return Ok(None);
        };
        let client = Client::new(&service.document(url))?.header("accept", "application/json");
        // With a slash behind it: Nova answers 302 without one.
        let request = client
            .get([""])
            .doing(format!("asking for the versions of {}", service.word()));
        match self.send(request) {
            Ok(response) => Ok(response.json::<Document>()?.versions()),
            // A proxy that lets only the API itself through. The oldest version is spoken then, which every request fits.
            Err(failure) if failure.status == Some(NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Keystone is where the account says, whatever the catalogue says about it: the password goes there, and behind a proxy the
    /// catalogue's address may not be reachable.
    fn endpoint<'c>(&'c self, catalogue: &'c Catalogue, service: Service) -> Result<Option<&'c str>, Failure> {
        if service == Service::Identity {
            return Ok(Some(&self.access.url));
        }
        let region = self.access.region.as_deref();
        let found = catalogue.find(service, region, self.access.interface)?;
        Ok(found.map(|endpoint| endpoint.url.as_str()))
    }

    /// Sends a request with the token, which is asked for again once when Keystone does not know it any more.
    pub(crate) fn send(&self, request: Request) -> Result<Response, Failure> {
        self.session.send(request).map_err(crate::failure::refine)
    }

    /// The same for who reads answers that are no success; only 401, which the session acts on, and no answer at all are failures.
    pub(crate) fn send_any(&self, request: Request) -> Result<Response, Failure> {
        let sent = self.session.with(|token| {
            let response = request.clone().header(TOKEN_PRESENTED, token).send_any()?;
            if response.status == UNAUTHORIZED {
                return Err(response.into_failure());
            }
            Ok(response)
        });
        sent.map_err(crate::failure::refine)
    }
}

fn scope_key(key: &str) -> String {
    format!("scope:{key}")
}
