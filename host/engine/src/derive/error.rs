//! Why creation parameters cannot be derived.
//!
//! Errors name the place in the request, because the person who reads them wrote a descriptor or instantiation
//! parameters and sees neither this code nor the request that LCM made of them. Values are not repeated: template
//! variables hold passwords.

use super::templates::Limit;

/// Something in the request, or its absence, prevents the derivation of a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field has the wrong type, lies outside its bounds or is missing.
    #[error("{path}: expected {expected}, found {found}")]
    Shape {
        /// Place in the request, like `vnf:0:vdur:1:interfaces:0:position`.
        path: String,
        /// What the field has to be.
        expected: &'static str,
        /// What kind of value it is.
        found: &'static str,
    },
    /// An image item without any search key could only be created, and images are never uploaded.
    #[error("cannot look up image {image} at {path}: none of image, vim_image_id and image_checksum is given")]
    NoImageFilter {
        /// Place of the image item.
        path: String,
        /// Its id.
        image: String,
    },
    /// An interface cannot take the position that it asks for.
    #[error(transparent)]
    Position(#[from] Box<Misplaced>),
    /// A cloud-init template uses a variable that is not given.
    #[error(
        "cloud-init {location} of VDU {vdu} uses the variable {variable}, which is not defined: in additionalParams, or under \
         'variables' in the file of a network service"
    )]
    UndefinedVariable {
        /// The expression as it stands in the template.
        variable: String,
        /// Name of the VDU.
        vdu: String,
        /// Where the template comes from.
        location: String,
    },
    /// A cloud-init template cannot be parsed or rendered.
    #[error("cannot render cloud-init {location} of VDU {vdu}: {reason}")]
    Template {
        /// Name of the VDU.
        vdu: String,
        /// Where the template comes from.
        location: String,
        /// The template engine's words, cut to a bounded length.
        reason: String,
    },
    /// A cloud-init template needs more work, or makes more text, than any real one.
    #[error("cloud-init {location} of VDU {vdu} exceeds {limit}")]
    TemplateExhausted {
        /// Name of the VDU.
        vdu: String,
        /// Where the template comes from.
        location: String,
        /// The bound it hit.
        limit: Limit,
    },
    /// There is nothing that could render a cloud-init template now; nothing is wrong with the template.
    #[error("cannot render cloud-init {location} of VDU {vdu} now: {reason}")]
    TemplatesUnavailable {
        /// Name of the VDU.
        vdu: String,
        /// Where the template comes from.
        location: String,
        /// Why.
        reason: String,
    },
    /// A VDU names a cloud-init template that neither the request nor the descriptor has.
    #[error("cannot find cloud-init {location} of VDU {vdu}, neither in cloud_init_content nor in the VNFD")]
    TemplateMissing {
        /// Name of the VDU.
        vdu: String,
        /// Where the template should come from.
        location: String,
    },
    /// A VDU asks for access with the key of the NS, which has none.
    #[error("VDU {vdu} at {path} requires ssh access, and the NS has no key pair")]
    NoKeyPair {
        /// Place of the VDU.
        path: String,
        /// Name of the VDU.
        vdu: String,
    },
    /// VDUs that share a flavour ask for different existing flavours.
    #[error("{path}: VDUs that share flavour {flavour} name different VIM flavours")]
    FlavourConflict {
        /// Place of the disagreeing VDU's parameter.
        path: String,
        /// Id of the flavour item.
        flavour: String,
    },
}

/// An interface that cannot take the position that it asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot order the interfaces of VDU {vdu} of VNF {vnf}: \
     interface {interface} asks for position {position}, {problem}"
)]
pub struct Misplaced {
    /// Place of the position in the request.
    pub path: String,
    /// Member index of the VNF.
    pub vnf: String,
    /// Name of the VDU.
    pub vdu: String,
    /// Name of the interface.
    pub interface: String,
    /// The position it asks for.
    pub position: i64,
    /// Why it cannot have it.
    pub problem: PositionProblem,
}

/// Why an interface cannot have its position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PositionProblem {
    /// Another interface asks for the same place.
    #[error("which interface {with} has")]
    Clash {
        /// The interface that has it.
        with: String,
    },
    /// There is no such place.
    #[error("which is not among {first} to {last}")]
    OutOfRange {
        /// The first possible position.
        first: i64,
        /// The last possible position.
        last: i64,
    },
}

/// The kinds of error a client is answered differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is not of the agreed shape: 422.
    Shape,
    /// A template variable is not given: 400.
    UndefinedVariable,
    /// A template is faulty or hits a bound: 400.
    Template,
    /// The request names something that does not exist: 404 or 400.
    NotFound,
    /// What renders templates cannot be had: 503.
    Unavailable,
    /// The caller did not prepare what the derivation needs: 500.
    Internal,
}

impl Error {
    /// How to answer a client.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Shape { .. } | Self::NoImageFilter { .. } | Self::Position(_) | Self::FlavourConflict { .. } => {
                Kind::Shape
            }
            Self::UndefinedVariable { .. } => Kind::UndefinedVariable,
            Self::Template { .. } | Self::TemplateExhausted { .. } => Kind::Template,
            Self::TemplatesUnavailable { .. } => Kind::Unavailable,
            Self::TemplateMissing { .. } => Kind::NotFound,
            Self::NoKeyPair { .. } => Kind::Internal,
        }
    }

    /// The place in the request that is at fault, where there is one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Position(misplaced) => Some(&misplaced.path),
            Self::Shape { path, .. }
            | Self::NoImageFilter { path, .. }
            | Self::NoKeyPair { path, .. }
            | Self::FlavourConflict { path, .. } => Some(path),
            Self::UndefinedVariable { .. }
            | Self::Template { .. }
            | Self::TemplateExhausted { .. }
            | Self::TemplatesUnavailable { .. }
            | Self::TemplateMissing { .. } => None,
        }
    }
}
