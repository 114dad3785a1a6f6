//! ClickHouse behind one trait: the embedded engine today, a server over HTTP later. Only this crate knows which one is
//! there. Schema and migration derive from the catalog in `hadal-model`.

mod directory;
mod embedded;
mod engine;
mod error;
mod library;
mod schema;

pub use directory::DataDirectory;
pub use embedded::{Embedded, EmbeddedConfig};
pub use engine::{Engine, Format, Limits, QueryOutput};
pub use error::{Error, ErrorKind};
pub use library::{LIBRARY_VERSION, Library, find as find_library};
pub use schema::{SCHEMA_VERSION, migrate};
