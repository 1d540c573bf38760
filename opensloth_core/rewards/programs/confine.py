"""Takes from this process what a stranger's program has no use for (Linux), before it runs.

Landlock leaves it the Python it runs on to read and its own temporary folder to write: no other
file, so neither `/proc/PID/environ` of the trainer, where secrets are. seccomp takes starting
processes, the network, signals to others and changing files' modes or its own limits. Neither needs
root nor namespaces, and neither can be undone.

Source: Documentation/userspace-api/landlock.rst and seccomp_filter.rst of Linux; numbers from its
asm/unistd_64.h and asm-generic/unistd.h.
"""

import ctypes
import os
import platform
import resource
import struct
from collections.abc import Iterable, Sequence

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER, _DIE_WITH_PARENT = 38, 22, 2, 1
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR, _WRITE_FILE, _TRUNCATE = 1 << 2, 1 << 3, 1 << 1, 1 << 14
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_IN_FOLDER = (
    _READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_FILE
)
_RIGHTS_OF_ABI = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 4: 1 << 15}
_ALL_RIGHTS = 1 << 16
_NO_ABSTRACT_SOCKETS, _NO_SIGNALS = 1, 2

# (x86-64, aarch64); None where the call is not there.
_FORBIDDEN: dict[str, tuple[int | None, int | None]] = {
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "socket": (41, 198), "connect": (42, 203), "setrlimit": (160, 164),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "mount": (165, 40), "umount2": (166, 39), "move_mount": (429, 429), "fsopen": (430, 430),
    "open_tree": (428, 428), "mount_setattr": (442, 442), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "reboot": (169, 142), "acct": (163, 89),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "swapon": (167, 224), "swapoff": (168, 225),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "syslog": (103, 116),
    "perf_event_open": (298, 241), "bpf": (321, 280), "userfaultfd": (323, 282), "seccomp": (317, 277),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "shmget": (29, 194), "shmat": (30, 196),
    "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "sethostname": (170, 161),
    "setdomainname": (171, 162), "open_by_handle_at": (304, 265), "quotactl": (179, 60),
}  # fmt: skip
_CLONE, _KILL, _TGKILL, _PRLIMIT = (56, 220), (62, 129), (234, 131), (302, 261)
_CLONE3 = 435
_CLONE_THREAD = 0x10000
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class ConfinementError(OSError):
    """This machine's kernel cannot confine a program."""


def set_limits(cpu_seconds: int, memory_bytes: int, file_bytes: int) -> None:
    """CPU time, address space, size of a file, open files and core dumps of this process."""
    for kind, limit in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def forbid_processes_by_limit() -> None:
    """Where seccomp is not had: no further process or thread for this user, unless that is root."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def die_with_parent() -> None:
    """Have the kernel end this process with the thread that started it. Source: prctl(2)."""
    _prctl(_DIE_WITH_PARENT, 9)


def drop_privileges() -> None:
    """No capabilities, which root would have, and none to be gained. Source: capset(2)."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")
    _checked(_prctl(_NO_NEW_PRIVILEGES, 1), "prctl(PR_SET_NO_NEW_PRIVS)")


def confine_files(readable: Iterable[str], folder: str) -> None:
    """Leave only `readable` to be read, and `folder` to be written.

    Raises:
        ConfinementError: the kernel has no Landlock (Linux 5.13), or it is off.
    """
    abi = _syscall(_LANDLOCK_CREATE, None, 0, 1)
    if abi < 1:
        raise ConfinementError(ctypes.get_errno(), "the kernel has no Landlock")
    rights = _RIGHTS_OF_ABI.get(abi, _ALL_RIGHTS) - 1
    scopes = _NO_ABSTRACT_SOCKETS | _NO_SIGNALS if abi >= 6 else 0
    attributes = struct.pack("=QQQ", rights, 3 if abi >= 4 else 0, scopes)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = _checked(_syscall(_LANDLOCK_CREATE, attributes, size, 0), "landlock_create_ruleset")
    for path in readable:
        _allow(ruleset, path, _READ_FILE | _READ_DIR)
    _allow(ruleset, "/dev/null", _READ_FILE | _WRITE_FILE)
    _allow(ruleset, folder, _IN_FOLDER & rights)
    _checked(_syscall(_LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def confine_calls() -> None:
    """No new process, no network, no signal to others, no change of modes, owners and limits.

    Raises:
        ConfinementError: the kernel has no seccomp filters, or the processor is another one.
    """
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise ConfinementError(0, f"no list of system calls for {machine}")
    column, architecture = _ARCHITECTURES[machine]
    program = b"".join(_filter(column, architecture))
    buffer = ctypes.create_string_buffer(program)
    description = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    if _prctl(_SET_SECCOMP, _FILTER, description) != 0:
        raise ConfinementError(ctypes.get_errno(), "the kernel has no seccomp filters")


def _prctl(option: int, *arguments: int | bytes) -> int:
    rest = [*arguments, 0, 0, 0, 0][:4]
    return int(_libc.prctl(ctypes.c_int(option), *map(_register, rest)))


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    return int(_libc.syscall(ctypes.c_long(number), *map(_register, arguments)))


def _register(argument: int | bytes | None) -> ctypes.c_long | ctypes.c_char_p:
    """Whole registers: of a C int in a variadic call the upper half is undefined."""
    return ctypes.c_long(argument) if isinstance(argument, int) else ctypes.c_char_p(argument)


def _allow(ruleset: int, path: str, rights: int) -> None:
    if not os.path.exists(path):  # noqa: PTH110
        return
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if not os.path.isdir(path):  # noqa: PTH112
        rights &= _READ_FILE | _WRITE_FILE
    rule = struct.pack("=Qi", rights, descriptor)
    _checked(_syscall(_LANDLOCK_ADD, ruleset, 1, rule, 0), "landlock_add_rule")
    os.close(descriptor)


def _checked(result: int, call: str) -> int:
    if result < 0:
        raise ConfinementError(ctypes.get_errno(), f"{call} failed")
    return result


def _filter(column: int, architecture: int) -> list[bytes]:
    """The filter in BPF: each instruction is code, jump if true, jump if false, operand."""
    deny = _return(_ERRNO | _EPERM)
    code = [_load(4), _if_equal(architecture, 1, 0), _return(_KILL_PROCESS), _load(0)]
    if column == 0:  # calls of the x32 ABI would have other numbers
        code += [_if_at_least(0x40000000, 0, 1), deny]
    code += [
        _if_equal(_CLONE3, 0, 1),
        _return(_ERRNO | _ENOSYS),
    ]  # glibc goes on with clone then, whose flags can be seen
    for numbers in _FORBIDDEN.values():
        if (number := numbers[column]) is not None:
            code += [_if_equal(number, 0, 1), deny]
    code += _unless(_CLONE[column], [_load(16), _if_bits(_CLONE_THREAD, 1, 0), deny])
    for numbers_of_signals in (_KILL, _TGKILL):
        code += _unless(numbers_of_signals[column], [_load(16), _if_equal(os.getpid(), 1, 0), deny])
    # Its third argument is the new limit, a pointer of two halves.
    code += _unless(_PRLIMIT[column], [_load(32), _if_equal(0, 0, 2), _load(36), _if_equal(0, 1, 0), deny])
    return [*code, _return(_ALLOW)]


def _unless(number: int, otherwise: Sequence[bytes]) -> list[bytes]:
    """Run `otherwise` for the call of that number, and load the number again after it."""
    return [_if_equal(number, 0, len(otherwise) + 1), *otherwise, _load(0)]


def _instruction(code: int, if_true: int, if_false: int, operand: int) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, operand)


def _load(offset: int) -> bytes:
    return _instruction(0x20, 0, 0, offset)


def _if_equal(value: int, if_true: int, if_false: int) -> bytes:
    return _instruction(0x15, if_true, if_false, value)


def _if_at_least(value: int, if_true: int, if_false: int) -> bytes:
    return _instruction(0x35, if_true, if_false, value)


def _if_bits(bits: int, if_true: int, if_false: int) -> bytes:
    return _instruction(0x45, if_true, if_false, bits)


def _return(value: int) -> bytes:
    return _instruction(0x06, 0, 0, value)
