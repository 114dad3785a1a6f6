//! The embedded engine.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, RwLock};

use arrow_array::ffi::{FFI_ArrowArray, to_ffi};
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::ffi::FFI_ArrowSchema;

use crate::engine::{Engine, Format, Limits, QueryOutput};
use crate::library::{Connection, Library};
use crate::{DataDirectory, Error};

/// How many connections there are, and what users may take.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedConfig {
    /// Connections for our own statements.
    pub own_connections: usize,
    /// Connections for users' queries; further queries wait.
    pub user_connections: usize,
    /// Limits of users' queries.
    pub limits: Limits,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self { own_connections: 4, user_connections: 2, limits: Limits::default() }
    }
}

/// A pool of connections of one kind.
struct Pool {
    free: Mutex<Vec<*mut Connection>>,
    returned: Condvar,
}

// SAFETY: a connection may be used from any thread, by one at a time; the pool hands each out to one caller.
unsafe impl Send for Pool {}
// SAFETY: as above; the vector is behind a mutex.
unsafe impl Sync for Pool {}

/// ClickHouse inside this process, on one data directory.
pub struct Embedded {
    library: Library,
    own: Pool,
    user: Pool,
    /// Held for reading by every call, for writing by shutdown.
    open: RwLock<bool>,
    next_name: AtomicU64,
    _directory: DataDirectory,
}

impl Embedded {
    /// Opens the engine on a directory.
    pub fn open(library: Library, directory: DataDirectory, config: EmbeddedConfig) -> Result<Self, Error> {
        let path = directory.path().join("clickhouse");
        let own = connect(&library, &path, config.own_connections)?;
        let user = connect(&library, &path, config.user_connections)?;
        let engine = Self {
            library,
            own: Pool { free: Mutex::new(own), returned: Condvar::new() },
            user: Pool { free: Mutex::new(user), returned: Condvar::new() },
            open: RwLock::new(true),
            next_name: AtomicU64::new(0),
            _directory: directory,
        };
        engine.prepare_user_connections(config.limits)?;
        Ok(engine)
    }

    /// Limits first: once a connection is read only, it cannot lift them.
    fn prepare_user_connections(&self, limits: Limits) -> Result<(), Error> {
        let statement = format!(
            "SET max_execution_time = {}, max_memory_usage = {}, max_result_rows = {}, result_overflow_mode = 'throw', \
             output_format_json_quote_64bit_integers = 1, allow_introspection_functions = 0, readonly = 1",
            limits.seconds, limits.memory_bytes, limits.result_rows
        );
        let connections = self.user.free.lock().unwrap_or_else(PoisonError::into_inner);
        for &connection in connections.iter() {
            self.run(connection, &statement, "Null")?;
        }
        Ok(())
    }

    fn with<T>(&self, pool: &Pool, work: impl FnOnce(*mut Connection) -> Result<T, Error>) -> Result<T, Error> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if !*open {
            return Err(Error::Statement("the store is shut down".to_owned()));
        }
        let mut free = pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = loop {
            match free.pop() {
                Some(connection) => break connection,
                None => free = pool.returned.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(free);
        let outcome = work(connection);
        pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        pool.returned.notify_one();
        outcome
    }

    fn run(&self, connection: *mut Connection, sql: &str, format: &str) -> Result<QueryOutput, Error> {
        // SAFETY: the connection is open and ours alone while we are here; both texts are given with their lengths.
        let result = unsafe {
            let (sql_start, format_start) = (sql.as_ptr().cast::<c_char>(), format.as_ptr().cast::<c_char>());
            (self.library.query)(*connection, sql_start, sql.len(), format_start, format.len())
        };
        if result.is_null() {
            return Err(Error::Statement("the engine gave no answer".to_owned()));
        }
        // SAFETY: the result is valid until destroyed; buffer and length belong together; error is NULL or a C string.
        unsafe {
            let error = (self.library.result_error)(result);
            let outcome = if error.is_null() {
                let (buffer, length) = ((self.library.result_buffer)(result), (self.library.result_length)(result));
                let bytes = if buffer.is_null() { &[] } else { std::slice::from_raw_parts(buffer.cast(), length) };
                Ok(QueryOutput { bytes: bytes.to_vec(), rows_read: (self.library.result_rows_read)(result) })
            } else {
                Err(Error::from_engine(&CStr::from_ptr(error).to_string_lossy()))
            };
            (self.library.destroy_result)(result);
            outcome
        }
    }

    /// Registers the batch under a name, runs the insert, and takes the name back.
    fn insert_registered(
        &self,
        connection: *mut Connection,
        batch: &RecordBatch,
        statement: impl FnOnce(&str) -> String,
    ) -> Result<(), Error> {
        let data = StructArray::from(batch.clone()).to_data();
        let (mut array, mut schema): (FFI_ArrowArray, FFI_ArrowSchema) =
            to_ffi(&data).map_err(|error| Error::Statement(format!("the batch cannot be handed over: {error}")))?;
        let name = format!("batch_{}", self.next_name.fetch_add(1, Ordering::Relaxed));
        let c_name = CString::new(name.as_str()).unwrap_or_default();
        let (schema_address, array_address) = (std::ptr::from_mut(&mut schema), std::ptr::from_mut(&mut array));
        // SAFETY: schema and array follow the Arrow C data interface and outlive the registration; the library only
        // borrows them, so dropping them here releases the buffers exactly once.
        let state = unsafe {
            (self.library.register_arrow)(
                *connection,
                c_name.as_ptr(),
                schema_address.cast::<c_void>(),
                array_address.cast::<c_void>(),
            )
        };
        if state != 0 {
            return Err(Error::Statement("the engine refused the batch".to_owned()));
        }
        let outcome = self.run(connection, &statement(&name), "Null");
        // SAFETY: the connection is open and the name was registered above.
        unsafe { (self.library.unregister_arrow)(*connection, c_name.as_ptr()) };
        outcome.map(drop)
    }
}

fn connect(library: &Library, path: &Path, count: usize) -> Result<Vec<*mut Connection>, Error> {
    let mut connections = Vec::new();
    for _ in 0..count.max(1) {
        let path_argument = CString::new(format!("--path={}", path.display())).unwrap_or_default();
        let mut arguments = [c"clickhouse".as_ptr().cast_mut(), path_argument.as_ptr().cast_mut()];
        // SAFETY: two NUL-terminated arguments that outlive the call.
        let connection = unsafe { (library.connect)(2, arguments.as_mut_ptr()) };
        if connection.is_null() {
            let reason = "the engine refused the connection (is the path readable and writable?)".to_owned();
            return Err(Error::Open { path: path.to_owned(), reason });
        }
        connections.push(connection);
    }
    Ok(connections)
}

impl Engine for Embedded {
    fn version(&self) -> String {
        let answer = self.query("SELECT version()", Format::Tsv).map(|output| output.bytes).unwrap_or_default();
        String::from_utf8_lossy(&answer).trim().to_owned()
    }

    fn execute(&self, sql: &str) -> Result<(), Error> {
        self.with(&self.own, |connection| self.run(connection, sql, "Null")).map(drop)
    }

    fn query(&self, sql: &str, format: Format) -> Result<QueryOutput, Error> {
        self.with(&self.own, |connection| self.run(connection, sql, format.name()))
    }

    fn query_as_user(&self, database: &str, sql: &str, format: Format) -> Result<QueryOutput, Error> {
        self.with(&self.user, |connection| {
            self.run(connection, &format!("USE `{}`", database.replace('`', "")), "Null")?;
            self.run(connection, sql, format.name())
        })
    }

    fn insert(&self, table: &str, batch: &RecordBatch, token: &str) -> Result<(), Error> {
        let schema = batch.schema();
        let columns: Vec<_> = schema.fields().iter().map(|field| format!("`{}`", field.name())).collect();
        let columns = columns.join(", ");
        let token = token.replace(['\\', '\''], "");
        self.with(&self.own, |connection| {
            self.insert_registered(connection, batch, |name| {
                format!(
                    "INSERT INTO {table} ({columns}) SETTINGS insert_deduplication_token = '{token}', \
                     deduplicate_blocks_in_dependent_materialized_views = 1, async_insert = 0 \
                     SELECT {columns} FROM arrowstream('{name}')"
                )
            })
        })
    }

    fn shutdown(&self) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *open, false) {
            return;
        }
        for pool in [&self.own, &self.user] {
            for connection in pool.free.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                // SAFETY: no call is running (the lock is held for writing), and each connection is closed once.
                unsafe { (self.library.close)(connection) };
            }
        }
        // SAFETY: all connections are closed.
        unsafe { (self.library.shutdown)() };
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shutdown();
    }
}
