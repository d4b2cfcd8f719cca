//! Why a template is refused, in Heat's words: what a user reads is the same as with Heat.

/// Why a template, its parameters or a request about its resources are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no YAML.
    #[error("Error parsing template: {0}")]
    Yaml(String),
    /// It is YAML, and something else than a template.
    #[error("The template is not a JSON object or YAML mapping.")]
    NotAMapping,
    /// It is a mapping, and no HOT.
    #[error("Template format version not found.")]
    NoVersion,
    /// A section has the wrong shape.
    #[error("The template section is invalid: {0}")]
    Section(String),
    /// A parameter was given that the template does not have.
    #[error("The Parameter ({0}) was not defined in template.")]
    UnknownParameter(String),
    /// A parameter without a default was not given, or the template refers to one it does not declare.
    #[error("The Parameter ({0}) was not provided.")]
    MissingParameter(String),
    /// A parameter's value does not fit its type.
    #[error("Parameter '{name}' is invalid: {reason}")]
    InvalidParameter {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// A reference to a resource that the template does not have.
    #[error("The specified reference \"{target}\" (in {place}) is incorrect.")]
    Reference {
        /// What is referred to.
        target: String,
        /// By which resource.
        place: String,
    },
    /// A function has arguments of the wrong shape.
    #[error("{place}: Arguments to \"{function}\" are not of the right form")]
    Arguments {
        /// In which resource.
        place: String,
        /// Which function.
        function: &'static str,
    },
    /// `get_file` of a file that did not come with the template.
    #[error("No content found in the \"files\" section for get_file path: {0}")]
    NoFile(String),
    /// Neither a type of OpenStack nor a file that came with the template.
    #[error("The Resource Type ({0}) could not be found.")]
    UnknownType(String),
    /// A property is missing, unknown or of the wrong type.
    #[error("Property error: {path}: {message}")]
    Property {
        /// Where it stands.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// Templates within templates, too many times.
    #[error("Recursion depth exceeds {0}.")]
    TooDeep(u8),
    /// More resources than a stack can have.
    #[error("Maximum resources per stack exceeded.")]
    TooMany,
    /// The stack has no such resource.
    #[error("The Resource ({resource}) could not be found in Stack {stack}.")]
    NoResource {
        /// What was asked for.
        resource: String,
        /// Where.
        stack: String,
    },
}
