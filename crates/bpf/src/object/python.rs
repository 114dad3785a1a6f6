//! What is known of Python programs, for the kernel programs.

use hadal_abi as abi;
use libbpf_rs::{MapCore, MapFlags};

use super::{Bpf, Error, kernel};

impl Bpf {
    /// From now on the contexts of this process are those of its tasks of asyncio, or of its greenlets.
    pub fn set_python(&mut self, pid: u32, layout: &abi::PythonLayout) -> Result<(), Error> {
        let updated = self.python.update(&pid.to_ne_bytes(), abi::bytes(layout), MapFlags::ANY);
        updated.map_err(kernel("remember a Python process"))?;
        self.set_runtime(pid, abi::RUNTIME_PYTHON)
    }
}
