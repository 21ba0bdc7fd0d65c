# Read by tests and run inside sandboxes: small questions to the kernel, answered as one line of JSON.
import ctypes, errno, fcntl, json, mmap, os, platform, socket, struct, sys

X86 = platform.machine() == 'x86_64'
libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = dict(zip(
    'bpf keyctl add_key userfaultfd perf_event_open mount unshare setns ptrace open_by_handle_at name_to_handle_at '
    'init_module finit_module kexec_load pivot_root process_vm_readv syslog acct settimeofday swapon reboot umount2 quotactl'.split(),
    [321, 250, 248, 323, 298, 165, 272, 308, 101, 304, 303, 175, 313, 246, 155, 310, 103, 163, 164, 167, 169, 166, 179] if X86 else
    [280, 219, 217, 282, 241, 40, 97, 268, 117, 265, 264, 105, 273, 104, 41, 270, 116, 89, 170, 224, 142, 39, 60]))
NUMBERS.update(io_uring_setup=425, open_tree=428, move_mount=429, fsopen=430, clone3=435, pidfd_getfd=438, mount_setattr=442)


def name(code):
    return errno.errorcode.get(code, str(code))


def call(which, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(NUMBERS[which]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return 'DONE' if result >= 0 else name(ctypes.get_errno())


def attempt(function, *arguments):
    try:
        function(*arguments)
        return 'DONE'
    except OSError as error:
        return name(error.errno)


def family(number, kind=socket.SOCK_STREAM, protocol=0):
    return attempt(lambda: socket.socket(number, kind, protocol).close())


def tcp(host, port):
    return attempt(lambda: socket.create_connection((host, port), 3).close())


def udp(host, port):
    kind = socket.AF_INET6 if ':' in host else socket.AF_INET
    return attempt(lambda: socket.socket(kind, socket.SOCK_DGRAM).sendto(b'x', (host, port)))


def answer(value):
    print(json.dumps(value))
