"""A small virtual machine with another kernel, for programs that need nothing but that kernel.

The machine has no disk: an initramfs with busybox, the program, the libraries it is linked with, and a script. Emulated, so
10 to 30 times slower than the host.
"""

import gzip
import os
import pathlib
import re
import subprocess

from harness import Failed, check

CACHE = pathlib.Path(os.environ.get("HADAL_CACHE", "~/.cache/hadal")).expanduser()

INIT = """\
#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
busybox mount -t tracefs tracefs /sys/kernel/tracing
busybox mount -t bpf bpf /sys/fs/bpf
busybox mount -t cgroup2 cgroup2 /sys/fs/cgroup
busybox ip link set lo up
busybox sysctl -qw kernel.printk=1
{command}
echo "exit code $?"
busybox poweroff -f
"""


def kernel(series):
    """Path of the newest Debian kernel of a series that scripts/setup.sh has fetched."""
    path = CACHE / "kernels" / series / "vmlinuz"
    check(path.is_file(), f"there is no kernel {series} at {path}: run `scripts/setup.sh test`")
    return path


def libraries(program):
    """Files that the dynamic linker loads for a program; none for a static one."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True)
    return [pathlib.Path(path) for path in re.findall(r"(?:=> |^\s+)(/\S+)", listed.stdout, re.MULTILINE)]


def entry(name, mode, content=b""):
    """One file of an archive of format newc (cpio(5))."""
    name = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0]
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + name
    pad = lambda data: data + b"\0" * (-len(data) % 4)
    return pad(header) + pad(content)


def image(programs, command):
    """The initramfs: `programs` by name in /bin, and a script that runs `command`."""
    files = {f"bin/{name}": pathlib.Path(path) for name, path in programs.items()}
    files["bin/busybox"] = CACHE / "kernels/busybox"
    for path in programs.values():
        files |= {str(library).lstrip("/"): library for library in libraries(path)}
    folders = {"proc", "sys", "dev", "tmp"}
    for name in files:
        folders |= {str(parent) for parent in pathlib.PurePath(name).parents if str(parent) != "."}
    parts = [entry(name, 0o040755) for name in sorted(folders)]
    parts += [entry(name, 0o100755, path.read_bytes()) for name, path in files.items()]
    parts += [entry("init", 0o100755, INIT.format(command=command).encode()), entry("TRAILER!!!", 0)]
    return gzip.compress(b"".join(parts), 1)


def run(test, series, programs, command, seconds=400, memory=768):
    """What `command` prints on a machine with a kernel of this series; fails unless its exit code is 0."""
    initrd = test.work / f"initramfs-{series}.gz"
    initrd.write_bytes(image(programs, command))
    machine = test.spawn(
        f"machine-{series}",
        ["qemu-system-x86_64", "-accel", "tcg", "-smp", "2", "-m", memory, "-nographic", "-no-reboot", "-nic", "none",
         "-kernel", kernel(series), "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1"],
    )
    machine.wait(seconds)
    output = machine.output().replace("\r", "")
    code = re.search(r"^exit code (\d+)$", output, re.MULTILINE)
    if not code or code[1] != "0":
        bad = [line for line in output.splitlines() if line.startswith(("FAILED", "thread '", "Kernel panic"))]
        raise Failed(f"on kernel {series}, exit code {code and code[1]}: " + "\n".join(bad[:20] or output.splitlines()[-20:]))
    return output
