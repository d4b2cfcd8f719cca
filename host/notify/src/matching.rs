//! Which subscriptions an event is for.
//!
//! A subscription stands in the index under the most telling attribute it names: instance, name, VNFD or provider; one that names none of
//! them under what may happen. So an event looks at those that share an attribute with it and at nobody else, and what it looks at is checked
//! in full: all attributes present must match, in an array any element.

use std::collections::{BTreeSet, HashMap};

use vimhost_model::SubscriptionId;
use vimhost_model::vnf::{
    ApiVersion, EventKind, InstanceFilter, LcmEvent, LifecycleChangeFilter, NotificationType, OperationState,
    OperationType, Product, ProviderProducts, Subscription, Verbosity,
};

/// What happened, as far as a subscription that names no instance looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Occasion {
    Creation,
    Deletion,
    Operation(OperationType, OperationState),
}

impl Occasion {
    fn of(event: &LcmEvent) -> Self {
        match &event.what {
            EventKind::IdentifierCreation => Self::Creation,
            EventKind::IdentifierDeletion => Self::Deletion,
            EventKind::OperationOccurrence { op_occ } => {
                Self::Operation(op_occ.operation.into(), op_occ.operation_state)
            }
        }
    }

    fn notification_type(self) -> NotificationType {
        match self {
            Self::Creation => NotificationType::VnfIdentifierCreationNotification,
            Self::Deletion => NotificationType::VnfIdentifierDeletionNotification,
            Self::Operation(..) => NotificationType::VnfLcmOperationOccurrenceNotification,
        }
    }

    /// Operations and states say nothing of identifiers.
    fn matches(self, filter: &LifecycleChangeFilter) -> bool {
        let kind = self.notification_type();
        if !any(filter.notification_types.as_deref(), |wanted| *wanted == kind) {
            return false;
        }
        match self {
            Self::Creation | Self::Deletion => true,
            Self::Operation(operation, state) => {
                any(filter.operation_types.as_deref(), |wanted| *wanted == operation)
                    && any(filter.operation_states.as_deref(), |wanted| *wanted == state)
            }
        }
    }
}

/// Operations that happen here.
const OPERATIONS: [OperationType; 7] = [
    OperationType::Instantiate,
    OperationType::Scale,
    OperationType::Terminate,
    OperationType::Heal,
    OperationType::ModifyInfo,
    OperationType::ChangeExtConn,
    OperationType::ChangeVnfpkg,
];

const STATES: [OperationState; 7] = [
    OperationState::Starting,
    OperationState::Processing,
    OperationState::Completed,
    OperationState::FailedTemp,
    OperationState::Failed,
    OperationState::RollingBack,
    OperationState::RolledBack,
];

/// Everything that may happen: some fifty.
fn occasions() -> impl Iterator<Item = Occasion> {
    let operations = OPERATIONS
        .into_iter()
        .flat_map(|operation| STATES.map(|state| Occasion::Operation(operation, state)));
    [Occasion::Creation, Occasion::Deletion].into_iter().chain(operations)
}

/// An attribute that is absent matches everything.
fn any<T>(wanted: Option<&[T]>, is: impl FnMut(&T) -> bool) -> bool {
    wanted.is_none_or(|wanted| wanted.iter().any(is))
}

fn product_matches(product: &Product, event: &LcmEvent) -> bool {
    product.vnf_product_name == event.vnf_product_name
        && any(product.versions.as_deref(), |version| {
            version.vnf_software_version == event.vnf_software_version
                && any(version.vnfd_versions.as_deref(), |wanted| *wanted == event.vnfd_version)
        })
}

fn provider_matches(provider: &ProviderProducts, event: &LcmEvent) -> bool {
    provider.vnf_provider == event.vnf_provider
        && any(provider.vnf_products.as_deref(), |product| {
            product_matches(product, event)
        })
}

fn instance_matches(filter: &InstanceFilter, event: &LcmEvent) -> bool {
    any(filter.vnfd_ids.as_deref(), |wanted| wanted == event.vnfd_id.as_str())
        && any(filter.vnf_instance_ids.as_deref(), |wanted| {
            wanted == event.vnf_instance_id.as_str()
        })
        && any(filter.vnf_instance_names.as_deref(), |wanted| {
            event.vnf_instance_name.as_ref() == Some(wanted)
        })
        && any(filter.vnf_products_from_providers.as_deref(), |provider| {
            provider_matches(provider, event)
        })
}

/// A subscription, as far as it is needed to decide.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscriber {
    /// Its id.
    pub id: SubscriptionId,
    /// Version of its notifications.
    pub api_version: ApiVersion,
    /// How much they say.
    pub verbosity: Verbosity,
    filter: Option<LifecycleChangeFilter>,
}

impl Subscriber {
    fn matches(&self, event: &LcmEvent, occasion: Occasion) -> bool {
        let Some(filter) = &self.filter else { return true };
        occasion.matches(filter)
            && filter
                .vnf_instance_subscription_filter
                .as_ref()
                .is_none_or(|instances| instance_matches(instances, event))
    }
}

type Places<K> = HashMap<K, Vec<usize>>;

/// All subscriptions.
#[derive(Debug, Default)]
pub struct Index {
    subscribers: Vec<Subscriber>,
    by_instance: Places<String>,
    by_name: Places<String>,
    by_vnfd: Places<String>,
    by_provider: Places<String>,
    /// Those that name no instance, by what they want to hear of.
    by_occasion: Places<Occasion>,
    /// Those that want everything.
    all: Vec<usize>,
}

impl Index {
    /// An index of these subscriptions.
    #[must_use]
    pub fn of(subscriptions: impl IntoIterator<Item = Subscription>) -> Self {
        let mut index = Self::default();
        for subscription in subscriptions {
            index.add(subscription);
        }
        index
    }

    fn add(&mut self, subscription: Subscription) {
        /// Once per word, also when a filter names it twice.
        fn put<'a>(places: &mut Places<String>, words: impl Iterator<Item = &'a String>, place: usize) {
            for word in words.collect::<BTreeSet<_>>() {
                places.entry(word.clone()).or_default().push(place);
            }
        }
        let place = self.subscribers.len();
        let filter = subscription.filter;
        let empty = InstanceFilter::default();
        let instances = filter
            .as_ref()
            .and_then(|filter| filter.vnf_instance_subscription_filter.as_ref())
            .unwrap_or(&empty);
        if let Some(ids) = &instances.vnf_instance_ids {
            put(&mut self.by_instance, ids.iter(), place);
        } else if let Some(names) = &instances.vnf_instance_names {
            put(&mut self.by_name, names.iter(), place);
        } else if let Some(vnfds) = &instances.vnfd_ids {
            put(&mut self.by_vnfd, vnfds.iter(), place);
        } else if let Some(providers) = &instances.vnf_products_from_providers {
            let names = providers.iter().map(|provider| &provider.vnf_provider);
            put(&mut self.by_provider, names, place);
        } else if let Some(filter) = filter.as_ref().filter(|filter| narrows(filter)) {
            for occasion in occasions().filter(|occasion| occasion.matches(filter)) {
                self.by_occasion.entry(occasion).or_default().push(place);
            }
        } else {
            self.all.push(place);
        }
        self.subscribers.push(Subscriber {
            id: subscription.id,
            api_version: subscription.api_version,
            verbosity: subscription.verbosity,
            filter,
        });
    }

    /// Those that are looked at.
    fn candidates<'a>(&'a self, event: &LcmEvent) -> impl Iterator<Item = &'a Subscriber> + use<'a> {
        fn at<'a>(places: &'a Places<String>, word: &str) -> &'a [usize] {
            places.get(word).map(Vec::as_slice).unwrap_or_default()
        }
        let lists = [
            at(&self.by_instance, event.vnf_instance_id.as_str()),
            event
                .vnf_instance_name
                .as_ref()
                .map(|name| at(&self.by_name, name))
                .unwrap_or_default(),
            at(&self.by_vnfd, event.vnfd_id.as_str()),
            at(&self.by_provider, &event.vnf_provider),
            self.by_occasion
                .get(&Occasion::of(event))
                .map(Vec::as_slice)
                .unwrap_or_default(),
            self.all.as_slice(),
        ];
        lists
            .into_iter()
            .flatten()
            .filter_map(move |place| self.subscribers.get(*place))
    }

    /// Those an event is for, each once.
    pub fn matching<'a>(&'a self, event: &'a LcmEvent) -> impl Iterator<Item = &'a Subscriber> {
        let occasion = Occasion::of(event);
        self.candidates(event)
            .filter(move |subscriber| subscriber.matches(event, occasion))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }
}

/// A filter that does not say yes to everything.
fn narrows(filter: &LifecycleChangeFilter) -> bool {
    filter.notification_types.is_some() || filter.operation_types.is_some() || filter.operation_states.is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vimhost_model::Timestamp;

    use super::*;
    use crate::notification::tests::{creation, operation};

    fn subscription(id: &str, filter: Value) -> Subscription {
        Subscription {
            id: id.parse().unwrap(),
            filter: serde_json::from_value(filter).unwrap(),
            callback_uri: "http://nfvo.example/".to_owned(),
            verbosity: Verbosity::Full,
            api_version: ApiVersion::V2,
            authentication: Value::Null,
            created_at: Timestamp(0),
            revision: 1,
        }
    }

    fn told(filter: &Value, event: &LcmEvent) -> bool {
        let index = Index::of([subscription("a", filter.clone())]);
        let found = index.matching(event).count();
        assert!(found < 2, "{filter}");
        found == 1
    }

    #[test]
    fn an_absent_attribute_matches_everything_and_an_array_by_any_element() {
        let (created, scaled) = (creation(), operation("SCALE", "COMPLETED"));
        let of = |instances: Value| json!({ "vnfInstanceSubscriptionFilter": instances });
        for (filter, of_created, of_scaled) in [
            (Value::Null, true, true),
            (json!({}), true, true),
            (of(json!({})), true, true),
            (of(json!({"vnfdIds": ["other", "vnfd-1"]})), true, true),
            (of(json!({"vnfdIds": ["other"]})), false, false),
            (of(json!({"vnfdIds": []})), false, false),
            (of(json!({"vnfInstanceIds": ["instance-1", "instance-1"]})), true, true),
            (of(json!({"vnfInstanceIds": ["instance-2"]})), false, false),
            (of(json!({"vnfInstanceNames": ["name-1"]})), true, true),
            (of(json!({"vnfInstanceNames": ["name-2"]})), false, false),
            (
                of(json!({"vnfInstanceNames": ["name-1"], "vnfdIds": ["other"]})),
                false,
                false,
            ),
            (
                of(json!({"vnfInstanceIds": ["instance-1"], "vnfdIds": ["vnfd-1"]})),
                true,
                true,
            ),
            (
                json!({"notificationTypes": ["VnfIdentifierCreationNotification"]}),
                true,
                false,
            ),
            (
                json!({"notificationTypes": ["VnfLcmOperationOccurrenceNotification"]}),
                false,
                true,
            ),
            (json!({"operationTypes": ["SCALE", "HEAL"]}), true, true),
            (json!({"operationTypes": ["OPERATE"]}), true, false),
            (json!({"operationStates": ["COMPLETED"]}), true, true),
            (json!({"operationStates": ["STARTING"]}), true, false),
            (
                json!({"operationTypes": ["SCALE"], "operationStates": ["STARTING"],
                    "notificationTypes": ["VnfLcmOperationOccurrenceNotification"]}),
                false,
                false,
            ),
        ] {
            assert_eq!(told(&filter, &created), of_created, "{filter}");
            assert_eq!(told(&filter, &scaled), of_scaled, "{filter}");
        }
    }

    #[test]
    fn products_are_matched_down_to_the_version_of_the_vnfd() {
        let with = |products: Value| {
            let provider = json!([{"vnfProvider": "other"}, {"vnfProvider": "provider-1", "vnfProducts": products}]);
            told(
                &json!({"vnfInstanceSubscriptionFilter": {"vnfProductsFromProviders": provider}}),
                &creation(),
            )
        };
        let version = |software: &str, vnfd: Value| json!({"vnfSoftwareVersion": software, "vnfdVersions": vnfd});
        let product = |versions: Value| json!([{"vnfProductName": "product-1", "versions": versions}]);
        assert!(with(Value::Null));
        assert!(with(
            json!([{"vnfProductName": "other"}, {"vnfProductName": "product-1"}])
        ));
        assert!(!with(json!([{"vnfProductName": "other"}])));
        assert!(with(product(json!([{"vnfSoftwareVersion": "1.0"}]))));
        assert!(!with(product(json!([{"vnfSoftwareVersion": "2.0"}]))));
        assert!(with(product(json!([version("1.0", json!(["9", "1.1"]))]))));
        assert!(!with(product(json!([version("1.0", json!(["9"]))]))));
        // Version and VNFD version of one and the same entry.
        assert!(!with(product(json!([
            version("1.0", json!(["9"])),
            version("2.0", json!(["1.1"]))
        ]))));
        let elsewhere =
            json!({"vnfInstanceSubscriptionFilter": {"vnfProductsFromProviders": [{"vnfProvider": "other"}]}});
        assert!(!told(&elsewhere, &creation()));
    }

    #[test]
    fn an_event_looks_only_at_those_that_share_an_attribute_with_it() {
        let filter = |key: &str, value: String| json!({"vnfInstanceSubscriptionFilter": {key: [value]}});
        let mut all = Vec::new();
        for n in 0..198 {
            let name = |key: &str| format!("{key}-of-{n}");
            for key in ["vnfdIds", "vnfInstanceIds", "vnfInstanceNames"] {
                all.push(subscription(&name(key), filter(key, name(key))));
            }
            let provider = json!([{"vnfProvider": name("provider")}]);
            let filter = json!({"vnfInstanceSubscriptionFilter": {"vnfProductsFromProviders": provider}});
            all.push(subscription(&name("by-provider"), filter));
            let filter = json!({"operationTypes": ["HEAL"],
                "notificationTypes": ["VnfLcmOperationOccurrenceNotification"]});
            all.push(subscription(&name("by-operation"), filter));
        }
        for n in 0..10 {
            let filter = filter("vnfdIds", "vnfd-1".to_owned());
            all.push(subscription(&format!("match-{n}"), filter));
        }
        let index = Index::of(all);
        assert_eq!(index.len(), 1000);
        let event = operation("SCALE", "PROCESSING");
        assert_eq!(index.candidates(&event).count(), 10);
        assert_eq!(index.matching(&event).count(), 10);
    }
}
