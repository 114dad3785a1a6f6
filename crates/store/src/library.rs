//! libchdb, opened at run time. No header is shipped with it, so what is used is declared here.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::Error;

/// Version of the library that setup installs.
pub const LIBRARY_VERSION: &str = "26.7.3-stable.1";

/// A connection handle: the library hands out a pointer to it and wants the value itself in calls.
pub(crate) type Connection = *mut c_void;
pub(crate) type RawResult = *mut c_void;

macro_rules! library {
    ($($name:ident: $symbol:literal as $type:ty,)+) => {
        /// The functions of an opened libchdb. It is never closed: the engine leaves threads behind.
        pub struct Library {
            $(pub(crate) $name: $type,)+
        }

        impl Library {
            fn bind(handle: *mut c_void) -> Result<Self, String> {
                $(
                    let name = concat!($symbol, "\0");
                    // SAFETY: `handle` is an open library and the name ends with NUL.
                    let address = unsafe { libc::dlsym(handle, name.as_ptr().cast()) };
                    if address.is_null() {
                        return Err(format!("it has no {}", $symbol));
                    }
                    // SAFETY: the type is that of the exported C function in chdb.h of this library's version.
                    let $name = unsafe { std::mem::transmute::<*mut c_void, $type>(address) };
                )+
                Ok(Self { $($name,)+ })
            }
        }
    };
}

library! {
    set_signal_handlers: "chdb_set_signal_handlers_enabled" as unsafe extern "C" fn(c_int),
    connect: "chdb_connect" as unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut Connection,
    close: "chdb_close_conn" as unsafe extern "C" fn(*mut Connection),
    shutdown: "chdb_shutdown" as unsafe extern "C" fn(),
    query: "chdb_query_n" as unsafe extern "C" fn(Connection, *const c_char, usize, *const c_char, usize) -> RawResult,
    result_buffer: "chdb_result_buffer" as unsafe extern "C" fn(RawResult) -> *const c_char,
    result_length: "chdb_result_length" as unsafe extern "C" fn(RawResult) -> usize,
    result_error: "chdb_result_error" as unsafe extern "C" fn(RawResult) -> *const c_char,
    result_rows_read: "chdb_result_storage_rows_read" as unsafe extern "C" fn(RawResult) -> u64,
    destroy_result: "chdb_destroy_query_result" as unsafe extern "C" fn(RawResult),
    register_arrow: "chdb_arrow_array_scan" as unsafe extern "C" fn(Connection, *const c_char, *mut c_void, *mut c_void) -> c_int,
    unregister_arrow: "chdb_arrow_unregister_table" as unsafe extern "C" fn(Connection, *const c_char) -> c_int,
}

/// Finds libchdb and opens the file, so that it can be loaded after rights were given up.
///
/// Looked for in `HADAL_LIBCHDB`, beside the executable, in `/var/cache/hadal`, `/usr/lib/hadal` and `~/.cache/hadal`.
pub fn find() -> Result<(PathBuf, File), Error> {
    let candidates = candidates();
    for path in &candidates {
        if let Ok(file) = File::open(path) {
            return Ok((path.clone(), file));
        }
    }
    Err(Error::LibraryMissing { searched: candidates })
}

fn candidates() -> Vec<PathBuf> {
    if let Some(path) = std::env::var_os("HADAL_LIBCHDB") {
        return vec![path.into()];
    }
    let versioned = format!("libchdb-{LIBRARY_VERSION}/libchdb.so");
    let mut paths = Vec::new();
    if let Ok(executable) = std::env::current_exe()
        && let Some(folder) = executable.parent()
    {
        paths.push(folder.join("libchdb.so"));
    }
    paths.push(Path::new("/usr/lib/hadal/libchdb.so").into());
    paths.push(Path::new("/var/cache/hadal").join(&versioned));
    if let Some(home) = std::env::var_os("HOME") {
        paths.push(Path::new(&home).join(".cache/hadal").join(&versioned));
    }
    paths
}

impl Library {
    /// Loads the library from its open file; `path` is for messages.
    pub fn load(path: &Path, file: &File) -> Result<Self, Error> {
        let wrong = |reason: String| Error::LibraryWrong { path: path.to_owned(), reason };
        check_complete(file).map_err(wrong)?;
        // By descriptor, because the folder may be closed to the unprivileged user the server runs as.
        let name = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_default();
        // SAFETY: the name ends with NUL; the library's initialisers are what setup's checksum vouches for.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(wrong(dl_error()));
        }
        let library = Self::bind(handle).map_err(wrong)?;
        // SAFETY: called before any connection; our own handlers stay in place.
        unsafe { (library.set_signal_handlers)(0) };
        Ok(library)
    }
}

/// The loader maps what the headers promise and dies of what is not there, so a file that was cut off is found here.
/// ELF-64: e_phoff at 32, e_shoff at 40, e_phentsize at 54, e_phnum, e_shentsize, e_shnum; a program header has its type
/// at 0, its offset at 8 and its size in the file at 32.
fn check_complete(file: &File) -> Result<(), String> {
    let size = file.metadata().map_err(|error| error.to_string())?.size();
    let read = |offset: u64, length: usize| {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset).map(|()| bytes).map_err(|_| "it is no ELF library".to_owned())
    };
    let header = read(0, 64)?;
    if header.get(..5) != Some(b"\x7fELF\x02") {
        return Err("it is no 64-bit ELF library".to_owned());
    }
    let number = |bytes: &[u8], at: usize, length: usize| {
        bytes.iter().skip(at).take(length).rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte))
    };
    let (segments, sections) = (number(&header, 32, 8), number(&header, 40, 8));
    let mut end = sections.saturating_add(number(&header, 58, 2) * number(&header, 60, 2));
    for index in 0..number(&header, 56, 2) {
        let segment = read(segments.saturating_add(index * number(&header, 54, 2)), 56)?;
        end = end.max(number(&segment, 8, 8).saturating_add(number(&segment, 32, 8)));
    }
    if end > size { Err(format!("it is cut off at {size} of {end} bytes")) } else { Ok(()) }
}

fn dl_error() -> String {
    // SAFETY: dlerror has no preconditions.
    let message = unsafe { libc::dlerror() };
    if message.is_null() {
        return "no reason given".to_owned();
    }
    // SAFETY: a non-null answer is a NUL-terminated string, valid until the next dl call of this thread.
    unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned()
}
